//! A cleanup may outlive its block, so it owns what it uses.

use handcar_structured::{defer, run};

fn main() {
    run(async {
        let text = String::from("borrowed");
        let _guard = defer(async { println!("{text}") });
    });
}
