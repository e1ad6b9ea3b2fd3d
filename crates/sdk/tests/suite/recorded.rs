//! Every call of the CBR API against the shapes that clouds answer with: the request that is
//! sent, and that the answer is understood. The shapes are the ones that the service is held to.

use crate::cloud;

use cloud::{Answer, Cloud};
use emberkeep_sdk::cbr::{
    AddResource, Mapping, MemberAnswer, NewCheckpoint, NewPolicy, NewVault, OperationDefinition,
    PolicyChange, PolicyQuery, ProtectableQuery, RestoreTarget, Sharing, Tag, TagCondition,
    TagQuery, VaultChange, word,
};
use emberkeep_sdk::{
    BackupId, CheckpointId, Gib, PolicyId, ProjectId, ResourceId, TaskId, VaultId, VolumeId, Wait,
};
use serde_json::{Value, json};

macro_rules! shape {
    ($name:literal) => {
        serde_json::from_str::<Value>(include_str!(concat!(
            "../../../wire/tests/cbr_shapes/",
            $name,
            ".json"
        )))
        .expect("a shape")
    };
}

const P: &str = "/cbr/v3/p1";

/// A cloud that answers one request so, and what that request was.
async fn answering(status: u16, body: Value) -> Cloud {
    let text = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    Cloud::signed_in(move |_| Answer::text(status, text.clone())).await
}

fn last(cloud: &Cloud) -> (String, Value) {
    let asked = cloud.asked().pop().expect("asked");
    (asked.line.replace(P, "P"), asked.body)
}

#[tokio::test]
async fn vaults_of_three_clouds_are_made_changed_and_shown() {
    for (body, kind) in [
        (shape!("documented/vault"), word::ObjectType::Disk),
        (shape!("otc/vault"), word::ObjectType::Server),
        (shape!("huawei/vault"), word::ObjectType::Rds),
    ] {
        let cloud = answering(200, body).await;
        let api = cloud.connect().await.cbr();
        let id = VaultId::from("v");
        assert_eq!(
            api.vault(&id).await.expect("shown").billing.object_type,
            kind
        );
        assert_eq!(last(&cloud).0, "GET P/vaults/v");

        let mut new = NewVault::for_disks("disks-a", Gib(100)).holding([VolumeId::from("d")]);
        new.tags.push(Tag {
            key: "team".to_owned(),
            value: "a".to_owned(),
        });
        api.create_vault(&new).await.expect("made");
        let want = json!({"vault": {"name": "disks-a", "tags": [{"key": "team", "value": "a"}],
            "resources": [{"id": "d", "type": "OS::Cinder::Volume"}],
            "billing": {"size": 100, "object_type": "disk", "protect_type": "backup", "consistent_level": "crash_consistent"}}});
        assert_eq!(last(&cloud), ("POST P/vaults".to_owned(), want));

        let change = VaultChange {
            size: Some(Gib(200)),
            bind_rules: Some(Default::default()),
            ..VaultChange::default()
        };
        api.update_vault(&id, &change).await.expect("changed");
        let want = json!({"vault": {"billing": {"size": 200}, "bind_rules": {"tags": []}}});
        assert_eq!(last(&cloud), ("PUT P/vaults/v".to_owned(), want));

        api.delete_vault(&id).await.expect("deleted");
        assert_eq!(last(&cloud), ("DELETE P/vaults/v".to_owned(), Value::Null));
    }
}

