//! Gives back what it gets, to any number of connections: `cargo run --release --example echo -- --tcp 127.0.0.1:7007`.

use std::process::ExitCode;
use std::{env, io};

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use handcar::net::{TcpListener, TcpStream};
use handcar::spawn;

const USAGE: &str = "usage: echo --tcp ADDRESS    such as 127.0.0.1:7007; port 0 takes a free one";

#[handcar::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [option, address] = &arguments[..] else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    if option != "--tcp" {
        eprintln!("echo: unknown option `{option}`\n{USAGE}");
        return ExitCode::from(2);
    }
    let Err(error) = serve(address).await;
    eprintln!("echo: cannot listen on {address}: {error}");
    ExitCode::FAILURE
}

async fn serve(address: &str) -> io::Result<std::convert::Infallible> {
    let listener = TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                spawn(echo(stream)).detach_with(move |error| eprintln!("{peer}: {error}"));
            }
            // Out of descriptors, or a peer that left before its turn: the next one may fare better. An `accept` after an
            // error waits until that is likely, so this does not spin.
            Err(error) => eprintln!("accept: {error}"),
        }
    }
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(()); // the peer has said all; dropping the stream closes it
        }
        stream.write_all(&buffer[..count]).await?;
    }
}
