//! Futures that fail together have one type of error.

fn main() {
    let _ = handcar_structured::run(async {
        handcar_structured::try_gather!(async { "4".parse::<u32>() }, async { "true".parse::<bool>() }).await
    });
}
