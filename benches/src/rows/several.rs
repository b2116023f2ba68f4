//! Waiting for several things.

use super::enter::{Together, inside};
use super::{AT_ONCE, LOOKS, Role, Row, SEVERAL};
use crate::runtimes::{Handcar, InTurn, Tokio};
use crate::workloads::several::{Gather, GatherTwo, Group, JoinAll, JoinTwo, Scope};

pub(super) fn all() -> Vec<Row> {
    vec![
        Row::new(SEVERAL, "gather", "gather of 1000 that yield once")
            .note("Beside it futures' join_all, on every other runtime and on Handcar's executor.")
            .target(0.15)
            .each_several::<Gather>()
            .enter(Role::Peer, "join_all on handcar", inside::<Handcar, JoinAll>),
        Row::new(SEVERAL, "gather-2", "`gather!` of two that yield once")
            .note("Beside it `tokio::join!`, and futures' join on the peers.")
            .note(LOOKS)
            .note("Each branch of `gather!` is a scope: a panic in one cancels and drains the others. futures' join knows neither, and is on Handcar's \
                   executor as well.")
            .target(1.0)
            .each_several::<GatherTwo>()
            .enter(Role::Peer, "join on handcar", inside::<Handcar, JoinTwo>),
        Row::new(SEVERAL, "group", "task group of 1000, with their values")
            .note(IN_TURN)
            .note(AT_ONCE)
            .target(0.18)
            .of_peers(0.35)
            .each_several::<Group>()
            .on::<Tokio<InTurn>, Together<Group>>(Role::Rival),
        Row::new(SEVERAL, "scope", "borrowing scope of 1000 that yield once")
            .note(IN_TURN)
            .note("Handcar's children and glommio's borrow the counter; the others have no scope, and share it by Rc.")
            .note(AT_ONCE)
            .target(0.24)
            .each_several::<Scope>()
            .on::<Tokio<InTurn>, Together<Scope>>(Role::Rival),
    ]
}

const IN_TURN: &str = "Beside it tokio's JoinSet, and its handles awaited in turn. The peers have no groups, and await handles in turn too: \
                       nobody's failure ends the others there.";
