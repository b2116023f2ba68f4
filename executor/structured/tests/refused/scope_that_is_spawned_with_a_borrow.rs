//! A task owns what it uses, also through a scope in it.

use handcar_structured::{run, scope, spawn};

fn main() {
    run(async {
        let text = String::from("main's");
        let task = spawn(scope(async |s| {
            s.spawn(async {
                println!("{text}");
                Ok::<_, String>(())
            });
            Ok(())
        }));
        let _ = task.await;
    });
}
