//! The scope cannot leave its body: who spawned into it later would spawn into nothing.

use std::cell::Cell;

use handcar_structured::{Scope, run, scope};

fn main() {
    let out: Cell<Option<&Scope<'_, '_, String>>> = Cell::new(None);
    let _ = run(scope(async |s| {
        out.set(Some(s));
        Ok(())
    }));
}