#[tokio::test]
async fn resources_come_and_go() {
    let cloud = answering(
        200,
        json!({"add_resource_ids": ["d"], "remove_resource_ids": ["d"], "migrated_resources": ["d"]}),
    )
    .await;
    let api = cloud.connect().await.cbr();
    let (id, disk) = (VaultId::from("v"), ResourceId::from("d"));
    let mut server = AddResource::new("s", word::ResourceType::Server);
    server.extra_info = Some(emberkeep_sdk::cbr::ResourceExtra {
        exclude_volumes: vec!["x".into()],
        ..Default::default()
    });
    let added = api
        .associate_resources(&id, &[server])
        .await
        .expect("added");
    assert_eq!(added, std::slice::from_ref(&disk));
    let want = json!({"resources": [{"id": "s", "type": "OS::Nova::Server", "extra_info": {"exclude_volumes": ["x"]}}]});
    assert_eq!(
        last(&cloud),
        ("POST P/vaults/v/addresources".to_owned(), want)
    );
    api.dissociate_resources(&id, std::slice::from_ref(&disk))
        .await
        .expect("removed");
    let want = json!({"resource_ids": ["d"]});
    assert_eq!(
        last(&cloud),
        ("POST P/vaults/v/removeresources".to_owned(), want)
    );
    api.migrate_resources(&id, &"w".into(), &[disk])
        .await
        .expect("moved");
    let want = json!({"destination_vault_id": "w", "resource_ids": ["d"]});
    assert_eq!(
        last(&cloud),
        ("POST P/vaults/v/migrateresources".to_owned(), want)
    );
}

#[tokio::test]
async fn checkpoints_of_three_clouds_are_made_and_waited_for() {
    for body in [
        shape!("documented/checkpoint"),
        shape!("otc/checkpoint"),
        shape!("huawei/checkpoint"),
    ] {
        let cloud = answering(200, body).await;
        let api = cloud.connect().await.cbr();
        let mut new = NewCheckpoint::of(&VaultId::from("v")).named("before-upgrade");
        new.parameters.incremental = Some(false);
        new.parameters.resources = vec!["d".into()];
        let begun = api.create_checkpoint(&new).await.expect("begun");
        let want = json!({"checkpoint": {"vault_id": "v",
            "parameters": {"name": "before-upgrade", "incremental": false, "resources": ["d"]}}});
        assert_eq!(last(&cloud), ("POST P/checkpoints".to_owned(), want));
        assert!(!begun.vault.resources.is_empty());

        // Whatever the cloud says, it is what is waited for.
        let status = begun.status.to_string();
        let ended = Wait::default()
            .until_status(&[&status], async || api.checkpoint(&begun.id).await)
            .await
            .expect("ended");
        assert_eq!(ended.id, begun.id);
        assert_eq!(last(&cloud).0, format!("GET P/checkpoints/{}", begun.id));
    }
    let cloud = answering(200, shape!("otc/checkpoint")).await;
    let api = cloud.connect().await.cbr();
    api.wait_for_checkpoint(&CheckpointId::from("c"), Wait::default())
        .await
        .expect("available");
}

#[tokio::test]
async fn backups_of_three_clouds_are_shown_and_restored() {
    for body in [
        shape!("documented/backup"),
        shape!("otc/backup"),
        shape!("huawei/backup"),
    ] {
        let cloud = answering(200, body).await;
        let api = cloud.connect().await.cbr();
        let backup = api
            .wait_for_backup(&BackupId::from("b"), Wait::default())
            .await
            .expect("available");
        assert!(backup.resource_size > Gib(0));
        api.rename_backup(&backup.id, "new").await.expect("renamed");
        assert_eq!(last(&cloud).1, json!({"backup": {"name": "new"}}));
        api.delete_backup(&backup.id).await.expect("deleted");
        assert_eq!(last(&cloud).0, format!("DELETE P/backups/{}", backup.id));
    }
    // One cloud names the task, one answers with nothing.
    for (body, task) in [
        (json!({"job_id": "t"}), Some(TaskId::from("t"))),
        (Value::Null, None),
    ] {
        let cloud = answering(202, body).await;
        let api = cloud.connect().await.cbr();
        let mut target = RestoreTarget::server(&ResourceId::from("s"));
        target.power_on = Some(false);
        target.mappings.push(Mapping {
            backup_id: "child".into(),
            volume_id: "d".into(),
        });
        let begun = api
            .restore_backup(&"b".into(), &target)
            .await
            .expect("begun");
        assert_eq!(begun, task);
        let want = json!({"restore": {"server_id": "s", "power_on": false,
            "mappings": [{"backup_id": "child", "volume_id": "d"}]}});
        assert_eq!(last(&cloud), ("POST P/backups/b/restore".to_owned(), want));
    }
}

