//! The body runs beside its children.

fn main() {
    let mut log = Vec::new();
    let _ = handcar_structured::run(handcar_structured::scope(async |s| {
        s.spawn(async {
            log.push("child");
            Ok::<_, String>(())
        });
        println!("{log:?}");
        Ok(())
    }));
}
