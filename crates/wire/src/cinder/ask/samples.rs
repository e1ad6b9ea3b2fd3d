//! Bodies of each kind: the least that clients may send, and all that the service knows.

use emberkeep_model::{SnapshotStatus, VolumeStatus, command};

use super::super::{
    Fault, Json, Microversion, Settled, attachment_update, backup_edit, new_attachment, new_backup,
    new_snapshot, new_volume, new_volume_type, restore_to, snapshot_edit, volume_edit,
    volume_type_edit,
};
use super::*;
use crate::request::samples::Sampled;

const ONE: &str = "2f1d7b1e-59a4-4b50-8d7d-9a9d3b1c5e02";
const OTHER: &str = "b0a7c1d2-3e4f-4a5b-8c6d-7e8f9a0b1c2d";
const PROJECT: &str = "5b1e9d0c7a3f4e2d8c6b0a1f2e3d4c5b";
const NEWEST: Microversion = Microversion::v3(71);
/// The newest at which a snapshot may need force.
const BEFORE_66: Microversion = Microversion::v3(65);

/// Reads at the newest microversion, or with a reader that is the same at all of them.
macro_rules! sampled {
    ($($kind:ty $(, $version:expr)? => $samples:expr;)*) => {$(
        impl Sampled for $kind {
            fn samples() -> Vec<Self> {
                $samples
            }

            fn read_back(body: &[u8]) -> Result<Self, String> {
                let body = Json::read(body).map_err(|error| error.to_string())?;
                Self::read(&body $(, $version)?).map_err(|fault| fault.message)
            }
        }
    )*};
}

/// Bodies that are read into commands: reads one and turns it back into what clients send.
macro_rules! commands {
    ($($kind:ident: $read:expr => |$command:ident: $of:ty| { $($field:ident: $value:expr,)* }
        from $samples:expr;)*) => {$(
        impl Sampled for $kind {
            fn samples() -> Vec<Self> {
                $samples
            }

            fn read_back(body: &[u8]) -> Result<Self, String> {
                let body = Json::read(body).map_err(|error| error.to_string())?;
                let read: fn(&Json) -> Result<$of, Fault> = $read;
                let $command = read(&body).map_err(|fault| fault.message)?;
                Ok(Self { $($field: $value,)* })
            }
        }
    )*};
}

fn field(change: Option<Option<String>>) -> Field<String> {
    match change {
        None => Field::Absent,
        Some(None) => Field::Null,
        Some(Some(text)) => Field::Is(text),
    }
}

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn pairs() -> BTreeMap<String, String> {
    BTreeMap::from([("team".to_owned(), "a".to_owned())])
}

fn is(text: &str) -> Field<String> {
    Field::Is(text.to_owned())
}

fn volumes() -> Vec<NewVolume> {
    let least = NewVolume {
        size: Some(Gib(1)),
        ..NewVolume::default()
    };
    let all = NewVolume {
        name: text("data"),
        description: text("of team A"),
        size: Some(Gib(20)),
        volume_type: text("fast"),
        availability_zone: text("nova"),
        metadata: pairs(),
        snapshot_id: Some(ONE.into()),
        ..NewVolume::default()
    };
    let clone = NewVolume {
        source_volume_id: Some(ONE.into()),
        ..NewVolume::default()
    };
    let restored = NewVolume {
        backup_id: Some(ONE.into()),
        ..NewVolume::default()
    };
    vec![least, all, clone, restored]
}

fn snapshots() -> Vec<NewSnapshot> {
    let least = NewSnapshot {
        volume_id: ONE.into(),
        ..NewSnapshot::default()
    };
    let all = NewSnapshot {
        name: text("before"),
        description: text("the upgrade"),
        force: true,
        metadata: pairs(),
        ..least.clone()
    };
    vec![least, all]
}

