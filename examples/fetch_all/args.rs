//! The command line.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use handcar_examples::session::Target;
use lexopt::prelude::*;

pub(crate) const USAGE: &str = "\
usage: fetch_all [OPTION..] [URL..]

Fetches pages, many at a time, on one thread. Without a URL it starts a server of its own, in the same
thread, some of whose pages are slow, fail, or break off.

  --requests N   how many pages, the URLs in turn  (500, or as many as there are URLs)
  --limit N      at most N at a time               (10)
  --timeout MS   give a page up after so long      (1000)
  --json         the summary as one line of JSON
  --serve ADDR   only serve those pages, for curl and the like, until Ctrl-C
  --help";

/// Each page is a task, and the tasks are all made at the beginning.
const MOST_REQUESTS: usize = 10_000_000;

/// What the program was asked to do.
#[derive(Debug, PartialEq)]
pub(crate) enum Command {
    Fetch(Fetch),
    Serve(SocketAddr),
    Help,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Fetch {
    /// None: the embedded server's pages.
    pub(crate) urls: Vec<String>,
    pub(crate) requests: usize,
    pub(crate) limit: usize,
    pub(crate) timeout: Duration,
    pub(crate) json: bool,
}

impl Command {
    pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, lexopt::Error> {
        let mut parser = lexopt::Parser::from_args(arguments);
        let mut fetch =
            Fetch { urls: Vec::new(), requests: 0, limit: 10, timeout: Duration::from_secs(1), json: false };
        while let Some(argument) = parser.next()? {
            match argument {
                Long("requests") => fetch.requests = at_least_one(&mut parser, "--requests")?,
                Long("limit") => fetch.limit = at_least_one(&mut parser, "--limit")?,
                Long("timeout") => {
                    fetch.timeout = Duration::from_millis(at_least_one(&mut parser, "--timeout")? as u64);
                }
                Long("json") => fetch.json = true,
                Long("serve") => return Ok(Command::Serve(value(&mut parser, "--serve")?)),
                Long("help") | Short('h') => return Ok(Command::Help),
                Value(url) => {
                    let url = url.string()?;
                    Target::from_str(&url).map_err(|error| error.to_string())?;
                    fetch.urls.push(url);
                }
                other => return Err(other.unexpected()),
            }
        }
        if fetch.requests > MOST_REQUESTS {
            return Err(format!("--requests must be at most {MOST_REQUESTS}").into());
        }
        if fetch.requests == 0 {
            fetch.requests = if fetch.urls.is_empty() { 500 } else { fetch.urls.len() };
        }
        Ok(Command::Fetch(fetch))
    }
}

fn value<T: FromStr>(parser: &mut lexopt::Parser, option: &str) -> Result<T, lexopt::Error> {
    let value = parser.value()?.string()?;
    value.parse().map_err(|_| format!("`{value}` is no value for {option}").into())
}

fn at_least_one(parser: &mut lexopt::Parser, option: &str) -> Result<usize, lexopt::Error> {
    match value(parser, option)? {
        0 => Err(format!("{option} must be at least 1").into()),
        n => Ok(n),
    }
}
