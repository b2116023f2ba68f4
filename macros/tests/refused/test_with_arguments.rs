struct Cases;

impl Cases {
    #[handcar_macros::test]
    async fn a_method(&self, n: u32) {
        self.a_method(n + 1).await;
    }
}

fn main() {
    let _ = Cases;
}
