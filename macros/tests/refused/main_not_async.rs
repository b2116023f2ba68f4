#[handcar_macros::main]
fn main() {
    println!("the compiler would refuse `.await` here");
}
