//! Every misuse of the attributes gets one error, at the token that is to blame, with the remedy in it.

#[test]
fn misuse_is_refused_with_the_remedy() {
    trybuild::TestCases::new().compile_fail("tests/refused/*.rs");
}
