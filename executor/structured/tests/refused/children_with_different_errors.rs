//! A group has one type of error: an enum, or a box.

fn main() {
    let _ = handcar_structured::run(handcar_structured::task_group(async |g| {
        g.spawn(async { "4".parse::<u32>() });
        g.spawn(async { "true".parse::<bool>() });
        Ok(())
    }));
}
