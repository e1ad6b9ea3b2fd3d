//! Which unprotected resources go into which of the vaults that take them in by themselves.

use std::collections::BTreeMap;

use emberkeep_model::{Gib, ResourceId, Tag, Timestamp, VaultId};

/// A vault keeps so much room, and takes nothing in with less (`cbr-v3.md §2.2`).
const RESERVE_GIB: u64 = 40;

/// A vault that takes resources in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BindingVault {
    /// The vault.
    pub id: VaultId,
    /// GiB of its capacity that no resource has yet.
    pub free: u64,
    /// Only what carries any of these, if there are any.
    pub rules: Vec<Tag>,
    /// When its policy runs next.
    pub next_run: Timestamp,
}

/// A resource in no vault: a volume, a server or a file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unprotected {
    /// The resource.
    pub id: ResourceId,
    /// Its size.
    pub size: Gib,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

/// Chooses among vaults of one kind one for each resource of that kind that finds one: of those that may take it the one that runs
/// first. What a vault takes in counts against its room at once.
pub fn auto_bind(
    mut vaults: Vec<BindingVault>,
    loose: &[Unprotected],
) -> Vec<(ResourceId, VaultId)> {
    vaults.sort_by_key(|vault| (vault.next_run, vault.id));
    let mut bound = Vec::new();
    for resource in loose {
        let size = u64::from(resource.size.0);
        let taker = vaults.iter_mut().find(|vault| {
            vault.free > RESERVE_GIB && vault.free > size && wants(&vault.rules, &resource.tags)
        });
        if let Some(vault) = taker {
            vault.free -= size;
            bound.push((resource.id, vault.id));
        }
    }
    bound
}

fn wants(rules: &[Tag], tags: &BTreeMap<String, String>) -> bool {
    rules.is_empty()
        || rules
            .iter()
            .any(|rule| tags.get(&rule.key) == Some(&rule.value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vault(n: u128, free: u64, tag: Option<&str>, next_run: i64) -> BindingVault {
        BindingVault {
            id: VaultId(uuid::Uuid::from_u128(n)),
            free,
            rules: tag
                .map(|value| Tag {
                    key: "env".into(),
                    value: value.into(),
                })
                .into_iter()
                .collect(),
            next_run: Timestamp(next_run),
        }
    }

    fn volume(n: u128, size: u32, tag: Option<&str>) -> Unprotected {
        Unprotected {
            id: ResourceId(uuid::Uuid::from_u128(n)),
            size: Gib(size),
            tags: tag
                .map(|value| ("env".to_owned(), value.to_owned()))
                .into_iter()
                .collect(),
        }
    }

    #[test]
    fn a_resource_goes_where_it_fits_and_runs_first() {
        let bind = |vaults: Vec<BindingVault>, loose: &[Unprotected]| -> Vec<(u128, u128)> {
            auto_bind(vaults, loose)
                .into_iter()
                .map(|(volume, vault)| (volume.0.as_u128(), vault.0.as_u128()))
                .collect()
        };
        let plain = |size| [volume(1, size, None)];
        // Earliest run first, whatever the order.
        let two = vec![vault(1, 100, None, 9), vault(2, 100, None, 3)];
        assert_eq!(bind(two.clone(), &plain(10)), [(1, 2)]);
        // Room must exceed both 40 GiB and the size.
        assert_eq!(bind(vec![vault(1, 40, None, 1)], &plain(1)), []);
        assert_eq!(bind(vec![vault(1, 41, None, 1)], &plain(1)), [(1, 1)]);
        assert_eq!(bind(vec![vault(1, 60, None, 1)], &plain(60)), []);
        // What was taken in counts.
        let three = [
            volume(1, 50, None),
            volume(2, 50, None),
            volume(3, 50, None),
        ];
        assert_eq!(bind(two, &three), [(1, 2), (2, 1)]);
        // Tags.
        let rules = vec![vault(1, 99, Some("prod"), 1)];
        let loose = [
            volume(1, 1, None),
            volume(2, 1, Some("test")),
            volume(3, 1, Some("prod")),
        ];
        assert_eq!(bind(rules, &loose), [(3, 1)]);
    }
}
