//! Sessions: how a run tells sweeps that it is there, and how sweeps tell that it is dead.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, Condvar, LazyLock, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use emberkeep_format::{
    EnvelopeKind, ObjectId, SessionKind, SessionOwner, SessionRecord, UnixMicros, names,
};
use emberkeep_keys::random;
use emberkeep_store::{StoreError, list_all};

use crate::damage::ReadError;
use crate::space::{Space, now};

/// How often a session says that it is alive.
const BEAT: Duration = Duration::from_secs(60);
/// After so long a silence a session counts as dead.
const SILENCE_MICROS: i64 = 30 * 60 * 1_000_000;

/// Sessions of this very process that have not ended, since a process
/// cannot tell from its own pid whether one of its runs is over.
static OURS: LazyLock<Mutex<HashSet<ObjectId>>> = LazyLock::new(Mutex::default);

/// This process, or none where the system does not tell.
static OWNER: LazyLock<SessionOwner> = LazyLock::new(|| SessionOwner {
    boot_id: fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|text| text.trim().to_owned())
        .unwrap_or_default(),
    pid_namespace: fs::metadata("/proc/self/ns/pid").map_or(0, |m| m.ino()),
    pid: std::process::id(),
    started_ticks: started_ticks(std::process::id()).unwrap_or(0),
});

/// A running session. Ends when dropped; [`Session::end`] also says whether that worked.
pub(crate) struct Session {
    space: Arc<Space>,
    id: ObjectId,
    stop: Arc<(Mutex<bool>, Condvar)>,
    beating: Option<JoinHandle<()>>,
}

impl Session {
    /// Stores the session; must come before anything is read that a sweep might delete.
    pub(crate) fn start(space: &Arc<Space>, kind: SessionKind) -> Result<Self, StoreError> {
        let id = ObjectId(random());
        let name = space.names.session(id);
        let record = SessionRecord::new(kind, OWNER.clone(), now());
        let sealed = space.seal(EnvelopeKind::Session, &name, &record.encode());
        ours(|set| set.insert(id));
        // From here on, dropping takes the id from the set again.
        let mut session = Self {
            space: space.clone(),
            id,
            stop: Arc::default(),
            beating: None,
        };
        space.store.put_if_absent(&name, &[&sealed])?;
        let (beats, stop) = (space.clone(), session.stop.clone());
        session.beating = std::thread::Builder::new()
            .name("session-beat".into())
            .spawn(move || beat(&beats, id, kind, &stop))
            .ok();
        Ok(session)
    }

    /// Starts a session that only reads, or goes without where the store takes nothing more:
    /// what is in a full or write-protected store must still come out of it. A sweep could
    /// then delete what is being read, which ends in a clear error, never in wrong bytes.
    pub(crate) fn start_reading(
        space: &Arc<Space>,
        kind: SessionKind,
    ) -> Result<Option<Self>, StoreError> {
        match Self::start(space, kind) {
            Ok(session) => Ok(Some(session)),
            Err(cause @ (StoreError::NoSpace { .. } | StoreError::Denied { .. })) => {
                tracing::warn!(%cause, "reading without a session");
                Ok(None)
            }
            Err(cause) => Err(cause),
        }
    }

    /// Returns the name of the object that says that this session lives.
    pub(crate) fn name(&self) -> String {
        self.space.names.session(self.id)
    }

    pub(crate) fn id(&self) -> ObjectId {
        self.id
    }

    /// Tells whether no sweep has taken this session for dead.
    pub(crate) fn is_intact(&self) -> Result<bool, StoreError> {
        Ok(self
            .space
            .store
            .head(&self.space.names.session(self.id))?
            .is_some())
    }

    /// Ends the session.
    pub(crate) fn end(mut self) -> Result<(), StoreError> {
        self.close()
    }

    fn close(&mut self) -> Result<(), StoreError> {
        if !ours(|set| set.remove(&self.id)) {
            return Ok(());
        }
        *self.stop.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.stop.1.notify_all();
        if let Some(thread) = self.beating.take() {
            // A thread that panicked has stopped beating too.
            drop(thread.join());
        }
        let names = self.space.names;
        self.space
            .store
            .delete_many(&[names.session(self.id), names.session_beat(self.id)])
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Err(cause) = self.close() {
            tracing::warn!(session = %self.id, %cause, "a session could not be removed");
        }
    }
}

