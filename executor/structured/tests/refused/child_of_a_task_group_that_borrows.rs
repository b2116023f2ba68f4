//! The children of a task group own what they use: `scope` is for those that borrow.

fn main() {
    handcar_structured::run(async {
        let text = String::from("main's");
        handcar_structured::task_group(async |g| {
            g.spawn(async {
                println!("{text}");
                Ok::<_, String>(())
            });
            Ok(())
        })
        .await
        .unwrap();
    });
}
