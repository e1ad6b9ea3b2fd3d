//! A wrapper that fails on purpose, to show what a task does when a store fails under it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{Listed, ObjectStore, StoreError};

/// Which calls are counted, and can therefore fail as the n-th.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// Every call but `describe`.
    All,
    /// Only those that change the store: puts and deletes.
    Writes,
}

/// When in the call the fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// The call fails and nothing has happened.
    Before,
    /// The call takes effect, but the caller is told that it failed.
    After,
}

/// What the caller is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// [`StoreError::Failed`].
    Failed,
    /// [`StoreError::NoSpace`].
    NoSpace,
    /// [`StoreError::Denied`].
    Denied,
}

/// One planned fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// The number of the counted call that fails, from 1.
    pub call: u64,
    /// Whether the call takes effect first.
    pub moment: Moment,
    /// What the caller is told.
    pub kind: FaultKind,
    /// Whether every later call, counted or not, fails without effect, as if the process had died.
    pub crash: bool,
}

impl Fault {
    /// Plans a failure of one call, after which the store works again.
    pub fn once(call: u64, moment: Moment) -> Self {
        Self {
            call,
            moment,
            kind: FaultKind::Failed,
            crash: false,
        }
    }

    /// Plans a death: that call fails, and so do all that follow.
    pub fn crash(call: u64, moment: Moment) -> Self {
        Self {
            crash: true,
            ..Self::once(call, moment)
        }
    }
}

#[derive(Debug)]
struct PlanState {
    counted: Counted,
    calls: u64,
    fault: Option<Fault>,
    struck: bool,
    told: BTreeMap<(&'static str, String), u64>,
}

/// What goes wrong and when, shared between a test and the stores it wraps.
#[derive(Debug, Clone)]
pub struct FaultPlan {
    state: Arc<Mutex<PlanState>>,
}

impl FaultPlan {
    /// Makes a plan under which nothing fails and calls are counted.
    pub fn new(counted: Counted) -> Self {
        let state = PlanState {
            counted,
            calls: 0,
            fault: None,
            struck: false,
            told: BTreeMap::new(),
        };
        Self {
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// Starts counting anew, with `fault` to come, or none.
    pub fn arm(&self, fault: Option<Fault>) {
        let mut state = self.lock();
        *state = PlanState {
            counted: state.counted,
            calls: 0,
            fault,
            struck: false,
            told: BTreeMap::new(),
        };
    }

    /// Returns how many calls were counted since the plan was armed.
    pub fn calls(&self) -> u64 {
        self.lock().calls
    }

    /// Returns a line for each kind of call that was counted, on each kind of object.
    pub fn told(&self) -> Vec<String> {
        let state = self.lock();
        let lines = state.told.iter();
        lines
            .map(|((call, part), count)| format!("{count} × {call} {part}"))
            .collect()
    }

    /// Tells whether the planned fault has struck; a loop over n ends when it has not.
    pub fn struck(&self) -> bool {
        self.lock().struck
    }

    fn lock(&self) -> MutexGuard<'_, PlanState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call and says what befalls it.
    fn next(&self, call: &'static str, name: &str) -> Option<(Moment, FaultKind)> {
        let is_write = matches!(call, "put-if-absent" | "put" | "delete");
        let mut state = self.lock();
        let dead = state.fault.filter(|fault| fault.crash && state.struck);
        let counts = is_write || state.counted == Counted::All;
        state.calls += u64::from(counts);
        if counts {
            *state.told.entry((call, part_of(name))).or_default() += 1;
        }
        if let Some(fault) = dead {
            return Some((Moment::Before, fault.kind));
        }
        let fault = state
            .fault
            .filter(|fault| counts && fault.call == state.calls)?;
        state.struck = true;
        Some((fault.moment, fault.kind))
    }
}

/// What an object is, told from its name: the segment behind that of the project.
fn part_of(name: &str) -> String {
    let mut parts = name.split('/');
    let first = parts.next().unwrap_or_default();
    let part = if first == "p" { parts.nth(1) } else { None };
    part.unwrap_or(first).to_owned()
}

/// A store whose calls fail as a [`FaultPlan`] says.
#[derive(Debug, Clone)]
pub struct FaultyStore<S> {
    inner: S,
    plan: FaultPlan,
}

impl<S> FaultyStore<S> {
    /// Wraps `inner`.
    pub fn new(inner: S, plan: FaultPlan) -> Self {
        Self { inner, plan }
    }

    /// Returns the store beneath, to look at it or to go on after a crash.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    fn call<T>(
        &self,
        call: &'static str,
        name: &str,
        act: impl FnOnce(&S) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        match self.plan.next(call, name) {
            None => act(&self.inner),
            Some((Moment::Before, kind)) => Err(error(name, kind)),
            Some((Moment::After, kind)) => {
                act(&self.inner)?;
                Err(error(name, kind))
            }
        }
    }
}

fn error(name: &str, kind: FaultKind) -> StoreError {
    let name = name.to_owned();
    let cause = std::io::Error::other("a planned fault");
    match kind {
        FaultKind::Failed => StoreError::Failed { name, cause },
        FaultKind::NoSpace => StoreError::NoSpace { name },
        FaultKind::Denied => StoreError::Denied { name, cause },
    }
}

impl<S: ObjectStore> ObjectStore for FaultyStore<S> {
    fn put_if_absent(&self, name: &str, parts: &[&[u8]]) -> Result<(), StoreError> {
        self.call("put-if-absent", name, |inner| {
            inner.put_if_absent(name, parts)
        })
    }

