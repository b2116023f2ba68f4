//! Two children run beside each other: one alone may have it mutably.

fn main() {
    let mut count = 0;
    let _ = handcar_structured::run(handcar_structured::scope(async |s| {
        s.spawn(async {
            count += 1;
            Ok::<_, String>(())
        });
        s.spawn(async {
            count += 1;
            Ok(())
        });
        Ok(())
    }));
}
