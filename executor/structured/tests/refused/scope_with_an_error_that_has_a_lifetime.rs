//! An error type with a lifetime in it, even `'static`, makes the compiler take every borrow for one of that lifetime: a type of
//! one's own around it has none.

use handcar_structured::{run, scope};

fn main() {
    run(async {
        let text = String::from("main's");
        let result = scope(async |s| {
            s.spawn(async {
                println!("{text}");
                Err::<(), &'static str>("failed")
            });
            Ok(())
        });
        let _ = result.await;
    });
}
