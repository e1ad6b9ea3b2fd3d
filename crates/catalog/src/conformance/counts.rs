//! Sums, small lists and tokens that end.

use std::sync::Arc;

use emberkeep_model::{
    Assignment, Backup, BackupState, ByteCount, CbrFacts, Gib, Project, ResourceUsage, Role,
    Sealed, Timestamp, TokenRecord, User, VaultResource, VaultUsage, VolumeType,
};

use super::insert;
use super::sample::Dice;
use crate::{Catalog, Row};

pub(super) async fn run(make: &impl AsyncFn() -> Arc<dyn Catalog>) {
    usage_is_summed(&*make().await).await;
    small_lists_are_ordered(&*make().await).await;
    tokens_of_one_user_are_taken_back(&*make().await).await;
    ended_tokens_go(&*make().await).await;
}

async fn usage_is_summed(catalog: &dyn Catalog) {
    let mut dice = Dice(20);
    let (full, empty, other) = (dice.vault(), dice.vault(), dice.vault());
    insert(
        catalog,
        [&full, &empty, &other].map(|v| Row::Vault(v.clone())),
    )
    .await;
    let (one, two): (VaultResource, VaultResource) =
        (dice.vault_resource(&full), dice.vault_resource(&full));
    let resources = [
        VaultResource {
            size: Gib(40),
            ..one.clone()
        },
        VaultResource {
            size: Gib(2),
            ..two.clone()
        },
        VaultResource {
            size: Gib(u32::MAX),
            ..dice.vault_resource(&other)
        },
        VaultResource {
            size: Gib(u32::MAX),
            ..dice.vault_resource(&other)
        },
    ];
    insert(catalog, resources.map(Row::VaultResource)).await;
    let sealed = |stored| Sealed {
        stored: ByteCount(stored),
        ..Dice(stored).sealed()
    };
    let states = [
        (one.resource_id.into(), BackupState::Available(sealed(1000))),
        (
            one.resource_id.into(),
            BackupState::Restoring {
                sealed: sealed(200),
                target: dice.id(),
            },
        ),
        (one.resource_id.into(), BackupState::Queued),
        (two.resource_id.into(), BackupState::Deleting),
        (
            two.resource_id.into(),
            BackupState::RestoreQueued {
                sealed: sealed(5_000_000_000),
                target: dice.id(),
            },
        ),
        (two.resource_id.into(), BackupState::Deleted),
        (dice.id(), BackupState::Deleted),
    ];
    let mut rows: Vec<_> = states
        .map(|(volume_id, state)| Backup {
            volume_id,
            state,
            vault_id: Some(full.id),
            cbr: CbrFacts::default(),
            ..dice.backup()
        })
        .to_vec();
    // Of the same volume, but in no vault.
    rows.push(Backup {
        vault_id: None,
        volume_id: one.resource_id.into(),
        ..dice.backup()
    });
    insert(catalog, rows.into_iter().map(Row::Backup)).await;

    let vault = VaultUsage {
        allocated: Gib(42),
        used: ByteCount(5_000_001_200),
        backups: 5,
    };
    let huge = VaultUsage {
        allocated: Gib(u32::MAX),
        ..VaultUsage::default()
    };
    let nothing = VaultUsage::default();
    let asked = [empty.id, full.id, dice.id(), other.id, full.id];
    let got = catalog.vault_usage(&asked).await.expect("usage");
    assert_eq!(
        got,
        [nothing, vault, nothing, huge, vault],
        "in the order asked for"
    );
    assert_eq!(catalog.vault_usage(&[]).await.expect("usage"), []);
    let many: Vec<_> = (0..1700)
        .map(|i| if i == 1650 { full.id } else { dice.id() })
        .collect();
    let got = catalog.vault_usage(&many).await.expect("usage");
    assert_eq!(
        (got.len(), got[1650], got[1649]),
        (1700, vault, nothing),
        "more than one statement takes"
    );

    let mut want = [
        ResourceUsage {
            resource_id: one.resource_id,
            used: ByteCount(1200),
            backups: 3,
        },
        ResourceUsage {
            resource_id: two.resource_id,
            used: ByteCount(5_000_000_000),
            backups: 2,
        },
    ];
    want.sort_by_key(|u| u.resource_id);
    assert_eq!(catalog.resource_usage(full.id).await.expect("usage"), want);
    assert_eq!(catalog.resource_usage(empty.id).await.expect("usage"), []);
}