#[tokio::test]
async fn policies_are_made_changed_and_bound() {
    for body in [shape!("documented/policy"), shape!("otc/policy")] {
        let cloud = answering(200, body).await;
        let api = cloud.connect().await.cbr();
        let daily = "FREQ=DAILY;INTERVAL=1;BYHOUR=1;BYMINUTE=00";
        let mut new = NewPolicy::backup("nightly", [daily]);
        new.operation_definition = OperationDefinition {
            max_backups: Some(14),
            ..OperationDefinition::default()
        };
        let made = api.create_policy(&new).await.expect("made");
        let want = json!({"policy": {"name": "nightly", "operation_type": "backup",
            "operation_definition": {"max_backups": 14}, "trigger": {"properties": {"pattern": [daily]}}}});
        assert_eq!(last(&cloud), ("POST P/policies".to_owned(), want));

        let change = PolicyChange {
            enabled: Some(false),
            pattern: Some(vec![daily.to_owned()]),
            ..PolicyChange::default()
        };
        api.update_policy(&made.id, &change).await.expect("changed");
        let want =
            json!({"policy": {"enabled": false, "trigger": {"properties": {"pattern": [daily]}}}});
        assert_eq!(last(&cloud), (format!("PUT P/policies/{}", made.id), want));
    }
    let cloud = answering(
        200,
        json!({"associate_policy": {"vault_id": "v", "policy_id": "p"}, "dissociate_policy": {"vault_id": "v", "policy_id": "p"}}),
    )
    .await;
    let api = cloud.connect().await.cbr();
    let (vault, policy) = (VaultId::from("v"), PolicyId::from("p"));
    let bound = api
        .bind_policy(&vault, &policy, Some(&"w".into()))
        .await
        .expect("bound");
    assert_eq!(bound.policy_id, policy);
    let want = json!({"policy_id": "p", "destination_vault_id": "w"});
    assert_eq!(
        last(&cloud),
        ("POST P/vaults/v/associatepolicy".to_owned(), want)
    );
    api.unbind_policy(&vault, &policy).await.expect("unbound");
    let want = json!({"policy_id": "p"});
    assert_eq!(
        last(&cloud),
        ("POST P/vaults/v/dissociatepolicy".to_owned(), want)
    );
}

#[tokio::test]
async fn names_are_looked_up_where_ids_are_not_found() {
    let policy = shape!("documented/policy")["policy"].clone();
    let cloud = Cloud::signed_in(move |asked| match asked.line.as_str() {
        // An older edition answers 400 to what has not the form of an id.
        "GET /cbr/v3/p1/policies/nightly" => Answer::json(
            400,
            json!({"error_code": "BackupService.9900", "error_msg": "no id"}),
        ),
        "GET /cbr/v3/p1/policies" => Answer::json(200, json!({"policies": [policy], "count": 1})),
        "GET /cbr/v3/p1/vaults/twice" => Answer::json(
            404,
            json!({"error_code": "BackupService.6105", "error_msg": "no vault"}),
        ),
        _ => Answer::json(
            200,
            json!({"vaults": [{"id": "1", "name": "twice"}, {"id": "2", "name": "twice"}], "count": 2}),
        ),
    })
    .await;
    let api = cloud.connect().await.cbr();
    let found = api.find_policy("nightly").await.expect("an answer");
    assert_eq!(found.expect("found").name, "nightly");
    let all = api.policies(&PolicyQuery::default()).all().await;
    assert_eq!(all.expect("a list").len(), 1);
    let error = api.find_vault("twice").await.expect_err("which?");
    assert_eq!(error.to_string(), "2 vaults are called 'twice'");
}

