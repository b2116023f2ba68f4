#[handcar_macros::main]
async unsafe fn main() {}
