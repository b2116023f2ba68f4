use compio::buf::{BufResult, IntoInner, IoBuf};
use compio::io::{AsyncRead, AsyncWriteExt};

fn main() -> std::io::Result<()> {
    compio::runtime::Runtime::new()?.block_on(async {
        let listener = compio::net::TcpListener::bind("127.0.0.1:7007").await?;
        loop {
            let (mut stream, _) = listener.accept().await?;
            compio::runtime::spawn(async move {
                let mut buffer = Vec::with_capacity(1024);
                loop {
                    let BufResult(read, full) = stream.read(buffer).await;
                    let Ok(read @ 1..) = read else { return };
                    let BufResult(written, emptied) = stream.write_all(full.slice(..read)).await;
                    if written.is_err() {
                        return;
                    }
                    buffer = emptied.into_inner();
                    buffer.clear();
                }
            })
            .detach();
        }
    })
}