#[tokio::test]
async fn tasks_of_three_clouds_end_well_or_say_why() {
    for (body, ends_well) in [
        (shape!("documented/task"), true),
        (shape!("otc/task"), true),
        (shape!("huawei/task"), false),
    ] {
        let cloud = answering(200, body).await;
        let api = cloud.connect().await.cbr();
        let ended = api.wait_for_task(&"t".into(), Wait::default()).await;
        assert_eq!(ended.is_ok(), ends_well);
        if let Err(error) = ended {
            assert!(
                error
                    .to_string()
                    .ends_with("is failed: Too many replicas. (BackupService.1012)"),
                "{error}"
            );
        }
        assert_eq!(last(&cloud).0, "GET P/operation-logs/t");
    }
}

#[tokio::test]
async fn backups_are_shared() {
    let mut body = shape!("documented/member");
    body["members"] = json!([body["member"]]);
    let cloud = answering(200, body).await;
    let api = cloud.connect().await.cbr();
    let (backup, with) = (BackupId::from("b"), ProjectId::from("q"));
    let added = api
        .add_members(&backup, std::slice::from_ref(&with))
        .await
        .expect("shared");
    assert_eq!(added[0].status, word::MemberStatus::Pending);
    let want = json!({"members": ["q"]});
    assert_eq!(last(&cloud), ("POST P/backups/b/members".to_owned(), want));
    let which = Sharing::from(&with);
    api.member(&backup, &which).await.expect("shown");
    assert_eq!(last(&cloud).0, "GET P/backups/b/members/q");
    for (answer, want) in [
        (
            MemberAnswer::Accept("v".into()),
            json!({"status": "accepted", "vault_id": "v"}),
        ),
        (MemberAnswer::Reject, json!({"status": "rejected"})),
    ] {
        api.update_member(&backup, &which, &answer)
            .await
            .expect("answered");
        assert_eq!(last(&cloud), ("PUT P/backups/b/members/q".to_owned(), want));
    }
    api.delete_member(&backup, &Sharing::Record("m".into()))
        .await
        .expect("ended");
    assert_eq!(last(&cloud).0, "DELETE P/backups/b/members/m");
}

#[tokio::test]
async fn vaults_are_tagged_and_found_again() {
    let cloud = answering(204, Value::Null).await;
    let api = cloud.connect().await.cbr();
    let id = VaultId::from("v");
    let tag = Tag {
        key: "env".to_owned(),
        value: "prod".to_owned(),
    };
    api.set_tag(&id, &tag).await.expect("set");
    let want = json!({"tag": {"key": "env", "value": "prod"}});
    assert_eq!(last(&cloud), ("POST P/vault/v/tags".to_owned(), want));
    api.set_tags(&id, &[tag]).await.expect("set");
    let want = json!({"action": "create", "tags": [{"key": "env", "value": "prod"}]});
    assert_eq!(
        last(&cloud),
        ("POST P/vault/v/tags/action".to_owned(), want)
    );
    api.delete_tags(&id, &["env"]).await.expect("gone");
    let want = json!({"action": "delete", "tags": [{"key": "env"}]});
    assert_eq!(
        last(&cloud),
        ("POST P/vault/v/tags/action".to_owned(), want)
    );
    api.delete_tag(&id, "a/b").await.expect("gone");
    assert_eq!(last(&cloud).0, "DELETE P/vault/v/tags/a%2Fb");

    let cloud = answering(200, shape!("documented/tagged_vault")).await;
    let api = cloud.connect().await.cbr();
    let query = TagQuery {
        tags: vec![TagCondition {
            key: "env".to_owned(),
            values: vec!["prod".to_owned()],
        }],
        name_part: Some("disk".to_owned()),
        ..TagQuery::default()
    };
    let found = api.tagged_vaults(&query).await.expect("found");
    assert_eq!(found[0].resource_detail.vault.name, "disks-a");
    let want = json!({"action": "filter", "limit": "1000", "offset": "0",
        "tags": [{"key": "env", "values": ["prod"]}], "matches": [{"key": "resource_name", "value": "disk"}]});
    assert_eq!(
        last(&cloud),
        ("POST P/vault/resource_instances/action".to_owned(), want)
    );
    assert_eq!(api.count_tagged_vaults(&query).await.expect("counted"), 1);

    let cloud = answering(200, shape!("huawei/project_tags")).await;
    let tags = cloud
        .connect()
        .await
        .cbr()
        .project_tags()
        .await
        .expect("tags");
    assert_eq!(tags.len(), 2);
    assert_eq!(last(&cloud).0, "GET P/vault/tags");
}

