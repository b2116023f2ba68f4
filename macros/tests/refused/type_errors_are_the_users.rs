#[handcar::main]
async fn answer() -> u32 {
    "not a number"
}

#[handcar::main]
async fn main() {
    let _ = answer() + undefined().await;
}
