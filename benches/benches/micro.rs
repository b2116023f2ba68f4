//! A handful of rows under criterion, for a look while working on one of them: it remembers the last run and says what has
//! changed since. What is faster than what, `compare` tells; it takes its samples by turns.

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod linux {
    use std::time::Duration;

    use criterion::{Criterion, criterion_group};
    use handcar_benches::bencher::{Effort, STEP};
    use handcar_benches::rows::{self, Entrant};

    const ROWS: [&str; 5] = ["spawn-join", "switch-1", "switch-1000", "timeout-0", "start"];

    fn micro(criterion: &mut Criterion) {
        for row in rows::all().iter().filter(|row| ROWS.contains(&row.name)) {
            let mut group = criterion.benchmark_group(row.name);
            for entrant in &row.entrants {
                group.bench_function(entrant.name, |bencher| {
                    bencher.iter_custom(|iterations| time(entrant, iterations));
                });
            }
        }
    }

    /// Operations come in whole steps: the time of the last one is shared out.
    fn time(entrant: &Entrant, iterations: u64) -> Duration {
        let measured = entrant.measure(Effort::Counted(iterations.next_multiple_of(STEP)));
        #[expect(clippy::cast_precision_loss, reason = "criterion rounds more")]
        Duration::from_secs_f64(measured.samples()[0] * iterations as f64 / 1e9)
    }

    criterion_group! {
        name = benches;
        config = Criterion::default().warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
        targets = micro
    }
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn main() {
    linux::benches();
    criterion::Criterion::default().configure_from_args().final_summary();
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn main() {
    eprintln!("the benchmarks run on Linux with glibc only");
}
