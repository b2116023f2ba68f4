//! A scope stays on its thread.

use handcar_structured::{run, scope};

fn main() {
    let _ = run(scope(async |s| {
        std::thread::scope(|threads| {
            threads.spawn(|| {
                s.spawn(async { Ok::<_, String>(()) });
            });
        });
        Ok(())
    }));
}
