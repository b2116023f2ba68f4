#[handcar_macros::main]
async fn main()
where
    String: Clone,
{
}
