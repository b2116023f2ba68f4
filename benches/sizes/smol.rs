use futures_lite::{AsyncReadExt, AsyncWriteExt};

fn main() -> std::io::Result<()> {
    let executor = async_executor::LocalExecutor::new();
    async_io::block_on(executor.run(async {
        let listener = async_io::Async::<std::net::TcpListener>::bind(([127, 0, 0, 1], 7007))?;
        loop {
            let (mut stream, _) = listener.accept().await?;
            executor
                .spawn(async move {
                    let mut buffer = vec![0; 1024];
                    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
                        if stream.write_all(&buffer[..read]).await.is_err() {
                            return;
                        }
                    }
                })
                .detach();
        }
    }))
}
