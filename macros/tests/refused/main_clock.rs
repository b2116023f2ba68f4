#[handcar_macros::main(clock = "simulated")]
async fn main() {}
