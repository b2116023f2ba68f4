#[handcar_macros::test]
fn a_plain_test() {}

fn main() {}
