#[handcar_macros::test(clock = "simulated", clock = "system")]
async fn a_test() {}

fn main() {}
