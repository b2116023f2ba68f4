#[handcar::main]
async fn main() {
    let text = String::from("gone before the task ends");
    handcar::spawn(async { println!("{text}") }).detach();
}
