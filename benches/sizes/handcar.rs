use futures_lite::{AsyncReadExt, AsyncWriteExt};

fn main() -> std::io::Result<()> {
    handcar::run(async {
        let listener = handcar::net::TcpListener::bind("127.0.0.1:7007").await?;
        loop {
            let (mut stream, _) = listener.accept().await?;
            handcar::spawn(async move {
                let mut buffer = vec![0; 1024];
                while let Ok(read @ 1..) = stream.read(&mut buffer).await {
                    if stream.write_all(&buffer[..read]).await.is_err() {
                        return;
                    }
                }
            })
            .detach_ignoring();
        }
    })
}
