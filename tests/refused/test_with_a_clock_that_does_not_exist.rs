#[handcar::test(clock = "sundial")]
async fn at_noon() {}

fn main() {}
