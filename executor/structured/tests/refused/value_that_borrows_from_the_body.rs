//! A child's value that borrows from another child's, which the body owns.

use handcar_structured::{run, scope};

fn main() {
    let result = run(scope(async |s| {
        let owned = s.spawn(async { Ok::<_, String>(String::from("owned")) }).await.unwrap();
        Ok(owned.as_str())
    }));
    println!("{:?}", result);
}
