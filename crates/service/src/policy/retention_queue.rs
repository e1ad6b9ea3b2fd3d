//! The vaults whose retention is due before its time, each once however much has changed in it.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use emberkeep_model::VaultId;
use tokio::sync::Notify;

/// Vaults that the retention worker looks at next.
#[derive(Debug, Default)]
pub(crate) struct RetentionQueue {
    vaults: Mutex<BTreeSet<VaultId>>,
    wake: Notify,
}

impl RetentionQueue {
    /// Adds a vault that has changed.
    pub(crate) fn put(&self, vault: VaultId) {
        let mut vaults = self.vaults.lock().unwrap_or_else(PoisonError::into_inner);
        if vaults.insert(vault) {
            drop(vaults);
            self.wake.notify_one();
        }
    }

    /// Takes all that have changed since the last call.
    pub(crate) fn take(&self) -> BTreeSet<VaultId> {
        std::mem::take(&mut *self.vaults.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until a vault has changed.
    pub(crate) async fn changed(&self) {
        self.wake.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[tokio::test]
    async fn a_vault_is_looked_at_once_however_often_it_changes() {
        let queue = RetentionQueue::default();
        let vault = |n| VaultId(Uuid::from_u128(n));
        for n in [2, 1, 2, 2, 1] {
            queue.put(vault(n));
        }
        queue.changed().await;
        assert_eq!(queue.take(), [vault(1), vault(2)].into());
        assert_eq!(queue.take(), BTreeSet::new(), "taken");
        queue.put(vault(2));
        queue.changed().await;
        assert_eq!(queue.take(), [vault(2)].into(), "changed again");
    }
}
