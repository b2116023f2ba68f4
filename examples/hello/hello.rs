//! Two tasks, a channel, a timeout: `cargo run --example hello`, and with `-- --trace` the machine at work.

use std::time::Duration;

use handcar::sync::mpsc;
use handcar::{sleep, spawn_named, timeout};

fn main() {
    handcar_hello::runtime().block_on(async {
        let (sender, mut receiver) = mpsc::channel(1);
        let speaker = spawn_named("speaker", async move {
            for word in ["hello", "from", "one", "thread"] {
                sleep(Duration::from_millis(10)).await;
                sender.send(word).await.expect("the listener hears everything");
            }
        });
        let listener = spawn_named("listener", async move {
            while let Ok(Some(word)) = timeout(Duration::from_millis(100), receiver.recv()).await {
                println!("{word}");
            }
        });
        speaker.await.unwrap();
        listener.await.unwrap();
    });
}
