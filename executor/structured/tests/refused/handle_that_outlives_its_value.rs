//! A handle lives no longer than what its value borrows.

use handcar_structured::{GroupHandle, run, scope};

fn main() {
    let mut kept: Option<GroupHandle<&str>> = None;
    {
        let text = String::from("short-lived");
        run(scope(async |s| {
            kept = Some(s.spawn(async { Ok::<_, String>(text.as_str()) }));
            Ok(())
        }))
        .unwrap();
    }
    println!("{:?}", kept.unwrap().result());
}
