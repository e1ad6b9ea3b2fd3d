//! Every state of a backup under every event, in our words and in Cinder's: a changed rule shows up here.

use std::fmt::Write;

use emberkeep_model::{BackupEvent as E, BackupState as S, ByteCount, Sealed, Timestamp, VolumeId};
use emberkeep_wire::cinder::{states_shown_as, status_of};
use insta::assert_snapshot;
use uuid::Uuid;

const SEALED: Sealed = Sealed {
    at: Timestamp(0),
    read: ByteCount(0),
    data: ByteCount(0),
    new: ByteCount(0),
    stored: ByteCount(0),
};

fn states() -> Vec<S> {
    let (sealed, target) = (SEALED, VolumeId(Uuid::nil()));
    vec![
        S::Queued,
        S::Copying,
        S::Available(sealed),
        S::RestoreQueued { sealed, target },
        S::Restoring { sealed, target },
        S::DeleteQueued,
        S::Deleting,
        S::Deleted,
        S::Failed {
            reason: "r".to_owned(),
        },
    ]
}

fn events() -> Vec<E> {
    vec![
        E::Claimed,
        E::Sealed(SEALED),
        E::Stopped {
            reason: "r".to_owned(),
        },
        E::RestoreAsked {
            target: VolumeId(Uuid::nil()),
        },
        E::RestoreEnded,
        E::DeleteAsked,
        E::ForceDeleteAsked,
        E::ResetToAvailable(SEALED),
        E::ResetToError,
        E::Adopted(SEALED),
        E::Gone,
    ]
}

#[test]
fn the_grid() {
    let mut grid = String::new();
    for state in states() {
        let cinder = status_of(&state);
        writeln!(grid, "{} ({cinder})", state.word()).expect("writes");
        for event in events() {
            let word = event.word();
            let next = match state.after(event) {
                Ok(next) => format!("{} ({})", next.word(), status_of(&next)),
                Err(_) => "refused".to_owned(),
            };
            writeln!(grid, "  {word:20} {next}").expect("writes");
        }
    }
    assert_snapshot!(grid);
}

#[test]
fn filters_find_every_state_that_is_shown() {
    for state in states() {
        let status = status_of(&state);
        let listed = states_shown_as(status).contains(&state.word());
        assert_eq!(listed, state != S::Deleted, "{status}");
    }
}