    fn put(&self, name: &str, parts: &[&[u8]]) -> Result<(), StoreError> {
        self.call("put", name, |inner| inner.put(name, parts))
    }

    fn get(&self, name: &str) -> Result<Vec<u8>, StoreError> {
        self.call("get", name, |inner| inner.get(name))
    }

    fn get_range(&self, name: &str, range: Range<u64>) -> Result<Vec<u8>, StoreError> {
        self.call("get-range", name, |inner| inner.get_range(name, range))
    }

    fn head(&self, name: &str) -> Result<Option<u64>, StoreError> {
        self.call("head", name, |inner| inner.head(name))
    }

    fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Listed>, StoreError> {
        self.call("list", prefix, |inner| inner.list(prefix, after, limit))
    }

    fn delete_many(&self, names: &[String]) -> Result<(), StoreError> {
        let first = names.first().map_or("", String::as_str);
        self.call("delete", first, |inner| inner.delete_many(names))
    }

    fn describe(&self) -> String {
        format!("faulty {}", self.inner.describe())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryStore;

    #[test]
    fn conforms_while_nothing_is_planned() {
        crate::conformance::run(|| {
            Box::new(FaultyStore::new(
                MemoryStore::new(),
                FaultPlan::new(Counted::All),
            ))
        });
    }

    #[test]
    fn strikes_when_planned_and_only_then() {
        let table = [
            (
                "once, before",
                Fault::once(2, Moment::Before),
                [true, false, true, true],
                3,
            ),
            (
                "once, after",
                Fault::once(2, Moment::After),
                [true, false, true, true],
                4,
            ),
            (
                "crash, before",
                Fault::crash(2, Moment::Before),
                [true, false, false, false],
                1,
            ),
            (
                "crash, after",
                Fault::crash(2, Moment::After),
                [true, false, false, false],
                2,
            ),
        ];
        for (what, fault, want, stored) in table {
            let plan = FaultPlan::new(Counted::Writes);
            let store = FaultyStore::new(MemoryStore::new(), plan.clone());
            plan.arm(Some(fault));
            let mut got = Vec::new();
            for name in ["a", "b", "c", "d"] {
                got.push(store.put(name, &[b"x"]).is_ok());
                let dead = plan.struck() && fault.crash;
                assert_eq!(
                    store.head("a").is_err(),
                    dead,
                    "{what}: reads fail once dead"
                );
            }
            assert_eq!(got, want, "{what}");
            assert_eq!(
                store.inner().list("", None, 9).expect("list").len(),
                stored,
                "{what}"
            );
            assert_eq!(plan.calls(), 4, "{what}: reads are not counted");
        }
    }
}