fn ours<T>(with: impl FnOnce(&mut HashSet<ObjectId>) -> T) -> T {
    with(&mut OURS.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Renews the session until told to stop. The beat has a name of its own: renewing
/// must never bring back a session that a sweep has ended.
fn beat(space: &Space, id: ObjectId, kind: SessionKind, stop: &(Mutex<bool>, Condvar)) {
    let mut stopped = stop.0.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let (guard, timeout) = stop
            .1
            .wait_timeout_while(stopped, BEAT, |stopped| !*stopped)
            .unwrap_or_else(PoisonError::into_inner);
        stopped = guard;
        if !timeout.timed_out() {
            return;
        }
        let name = space.names.session_beat(id);
        let record = SessionRecord::new(kind, OWNER.clone(), now());
        let sealed = space.seal(EnvelopeKind::Session, &name, &record.encode());
        if let Err(cause) = space.store.put(&name, &[&sealed]) {
            tracing::warn!(session = %id, %cause, "a session could not be renewed");
        }
    }
}

/// Lists the sessions that are alive, and ends the dead ones for good if `reap`.
pub(crate) fn alive(space: &Space, reap: Reap) -> Result<Vec<ObjectId>, ReadError> {
    let listed = list_all(&*space.store, &space.names.sessions())?;
    let mut alive = Vec::new();
    let mut gone = Vec::new();
    for object in &listed {
        if let Some(stem) = object.name.strip_suffix(names::BEAT) {
            // A beat that outlived its session.
            if !listed.iter().any(|other| other.name == stem) {
                gone.push(object.name.clone());
            }
            continue;
        }
        let Some(id) = names::last_segment::<ObjectId>(&object.name) else {
            continue;
        };
        let found = space.load_if_there(EnvelopeKind::Session, &object.name, SessionRecord::decode);
        let dead = match found {
            Ok(None) => continue,
            Ok(Some(record)) => {
                let beat = space
                    .load_if_there(
                        EnvelopeKind::Session,
                        &space.names.session_beat(id),
                        SessionRecord::decode,
                    )
                    .ok()
                    .flatten()
                    .map_or(record.heartbeat, |beat| {
                        beat.heartbeat.max(record.heartbeat)
                    });
                is_dead(id, &record.owner, beat)
            }
            // What cannot be read was not written by a run that lives by these rules.
            Err(ReadError::Damaged(damage)) => {
                tracing::warn!(session = %id, %damage, "a session cannot be read");
                true
            }
            Err(cause @ ReadError::Store(_)) => return Err(cause),
        };
        if dead {
            gone.push(object.name.clone());
            gone.push(space.names.session_beat(id));
        } else {
            alive.push(id);
        }
    }
    if reap == Reap::Yes && !gone.is_empty() {
        space.store.delete_many(&gone)?;
    }
    Ok(alive)
}

/// Whether dead sessions are to be ended; only the holder of the sweep lease does that.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reap {
    Yes,
    No,
}

fn is_dead(id: ObjectId, owner: &SessionOwner, beat: UnixMicros) -> bool {
    if *owner == *OWNER {
        return !ours(|set| set.contains(&id));
    }
    let here = !owner.boot_id.is_empty()
        && owner.boot_id == OWNER.boot_id
        && owner.pid_namespace == OWNER.pid_namespace;
    let silent = now().0.saturating_sub(beat.0) > SILENCE_MICROS;
    silent || (here && started_ticks(owner.pid) != Some(owner.started_ticks))
}

/// Returns when a process of our namespace started, which tells it from a later one of the same pid.
fn started_ticks(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command's name may hold anything, so count from the last parenthesis.
    stat.rsplit_once(')')?
        .1
        .split_ascii_whitespace()
        .nth(19)?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn death_is_told_from_process_and_silence() {
        let us = OWNER.clone();
        assert!(started_ticks(us.pid).is_some_and(|ticks| ticks == us.started_ticks && ticks > 0));
        let parent = std::os::unix::process::parent_id();
        let other = SessionOwner {
            pid: parent,
            started_ticks: started_ticks(parent).unwrap(),
            ..us.clone()
        };
        let later = SessionOwner {
            started_ticks: other.started_ticks + 1,
            ..other.clone()
        };
        let away = SessionOwner {
            boot_id: "elsewhere".into(),
            ..later.clone()
        };
        let (fresh, old) = (now(), UnixMicros(now().0 - SILENCE_MICROS - 1));
        let id = ObjectId([5; 16]);
        for (what, owner, beat, want) in [
            ("our own, ended", &us, fresh, true),
            ("another process, alive", &other, fresh, false),
            ("its pid was used again", &later, fresh, true),
            ("another machine", &away, fresh, false),
            ("another machine, silent", &away, old, true),
            ("alive but silent", &other, old, true),
        ] {
            assert_eq!(is_dead(id, owner, beat), want, "{what}");
        }
        ours(|set| set.insert(id));
        assert!(!is_dead(id, &us, fresh), "our own, running");
        ours(|set| set.remove(&id));
    }
}
