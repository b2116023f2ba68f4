#[handcar_macros::test(simulated)]
async fn a_test() {}

fn main() {}
