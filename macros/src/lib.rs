//! The attributes `#[handcar::main]` and `#[handcar::test]`: an `async fn` becomes the entry point of a runtime.
//!
//! ```text
//!     #[handcar::main]                     fn main() -> R {
//!     async fn main() -> R {                   async fn main() -> R {
//!         body                      =>             body
//!     }                                        }
//!                                              ::handcar::run(main())
//!                                          }
//! ```
//!
//! The user's function is kept whole, under its own name, inside the one that takes its place. The obvious other way, to
//! move the body into `async move { .. }`, loses the declared return type: `?` then has no error type to convert to,
//! `Err(Box::new(e))` is not coerced to a `Box<dyn Error>`, and a wrong last expression is reported at the attribute. An
//! inner function costs nothing and type-checks exactly as if the attribute were not there, so every error of the compiler
//! points into the user's own lines.
//!
//! What the attributes cannot accept they answer with one error, at the token that is to blame, that names the remedy.
//! The function stays in the expansion, so that an editor goes on completing inside it and `main` is not missed as well.
//!
//! Read `options.rs` for what may stand in the parentheses, `entry.rs` for the expansion.

mod entry;
mod options;

use proc_macro::TokenStream;

use entry::Attribute;

/// Runs an `async fn main` on a runtime: the body becomes the main task of [`handcar::run`].
///
/// ```
/// use std::time::Duration;
///
/// #[handcar::main]
/// async fn main() -> Result<(), std::num::ParseIntError> {
///     let answer: u32 = "42".parse()?;
///     handcar::sleep(Duration::from_millis(1)).await;
///     assert_eq!(answer, 42);
///     Ok(())
/// }
/// ```
///
/// The function may have any name and any return type; attributes, documentation and visibility stay where they are.
/// For anything but the default runtime, write a plain `fn main` with [`handcar::Builder`] instead: it is two lines.
///
/// # Options
///
/// * `crate = "path"`: where the attribute finds Handcar, when it is renamed or re-exported.
///
/// ```
/// mod vendored {
///     pub use handcar;
/// }
///
/// #[handcar::main(crate = "crate::vendored::handcar")]
/// async fn main() {}
/// ```
///
/// # Errors
///
/// It does not compile on a function that is not `async`, that takes arguments, or that is generic, `unsafe` or `extern`.
///
/// # Panics
///
/// The function panics where [`handcar::run`] does: when it is called inside a running runtime of the same thread.
///
/// [`handcar::run`]: https://docs.rs/handcar/latest/handcar/fn.run.html
/// [`handcar::Builder`]: https://docs.rs/handcar/latest/handcar/struct.Builder.html
#[proc_macro_attribute]
pub fn main(options: TokenStream, function: TokenStream) -> TokenStream {
    entry::expand(Attribute::Main, options.into(), function.into()).into()
}

/// Runs an `async fn` as a test, on a runtime of its own.
///
/// ```
/// #[handcar::test]
/// async fn a_task_returns_its_value() {
///     let task = handcar::spawn(async { 6 * 7 });
///     assert_eq!(task.await.unwrap(), 42);
/// }
/// ```
///
/// `#[should_panic]`, `#[ignore]` and a return type of `Result` mean what they mean on a plain `#[test]`, which this
/// attribute adds by itself.
///
/// # Options
///
/// * `clock = "simulated"`: time stands still while a task can run, and jumps to the next deadline at the moment when none
///   can. A test of an hour of timeouts takes no time, and gives the same result on a busy machine. `clock = "system"` is
///   the default.
/// * `crate = "path"`: where the attribute finds Handcar, when it is renamed or re-exported.
///
/// ```
/// use std::time::Duration;
///
/// #[handcar::test(clock = "simulated")]
/// async fn an_hour_passes_at_once() {
///     let start = handcar::Instant::now();
///     handcar::sleep(Duration::from_secs(3600)).await;
///     assert_eq!(start.elapsed(), Duration::from_secs(3600));
/// }
/// ```
///
/// # Errors
///
/// It does not compile on a function that is not `async`, that takes arguments, that is generic, `unsafe` or `extern`, or
/// that has a `#[test]` already: it would run twice.
///
/// # Panics
///
/// Under the simulated clock the test panics, with a list of all tasks, when every task waits for another: a deadlock.
#[proc_macro_attribute]
pub fn test(options: TokenStream, function: TokenStream) -> TokenStream {
    entry::expand(Attribute::Test, options.into(), function.into()).into()
}
