//! Children that only ever return `Ok` do not say what their errors are: name it once, `Ok::<_, String>(())`.

fn main() {
    let _ = handcar_structured::run(handcar_structured::task_group(async |g| {
        g.spawn(async { Ok(()) });
        Ok(())
    }));
}
