//! The attributes `#[handcar::main]` and `#[handcar::test]`.
