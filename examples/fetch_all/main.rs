//! Fetches 500 pages, at most ten at a time, each with a timeout, on one thread: `cargo run --release --example fetch_all`.
//!
//! Unless URLs are given, the server is part of the program and runs on the same thread. One task per page; a semaphore
//! lets ten of them on at a time; each notes what became of its page. Ctrl-C ends it with the summary so far: the tasks are
//! dropped with their handles, and each connection with its task.

mod args;
mod pages;
mod tally;

use std::cell::RefCell;
use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;
use std::{env, io};

use futures_lite::future::or;
use handcar::sync::Semaphore;
use handcar::{Instant, JoinHandle, signal, spawn, timeout};
use handcar_examples::Session;
use indicatif::{ProgressBar, ProgressStyle};

use args::{Command, Fetch, USAGE};
use tally::{Outcome, Tally};

#[handcar::main]
async fn main() -> ExitCode {
    let done = match Command::parse(env::args_os().skip(1)) {
        Ok(Command::Fetch(fetch)) => fetch_all(fetch).await,
        Ok(Command::Serve(address)) => serve(address).await,
        Ok(Command::Help) => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("fetch_all: {error}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    done.unwrap_or_else(|error| {
        eprintln!("fetch_all: {error}");
        ExitCode::FAILURE
    })
}

async fn serve(address: SocketAddr) -> io::Result<ExitCode> {
    println!("serving pages at http://{}/page/0", pages::start(address).await?);
    signal::ctrl_c().await?;
    Ok(ExitCode::SUCCESS)
}

/// What the tasks share.
struct Crawl {
    session: Session,
    limit: Semaphore,
    timeout: Duration,
    tally: RefCell<Tally>,
    bar: ProgressBar,
    /// Whether each page that is not there gets a line of its own.
    names_failures: bool,
}

async fn fetch_all(fetch: Fetch) -> io::Result<ExitCode> {
    let urls: Box<dyn Iterator<Item = String>> = if fetch.urls.is_empty() {
        let server = pages::start((Ipv4Addr::LOCALHOST, 0).into()).await?;
        Box::new((0..).map(move |n| format!("http://{server}/page/{n}")))
    } else {
        Box::new(fetch.urls.clone().into_iter().cycle())
    };
    let crawl = Rc::new(Crawl {
        session: Session::new(),
        limit: Semaphore::new(fetch.limit.min(fetch.requests)),
        timeout: fetch.timeout,
        tally: RefCell::default(),
        bar: progress_bar(fetch.requests),
        names_failures: !fetch.urls.is_empty(),
    });

    let begin = Instant::now();
    let pages: Vec<_> = urls.take(fetch.requests).map(|url| spawn(page(Rc::clone(&crawl), url))).collect();
    let interrupted = or(finished(pages), interrupted()).await?;
    crawl.bar.finish_and_clear();

    let elapsed = begin.elapsed();
    let mut tally = crawl.tally.borrow_mut();
    if fetch.json {
        println!("{}", serde_json::to_string(&tally.summary(elapsed))?);
    } else {
        println!("{}", tally.report(elapsed));
    }
    Ok(match (interrupted, tally.ok()) {
        (true, _) => ExitCode::from(130), // as if the signal had ended it
        (false, 0) => ExitCode::FAILURE,
        (false, _) => ExitCode::SUCCESS,
    })
}

/// Waits for every page. Says that nobody interrupted it.
async fn finished(pages: Vec<JoinHandle<()>>) -> io::Result<bool> {
    for page in pages {
        page.await.map_err(io::Error::other)?;
    }
    Ok(false)
}

async fn interrupted() -> io::Result<bool> {
    signal::ctrl_c().await?;
    Ok(true)
}

async fn page(crawl: Rc<Crawl>, url: String) {
    let _permit = crawl.limit.acquire().await.expect("nobody closes the semaphore");
    crawl.tally.borrow_mut().begin();
    let begin = Instant::now();
    let outcome = match timeout(crawl.timeout, fetch(&crawl.session, &url)).await {
        Ok(Ok(())) => Outcome::Ok,
        Ok(Err(error)) => {
            crawl.tell(|| format!("{url}: {}", with_causes(&*error)));
            Outcome::Failed(error.to_string())
        }
        Err(_) => {
            crawl.tell(|| format!("{url}: no answer within {:?}", crawl.timeout));
            Outcome::TimedOut
        }
    };
    let mut tally = crawl.tally.borrow_mut();
    tally.end(outcome, begin.elapsed());
    crawl.bar.set_message(tally.in_short());
    crawl.bar.inc(1);
}

/// One page, read to its end, so that its connection can be used again; or why there is none.
async fn fetch(session: &Session, url: &str) -> Result<(), Box<dyn Error>> {
    let response = session.get(url).await?;
    let status = response.status;
    response.bytes().await?;
    if status.is_success() { Ok(()) } else { Err(format!("status {}", status.as_u16()).into()) }
}

impl Crawl {
    /// Prints a line of its own for a page that is not there.
    fn tell(&self, line: impl FnOnce() -> String) {
        if self.names_failures {
            self.bar.suspend(|| eprintln!("{}", line()));
        }
    }
}

/// The error and what caused it, in one line.
fn with_causes(error: &dyn Error) -> String {
    let mut story = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !story.ends_with(&text) {
            story = format!("{story}: {text}");
        }
        cause = error.source();
    }
    story
}

/// A bar on stderr, if that is a terminal. It draws when it is told of a page: there is no thread that would draw it.
fn progress_bar(pages: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} pages, {per_sec}: {msg}");
    ProgressBar::new(pages as u64).with_style(style.expect("the template is right"))
}