fn backups() -> Vec<NewBackup> {
    let least = NewBackup {
        volume_id: ONE.into(),
        ..NewBackup::default()
    };
    let all = NewBackup {
        snapshot_id: Some(OTHER.into()),
        name: text("nightly"),
        description: text("of team A"),
        container: text("vault"),
        availability_zone: text("nova"),
        incremental: true,
        force: true,
        metadata: pairs(),
        ..least.clone()
    };
    vec![least, all]
}

fn attachments() -> Vec<NewAttachment> {
    let least = NewAttachment {
        volume_id: ONE.into(),
        ..NewAttachment::default()
    };
    let all = NewAttachment {
        instance_id: text(OTHER),
        connector: Some(pairs()),
        mode: text("ro"),
        ..least.clone()
    };
    vec![least, all]
}

fn volume_actions() -> Vec<VolumeAction> {
    use VolumeAction as A;
    let all = vec![
        A::Extend(Gib(3)),
        A::SetBootable(true),
        A::SetReadonly(false),
        A::Retype("fast".to_owned()),
        A::Attach {
            instance_id: text(ONE),
            host: text("h"),
            mountpoint: text("/dev/vdb"),
            mode: text("rw"),
        },
        A::Detach {
            attachment_id: None,
        },
        A::Detach {
            attachment_id: text(ONE),
        },
        A::ForceDetach,
        A::Reserve,
        A::Unreserve,
        A::BeginDetaching,
        A::RollDetaching,
        A::InitializeConnection(pairs()),
        A::TerminateConnection(pairs()),
        A::SetImageMetadata(pairs()),
        A::UnsetImageMetadata("team".to_owned()),
        A::ShowImageMetadata,
        A::ForceDelete,
    ];
    let resets = VolumeStatus::ALL.iter().map(|status| A::ResetStatus {
        status: Some(*status),
        detached: true,
    });
    all.into_iter().chain(resets).collect()
}

fn snapshot_actions() -> Vec<SnapshotAction> {
    use SnapshotAction as A;
    let status = SnapshotStatus::Error;
    vec![
        A::ResetStatus(SnapshotStatus::Available),
        A::UpdateStatus {
            status,
            progress: None,
        },
        A::UpdateStatus {
            status,
            progress: Some(80),
        },
        A::ForceDelete,
    ]
}

