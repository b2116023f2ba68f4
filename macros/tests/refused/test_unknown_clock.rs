#[handcar_macros::test(clock = "virtual")]
async fn a_test() {}

fn main() {}
