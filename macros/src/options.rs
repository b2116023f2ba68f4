//! What may stand in the parentheses of an attribute: `clock = ".."`, `crate = ".."`.

use proc_macro2::TokenStream;
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::{Error, Expr, ExprLit, Lit, LitStr, Meta, Path, Result, Token, parse_quote};

use crate::entry::Attribute;

/// The clock that a test runs under.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clock {
    System,
    Simulated,
}

/// The options of one attribute, checked.
pub(crate) struct Options {
    pub(crate) clock: Clock,
    /// Where the expansion finds `run`, `Builder` and `Clock`.
    pub(crate) handcar: Path,
}

impl Default for Options {
    fn default() -> Options {
        Options { clock: Clock::System, handcar: parse_quote!(::handcar) }
    }
}

impl Options {
    pub(crate) fn parse(attribute: Attribute, tokens: TokenStream) -> Result<Options> {
        let mut options = Options::default();
        let mut seen: Vec<String> = Vec::new();
        for option in Punctuated::<Meta, Token![,]>::parse_terminated.parse2(tokens)? {
            let name = option.path().get_ident().map(ToString::to_string).unwrap_or_default();
            match (name.as_str(), attribute) {
                ("clock", Attribute::Test) => options.clock = clock(&option)?,
                ("clock", Attribute::Main) => return Err(clock_of_main(&option)),
                ("crate", _) => options.handcar = handcar(&option)?,
                _ => return Err(unknown(attribute, &option)),
            }
            if seen.contains(&name) {
                return Err(Error::new_spanned(&option, format!("`{name}` is given twice; keep one")));
            }
            seen.push(name);
        }
        Ok(options)
    }
}

fn clock(option: &Meta) -> Result<Clock> {
    let remedy = "`clock` is \"simulated\" or \"system\", such as `clock = \"simulated\"`";
    let value = string(option, remedy)?;
    match value.value().as_str() {
        "system" => Ok(Clock::System),
        "simulated" => Ok(Clock::Simulated),
        _ => Err(Error::new_spanned(value, remedy)),
    }
}

fn handcar(option: &Meta) -> Result<Path> {
    let remedy = "`crate` is a path in a string, such as `crate = \"my_crate::handcar\"`";
    let value = string(option, remedy)?;
    value.parse_with(Path::parse_mod_style).map_err(|_| Error::new_spanned(value, remedy))
}

/// The string on the right of `name = ".."`, or else an error that says `remedy`.
fn string(option: &Meta, remedy: &str) -> Result<LitStr> {
    let Meta::NameValue(pair) = option else {
        return Err(Error::new_spanned(option, remedy));
    };
    match &pair.value {
        Expr::Lit(ExprLit { lit: Lit::Str(value), .. }) => Ok(value.clone()),
        other => Err(Error::new_spanned(other, remedy)),
    }
}

fn clock_of_main(option: &Meta) -> Error {
    Error::new_spanned(
        option,
        "`clock` is an option of `#[handcar::test]`; in a program, write a plain `fn main` and \
         `handcar::Builder::new().clock(..)`",
    )
}

fn unknown(attribute: Attribute, option: &Meta) -> Error {
    let known = match attribute {
        Attribute::Main => "the only option of `#[handcar::main]` is `crate = \"path\"`",
        Attribute::Test => "the options of `#[handcar::test]` are `clock = \"simulated\"` and `crate = \"path\"`",
    };
    Error::new_spanned(option, format!("unknown option; {known}"))
}
