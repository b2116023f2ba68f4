//! Every misuse of the attributes gets one error, at the token that is to blame, with the remedy in it; and the compiler's
//! own errors point into the user's lines.

#[test]
fn misuse_is_refused_with_the_remedy() {
    trybuild::TestCases::new().compile_fail("tests/refused/*.rs");
}
