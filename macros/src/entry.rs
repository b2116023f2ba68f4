//! The expansion: the user's `async fn`, inside a plain `fn` of the same name that runs it.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{Attribute as Attr, Error, ItemFn, Result, ReturnType, parse_quote};

use crate::options::{Clock, Options};

/// Which of the two attributes is expanded.
#[derive(Clone, Copy)]
pub(crate) enum Attribute {
    Main,
    Test,
}

impl Attribute {
    fn name(self) -> &'static str {
        match self {
            Attribute::Main => "#[handcar::main]",
            Attribute::Test => "#[handcar::test]",
        }
    }
}

/// Turns the function into an entry point, or into one that reports what is wrong with it.
pub(crate) fn expand(attribute: Attribute, options: TokenStream, function: TokenStream) -> TokenStream {
    let function: ItemFn = match syn::parse2(function) {
        Ok(function) => function,
        Err(error) => return not_a_function(attribute, &error).into_compile_error(),
    };
    match check(attribute, &function).and_then(|()| Options::parse(attribute, options)) {
        Ok(options) => entry_point(attribute, &options, function).into_token_stream(),
        Err(error) => refusal(function, &error).into_token_stream(),
    }
}

fn entry_point(attribute: Attribute, options: &Options, user: ItemFn) -> ItemFn {
    let handcar = &options.handcar;
    let name = user.sig.ident.clone();
    let run = match options.clock {
        Clock::System => quote!(#handcar::run(#name())),
        Clock::Simulated => quote! {
            #handcar::Builder::new()
                .clock(#handcar::Clock::simulated())
                .build()
                .expect("could not make a runtime for this test")
                .block_on(#name())
        },
    };
    let mut entry = around(user, &run);
    if let Attribute::Test = attribute {
        entry.attrs.insert(0, parse_quote!(#[::core::prelude::v1::test]));
    }
    entry
}

/// A function without parameters and without a value, so that the one thing the compiler reports is `error`.
fn refusal(user: ItemFn, error: &Error) -> ItemFn {
    let is_method = user.sig.receiver().is_some();
    let mut refusal = around(user, &error.to_compile_error());
    refusal.attrs = vec![parse_quote!(#[allow(dead_code)])];
    refusal.sig.generics = syn::Generics::default();
    refusal.sig.inputs.clear();
    refusal.sig.output = ReturnType::Default;
    if is_method {
        // Nested in a function, `self` would be an error of its own.
        let error = error.to_compile_error();
        refusal.block = parse_quote!({ #error });
    }
    refusal
}

/// The outer function: everything that is seen from outside is the user's, the body is their function and then `last`.
fn around(user: ItemFn, last: &TokenStream) -> ItemFn {
    let mut outer = user.clone();
    outer.sig.asyncness = None;
    outer.sig.constness = None;
    outer.sig.unsafety = None;
    outer.sig.abi = None;

    let mut inner = user;
    inner.vis = syn::Visibility::Inherited;
    // Lint levels reach it from the outer function. It may have no `.await`: it is `async` because we ask for it.
    inner.attrs = vec![parse_quote!(#[allow(clippy::unused_async)])];

    outer.block = parse_quote!({
        #inner
        #last
    });
    outer
}

fn check(attribute: Attribute, function: &ItemFn) -> Result<()> {
    let ItemFn { attrs, sig, .. } = function;
    let name = attribute.name();
    if sig.asyncness.is_none() {
        let message = format!("{name} runs an `async fn`; write `async` before `fn`");
        return Err(Error::new_spanned(sig.fn_token, message));
    }
    if !sig.inputs.is_empty() {
        let message = format!("{name} calls the function without arguments; remove them");
        return Err(Error::new_spanned(&sig.inputs, message));
    }
    if !sig.generics.params.is_empty() || sig.generics.where_clause.is_some() {
        let message = format!("{name} has no types to give to a generic function; write them out");
        let (parameters, bounds) = (&sig.generics, &sig.generics.where_clause);
        return Err(Error::new_spanned(quote!(#parameters #bounds), message));
    }
    if sig.constness.is_some() || sig.unsafety.is_some() || sig.abi.is_some() {
        let (constness, unsafety, abi) = (&sig.constness, &sig.unsafety, &sig.abi);
        let message = format!("{name} makes a plain entry point; remove this qualifier");
        return Err(Error::new_spanned(quote!(#constness #unsafety #abi), message));
    }
    if let (Attribute::Test, Some(second)) = (attribute, attrs.iter().find(|attr| is_test(attr))) {
        let message = "#[handcar::test] adds `#[test]` by itself; remove this one, or the test runs twice";
        return Err(Error::new_spanned(second, message));
    }
    Ok(())
}

fn is_test(attr: &Attr) -> bool {
    attr.path().segments.last().is_some_and(|segment| segment.ident == "test")
}

fn not_a_function(attribute: Attribute, error: &Error) -> Error {
    let name = attribute.name();
    Error::new(error.span(), format!("{name} belongs on an `async fn` with a body: {error}"))
}