async fn small_lists_are_ordered(catalog: &dyn Catalog) {
    let mut dice = Dice(21);
    let mut types = Vec::new();
    let mut projects = Vec::new();
    let mut users = Vec::new();
    for i in 0..12 {
        types.push(VolumeType {
            created_at: Timestamp(100 - i / 3),
            ..dice.volume_type()
        });
        projects.push(Project { ..dice.project() });
        users.push(User { ..dice.user() });
    }
    insert(catalog, types.iter().cloned().map(Row::VolumeType)).await;
    insert(catalog, projects.iter().cloned().map(Row::Project)).await;
    insert(catalog, users.iter().cloned().map(Row::User)).await;
    types.sort_by_key(|t| (t.created_at, t.id));
    projects.sort_by(|a, b| a.name.cmp(&b.name));
    users.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(
        catalog.volume_types().await.expect("list"),
        types,
        "oldest first"
    );
    assert_eq!(catalog.projects().await.expect("list"), projects, "by name");
    assert_eq!(catalog.users().await.expect("list"), users, "by name");

    let (user, other) = (&users[0].id, &users[1].id);
    let role = |user_id: &emberkeep_model::UserId, project: usize, role| Assignment {
        user_id: user_id.clone(),
        project_id: projects[project].id.clone(),
        role,
    };
    let mut mine = vec![
        role(user, 0, Role::Member),
        role(user, 1, Role::Admin),
        role(user, 0, Role::Reader),
    ];
    let all = mine.iter().cloned().chain([role(other, 0, Role::Reader)]);
    insert(catalog, all.map(Row::Assignment)).await;
    let mut got = catalog.assignments(user).await.expect("list");
    let order = |a: &Assignment| (a.project_id.clone(), a.role);
    mine.sort_by_key(order);
    got.sort_by_key(order);
    assert_eq!(got, mine, "every role of one user");
    assert_eq!(catalog.assignments(&dice.id()).await.expect("list"), []);
}

async fn tokens_of_one_user_are_taken_back(catalog: &dyn Catalog) {
    let mut dice = Dice(23);
    let (mine, others) = (dice.token(), dice.token());
    let second = TokenRecord {
        user_id: mine.user_id.clone(),
        ..dice.token()
    };
    let all = [mine, second, others].map(|token| TokenRecord {
        revoked: false,
        ..token
    });
    insert(catalog, all.iter().cloned().map(Row::Token)).await;
    let user = &all[0].user_id;
    assert_eq!(catalog.revoke_tokens(user).await.expect("revokes"), 2);
    for token in &all {
        let now = catalog.token(&token.hash).await.expect("look up");
        let want = TokenRecord {
            revoked: token.user_id == *user,
            ..token.clone()
        };
        assert_eq!(now, Some(want));
    }
}

async fn ended_tokens_go(catalog: &dyn Catalog) {
    let mut dice = Dice(22);
    let tokens: Vec<_> = [9, 10, 11, -5]
        .map(|end| TokenRecord {
            expires_at: Timestamp(end),
            ..dice.token()
        })
        .to_vec();
    insert(catalog, tokens.iter().cloned().map(Row::Token)).await;
    for (time, gone) in [("first", 2), ("second", 0)] {
        let got = catalog.purge_tokens(Timestamp(10)).await.expect("purge");
        assert_eq!(got, gone, "the {time} time");
    }
    for token in tokens {
        let left = catalog.token(&token.hash).await.expect("look up");
        assert_eq!(
            left.is_some(),
            token.expires_at >= Timestamp(10),
            "{token:?}"
        );
    }
}
