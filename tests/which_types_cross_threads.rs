//! Which public types may go to another thread, and which may be shared with one.
//!
//! A change of this table is a change of what compiles. Most types stay on the thread that made them, on purpose; errors,
//! and what other threads hold, do not.

use std::cell::Cell;
use std::marker::PhantomData;

use handcar::{fs, net};

/// A payload with neither trait, so that a type is free only if it is for everything that it may hold.
type Local = PhantomData<(*const (), Cell<()>)>;

/// Whether the type has the trait: an inherent constant, where its bounds hold, goes before that of a trait.
macro_rules! has {
    ($trait:ident, $type:ty) => {{
        struct Ask<T>(PhantomData<T>);
        #[allow(dead_code)]
        impl<T: $trait> Ask<T> {
            const ANSWER: bool = true;
        }
        #[allow(dead_code)]
        trait Otherwise {
            const ANSWER: bool = false;
        }
        impl<T> Otherwise for Ask<T> {}
        Ask::<$type>::ANSWER
    }};
}

macro_rules! are {
    ($send:literal, $sync:literal: $($type:ty),* $(,)?) => {$(
        assert_eq!((has!(Send, $type), has!(Sync, $type)), ($send, $sync), "Send, Sync: {}", stringify!($type));
    )*};
}

#[test]
fn what_belongs_to_a_runtime_stays_on_its_thread() {
    are!(false, false:
        handcar::Runtime, handcar::Builder, handcar::Spawner, handcar::Clock,
        handcar::JoinHandle<()>, handcar::AbortHandle,
        handcar::Sleep, handcar::Interval, handcar::Tick<'static>, handcar::Timeout<std::future::Ready<()>>,
        net::TcpListener, net::TcpStream, net::Source<std::io::PipeReader>,
        net::Accept<'static>, net::Incoming<'static>, net::Peek<'static>,
        net::UdpSocket, net::UdpConnect<'static>,
        net::UnixListener, net::UnixStream, net::UnixDatagram, net::UnixConnect, net::UnixSendTo<'static>,
        net::ReadHalf<'static>, net::WriteHalf<'static>, net::OwnedReadHalf, net::OwnedWriteHalf, net::ReuniteError,
        handcar::signal::CtrlC, fs::File, fs::OpenFile, fs::Lines,
    );
}

#[test]
fn what_a_runtime_hands_out_for_other_threads_goes_there() {
    are!(true, true: handcar::WakeHandle, handcar::ClockHold, std::task::Waker);
}

#[test]
fn errors_and_reports_fit_into_any_error_type() {
    are!(true, true:
        handcar::JoinError, handcar::PanicPayload, handcar::CancelReason, handcar::CancelKind, handcar::Elapsed,
        handcar::RunError, handcar::Deadlock, handcar::Report,
    );
}

#[test]
fn plain_values_go_anywhere() {
    are!(true, true:
        handcar::Instant, handcar::task::TaskId, handcar::task::TaskInfo, handcar::Turn, handcar::Metrics,
        handcar::OnPanic, handcar::MissedTickBehavior, handcar::Event<'static>, handcar::Cause, handcar::YieldNow,
    );
}

#[test]
fn a_blocking_job_stays_with_the_scope_that_waits_for_it() {
    are!(false, false: handcar::ToThread<u8>, handcar::ToThread<Local>);
    are!(true, true: handcar::JobInfo);
}
