//! The future of a scope lives no longer than what its children borrow.

use std::future::Future;

use handcar_structured::{GroupError, scope};

fn counts() -> impl Future<Output = Result<(), GroupError<String>>> {
    let mut count = 0;
    scope(async |s| {
        s.spawn(async {
            count += 1;
            Ok(())
        });
        Ok(())
    })
}

fn main() {
    handcar_structured::run(counts()).unwrap();
}
