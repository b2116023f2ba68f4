//! To drop a handle is to cancel its task: the compiler asks whether that is meant.
#![deny(unused_must_use)]

#[handcar::main]
async fn main() {
    handcar::spawn(async { println!("never printed") });
}
