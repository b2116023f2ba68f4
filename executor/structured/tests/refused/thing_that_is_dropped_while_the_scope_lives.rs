//! Nor can it be dropped.

use handcar_structured::{run, scope};

fn main() {
    run(async {
        let text = String::from("borrowed");
        let scoped = scope(async |s| {
            s.spawn(async {
                println!("{text}");
                Ok::<_, String>(())
            });
            Ok(())
        });
        drop(text);
        scoped.await.unwrap();
    });
}
