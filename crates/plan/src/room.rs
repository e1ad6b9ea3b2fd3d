//! The room in vaults: what their resources take of it, and when a vault grows.

use std::ops::RangeInclusive;

use emberkeep_model::{ByteCount, Gib, ResourceId, Vault, VaultResource};

/// Smallest and largest capacity of a vault, in GiB.
pub const VAULT_SIZES: RangeInclusive<i64> = 1..=10_485_760;

/// A vault that may not grow has no room for its resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the resources need {need} GiB, but the vault has {have} GiB")]
pub struct NoRoom {
    /// GiB that the resources take together.
    pub need: u64,
    /// GiB that the vault has.
    pub have: u32,
}

/// Sums the sizes of a vault's resources, one of them taken for `size`.
pub fn sum_with(resources: &[VaultResource], changed: ResourceId, size: Gib) -> u64 {
    let sizes = resources.iter().map(|resource| {
        if resource.resource_id == changed {
            u64::from(size.0)
        } else {
            u64::from(resource.size.0)
        }
    });
    sizes.sum()
}

/// Grows a vault that may expand so that it holds resources of `need` GiB in all, or refuses.
pub fn make_room(vault: &mut Vault, need: u64) -> Result<(), NoRoom> {
    vault.size = room_for(vault.size, vault.auto_expand, need)?;
    Ok(())
}

/// Returns the size of a vault that holds resources of `need` GiB in all.
fn room_for(size: Gib, may_grow: bool, need: u64) -> Result<Gib, NoRoom> {
    if need <= u64::from(size.0) {
        return Ok(size);
    }
    let grown = u32::try_from(need)
        .ok()
        .filter(|n| VAULT_SIZES.contains(&i64::from(*n)));
    let no_room = NoRoom { need, have: size.0 };
    grown.filter(|_| may_grow).map(Gib).ok_or(no_room)
}

/// Returns the size of a vault in which so much is stored: a quarter more until it is not full,
/// and no more than a vault can have.
pub fn expanded(size: Gib, stored: ByteCount) -> Gib {
    let most = u32::try_from(*VAULT_SIZES.end()).unwrap_or(u32::MAX);
    let mut size = size;
    while stored >= size.bytes() && size.0 < most {
        size = Gib(size.0.saturating_add(size.0.div_ceil(4)).min(most));
    }
    size
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_vault_grows_by_quarters() {
        let gib = |n: u64| ByteCount(n << 30);
        assert_eq!(expanded(Gib(10), gib(9)), Gib(10));
        assert_eq!(expanded(Gib(10), gib(10)), Gib(13));
        assert_eq!(expanded(Gib(10), gib(13)), Gib(17));
        assert_eq!(expanded(Gib(10), gib(100)), Gib(109));
        assert_eq!(expanded(Gib(10_485_760), gib(20_000_000)), Gib(10_485_760));
    }
    #[test]
    fn a_vault_makes_room_only_if_it_may() {
        for (size, may, need, want) in [
            (10, false, 10, Ok(10)),
            (10, false, 11, Err(NoRoom { need: 11, have: 10 })),
            (10, true, 11, Ok(11)),
            (10, true, 10_485_760, Ok(10_485_760)),
            (
                10,
                true,
                10_485_761,
                Err(NoRoom {
                    need: 10_485_761,
                    have: 10,
                }),
            ),
        ] {
            let got = room_for(Gib(size), may, need).map(|size| size.0);
            assert_eq!(got, want, "{size} {may} {need}");
        }
    }
}