commands! {
    NewVolume: |body| new_volume(body, NEWEST) => |read: command::NewVolume| {
        name: read.name,
        description: read.description,
        size: read.size,
        volume_type: read.volume_type,
        availability_zone: read.availability_zone,
        metadata: read.metadata,
        snapshot_id: read.snapshot_id.map(Into::into),
        source_volume_id: read.source_volume_id.map(Into::into),
        backup_id: read.backup_id.map(Into::into),
        image_id: None,
    } from volumes();
    VolumeChange: |body| volume_edit(body, NEWEST) => |read: command::Edit| {
        name: field(read.name),
        description: field(read.description),
        metadata: read.metadata,
    } from vec![
        VolumeChange { name: is("new"), ..VolumeChange::default() },
        VolumeChange { name: Field::Null, description: Field::Null, metadata: Some(pairs()) },
    ];
    NewSnapshot: |body| new_snapshot(body, BEFORE_66) => |read: command::NewSnapshot| {
        volume_id: read.volume_id.into(),
        name: read.name,
        description: read.description,
        force: read.force,
        metadata: read.metadata,
    } from snapshots();
    SnapshotChange: |body| snapshot_edit(body, NEWEST) => |read: command::Edit| {
        name: field(read.name),
        description: field(read.description),
    } from vec![
        SnapshotChange { name: is("new"), description: Field::Absent },
        SnapshotChange { name: Field::Null, description: is("text") },
    ];
    NewBackup: |body| new_backup(body, NEWEST) => |read: command::NewBackup| {
        volume_id: read.volume_id.into(),
        snapshot_id: read.snapshot_id.map(Into::into),
        name: read.name,
        description: read.description,
        container: read.container,
        availability_zone: read.availability_zone,
        incremental: read.incremental,
        force: read.force,
        metadata: read.metadata,
    } from backups();
    BackupChange: |body| backup_edit(body, NEWEST) => |read: command::Edit| {
        name: field(read.name),
        description: field(read.description),
        metadata: read.metadata,
    } from vec![
        BackupChange::default(),
        BackupChange { name: Field::Null, description: is("text"), metadata: Some(pairs()) },
    ];
    NewAttachment: |body| new_attachment(body, NEWEST) => |read: (emberkeep_model::VolumeId, command::NewAttachment)| {
        volume_id: read.0.into(),
        instance_id: read.1.instance_id,
        connector: read.1.connector,
        mode: read.1.mode,
    } from attachments();
    AttachmentChange: attachment_update => |read: command::AttachmentUpdate| {
        connector: read.connector,
    } from vec![AttachmentChange { connector: pairs() }];
    NewVolumeType: new_volume_type => |read: command::NewType| {
        name: read.name,
        description: read.description,
        is_public: (!read.is_public).then_some(false),
        extra_specs: read.extra_specs,
    } from vec![
        NewVolumeType { name: "fast".to_owned(), ..NewVolumeType::default() },
        NewVolumeType {
            name: "fast".to_owned(),
            description: text("and dear"),
            is_public: Some(false),
            extra_specs: pairs(),
        },
    ];
    VolumeTypeChange: volume_type_edit => |read: command::TypeEdit| {
        name: read.name,
        description: field(read.description),
        is_public: read.is_public,
    } from vec![
        VolumeTypeChange { name: text("slow"), ..VolumeTypeChange::default() },
        VolumeTypeChange { name: None, description: Field::Null, is_public: Some(true) },
    ];
    BackupRestore: |body| restore_to(body, NEWEST) => |read: command::RestoreTo| {
        volume_id: match &read {
            command::RestoreTo::Existing(id) => Some((*id).into()),
            command::RestoreTo::New { .. } => None,
        },
        name: match read {
            command::RestoreTo::Existing(_) => None,
            command::RestoreTo::New { name } => name,
        },
    } from vec![
        BackupRestore::default(),
        BackupRestore { volume_id: Some(ONE.into()), name: None },
        BackupRestore { volume_id: None, name: text("again") },
    ];
}

sampled! {
    AttachmentAction => vec![AttachmentAction::Complete(())];
    NewQuotas => vec![NewQuotas(BTreeMap::from([("backups".to_owned(), -1)]))];
    NewClassQuotas => vec![NewClassQuotas(BTreeMap::from([("volumes".to_owned(), 10)]))];
    BackupAction, NEWEST => vec![
        BackupAction::ResetStatus(Settled::Available),
        BackupAction::ResetStatus(Settled::Error),
        BackupAction::ForceDelete,
    ];
    SnapshotAction => snapshot_actions();
    VolumeAction, NEWEST => volume_actions();
    ServiceSwitch => [None, text("broken")]
        .into_iter()
        .map(|disabled_reason| ServiceSwitch {
            binary: "cinder-backup".to_owned(),
            host: "h".to_owned(),
            disabled_reason,
        })
        .collect();
    TypeAccessChange => vec![
        TypeAccessChange::Add { project: PROJECT.into() },
        TypeAccessChange::Remove { project: PROJECT.into() },
    ];
    ExtraSpecsBody => vec![ExtraSpecsBody { extra_specs: pairs() }];
    MetadataBody => vec![MetadataBody { metadata: pairs() }];
    RecordView, NEWEST => vec![RecordView {
        backup_service: "cinder.backup.drivers.x".to_owned(),
        backup_url: "eyJpZCI6ICIxIn0=".to_owned(),
    }];
}

#[test]
fn snapshots_say_no_force_that_later_versions_refuse() {
    for new in snapshots() {
        let body = crate::request::Request::body(&new).to_string();
        let body = Json::read(body.as_bytes()).expect("is JSON");
        let read = new_snapshot(&body, NEWEST).expect("is taken");
        assert!(read.force, "{new:?}");
    }
}
