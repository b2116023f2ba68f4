//! The same through a reference.

fn main() {
    handcar_structured::run(handcar_structured::scope(async |s| {
        let local = String::from("the body's");
        let reference = &local;
        s.spawn(async move {
            println!("{reference}");
            Ok::<_, String>(())
        });
        Ok(())
    }))
    .unwrap();
}
