#[handcar::main(clock = "simulated")]
async fn main() {}
