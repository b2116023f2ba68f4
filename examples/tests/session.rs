//! The client against servers that behave, and against those that do not.

use std::cell::RefCell;
use std::error::Error;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use handcar::net::{TcpListener, TcpStream};
use handcar::{spawn, timeout};
use handcar_examples::{FetchError, Session};

/// A server whose every connection says the given answers, one for each request, and then closes. Counts the requests of
/// each connection.
struct Server {
    address: String,
    requests: Rc<RefCell<Vec<usize>>>,
}

impl Server {
    async fn start(answers: &'static [&'static [u8]]) -> io::Result<Server> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = format!("http://{}", listener.local_addr()?);
        let requests = Rc::new(RefCell::new(Vec::new()));
        let counts = Rc::clone(&requests);
        spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let counts = Rc::clone(&counts);
                let number = counts.borrow().len();
                counts.borrow_mut().push(0);
                spawn(say(stream, answers, move || counts.borrow_mut()[number] += 1)).detach_ignoring();
            }
        })
        .detach();
        Ok(Server { address, requests })
    }

    fn requests(&self) -> Vec<usize> {
        self.requests.borrow().clone()
    }
}

async fn say(mut stream: TcpStream, answers: &[&[u8]], on_request: impl Fn()) -> io::Result<()> {
    for answer in answers {
        read_request(&mut stream).await?;
        on_request();
        stream.write_all(answer).await?;
    }
    Ok(())
}

async fn read_request(stream: &mut TcpStream) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).await?;
        head.push(byte[0]);
    }
    Ok(())
}

const FINE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine";

/// Turns a hang into a failure.
async fn within_seconds<F: Future>(future: F) -> F::Output {
    timeout(Duration::from_secs(20), future).await.expect("this hangs")
}

#[handcar::test]
async fn pages_of_one_host_share_a_connection() -> Result<(), Box<dyn Error>> {
    let server = Server::start(&[FINE, FINE, FINE]).await?;
    let session = Session::new();
    for _ in 0..3 {
        let response = within_seconds(session.get(&server.address)).await?;
        assert_eq!((response.status.as_u16(), response.text().await?.as_str()), (200, "fine"));
    }
    assert_eq!(server.requests(), [3]);
    Ok(())
}

#[handcar::test]
async fn a_connection_that_the_server_closed_meanwhile_is_replaced() -> Result<(), Box<dyn Error>> {
    let server = Server::start(&[FINE]).await?; // one answer for each connection, and no warning
    let session = Session::new();
    for _ in 0..3 {
        assert_eq!(within_seconds(session.get(&server.address)).await?.text().await?, "fine");
    }
    assert_eq!(server.requests(), [1, 1, 1]);
    Ok(())
}

#[handcar::test]
async fn a_body_that_nobody_read_takes_its_connection_with_it() -> Result<(), Box<dyn Error>> {
    let server = Server::start(&[FINE, FINE]).await?;
    let session = Session::new();
    drop(within_seconds(session.get(&server.address)).await?);
    assert_eq!(within_seconds(session.get(&server.address)).await?.text().await?, "fine");
    assert_eq!(server.requests(), [1, 1]);
    Ok(())
}

#[handcar::test]
async fn json_becomes_a_value_of_the_type_that_was_asked_for() -> Result<(), Box<dyn Error>> {
    let server = Server::start(&[b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n[1, 2, 3]"]).await?;
    let numbers: Vec<u32> = within_seconds(Session::new().get(&server.address)).await?.json().await?;
    assert_eq!(numbers, [1, 2, 3]);
    let mismatch = within_seconds(Session::new().get(&server.address)).await?.json::<String>().await;
    assert!(matches!(mismatch, Err(FetchError::Body(_))), "{mismatch:?}");
    Ok(())
}

#[handcar::test]
async fn each_way_to_fail_has_its_own_error_and_the_other_pages_go_on() -> Result<(), Box<dyn Error>> {
    let short = Server::start(&[b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nfine"]).await?;
    let silent = Server::start(&[b""]).await?;
    let other = Server::start(&[b"220 mail.example.org ESMTP\r\n"]).await?;
    let binary = Server::start(&[b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n\xff\xfe"]).await?;
    let fine = Server::start(&[FINE]).await?;
    let closed = TcpListener::bind("127.0.0.1:0").await?.local_addr()?; // dropped at once: nobody listens there any more

    let session = Session::new();
    let text = |address: String| {
        let session = session.clone();
        spawn(async move { session.get(&address).await?.text().await })
    };
    let pages = [
        text(short.address),
        text(silent.address),
        text(other.address),
        text(binary.address),
        text(format!("http://{closed}/")),
        text(fine.address),
    ];
    let mut results = Vec::new();
    for page in pages {
        results.push(within_seconds(page).await?);
    }

    assert!(matches!(results[0], Err(FetchError::CutShort(_))), "{results:?}");
    assert!(matches!(results[1], Err(FetchError::CutShort(_))), "{results:?}");
    assert!(matches!(results[2], Err(FetchError::Http(_))), "{results:?}");
    assert!(matches!(results[3], Err(FetchError::Body(_))), "{results:?}");
    assert!(
        matches!(&results[4], Err(FetchError::Connect(_, error)) if error.kind() == io::ErrorKind::ConnectionRefused)
    );
    assert!(matches!(&results[5], Ok(text) if text == "fine"), "{results:?}");
    Ok(())
}

#[handcar::test]
async fn a_server_that_never_answers_costs_no_more_than_the_timeout() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = format!("http://{}", listener.local_addr()?);
    let session = Session::new();
    assert!(timeout(Duration::from_millis(20), session.get(&address)).await.is_err());

    // The abandoned request took its connection with it: the server sees the end, and the next request is the first.
    let (mut first, _) = within_seconds(listener.accept()).await?;
    within_seconds(read_request(&mut first)).await?;
    assert_eq!(within_seconds(first.read(&mut [0])).await?, 0);
    Ok(())
}

#[handcar::test]
async fn what_is_no_http_url_is_refused_before_anything_is_sent() {
    for url in [
        "",
        "page",
        "/page",
        "https://localhost/",
        "ftp://localhost",
        "http://",
        "http://:80/",
        "http://a b/",
        "http://localhost:99999/",
    ] {
        let refused = Session::new().get(url).await;
        assert!(matches!(refused, Err(FetchError::Url(_))), "{url:?}: {refused:?}");
    }
}

#[handcar::test]
async fn a_host_in_brackets_is_an_address_of_version_6() -> Result<(), Box<dyn Error>> {
    let Ok(listener) = TcpListener::bind("[::1]:0").await else {
        return Ok(()); // a machine without IPv6
    };
    let url = format!("http://[::1]:{}/x?y=1#z", listener.local_addr()?.port());
    let page = spawn(async move { Session::new().get(&url).await?.text().await });
    let (mut stream, _) = within_seconds(listener.accept()).await?;
    let mut head = vec![0; 1024];
    let count = within_seconds(stream.read(&mut head)).await?;
    let head = String::from_utf8_lossy(&head[..count]).into_owned();
    assert!(head.starts_with("GET /x?y=1 HTTP/1.1\r\nhost: [::1]:"), "{head}");
    stream.write_all(FINE).await?;
    assert_eq!(within_seconds(page).await??, "fine");
    Ok(())
}
