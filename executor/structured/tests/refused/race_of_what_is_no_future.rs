//! What races are futures.

fn main() {
    let _ = handcar_structured::run(handcar_structured::race(7));
}