#[tokio::test]
async fn what_could_be_protected_is_listed() {
    let mut body = shape!("documented/protectable");
    body["instances"] = json!([body["instance"]]);
    let cloud = answering(200, body).await;
    let api = cloud.connect().await.cbr();
    let kind = word::ObjectType::Disk;
    let found = api
        .protectables(&kind, &ProtectableQuery::default())
        .all()
        .await
        .expect("a list");
    let why = found[0].protectable.as_ref().expect("it says");
    assert!(!why.result && why.vault.is_some());
    assert_eq!(
        last(&cloud).0,
        "GET P/protectables/disk/instances?limit=50&offset=0"
    );
    api.protectable(&kind, &"d".into()).await.expect("shown");
    assert_eq!(last(&cloud).0, "GET P/protectables/disk/instances/d");
}

#[tokio::test]
async fn sums_and_abilities_are_asked_for() {
    use emberkeep_sdk::cbr::{Mib, StorageUsageQuery, VaultsChange};

    let cloud = answering(
        200,
        json!({"size": "300", "used_size": 1536, "updated_vaults_id": ["v"],
            "affected_backups_count": 2, "new_expiration_day": "2027-03-01", "operation_log_id": null,
            "resource_count": 1, "storage_usage": [{"resource_id": "d", "resource_name": null,
                "resource_type": "OS::Cinder::Volume", "backup_count": 3, "backup_size": 40}],
            "regions": [{"name": "R", "replication_destinations": ["S"]}],
            "replication.enable": false}),
    )
    .await;
    let api = cloud.connect().await.cbr();
    let summary = api.vaults_summary().await.expect("sums");
    assert_eq!((summary.size, summary.used_size), (Gib(300), Mib(1536)));
    assert_eq!(last(&cloud).0, "GET P/vaults/summary");
    let change = VaultsChange {
        threshold: Some(90),
        ..VaultsChange::default()
    };
    assert_eq!(
        api.update_vaults(&change).await.expect("changed"),
        ["v".into()]
    );
    let want = json!({"vault": {"threshold": 90}});
    assert_eq!(last(&cloud), ("PUT P/vaults/batch-update".to_owned(), want));
    let moved = api
        .move_backup_expiry(&"v".into(), "2027-03-01", "UTC+02:00")
        .await
        .expect("moved");
    assert_eq!(
        (moved.affected_backups_count, moved.operation_log_id),
        (2, None)
    );
    let want = json!({"expect_expiration_date": "2027-03-01", "time_zone": "UTC+02:00"});
    let line = "PUT P/vaults/v/update-backup-expiration-time".to_owned();
    assert_eq!(last(&cloud), (line, want));
    let query = StorageUsageQuery {
        resource_id: Some("d".into()),
        ..StorageUsageQuery::default()
    };
    let usage = api.storage_usage(&query).first().await.expect("a list");
    assert_eq!(usage.expect("one").backup_size, Mib(40));
    assert_eq!(
        last(&cloud).0,
        "GET P/storage_usage?resource_id=d&limit=1000&offset=0"
    );
    let regions = api.replication_capabilities().await.expect("regions");
    assert_eq!(regions[0].replication_destinations, ["S"]);
    assert_eq!(
        api.features().await.expect("all").replication_enable,
        Some(false)
    );
    assert_eq!(api.feature("replication.enable").await.expect("one"), false);
    assert_eq!(last(&cloud).0, "GET P/cbr-features/replication.enable");
}
