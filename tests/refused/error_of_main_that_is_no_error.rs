//! The compiler's errors point into the function, as if the attribute were not there.

#[handcar::main]
async fn main() -> Result<(), std::num::ParseIntError> {
    std::fs::read("a file")?;
    Ok(())
}
