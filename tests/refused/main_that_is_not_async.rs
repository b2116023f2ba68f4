#[handcar::main]
fn main() {}
