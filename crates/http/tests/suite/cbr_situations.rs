//! Each situation has its own code on the wire: those that take some arranging, one after the other.
#![allow(
    missing_docs,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test"
)]

use crate::desk;

use axum::http::Method;
use desk::{Desk, NOBODY, disk, text, vault};
use emberkeep_catalog::{Change, Row};
use emberkeep_model::{
    Backup, BackupId, BackupState, ByteCount, PolicyBinding, ProtectStatus, Role, TaskState,
    VaultStatus, VolumeStatus,
};
use serde_json::{Value, json};

const POST: Method = Method::POST;
const PUT: Method = Method::PUT;
const DELETE: Method = Method::DELETE;

async fn refused(desk: &Desk, method: Method, path: &str, body: Value, code: &str) {
    let answer = desk.call(method, path, body.clone()).await;
    let want = format!("BackupService.{code}");
    let status = if code.starts_with('7') && code.ends_with("00") {
        404
    } else {
        400
    };
    assert_eq!(
        (answer.status.as_u16(), answer.json()["error_code"].as_str()),
        (status, Some(want.as_str())),
        "{path} {body}: {}",
        answer.json()
    );
}

/// A row as it was, to be put back.
macro_rules! arranged {
    ($name:ident, $find:ident, $row:ident, $kind:ty) => {
        /// Changes a row as no request could at once, and returns it as it was.
        async fn $name(desk: &Desk, id: &str, change: impl FnOnce(&mut $kind)) -> $kind {
            let catalog = &desk.house.catalog;
            let found = catalog.$find(id.parse().unwrap()).await.unwrap();
            let before = found.expect("is there");
            let mut row = before.clone();
            change(&mut row);
            let change = Change::Save(Row::$row(row));
            catalog.apply(vec![change]).await.unwrap();
            before
        }
    };
}
arranged!(a_vault, vault, Vault, emberkeep_model::Vault);
arranged!(a_volume, volume, Volume, emberkeep_model::Volume);
arranged!(a_backup, backup, Backup, Backup);
arranged!(a_task, task, Task, emberkeep_model::Task);
arranged!(
    a_resource,
    vault_resource,
    VaultResource,
    emberkeep_model::VaultResource
);

impl Desk {
    async fn run(&self, vault: &str) -> Value {
        let body = json!({"checkpoint": {"vault_id": vault}});
        let run = text(&self.post("/checkpoints", body).await["checkpoint"]["id"]);
        let path = format!("/checkpoints/{run}");
        self.until(&path, |a| a.json()["checkpoint"]["status"] == "available")
            .await;
        let found = self.get(&format!("/backups?checkpoint_id={run}")).await;
        found["backups"][0].clone()
    }

    async fn vault_of(&self, name: &str, kind: &str, protect: &str, resources: Value) -> String {
        let mut body = vault(name, resources);
        body["billing"]["object_type"] = json!(kind);
        body["billing"]["protect_type"] = json!(protect);
        text(&self.post("/vaults", json!({"vault": body})).await["vault"]["id"])
    }

