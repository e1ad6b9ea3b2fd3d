//! Lists of vaults and of the resources in them.

use std::collections::BTreeMap;

use emberkeep_model::{ObjectType, ProtectType, ResourceId, Vault, VaultId, VaultStatus};

use super::{check_pages, rank_none, sorted, time};
use crate::conformance::insert;
use crate::conformance::sample::Dice;
use crate::{Catalog, Row, VaultQuery};

pub(super) async fn vaults(catalog: &dyn Catalog) {
    let mut dice = Dice(13);
    let projects = [dice.id(), dice.id()];
    let names = ["", "a", "b"].map(str::to_owned);
    let mut rows = Vec::new();
    let mut resources = Vec::new();
    for _ in 0..30 {
        let vault = Vault {
            project_id: dice.pick(&projects),
            name: dice.pick(&names),
            created_at: time(&mut dice),
            ..dice.vault()
        };
        for _ in 0..dice.below(4) {
            resources.push(dice.vault_resource(&vault));
        }
        rows.push(vault);
    }
    insert(catalog, rows.iter().cloned().map(Row::Vault)).await;
    insert(catalog, resources.iter().cloned().map(Row::VaultResource)).await;
    type Keep = Box<dyn Fn(&Vault) -> bool>;
    let (first, all) = (projects[0].clone(), VaultQuery::default);
    let ids: Vec<VaultId> = rows
        .iter()
        .step_by(4)
        .map(|r| r.id)
        .chain([dice.id()])
        .collect();
    let within: Vec<_> = resources.iter().step_by(2).cloned().collect();
    let volumes: Vec<ResourceId> = within
        .iter()
        .map(|r| r.resource_id)
        .chain([dice.id()])
        .collect();
    let filters: Vec<(&str, VaultQuery, Keep)> = vec![
        ("all", all(), Box::new(|_| true)),
        (
            "project",
            VaultQuery {
                project: Some(first.clone()),
                ..all()
            },
            Box::new(move |r| r.project_id == first),
        ),
        (
            "name",
            VaultQuery {
                name: Some("a".to_owned()),
                ..all()
            },
            Box::new(|r| r.name == "a"),
        ),
        (
            "ids",
            VaultQuery {
                ids: ids.clone(),
                ..all()
            },
            Box::new(move |r| ids.contains(&r.id)),
        ),
        (
            "object type",
            VaultQuery {
                object_type: Some(ObjectType::Disk),
                ..all()
            },
            Box::new(|r| r.object_type == ObjectType::Disk),
        ),
        (
            "protect type",
            VaultQuery {
                protect_type: Some(ProtectType::Backup),
                ..all()
            },
            Box::new(|r| r.protect_type == ProtectType::Backup),
        ),
        (
            "status",
            VaultQuery {
                status: Some(VaultStatus::Available),
                ..all()
            },
            Box::new(|r| r.status == VaultStatus::Available),
        ),
        (
            "resources",
            VaultQuery {
                resources: volumes,
                ..all()
            },
            Box::new(move |r| within.iter().any(|w| w.vault_id == r.id)),
        ),
    ];
    for (what, query, keep) in &filters {
        let kept: Vec<_> = rows.iter().filter(|r| keep(r)).cloned().collect();
        assert!(!kept.is_empty(), "{what} is a fair sample");
        let want = sorted(&kept, &[], rank_none, |r: &Vault| {
            (r.created_at, r.id.to_string())
        });
        check_pages(
            &format!("vaults, {what}"),
            &want,
            |r| r.id,
            dice.id(),
            async |paging| {
                catalog
                    .vaults(&VaultQuery {
                        paging,
                        ..query.clone()
                    })
                    .await
                    .expect("list")
            },
        )
        .await;
    }
    // Those added together share their instant, yet keep their order.
    let mut by_vault: BTreeMap<VaultId, Vec<_>> = BTreeMap::new();
    for resource in resources {
        by_vault
            .entry(resource.vault_id)
            .or_default()
            .push(resource);
    }
    for (vault, want) in by_vault {
        assert_eq!(catalog.vault_resources(vault).await.expect("list"), want);
    }
    assert_eq!(catalog.vault_resources(dice.id()).await.expect("list"), []);
}
