//! Every state of a backup, a volume and a snapshot, and what becomes of everything that can be asked of it
//! (`cinder-backup.md §3.1`). Rows are put into their state, no worker runs: what is shown is what the
//! request itself decides.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use emberkeep_catalog::{Change, Row};
use emberkeep_model::{
    Attachment, AttachmentId, AttachmentStatus, Backup, BackupId, BackupState, ByteCount,
    CinderFacts, Gib, Role, Sealed, Snapshot, SnapshotId, SnapshotStatus, Timestamp, Volume,
    VolumeId, VolumeStatus,
};
use emberkeep_service::{DefaultQuotas, Settings};
use insta::assert_snapshot;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::cinder::tenant::{Tenant, text};
use crate::cinder::told::{Table, without_ids};
use crate::house::House;

const SERVER: &str = "6f1c1f0c-0000-4000-8000-00000000000a";

/// Something that is asked: its name, the method, the path behind the thing's own, the microversion, the body.
type Event = (&'static str, &'static str, &'static str, u16, Value);

/// A project with an administrator in it, and rows as nothing but a crash or an operator would leave them.
struct Grid {
    tenant: Tenant,
    admin: String,
    /// What the rows are copied from.
    volume: Volume,
}

impl Grid {
    async fn new() -> Self {
        let unlimited = DefaultQuotas {
            volumes: -1,
            snapshots: -1,
            gigabytes: -1,
            backups: -1,
            backup_gigabytes: -1,
            per_volume_gigabytes: -1,
        };
        let settings = Settings {
            quotas: unlimited,
            ..Settings::default()
        };
        let tenant = Tenant::in_house(House::idle(settings).await).await;
        tenant
            .house
            .user("root", &tenant.project, Role::Admin)
            .await;
        let admin = tenant.house.token("root").await;
        let body = json!({"volume": {"size": 1, "name": "v"}});
        let made = tenant.ask("POST", "volumes", 0, body).await;
        let id = text(&made.json()["volume"]["id"]);
        let id: VolumeId = id.parse().expect("is an id");
        let volume = tenant.house.catalog.volume(id).await.expect("reads");
        let types = json!({"volume_type": {"name": "other"}});
        let made = tenant.ask_as(&admin, "POST", "types", 0, types).await;
        assert_eq!(made.status, StatusCode::OK);
        Self {
            admin,
            volume: volume.expect("is there"),
            tenant,
        }
    }

    async fn put(&self, rows: Vec<Row>) {
        let changes = rows.into_iter().map(Change::Insert).collect();
        let catalog = &self.tenant.house.catalog;
        catalog.apply(changes).await.expect("is put");
    }

    async fn volume(&self, status: VolumeStatus) -> VolumeId {
        let volume = Volume {
            id: VolumeId(Uuid::new_v4()),
            status,
            previous_status: None,
            ..self.volume.clone()
        };
        let id = volume.id;
        let mut rows = vec![Row::Volume(volume)];
        let attached = match status {
            VolumeStatus::InUse | VolumeStatus::Detaching => Some(AttachmentStatus::Attached),
            VolumeStatus::Reserved => Some(AttachmentStatus::Reserved),
            _ => None,
        };
        rows.extend(attached.map(|status| {
            Row::Attachment(Attachment {
                id: AttachmentId(Uuid::new_v4()),
                volume_id: id,
                project_id: self.volume.project_id.clone(),
                user_id: self.volume.user_id.clone(),
                instance_id: Some(SERVER.to_owned()),
                host: None,
                mountpoint: Some("/dev/vdb".to_owned()),
                mode: "rw".to_owned(),
                status,
                connector: BTreeMap::new(),
                attached_at: Some(self.volume.created_at),
                created_at: self.volume.created_at,
                revision: 0,
            })
        }));
        self.put(rows).await;
        id
    }

    async fn snapshot(&self, status: SnapshotStatus) -> Snapshot {
        let snapshot = Snapshot {
            id: SnapshotId(Uuid::new_v4()),
            volume_id: self.volume(VolumeStatus::Available).await,
            project_id: self.volume.project_id.clone(),
            user_id: self.volume.user_id.clone(),
            name: None,
            description: None,
            size: Gib(1),
            status,
            progress: 100,
            metadata: BTreeMap::new(),
            created_at: self.volume.created_at,
            updated_at: None,
            revision: 0,
        };
        self.put(vec![Row::Snapshot(snapshot.clone())]).await;
        snapshot
    }

    async fn backup(&self, state: BackupState) -> BackupId {
        let deleted_at = (state == BackupState::Deleted).then_some(self.volume.created_at);
        let backup = Backup {
            id: BackupId(Uuid::new_v4()),
            project_id: self.volume.project_id.clone(),
            user_id: self.volume.user_id.clone(),
            volume_id: self.volume(VolumeStatus::Available).await,
            volume_name: None,
            snapshot_id: None,
            vault_id: None,
            checkpoint_id: None,
            parent_id: None,
            name: None,
            description: None,
            container: None,
            availability_zone: None,
            metadata: BTreeMap::new(),
            size: Gib(1),
            automatic: false,
            state,
            fail_reason: None,
            restore_volume_id: None,
            data_timestamp: self.volume.created_at,
            created_at: self.volume.created_at,
            updated_at: None,
            deleted_at,
            damage: None,
            content: None,
            cinder: CinderFacts::default(),
            cbr: emberkeep_model::CbrFacts::default(),
            revision: 0,
        };
        let id = backup.id;
        self.put(vec![Row::Backup(backup)]).await;
        id
    }

    /// Asks, and tells the answer and what the thing shows afterwards; ids are taken out.
    async fn ask(&self, method: &str, path: &str, minor: u16, body: Value, thing: &str) -> String {
        let answer = self
            .tenant
            .ask_as(&self.admin, method, path, minor, body)
            .await;
        let code = answer.status.as_u16();
        if !answer.status.is_success() {
            let said = answer.json();
            let fault = said.as_object().and_then(|body| body.iter().next());
            let (key, fault) = fault.expect("is a fault");
            return format!("{code} {key}: {}", without_ids(&text(&fault["message"])));
        }
        let (collection, id) = thing.split_once('/').expect("is one of many");
        let path = format!("{collection}/{id}");
        let shown = self
            .tenant
            .ask_as(&self.admin, "GET", &path, 71, Value::Null)
            .await;
        let shown = match shown.status {
            StatusCode::NOT_FOUND => "gone".to_owned(),
            _ => text(&shown.json()[collection.trim_end_matches('s')]["status"]),
        };
        format!("{code}, now {shown}")
    }
}

#[tokio::test]
async fn every_state_of_a_backup_takes_every_request() {
    let grid = Grid::new().await;
    let sealed = Sealed {
        at: Timestamp(grid.volume.created_at.0),
        read: ByteCount(0),
        data: ByteCount(0),
        new: ByteCount(0),
        stored: ByteCount(0),
    };
    let target = grid.volume.id;
    let states = [
        BackupState::Queued,
        BackupState::Copying,
        BackupState::Available(sealed),
        BackupState::RestoreQueued { sealed, target },
        BackupState::Restoring { sealed, target },
        BackupState::DeleteQueued,
        BackupState::Deleting,
        BackupState::Failed { reason: "r".into() },
        BackupState::Deleted,
    ];
    let events: Vec<Event> = vec![
        ("show", "GET", "", 0, Value::Null),
        ("update", "PUT", "", 9, json!({"backup": {"name": "n"}})),
        ("delete", "DELETE", "", 0, Value::Null),
        ("restore", "POST", "/restore", 0, json!({"restore": {}})),
        ("export", "GET", "/export_record", 0, Value::Null),
        (
            "reset to available",
            "POST",
            "/action",
            0,
            json!({"os-reset_status": {"status": "available"}}),
        ),
        (
            "reset to error",
            "POST",
            "/action",
            0,
            json!({"os-reset_status": {"status": "error"}}),
        ),
        (
            "force delete",
            "POST",
            "/action",
            0,
            json!({"os-force_delete": {}}),
        ),
    ];
    let mut table = Table::default();
    for (name, method, rest, minor, body) in events {
        for state in &states {
            let word = state.word();
            let id = grid.backup(state.clone()).await;
            let thing = format!("backups/{id}");
            let path = format!("{thing}{rest}");
            let end = grid.ask(method, &path, minor, body.clone(), &thing).await;
            table.note(name, word, end);
        }
    }
    for state in &states {
        let id = grid.backup(state.clone()).await;
        let body = json!({"volume": {"size": 1, "backup_id": id.to_string()}});
        let thing = format!("backups/{id}");
        let end = grid.ask("POST", "volumes", 47, body, &thing).await;
        table.note("make a volume of it", state.word(), end);
    }
    for state in &states {
        let id = grid.backup(state.clone()).await;
        let parent = grid.tenant.house.catalog.backup(id).await.expect("reads");
        let volume = parent.expect("is there").volume_id;
        let body = json!({"backup": {"volume_id": volume.to_string(), "incremental": true}});
        let thing = format!("volumes/{volume}");
        let end = grid.ask("POST", "backups", 0, body, &thing).await;
        table.note("build on it (what the volume shows)", state.word(), end);
    }
    assert_snapshot!("states_of_a_backup", table.told());
}

#[tokio::test]
async fn every_status_of_a_volume_takes_every_request() {
    let grid = Grid::new().await;
    let connector = json!({"connector": {"host": "h"}});
    let act = "/action";
    let events: Vec<Event> = vec![
        ("update", "PUT", "", 0, json!({"volume": {"name": "n"}})),
        (
            "set metadata",
            "POST",
            "/metadata",
            0,
            json!({"metadata": {"k": "v"}}),
        ),
        ("delete", "DELETE", "", 0, Value::Null),
        ("delete by force", "DELETE", "?force=True", 23, Value::Null),
        (
            "os-force_delete",
            "POST",
            act,
            0,
            json!({"os-force_delete": {}}),
        ),
        (
            "os-extend",
            "POST",
            act,
            0,
            json!({"os-extend": {"new_size": 2}}),
        ),
        (
            "os-extend at 3.42",
            "POST",
            act,
            42,
            json!({"os-extend": {"new_size": 2}}),
        ),
        (
            "os-extend to its own size",
            "POST",
            act,
            0,
            json!({"os-extend": {"new_size": 1}}),
        ),
        (
            "os-set_bootable",
            "POST",
            act,
            0,
            json!({"os-set_bootable": {"bootable": true}}),
        ),
        (
            "os-update_readonly_flag",
            "POST",
            act,
            0,
            json!({"os-update_readonly_flag": {"readonly": true}}),
        ),
        (
            "os-retype",
            "POST",
            act,
            0,
            json!({"os-retype": {"new_type": "other"}}),
        ),
        (
            "os-retype to its own type",
            "POST",
            act,
            0,
            json!({"os-retype": {"new_type": "standard"}}),
        ),
        ("os-reserve", "POST", act, 0, json!({"os-reserve": null})),
        (
            "os-unreserve",
            "POST",
            act,
            0,
            json!({"os-unreserve": null}),
        ),
        (
            "os-attach",
            "POST",
            act,
            0,
            json!({"os-attach": {"instance_uuid": SERVER, "mountpoint": "/dev/vdb"}}),
        ),
        (
            "os-begin_detaching",
            "POST",
            act,
            0,
            json!({"os-begin_detaching": null}),
        ),
        (
            "os-roll_detaching",
            "POST",
            act,
            0,
            json!({"os-roll_detaching": null}),
        ),
        ("os-detach", "POST", act, 0, json!({"os-detach": {}})),
        (
            "os-force_detach",
            "POST",
            act,
            0,
            json!({"os-force_detach": {}}),
        ),
        (
            "os-initialize_connection",
            "POST",
            act,
            0,
            json!({"os-initialize_connection": connector}),
        ),
        (
            "os-terminate_connection",
            "POST",
            act,
            0,
            json!({"os-terminate_connection": connector}),
        ),
        (
            "os-set_image_metadata",
            "POST",
            act,
            0,
            json!({"os-set_image_metadata": {"metadata": {"os": "x"}}}),
        ),
        (
            "os-reset_status to error",
            "POST",
            act,
            0,
            json!({"os-reset_status": {"status": "error"}}),
        ),
        (
            "os-reset_status to in-use",
            "POST",
            act,
            0,
            json!({"os-reset_status": {"status": "in-use"}}),
        ),
        (
            "os-reset_status to deleting",
            "POST",
            act,
            0,
            json!({"os-reset_status": {"status": "deleting"}}),
        ),
        (
            "os-reset_status to detached",
            "POST",
            act,
            0,
            json!({"os-reset_status": {"status": "available", "attach_status": "detached"}}),
        ),
    ];
    let mut table = Table::default();
    for (name, method, rest, minor, body) in events {
        for status in VolumeStatus::ALL {
            let id = grid.volume(*status).await;
            let thing = format!("volumes/{id}");
            let path = format!("{thing}{rest}");
            let end = grid.ask(method, &path, minor, body.clone(), &thing).await;
            table.note(name, status.as_str(), end);
        }
    }
    type Body = fn(&str) -> Value;
    let others: [(&str, &str, u16, Body); 8] = [
        (
            "take a snapshot",
            "snapshots",
            0,
            |v| json!({"snapshot": {"volume_id": v}}),
        ),
        (
            "take a snapshot by force",
            "snapshots",
            0,
            |v| json!({"snapshot": {"volume_id": v, "force": true}}),
        ),
        (
            "take a snapshot at 3.66",
            "snapshots",
            66,
            |v| json!({"snapshot": {"volume_id": v}}),
        ),
        (
            "take a snapshot without force at 3.66",
            "snapshots",
            66,
            |v| json!({"snapshot": {"volume_id": v, "force": false}}),
        ),
        (
            "back it up",
            "backups",
            0,
            |v| json!({"backup": {"volume_id": v}}),
        ),
        (
            "back it up by force",
            "backups",
            0,
            |v| json!({"backup": {"volume_id": v, "force": true}}),
        ),
        (
            "copy it",
            "volumes",
            0,
            |v| json!({"volume": {"source_volid": v}}),
        ),
        (
            "make an attachment",
            "attachments",
            27,
            |v| json!({"attachment": {"volume_uuid": v, "instance_uuid": SERVER}}),
        ),
    ];
    for (name, path, minor, body) in others {
        for status in VolumeStatus::ALL {
            let id = grid.volume(*status).await.to_string();
            let thing = format!("volumes/{id}");
            let end = grid.ask("POST", path, minor, body(&id), &thing).await;
            table.note(name, status.as_str(), end);
        }
    }
    let sealed = Sealed::unread(grid.volume.created_at);
    for status in VolumeStatus::ALL {
        let id = grid.volume(*status).await;
        let backup = grid.backup(BackupState::Available(sealed)).await;
        let body = json!({"restore": {"volume_id": id.to_string()}});
        let path = format!("backups/{backup}/restore");
        let thing = format!("volumes/{id}");
        let end = grid.ask("POST", &path, 0, body, &thing).await;
        table.note("restore to it", status.as_str(), end);
    }
    for (name, path) in [
        ("delete with its snapshot", ""),
        ("delete with its snapshot, cascade", "?cascade=True"),
    ] {
        for status in SnapshotStatus::ALL {
            let snapshot = grid.snapshot(*status).await;
            let thing = format!("volumes/{}", snapshot.volume_id);
            let path = format!("{thing}{path}");
            let end = grid.ask("DELETE", &path, 0, Value::Null, &thing).await;
            table.note(name, status.as_str(), end);
        }
    }
    assert_snapshot!("statuses_of_a_volume", table.told());
}

#[tokio::test]
async fn every_status_of_a_snapshot_takes_every_request() {
    let grid = Grid::new().await;
    let act = "/action";
    let update = |status: &str, progress: &str| json!({"os-update_snapshot_status": {"status": status, "progress": progress}});
    let events: Vec<Event> = vec![
        ("update", "PUT", "", 0, json!({"snapshot": {"name": "n"}})),
        (
            "set metadata",
            "POST",
            "/metadata",
            0,
            json!({"metadata": {"k": "v"}}),
        ),
        ("delete", "DELETE", "", 0, Value::Null),
        (
            "os-force_delete",
            "POST",
            act,
            0,
            json!({"os-force_delete": {}}),
        ),
        (
            "os-reset_status to error",
            "POST",
            act,
            0,
            json!({"os-reset_status": {"status": "error"}}),
        ),
        (
            "os-update_snapshot_status to available",
            "POST",
            act,
            0,
            update("available", "80%"),
        ),
        (
            "os-update_snapshot_status to error_deleting",
            "POST",
            act,
            0,
            update("error_deleting", "80%"),
        ),
        (
            "os-update_snapshot_status beyond all",
            "POST",
            act,
            0,
            update("available", "180%"),
        ),
        (
            "os-update_snapshot_status to no number",
            "POST",
            act,
            0,
            update("available", "most"),
        ),
    ];
    let mut table = Table::default();
    for (name, method, rest, minor, body) in events {
        for status in SnapshotStatus::ALL {
            let id = grid.snapshot(*status).await.id;
            let thing = format!("snapshots/{id}");
            let path = format!("{thing}{rest}");
            let end = grid.ask(method, &path, minor, body.clone(), &thing).await;
            table.note(name, status.as_str(), end);
        }
    }
    for status in SnapshotStatus::ALL {
        let snapshot = grid.snapshot(*status).await;
        let body = json!({"backup": {
            "volume_id": snapshot.volume_id.to_string(), "snapshot_id": snapshot.id.to_string(),
        }});
        let thing = format!("snapshots/{}", snapshot.id);
        let end = grid.ask("POST", "backups", 0, body, &thing).await;
        table.note("back it up", status.as_str(), end);
    }
    for (name, size) in [("make a volume of it", 1), ("make a volume of its size", 0)] {
        for status in SnapshotStatus::ALL {
            let snapshot = grid.snapshot(*status).await;
            let size = if size == 0 { Value::Null } else { json!(size) };
            let body = json!({"volume": {"size": size, "snapshot_id": snapshot.id.to_string()}});
            let thing = format!("snapshots/{}", snapshot.id);
            let end = grid.ask("POST", "volumes", 0, body, &thing).await;
            table.note(name, status.as_str(), end);
        }
    }
    assert_snapshot!("statuses_of_a_snapshot", table.told());
}
