#[handcar_macros::main(crate = handcar)]
async fn main() {}
