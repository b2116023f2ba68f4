//! Nor can it be the body's value.

use handcar_structured::{run, scope};

fn main() {
    let _ = run(scope(async |s| Ok::<_, String>(s)));
}
