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
    session: ObjectId,
    name: String,
    /// Those of the dead.
    spent: Vec<String>,
}

impl<'a> SweepLease<'a> {
    /// Takes the lease unless a living session holds one.
    pub(super) fn take(space: &'a Space, session: ObjectId) -> Result<Self, SweepError> {
        let listed = list_all(&*space.store, &space.names.leases())?;
        let alive = alive(space, Reap::No)?;
        let mut spent: Vec<String> = Vec::new();
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
                Ok(_) | Err(ReadError::Damaged(_)) => spent.push(object.name),
                Err(cause @ ReadError::Store(_)) => return Err(cause.into()),
            }
        }
        let name = space.names.lease(highest + 1);
        let sealed = space.seal(EnvelopeKind::Lease, &name, &Lease::new(session).encode());
        match space.store.put_if_absent(&name, &[&sealed]) {
            Ok(()) | Err(StoreError::AlreadyExists { .. }) => {}
            Err(cause) => return Err(cause.into()),
        }
        let lease = Self {
            space,
            session,
            name,
            spent,
        };
        // Looked at even by who was told to have won: not every server keeps those apart who
        // come at the same moment.
        match lease.holder()? {
            Some(holder) if holder == session => Ok(lease),
            holder => Err(SweepError::Busy(holder.unwrap_or(session))),
        }
    }

    /// Returns whose session the stored lease names; none where it is gone.
    fn holder(&self) -> Result<Option<ObjectId>, ReadError> {
        let stored = self
            .space
            .load_if_there(EnvelopeKind::Lease, &self.name, Lease::decode)?;
        Ok(stored.map(|lease| lease.session))
    }

    /// Tells whether the lease is still held.
    pub(super) fn is_held(&self) -> Result<bool, ReadError> {
        Ok(self.holder()? == Some(self.session))
    }

    /// Gives the lease back, and removes those of the dead.
    pub(super) fn release(mut self) -> Result<(), SweepError> {
        if self.is_held()? {
            self.spent.push(self.name);
        }
        Ok(self.space.store.delete_many(&self.spent)?)
    }
}
