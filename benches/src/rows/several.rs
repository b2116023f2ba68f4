//! Waiting for several things.

use super::enter::inside;
use super::{AT_ONCE, LOOKS, Role, Row, SEVERAL};
use crate::runtimes::Handcar;
use crate::workloads::several::{Gather, GatherTwo, Group, JoinTwo, Scope};

pub(super) fn all() -> Vec<Row> {
    vec![
        Row::new(SEVERAL, "gather", "gather of 1000 that yield once")
            .note("Beside it futures' join_all, on every other runtime.")
            .target(0.15)
            .each_several::<Gather>(),
        Row::new(SEVERAL, "gather-2", "`gather!` of two that yield once")
            .note("Beside it `tokio::join!`, and futures' join on the peers.")
            .note(LOOKS)
            .note("futures' join on Handcar's executor tells that one's part from the macro's, each branch of which is a scope.")
            .target(1.0)
            .each_several::<GatherTwo>()
            .enter(Role::Context, "futures' join on handcar", inside::<Handcar, JoinTwo>),
        Row::new(SEVERAL, "group", "task group of 1000, with their values")
            .note("Beside it tokio's JoinSet; the peers have no groups, and so await the handles in turn.")
            .note(AT_ONCE)
            .target(0.18)
            .of_peers(0.35)
            .each_several::<Group>(),
        Row::new(SEVERAL, "scope", "borrowing scope of 1000 that yield once")
            .note("Beside it tokio's JoinSet; the peers await the handles in turn.")
            .note("Handcar's children and glommio's borrow the counter; the others have no scope, and share it by Rc.")
            .note(AT_ONCE)
            .target(0.24)
            .each_several::<Scope>(),
    ]
}
