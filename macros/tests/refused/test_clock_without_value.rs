#[handcar_macros::test(clock)]
async fn a_test() {}

fn main() {}