    async fn server(&self, name: &str, volumes: &[&str]) -> String {
        let body = json!({"name": name, "volumes": volumes});
        let made = self.house.post("/api/v1/servers", &self.token, body).await;
        text(&made.json()["id"])
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_against_a_restore() {
    let desk = Desk::new().await;
    let (volume, other) = (desk.volume(&[1; 9000]).await, desk.volume(&[2; 9000]).await);
    let held = text(&desk.vault("held", json!([disk(&volume)])).await["id"]);
    let backup = text(&desk.run(&held).await["id"]);
    let restore = format!("/backups/{backup}/restore");
    let onto = |id: &str| json!({"restore": {"volume_id": id}});
    for (status, code) in [
        (VolumeStatus::BackingUp, "2002"),
        (VolumeStatus::RestoringBackup, "2010"),
        (VolumeStatus::InUse, "2011"),
        (VolumeStatus::Error, "2011"),
    ] {
        let before = a_volume(&desk, &other, |row| row.status = status).await;
        refused(&desk, POST, &restore, onto(&other), code).await;
        a_volume(&desk, &other, |row| row.status = before.status).await;
    }
    let before = a_volume(&desk, &other, |row| row.size.0 = 0).await;
    refused(&desk, POST, &restore, onto(&other), "2001").await;
    a_volume(&desk, &other, |row| row.size = before.size).await;
    refused(&desk, POST, &restore, onto(NOBODY), "7000").await;
    refused(&desk, POST, &restore, json!({"restore": {}}), "9900").await;
    let server = json!({"restore": {"server_id": NOBODY}});
    refused(&desk, POST, &restore, server, "9900").await;

    let failed = BackupState::Failed {
        reason: "of the test".into(),
    };
    let before = a_backup(&desk, &backup, |row| row.state = failed.clone()).await;
    refused(&desk, POST, &restore, onto(&other), "2005").await;
    let members = format!("/backups/{backup}/members");
    let with = |project: &str| json!({"members": [project]});
    refused(&desk, POST, &members, with("nobody"), "6702").await;
    a_backup(&desk, &backup, |row| row.state = before.state.clone()).await;
    for status in [VaultStatus::Frozen, VaultStatus::Error] {
        let before = a_vault(&desk, &held, |row| row.status = status).await;
        refused(&desk, POST, &restore, onto(&other), "6202").await;
        a_vault(&desk, &held, |row| row.status = before.status).await;
    }

    // A server's: the system disk takes no data disk's, and nothing goes to another server's.
    let (root, data) = (desk.volume(&[3; 9000]).await, desk.volume(&[4; 9000]).await);
    a_volume(&desk, &root, |row| row.bootable = true).await;
    let web = desk.server("web", &[&root, &data]).await;
    let bare = desk.server("bare", &[]).await;
    let given = |id: &str| json!({"resources": [{"id": id, "type": "OS::Nova::Server"}]});
    let servers = desk
        .vault_of("servers", "server", "backup", json!([]))
        .await;
    let add = format!("/vaults/{servers}/addresources");
    refused(&desk, POST, &add, given(&bare), "7108").await;
    refused(&desk, POST, &add, given(NOBODY), "7100").await;
    let before = a_volume(&desk, &data, |row| row.status = VolumeStatus::Error).await;
    refused(&desk, POST, &add, given(&web), "7101").await;
    a_volume(&desk, &data, |row| row.status = before.status).await;
    desk.post(&add, given(&web)).await;
    let whole = desk.run(&servers).await;
    let child = |of: &str| {
        let children = whole["children"].as_array().unwrap().iter();
        let mut found = children.filter(|child| child["resource_id"] == of);
        text(&found.next().unwrap()["id"])
    };
    let consistency = json!({"app_consistency": "0", "app_consistency_status": "0",
        "app_consistency_error_code": "0", "app_consistency_error_message": ""});
    assert_eq!(whole["extend_info"]["app_consistency"], consistency);
    let restore = format!("/backups/{}/restore", text(&whole["id"]));
    let mapped = |part: &str, volume: &str| json!({"restore": {"server_id": web, "mappings": [{"backup_id": part, "volume_id": volume}]}});
    refused(&desk, POST, &restore, mapped(&child(&data), &root), "2013").await;
    refused(&desk, POST, &restore, mapped(&child(&data), &other), "2003").await;
    refused(&desk, POST, &restore, onto(&other), "2009").await;
    let part = format!("/backups/{}", child(&data));
    refused(&desk, DELETE, &part, Value::Null, "6201").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_against_a_change_of_a_vault() {
    let desk = Desk::new().await;
    let (volume, other) = (desk.volume(&[1; 9000]).await, desk.volume(&[2; 9000]).await);
    let held = text(&desk.vault("held", json!([disk(&volume)])).await["id"]);
    let second = text(&desk.vault("second", json!([])).await["id"]);
    let backup = text(&desk.run(&held).await["id"]);
    let at = |rest: &str| format!("/vaults/{held}{rest}");
    let given = |ids: &[&str]| {
        let all: Vec<_> = ids.iter().map(|id| disk(id)).collect();
        json!({"resources": all})
    };
    let named = |id: &str| json!({"resource_ids": [id]});
    let size = |size: u32| json!({"vault": {"billing": {"size": size}}});

    // Room.
    let many: Vec<_> = vec![NOBODY; 257];
    refused(&desk, POST, &at("/addresources"), given(&many), "6100").await;
    let twice = given(&[&other, &other]);
    refused(&desk, POST, &at("/addresources"), twice, "6104").await;
    let before = a_volume(&desk, &other, |row| row.status = VolumeStatus::Error).await;
    refused(&desk, POST, &at("/addresources"), given(&[&other]), "7003").await;
    a_volume(&desk, &other, |row| row.status = before.status).await;
    a_vault(&desk, &held, |row| row.size.0 = 1).await;
    refused(&desk, POST, &at("/addresources"), given(&[&other]), "6107").await;
    a_vault(&desk, &held, |row| row.size.0 = 100).await;
    let full = |row: &mut Backup| {
        let BackupState::Available(mut sealed) = row.state.clone() else {
            panic!("{:?}", row.state);
        };
        sealed.stored = ByteCount(101 << 30);
        row.state = BackupState::Available(sealed);
    };
    let before = a_backup(&desk, &backup, full).await;
    let run = json!({"checkpoint": {"vault_id": held}});
    refused(&desk, POST, "/checkpoints", run.clone(), "6114").await;
    refused(&desk, PUT, &at(""), size(90), "6107").await;
    let to = |vault: &str| json!({"destination_vault_id": vault, "resource_ids": [volume]});
    refused(&desk, POST, &at("/migrateresources"), to(&second), "6129").await;
    a_backup(&desk, &backup, |row| row.state = before.state).await;

    // Where a vault stands.
    let before = a_vault(&desk, &held, |row| row.status = VaultStatus::Frozen).await;
    refused(&desk, POST, "/checkpoints", run.clone(), "6113").await;
    refused(&desk, PUT, &at(""), json!({"vault": {"name": "n"}}), "6112").await;
    let tag = json!({"tag": {"key": "a", "value": "b"}});
    refused(&desk, POST, &format!("/vault/{held}/tags"), tag, "6112").await;
    refused(&desk, DELETE, &at(""), Value::Null, "6112").await;
    a_vault(&desk, &held, |row| row.status = before.status).await;
    let copies = desk
        .vault_of("copies", "disk", "replication", json!([]))
        .await;
    let there = format!("/vaults/{copies}/addresources");
    refused(&desk, POST, &there, given(&[&other]), "6108").await;
    let run_there = json!({"checkpoint": {"vault_id": copies}});
    refused(&desk, POST, "/checkpoints", run_there, "6124").await;
    refused(&desk, POST, &at("/migrateresources"), to(&copies), "6102").await;

    // Where its backups and resources stand.
    let before = a_backup(&desk, &backup, |row| row.state = BackupState::Copying).await;
    refused(&desk, DELETE, &at(""), Value::Null, "6125").await;
    refused(&desk, POST, &at("/migrateresources"), to(&second), "6125").await;
    refused(&desk, POST, &at("/removeresources"), named(&volume), "6203").await;
    let gone = format!("/backups/{backup}");
    refused(&desk, DELETE, &gone, Value::Null, "6201").await;
    a_backup(&desk, &backup, |row| row.state = before.state.clone()).await;
    let next = Backup {
        id: BackupId(uuid::Uuid::new_v4()),
        state: BackupState::Copying,
        ..before
    };
    let catalog = &desk.house.catalog;
    let insert = Change::Insert(Row::Backup(next.clone()));
    catalog.apply(vec![insert]).await.unwrap();
    refused(&desk, DELETE, &gone, Value::Null, "6216").await;
    let failed = BackupState::Failed {
        reason: "of the test".into(),
    };
    a_backup(&desk, &next.id.to_string(), |row| row.state = failed).await;
    let removing = |row: &mut emberkeep_model::VaultResource| row.status = ProtectStatus::Removing;
    let before = a_resource(&desk, &volume, removing).await;
    refused(&desk, POST, &at("/removeresources"), named(&volume), "6134").await;
    refused(&desk, POST, &at("/addresources"), given(&[&volume]), "6134").await;
    a_resource(&desk, &volume, |row| row.status = before.status).await;

    // Locked.
    let lock = |yes: bool| json!({"vault": {"locked": yes}});
    let locked = desk.call(PUT, &at(""), lock(true)).await.json();
    assert_eq!(locked["vault"]["locked"], true);
    refused(&desk, PUT, &at(""), lock(false), "6110").await;
    refused(&desk, POST, &at("/removeresources"), named(&volume), "6110").await;
    refused(&desk, POST, &at("/migrateresources"), to(&second), "6110").await;
    a_backup(&desk, &backup, |row| row.automatic = true).await;
    refused(&desk, DELETE, &gone, Value::Null, "6220").await;
    refused(&desk, DELETE, &at(""), Value::Null, "6111").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_against_shares_and_copies() {
    let desk = Desk::new().await;
    let volume = desk.volume(&[1; 9000]).await;
    let held = text(&desk.vault("held", json!([disk(&volume)])).await["id"]);
    let backup = text(&desk.run(&held).await["id"]);
    let members = format!("/backups/{backup}/members");
    let mut projects = Vec::new();
    for n in 0..11 {
        projects.push(desk.house.project(&format!("p{n}")).await);
    }
    let ids: Vec<_> = projects.iter().map(|p| p.id.to_string()).collect();
    desk.post(&members, json!({"members": ids[..10]})).await;
    refused(&desk, POST, &members, json!({"members": ids[10..]}), "6701").await;
    let mut sorted = ids[..10].to_vec();
    sorted.sort();
    let seen = desk
        .get(&format!("{members}?sort=dest_project_id:asc"))
        .await;
    let seen = seen["members"].as_array().unwrap().iter();
    let seen: Vec<_> = seen.map(|m| text(&m["dest_project_id"])).collect();
    assert_eq!(seen, sorted);
    let path = format!("{members}?sort=image_id");
    refused(&desk, Method::GET, &path, Value::Null, "9900").await;

    // The receiver has no vault for disks, then one that is stopped.
    desk.house.user("bob", &projects[0], Role::Member).await;
    let bob = Desk {
        token: desk.house.token("bob").await,
        project: ids[0].clone(),
        house: desk.house,
    };
    let answer = format!("{members}/{}", ids[0]);
    let servers = bob.vault_of("servers", "server", "backup", json!([])).await;
    let into = |vault: &str| json!({"status": "accepted", "vault_id": vault});
    refused(&bob, PUT, &answer, into(&servers), "6713").await;
    let copies = bob
        .vault_of("copies", "disk", "replication", json!([]))
        .await;
    refused(&bob, PUT, &answer, into(&copies), "6713").await;
    let disks = bob.vault_of("disks", "disk", "backup", json!([])).await;
    let before = a_vault(&bob, &disks, |row| row.status = VaultStatus::Deleting).await;
    refused(&bob, PUT, &answer, into(&disks), "6112").await;
    a_vault(&bob, &disks, |row| row.status = before.status).await;
    a_vault(&bob, &disks, |row| row.size.0 = 0).await;
    refused(&bob, PUT, &answer, into(&disks), "6114").await;

    // Copies.
    let own = bob.volume(&[5; 9000]).await;
    let here = bob
        .vault_of("here", "disk", "backup", json!([disk(&own)]))
        .await;
    let own = text(&bob.run(&here).await["id"]);
    let replicate = format!("/backups/{own}/replicate");
    let to = |vault: &str| {
        json!({"replicate": {"destination_project_id": bob.project, "destination_region": "elsewhere",
            "destination_vault_id": vault}})
    };
    refused(&bob, POST, &replicate, to(&here), "6119").await;
    refused(&bob, POST, &replicate, to(NOBODY), "6120").await;
    let others = bob
        .vault_of("others", "server", "replication", json!([]))
        .await;
    refused(&bob, POST, &replicate, to(&others), "6118").await;
    refused(&bob, POST, &replicate, to(&copies), "1005").await;
    let whole = json!({"replicate": {"vault_id": copies, "destination_project_id": bob.project,
        "destination_region": "elsewhere", "destination_vault_id": copies}});
    refused(&bob, POST, "/checkpoints/replicate", whole, "6128").await;

    // A replication policy keeps its destination while it is bound.
    let policy = json!({"policy": {"name": "away", "operation_type": "replication",
        "operation_definition": {"destination_region": "elsewhere", "destination_project_id": bob.project},
        "trigger": {"properties": {"pattern": ["FREQ=DAILY;INTERVAL=1;BYHOUR=1"]}}}});
    let mut home = policy.clone();
    home["policy"]["operation_definition"]["destination_region"] = json!("RegionOne");
    refused(&bob, POST, "/policies", home, "9900").await;
    let id = text(&bob.post("/policies", policy).await["policy"]["id"]);
    let catalog = &bob.house.catalog;
    let bound = PolicyBinding {
        policy_id: id.parse().unwrap(),
        vault_id: here.parse().unwrap(),
        destination_vault_id: Some(copies.parse().unwrap()),
        settled_until: emberkeep_model::Timestamp(i64::MAX / 2),
        revision: 0,
    };
    let insert = Change::Insert(Row::PolicyBinding(bound));
    catalog.apply(vec![insert]).await.unwrap();
    let path = format!("/policies/{id}");
    let moved = json!({"policy": {"operation_definition": {"destination_region": "third",
        "destination_project_id": bob.project}}});
    refused(&bob, PUT, &path, moved, "6003").await;
    let turned = json!({"policy": {"operation_type": "backup"}});
    refused(&bob, PUT, &path, turned, "9900").await;
    let same = json!({"policy": {"operation_type": "replication", "name": "still"}});
    let seen = bob.call(PUT, &path, same).await.json();
    assert_eq!(seen["policy"]["name"], "still");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_tells_what_it_meant_left_out_and_became() {
    let desk = Desk::new().await;
    let (good, bad) = (desk.volume(&[1; 9000]).await, desk.volume(&[2; 9000]).await);
    let both = json!([disk(&good), disk(&bad)]);
    let held = text(&desk.vault("held", both).await["id"]);
    let before = a_volume(&desk, &bad, |row| row.status = VolumeStatus::Error).await;
    // As the Ansible module puts it: one level too high, and one resource without a list.
    let body = json!({"checkpoint": {"vault_id": held, "name": "one", "description": "by hand"}});
    let run = desk.post("/checkpoints", body).await["checkpoint"].clone();
    let skipped = json!([{"id": bad, "type": "OS::Cinder::Volume", "name": "data-1",
        "code": "BackupService.7003", "reason": "The disk is neither available nor in use."}]);
    assert_eq!(run["vault"]["skipped_resources"], skipped);
    assert_eq!(
        run["extra_info"],
        json!({"name": "one", "description": "by hand", "retention_duration": -1})
    );
    let path = format!("/checkpoints/{}", text(&run["id"]));
    let done = desk
        .until(&path, |a| a.json()["checkpoint"]["status"] == "available")
        .await
        .json();
    assert_eq!(done["checkpoint"]["vault"]["skipped_resources"], skipped);
    assert_eq!(done["checkpoint"]["extra_info"], run["extra_info"]);
    let logs = desk.get("/operation-logs?status=skipped").await;
    let log = &logs["operation_logs"][0];
    assert_eq!(
        (&logs["count"], &log["error_info"], &log["operation_type"]),
        (
            &json!(1),
            &json!({"code": "BackupService.7003", "message": "The disk is neither available nor in use."}),
            &json!("backup")
        )
    );
    assert_eq!(log["checkpoint_id"], run["id"]);
    assert_eq!(log["extra_info"]["resource"]["id"], json!(bad));

    // What took longer than it may is told from what failed, and asked for on its own.
    let reason = "it took longer than 2 hours";
    let late = TaskState::TimedOut {
        reason: reason.to_owned(),
    };
    let ended = desk.get("/operation-logs?status=success").await;
    let ended = text(&ended["operation_logs"][0]["id"]);
    let was = a_task(&desk, &ended, |row| row.state = late).await;
    let logs = desk.get("/operation-logs?status=timeout").await;
    let log = &logs["operation_logs"][0];
    assert_eq!((&logs["count"], &log["id"]), (&json!(1), &json!(ended)));
    assert_eq!(
        (&log["status"], &log["error_info"]["message"]),
        (&json!("timeout"), &json!(reason))
    );
    let logs = desk.get("/operation-logs?status=failed").await;
    assert_eq!(logs["count"], json!(0));
    a_task(&desk, &ended, |row| row.state = was.state).await;
    a_volume(&desk, &bad, |row| row.status = before.status).await;

    // Its last backup goes, and it with that.
    let backup = desk.get("/backups").await["backups"][0].clone();
    assert_eq!(backup["name"], "one", "one resource: no number");
    let id = text(&backup["id"]);
    let before = a_backup(&desk, &id, |row| row.state = BackupState::DeleteQueued).await;
    assert_eq!(desk.get(&path).await["checkpoint"]["status"], "deleting");
    a_backup(&desk, &id, |row| row.state = before.state).await;
    desk.call(DELETE, &format!("/backups/{id}"), Value::Null)
        .await;
    desk.until(&path, |a| a.status.as_u16() == 404).await;

    // Some disks of a server, in one run alone.
    let (root, data) = (desk.volume(&[3; 9000]).await, desk.volume(&[4; 9000]).await);
    let web = desk.server("web", &[&root, &data]).await;
    let bound = json!([{"id": web, "type": "OS::Nova::Server"}]);
    let servers = desk.vault_of("servers", "server", "backup", bound).await;
    let details = json!({"id": web, "type": "OS::Nova::Server",
        "extra_info": {"include_volumes": [{"id": data, "os_version": "CentOS"}]}});
    let body =
        json!({"checkpoint": {"vault_id": servers, "parameters": {"resource_details": details}}});
    let run = desk.post("/checkpoints", body).await["checkpoint"].clone();
    let shown = &run["vault"]["resources"][0];
    let choice: Value = serde_json::from_str(&text(&shown["extra_info"])).unwrap();
    assert_eq!(
        choice,
        json!({"include_volumes": [{"id": data, "os_version": "CentOS"}]})
    );
    assert_eq!(
        (&shown["resource_size"], &shown["protect_status"]),
        (&json!("1"), &json!("protecting"))
    );
    let kept = desk.get(&format!("/vaults/{servers}")).await;
    assert_eq!(kept["vault"]["resources"][0]["extra_info"], json!({}));
}
