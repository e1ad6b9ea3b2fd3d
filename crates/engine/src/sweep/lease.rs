//! Who may sweep: one at a time, by a lease whose number only grows while anyone contends.

use emberkeep_format::{EnvelopeKind, Lease, ObjectId, names};
use emberkeep_store::{StoreError, list_all};

use crate::damage::ReadError;
use crate::error::SweepError;
use crate::session::{Reap, alive};
use crate::space::Space;

/// The right to sweep, for as long as its session lives.
pub(super) struct SweepLease<'a> {
    space: &'a Space,
    names: Vec<String>,
}

impl<'a> SweepLease<'a> {
    /// Takes the lease unless a living session holds one.
    pub(super) fn take(space: &'a Space, session: ObjectId) -> Result<Self, SweepError> {
        let listed = list_all(&*space.store, &space.names.leases())?;
        let alive = alive(space, Reap::No)?;
        let mut names: Vec<String> = Vec::new();
        let mut highest = 0;
        for object in listed {
            highest = names::last_segment::<u64>(&object.name)
                .unwrap_or(0)
                .max(highest);
            match space.load_if_there(EnvelopeKind::Lease, &object.name, Lease::decode) {
                Ok(Some(lease)) if alive.contains(&lease.session) => {
                    return Err(SweepError::Busy(lease.session));
                }
                // Nobody can hold a lease that cannot be read.
                Ok(_) | Err(ReadError::Damaged(_)) => names.push(object.name),
                Err(cause @ ReadError::Store(_)) => return Err(cause.into()),
            }
        }
        let name = space.names.lease(highest + 1);
        let sealed = space.seal(EnvelopeKind::Lease, &name, &Lease::new(session).encode());
        match space.store.put_if_absent(&name, &[&sealed]) {
            Ok(()) => {}
            Err(StoreError::AlreadyExists { .. }) => {
                let winner = space.load_if_there(EnvelopeKind::Lease, &name, Lease::decode)?;
                return Err(SweepError::Busy(
                    winner.map_or(session, |lease| lease.session),
                ));
            }
            Err(cause) => return Err(cause.into()),
        }
        names.push(name);
        Ok(Self { space, names })
    }

    /// Gives the lease back, and removes those of the dead.
    pub(super) fn release(self) -> Result<(), SweepError> {
        Ok(self.space.store.delete_many(&self.names)?)
    }
}
