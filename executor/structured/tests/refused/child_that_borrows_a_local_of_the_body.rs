//! The body is dropped before the children: they cannot borrow what it owns.

fn main() {
    handcar_structured::run(handcar_structured::scope(async |s| {
        let local = String::from("the body's");
        s.spawn(async {
            println!("{local}");
            Ok::<_, String>(())
        });
        Ok(())
    }))
    .unwrap();
}
