//! Policies and the vaults they are at work on; backups and whom they are shared with.

use std::sync::Arc;

use emberkeep_model::{Backup, BackupState, Member, MemberStatus, OperationType, Policy};

use super::sample::Dice;
use super::{assert_exists, assert_stale, insert};
use crate::{BackupQuery, Catalog, Change, Key, PolicyQuery, Row, Shared, VaultQuery};

pub(super) async fn run(make: &impl AsyncFn() -> Arc<dyn Catalog>) {
    policies_are_bound_and_found(&*make().await).await;
    shares_are_kept_and_found(&*make().await).await;
}

async fn policies_are_bound_and_found(catalog: &dyn Catalog) {
    let mut dice = Dice(31);
    let (one, other) = (dice.vault(), dice.vault());
    let policy = Policy {
        operation_type: OperationType::Backup,
        enabled: true,
        ..dice.policy()
    };
    let idle = Policy {
        operation_type: OperationType::Replication,
        enabled: false,
        project_id: policy.project_id.clone(),
        ..dice.policy()
    };
    let binding = dice.binding(&policy, &one);
    let bind = || vec![Change::Insert(Row::PolicyBinding(binding.clone()))];
    assert_stale("nothing to bind", catalog.apply(bind()).await);
    insert(
        catalog,
        [
            Row::Vault(one.clone()),
            Row::Vault(other.clone()),
            Row::Policy(policy.clone()),
            Row::Policy(idle.clone()),
        ],
    )
    .await;
    catalog.apply(bind()).await.expect("both are there");
    assert_exists("bound twice", catalog.apply(bind()).await);
    for key in [
        Change::Remove(Key::Vault(one.id), one.revision),
        Change::Remove(Key::Policy(policy.id), policy.revision),
    ] {
        assert_stale("still bound", catalog.apply(vec![key]).await);
    }

    let by = PolicyQuery::default;
    let project = Some(policy.project_id.clone());
    for (query, want) in [
        (PolicyQuery { project, ..by() }, 2),
        (
            PolicyQuery {
                enabled: Some(true),
                ..by()
            },
            1,
        ),
        (
            PolicyQuery {
                operation_type: Some(OperationType::Replication),
                ..by()
            },
            1,
        ),
        (
            PolicyQuery {
                vault: Some(one.id),
                ..by()
            },
            1,
        ),
        (
            PolicyQuery {
                vault: Some(other.id),
                ..by()
            },
            0,
        ),
    ] {
        let found = catalog.policies(&query).await.expect("lists").items;
        assert_eq!(found.len(), want, "{query:?}");
    }
    let query = VaultQuery {
        policy: Some(policy.id),
        ..VaultQuery::default()
    };
    let found = catalog.vaults(&query).await.expect("lists").items;
    assert_eq!(found.iter().map(|v| v.id).collect::<Vec<_>>(), [one.id]);
    let of_policy = catalog.policy_vaults(policy.id).await.expect("lists");
    let of_vault = catalog.vault_policies(one.id).await.expect("lists");
    assert_eq!((&of_policy, of_policy.len()), (&of_vault, 1));

    // Of two that settle the same run one comes too late.
    let settle = || Change::Save(Row::PolicyBinding(binding.clone()));
    catalog.apply(vec![settle()]).await.expect("the first");
    assert_stale("the second", catalog.apply(vec![settle()]).await);
    let unbind = Key::PolicyBinding(policy.id, one.id);
    let unbind = |revision| vec![Change::Remove(unbind.clone(), revision)];
    assert_stale("old", catalog.apply(unbind(binding.revision)).await);
    catalog
        .apply(unbind(binding.revision + 1))
        .await
        .expect("as it is");
}

async fn shares_are_kept_and_found(catalog: &dyn Catalog) {
    let mut dice = Dice(32);
    let vault = dice.vault();
    let live = |dice: &mut Dice| Backup {
        state: BackupState::Queued,
        ..dice.backup()
    };
    let shared = Backup {
        vault_id: Some(vault.id),
        ..live(&mut dice)
    };
    let own = live(&mut dice);
    let member = Member {
        backup_id: shared.id,
        dest_project_id: own.project_id.clone(),
        status: MemberStatus::Accepted,
        ..dice.member()
    };
    let elsewhere = dice.member();
    insert(
        catalog,
        [
            Row::Backup(shared.clone()),
            Row::Backup(own.clone()),
            Row::Member(member.clone()),
            Row::Member(elsewhere),
        ],
    )
    .await;
    let again = Member {
        id: dice.id(),
        ..member.clone()
    };
    let again = vec![Change::Insert(Row::Member(again))];
    assert_exists("the same project", catalog.apply(again).await);
    let of_backup = catalog.members(shared.id).await.expect("lists");
    assert_eq!(of_backup, std::slice::from_ref(&member));
    let in_vault = catalog.shares_in(vault.id).await.expect("lists");
    assert_eq!(in_vault, std::slice::from_ref(&member));

    for (statuses, own_too, want) in [
        (vec![], false, vec![shared.id]),
        (vec![MemberStatus::Accepted], false, vec![shared.id]),
        (
            vec![MemberStatus::Pending, MemberStatus::Rejected],
            false,
            vec![],
        ),
        (vec![MemberStatus::Rejected], true, vec![own.id]),
        (vec![], true, vec![own.id, shared.id]),
    ] {
        let query = BackupQuery {
            shared: Some(Shared {
                with: own.project_id.clone(),
                statuses,
                own_too,
            }),
            ..BackupQuery::default()
        };
        let found = catalog.backups(&query).await.expect("lists").items;
        let mut found: Vec<_> = found.iter().map(|b| b.id).collect();
        let mut want = want;
        found.sort();
        want.sort();
        assert_eq!(found, want, "{query:?}");
    }
}
