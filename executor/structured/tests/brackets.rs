//! `bracket`: acquire, use, release.

use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use handcar_structured::{BracketError, bracket, scope_of, timeout, yield_now};

mod common;
use common::{Log, Reports, for_ever, s, secs, test_run, text, watchdog};

/// A release that takes a second.
async fn release(log: Log, result: Result<(), &'static str>) -> Result<(), &'static str> {
    log.at("release");
    secs(1).await;
    log.at("released");
    result
}

#[test]
fn the_resource_is_used_and_released() {
    test_run(async {
        let log = Log::new();
        let value = bracket(
            async { Ok(log.clone()) },
            async |log: &mut Log| {
                log.at("body");
                Ok(7)
            },
            async |log| release(log, Ok(())).await,
        );
        assert_eq!(value.await.unwrap(), 7);
        assert_eq!(log.take(), ["0 body", "0 release", "1 released"]);
    });
}

#[test]
fn when_acquiring_fails_nothing_is_released() {
    test_run(async {
        let result: Result<(), _> =
            bracket(async { Err::<(), _>("no") }, async |()| panic!("no body"), async |()| panic!("no release")).await;
        assert!(matches!(result, Err(BracketError::Acquire("no"))));
    });
}

#[test]
fn every_error_is_kept() {
    test_run(async {
        for (body, end) in [(Ok(()), Err("end")), (Err("body"), Ok(())), (Err("body"), Err("end"))] {
            let log = Log::new();
            let result =
                bracket(async { Ok(log.clone()) }, async |_: &mut Log| body, async move |log| release(log, end).await)
                    .await;
            match (body, end, result) {
                (Ok(()), Err(_), Err(BracketError::Release("end")))
                | (Err(_), Ok(()), Err(BracketError::Body("body")))
                | (Err(_), Err(_), Err(BracketError::Both { body: "body", release: "end" })) => {}
                (.., other) => panic!("{other:?}"),
            }
            assert_eq!(log.take().len(), 2, "released once");
        }
    });
}

#[test]
fn after_a_panic_of_the_body_it_is_released() {
    test_run(async {
        let log = Log::new();
        let used = scope_of(bracket(
            async { Ok(log.clone()) },
            async |_: &mut Log| -> Result<(), &str> {
                yield_now().await;
                panic!("oh")
            },
            async |log| release(log, Ok(())).await,
        ));
        let panic = AssertUnwindSafe(used).catch_unwind().await.unwrap_err();
        assert_eq!(text(&*panic), "oh");
        assert_eq!(log.take(), ["0 release", "1 released"]);
    });
}

#[test]
fn cancelled_in_acquire_nothing_is_released_in_the_body_it_is_and_in_the_release_that_ends() {
    let _dog = watchdog();
    let reports = Reports::default();
    reports.builder().build().unwrap().block_on(async {
        let log = Log::new();
        let result = timeout(
            s(1),
            bracket(
                async {
                    for_ever().await;
                    Ok::<_, &str>(log.clone())
                },
                async |_: &mut Log| Ok(()),
                async |log| release(log, Ok(())).await,
            ),
        );
        assert!(result.await.is_err());
        assert!(log.take().is_empty());

        let result = timeout(
            s(1),
            bracket(
                async { Ok(log.clone()) },
                async |_: &mut Log| {
                    for_ever().await;
                    Ok(())
                },
                async |log| release(log, Err("nobody hears this")).await,
            ),
        );
        assert!(result.await.is_err());
        assert_eq!(log.take(), ["2 release", "3 released"]);

        let result = timeout(
            s(1),
            bracket(
                async { Ok(log.clone()) },
                async |_: &mut Log| {
                    secs(1).await;
                    Ok(7)
                },
                async |log| {
                    secs(1).await;
                    release(log, Ok(())).await
                },
            ),
        );
        assert_eq!(result.await.unwrap().unwrap(), 7, "a shielded release ends, and the value counts");
        assert_eq!(log.take(), ["5 release", "6 released"]);
    });
    let reported = reports.take();
    assert!(reported.len() == 1 && reported[0].ends_with("nobody hears this"), "{reported:?}");
}

#[test]
fn a_release_dropped_half_way_is_run_on() {
    test_run(async {
        let log = Log::new();
        let _ = scope_of(async {
            let used = Box::pin(bracket(
                async { Ok(log.clone()) },
                async |_: &mut Log| Ok(()),
                async |log| release(log, Ok(())).await,
            ));
            futures::future::select(used, Box::pin(yield_now())).await;
            log.at("dropped");
        })
        .await;
        assert_eq!(log.take(), ["0 release", "0 dropped", "1 released"]);
    });
}
