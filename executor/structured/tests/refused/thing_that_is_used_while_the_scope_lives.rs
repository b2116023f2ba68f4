//! What children borrow is borrowed until the scope's future is gone.

use handcar_structured::{run, scope};

fn main() {
    run(async {
        let mut numbers = vec![1, 2, 3];
        let scoped = scope(async |s| {
            s.spawn(async {
                numbers.push(4);
                Ok::<_, String>(())
            });
            Ok(())
        });
        numbers.clear();
        scoped.await.unwrap();
    });
}
