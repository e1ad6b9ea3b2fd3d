//! What is done with backups, volumes and snapshots besides: `POST …/action`, one key that names it.

use std::collections::BTreeMap;

use emberkeep_model::{Gib, SnapshotStatus, VolumeStatus};

use super::schema::{Kind, Shape, missing, pairs, refuse, rule, unexpected, wrong_type};
use super::{Fault, Json, Microversion};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

/// Something to be done with a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackupAction {
    /// Say how it stands.
    ResetStatus(Settled),
    /// Delete it whatever goes on with it.
    ForceDelete,
}

/// How a backup may be said to stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// It is good.
    Available,
    /// It is not.
    Error,
}

pub(super) static RESET_BACKUP: Shape = Shape {
    required: &["status"],
    ..Shape::new("os-reset_status", &[rule("status", Kind::LongText)])
};

impl Serialize for BackupAction {
    fn serialize<S: Serializer>(&self, sink: S) -> Result<S::Ok, S::Error> {
        let (name, how) = match self {
            Self::ResetStatus(settled) => {
                let status = match settled {
                    Settled::Available => "available",
                    Settled::Error => "error",
                };
                ("os-reset_status", json!({"status": status}))
            }
            Self::ForceDelete => ("os-force_delete", json!({})),
        };
        sink.collect_map([(name, how)])
    }
}

impl BackupAction {
    /// Reads the body of a request.
    pub fn read(body: &Json, version: Microversion) -> Result<Self, Fault> {
        match named(body)? {
            ("os-reset_status", _) => {
                let word = RESET_BACKUP.check(body, version)?.text("status");
                let word = word.unwrap_or_default();
                match word.to_ascii_lowercase().as_str() {
                    "available" => Ok(Self::ResetStatus(Settled::Available)),
                    "error" => Ok(Self::ResetStatus(Settled::Error)),
                    _ => Err(Fault::bad_request(format!(
                        "Backup status: {word} is invalid, valid statuses are: ['available', 'error']."
                    ))),
                }
            }
            ("os-force_delete", _) => Ok(Self::ForceDelete),
            (other, _) => Err(unknown(other)),
        }
    }
}

/// Something to be done with a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotAction {
    /// Say how it stands.
    ResetStatus(SnapshotStatus),
    /// Say how it stands, as what keeps it sees it.
    UpdateStatus {
        /// Its status.
        status: SnapshotStatus,
        /// How far it has come, in per cent.
        progress: Option<u32>,
    },
    /// Delete it whatever goes on with it.
    ForceDelete,
}

impl Serialize for SnapshotAction {
    fn serialize<S: Serializer>(&self, sink: S) -> Result<S::Ok, S::Error> {
        let (name, how) = match self {
            Self::ResetStatus(status) => ("os-reset_status", json!({"status": status.to_string()})),
            Self::UpdateStatus { status, progress } => {
                let mut how = json!({"status": status.to_string()});
                if let Some(progress) = progress {
                    how["progress"] = json!(format!("{progress}%"));
                }
                ("os-update_snapshot_status", how)
            }
            Self::ForceDelete => ("os-force_delete", json!({})),
        };
        sink.collect_map([(name, how)])
    }
}

impl SnapshotAction {
    /// Reads the body of a request.
    pub fn read(body: &Json) -> Result<Self, Fault> {
        match named(body)? {
            ("os-reset_status", inner) => Ok(Self::ResetStatus(status("os-reset_status", inner)?)),
            ("os-update_snapshot_status", inner) => Ok(Self::UpdateStatus {
                status: status("os-update_snapshot_status", inner)?,
                progress: progress(inner)?,
            }),
            ("os-force_delete", _) => Ok(Self::ForceDelete),
            (other, _) => Err(unknown(other)),
        }
    }
}

/// Reads `80%`.
fn progress(inner: &Json) -> Result<Option<u32>, Fault> {
    let given = match inner.get("progress") {
        None | Some(Json::Null) => return Ok(None),
        Some(value) => value.text().unwrap_or_default(),
    };
    if given.is_empty() {
        return Ok(None);
    }
    let digits = given.strip_suffix('%').unwrap_or(given);
    let number = digits
        .parse::<u32>()
        .map_err(|_| Fault::invalid_input("progress must be an integer percentage"))?;
    if number > 100 || !given.ends_with('%') {
        return Err(Fault::invalid_input(
            "progress must be an integer percentage between 0 and 100",
        ));
    }
    Ok(Some(number))
}

/// Cinder's statuses of snapshots, in its order; some of them none of ours ever has.
const SNAPSHOT_STATUSES: [&str; 10] = [
    "error",
    "available",
    "creating",
    "deleting",
    "deleted",
    "updating",
    "error_deleting",
    "unmanaging",
    "backing-up",
    "restoring",
];

/// Cinder's statuses of volumes, in its order.
const VOLUME_STATUSES: [&str; 22] = [
    "creating",
    "available",
    "deleting",
    "error",
    "error_deleting",
    "error_managing",
    "managing",
    "attaching",
    "in-use",
    "detaching",
    "maintenance",
    "restoring-backup",
    "error_restoring",
    "reserved",
    "awaiting-transfer",
    "backing-up",
    "error_backing-up",
    "error_extending",
    "downloading",
    "uploading",
    "retyping",
    "extending",
];

fn status<T: std::str::FromStr>(key: &str, inner: &Json) -> Result<T, Fault> {
    let Some(value) = object(key, inner)?.get("status") else {
        return Err(refuse(key, inner, &missing("status")));
    };
    let word = value.text().map(str::to_ascii_lowercase);
    word.and_then(|word| word.parse().ok()).ok_or_else(|| {
        let statuses = SNAPSHOT_STATUSES.map(|status| format!("'{status}'"));
        Fault::bad_request(format!(
            "Snapshot status: {} is invalid, valid statuses are: ({}).",
            value.shown(),
            statuses.join(", ")
        ))
    })
}

/// Something to be done with a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VolumeAction {
    /// Make it larger.
    Extend(Gib),
    /// Say whether a system can start from it.
    SetBootable(bool),
    /// Say whether it may be written.
    SetReadonly(bool),
    /// Give it another type.
    Retype(String),
    /// Give it into somebody's hands.
    Attach {
        /// A server.
        instance_id: Option<String>,
        /// Or a host.
        host: Option<String>,
        /// Where it is found there.
        mountpoint: Option<String>,
        /// `rw` or `ro`.
        mode: Option<String>,
    },
    /// Take it out of their hands.
    Detach {
        /// Out of these; it is in one pair of hands only, unless it is shared.
        attachment_id: Option<String>,
    },
    /// The same, whatever its status.
    ForceDetach,
    /// Somebody is about to attach it.
    Reserve,
    /// They are not, after all.
    Unreserve,
    /// Somebody is about to detach it.
    BeginDetaching,
    /// They are not, after all.
    RollDetaching,
    /// Tell how to reach it; with what the other side says of itself.
    InitializeConnection(BTreeMap<String, String>),
    /// No longer to be reached; with the same.
    TerminateConnection(BTreeMap<String, String>),
    /// Add to the pairs of the image it came from.
    SetImageMetadata(BTreeMap<String, String>),
    /// Take one of them away.
    UnsetImageMetadata(String),
    /// Show them.
    ShowImageMetadata,
    /// Say how it stands.
    ResetStatus {
        /// Its status; as before if none.
        status: Option<VolumeStatus>,
        /// It is in nobody's hands any more.
        detached: bool,
    },
    /// Delete it whatever its status.
    ForceDelete,
}

pub(super) static EXTEND: Shape = Shape {
    required: &["new_size"],
    ..Shape::new("os-extend", &[rule("new_size", Kind::Size)])
};
pub(super) static SET_BOOTABLE: Shape = Shape {
    required: &["bootable"],
    ..Shape::new("os-set_bootable", &[rule("bootable", Kind::Flag)])
};
pub(super) static SET_READONLY: Shape = Shape {
    required: &["readonly"],
    ..Shape::new("os-update_readonly_flag", &[rule("readonly", Kind::Flag)])
};
pub(super) static RETYPE: Shape = Shape {
    required: &["new_type"],
    ..Shape::new(
        "os-retype",
        &[
            rule("new_type", Kind::Text),
            rule("migration_policy", Kind::Text),
        ],
    )
};
pub(super) static SET_IMAGE: Shape = Shape {
    required: &["metadata"],
    ..Shape::new("os-set_image_metadata", &[rule("metadata", Kind::Metadata)])
};
pub(super) static UNSET_IMAGE: Shape = Shape {
    required: &["key"],
    ..Shape::new("os-unset_image_metadata", &[rule("key", Kind::Text)])
};

impl Serialize for VolumeAction {
    fn serialize<S: Serializer>(&self, sink: S) -> Result<S::Ok, S::Error> {
        let (name, how) = match self {
            Self::Extend(size) => ("os-extend", json!({"new_size": size})),
            Self::SetBootable(yes) => ("os-set_bootable", json!({"bootable": yes})),
            Self::SetReadonly(yes) => ("os-update_readonly_flag", json!({"readonly": yes})),
            Self::Retype(name) => ("os-retype", json!({"new_type": name})),
            Self::Attach {
                instance_id,
                host,
                mountpoint,
                mode,
            } => {
                let all = [
                    ("instance_uuid", instance_id),
                    ("host_name", host),
                    ("mountpoint", mountpoint),
                    ("mode", mode),
                ];
                ("os-attach", given(all))
            }
            Self::Detach { attachment_id } => {
                ("os-detach", given([("attachment_id", attachment_id)]))
            }
            Self::ForceDetach => ("os-force_detach", json!({})),
            Self::Reserve => ("os-reserve", json!({})),
            Self::Unreserve => ("os-unreserve", json!({})),
            Self::BeginDetaching => ("os-begin_detaching", json!({})),
            Self::RollDetaching => ("os-roll_detaching", json!({})),
            Self::InitializeConnection(connector) => {
                ("os-initialize_connection", json!({"connector": connector}))
            }
            Self::TerminateConnection(connector) => {
                ("os-terminate_connection", json!({"connector": connector}))
            }
            Self::SetImageMetadata(pairs) => ("os-set_image_metadata", json!({"metadata": pairs})),
            Self::UnsetImageMetadata(key) => ("os-unset_image_metadata", json!({"key": key})),
            Self::ShowImageMetadata => ("os-show_image_metadata", Value::Null),
            Self::ResetStatus { status, detached } => {
                let status = status.map(|status| status.to_string());
                let attached = detached.then(|| "detached".to_owned());
                let all = [("status", &status), ("attach_status", &attached)];
                ("os-reset_status", given(all))
            }
            Self::ForceDelete => ("os-force_delete", json!({})),
        };
        sink.collect_map([(name, how)])
    }
}

/// Writes those that there are.
fn given<const N: usize>(all: [(&str, &Option<String>); N]) -> Value {
    let given = all.into_iter().filter_map(|(name, value)| {
        let value = value.as_ref()?;
        Some((name.to_owned(), Value::from(value.as_str())))
    });
    Value::Object(given.collect())
}

impl VolumeAction {
    /// Reads the body of a request.
    pub fn read(body: &Json, version: Microversion) -> Result<Self, Fault> {
        let (key, inner) = named(body)?;
        Ok(match key {
            "os-extend" => {
                let size = EXTEND.check(body, version)?.size("new_size");
                Self::Extend(Gib(size.unwrap_or(u32::MAX)))
            }
            "os-set_bootable" => {
                Self::SetBootable(SET_BOOTABLE.check(body, version)?.flag("bootable"))
            }
            "os-update_readonly_flag" => {
                Self::SetReadonly(SET_READONLY.check(body, version)?.flag("readonly"))
            }
            "os-retype" => {
                let name = RETYPE.check(body, version)?.text("new_type");
                Self::Retype(
                    name.filter(|name| !name.is_empty())
                        .ok_or_else(|| Fault::bad_request("New volume type must be specified."))?,
                )
            }
            "os-attach" => attach(inner)?,
            "os-detach" => Self::Detach {
                attachment_id: inner
                    .get("attachment_id")
                    .and_then(Json::text)
                    .map(str::to_owned),
            },
            "os-force_detach" => Self::ForceDetach,
            "os-reserve" => Self::Reserve,
            "os-unreserve" => Self::Unreserve,
            "os-begin_detaching" => Self::BeginDetaching,
            "os-roll_detaching" => Self::RollDetaching,
            "os-initialize_connection" => Self::InitializeConnection(connector(key, inner)?),
            "os-terminate_connection" => Self::TerminateConnection(connector(key, inner)?),
            "os-set_image_metadata" => {
                let pairs = SET_IMAGE.check(body, version)?.metadata("metadata");
                Self::SetImageMetadata(pairs.unwrap_or_default())
            }
            "os-unset_image_metadata" => {
                let key = UNSET_IMAGE.check(body, version)?.text("key");
                Self::UnsetImageMetadata(key.unwrap_or_default())
            }
            "os-show_image_metadata" => Self::ShowImageMetadata,
            "os-reset_status" => reset(inner)?,
            "os-force_delete" => Self::ForceDelete,
            other => return Err(unknown(other)),
        })
    }
}

fn attach(inner: &Json) -> Result<VolumeAction, Fault> {
    const KEY: &str = "os-attach";
    let object = object(KEY, inner)?;
    let text = |name: &str| {
        let found = object.get(name).and_then(Json::text);
        found.filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let Some(mountpoint) = text("mountpoint") else {
        return Err(refuse(KEY, inner, &missing("mountpoint")));
    };
    let (instance_id, host) = (text("instance_uuid"), text("host_name"));
    if instance_id.is_none() && host.is_none() {
        return Err(Fault::bad_request(
            "Invalid request to attach volume to an invalid target",
        ));
    }
    let mode = text("mode");
    if let Some(mode) = &mode
        && mode != "rw"
        && mode != "ro"
    {
        return Err(Fault::bad_request(format!(
            "Invalid request to attach volume with an invalid mode. Attaching mode should be 'rw' or 'ro', not '{mode}'"
        )));
    }
    Ok(VolumeAction::Attach {
        instance_id,
        host,
        mountpoint: Some(mountpoint),
        mode,
    })
}

fn reset(inner: &Json) -> Result<VolumeAction, Fault> {
    const KEY: &str = "os-reset_status";
    let object = object(KEY, inner)?;
    let known = ["status", "attach_status", "migration_status"];
    let keys = object.members().unwrap_or_default().iter();
    let strange = keys.map(|(key, _)| key.as_str());
    if let Some(message) = unexpected(strange.filter(|key| !known.contains(key))) {
        return Err(refuse(KEY, inner, &message));
    }
    let word = |key: &str| {
        let text = object.get(key).and_then(Json::text).unwrap_or_default();
        text.to_ascii_lowercase()
    };
    let (status, attach, migration) = (
        word("status"),
        word("attach_status"),
        word("migration_status"),
    );
    if status.is_empty() && attach.is_empty() && migration.is_empty() {
        return Err(Fault::bad_request(
            "Must specify 'status', 'attach_status' or 'migration_status' for update.",
        ));
    }
    if !["", "attached", "detached"].contains(&attach.as_str()) {
        return Err(Fault::bad_request(format!(
            "Volume attach status: {attach} is invalid, valid statuses are: ['attached', 'detached']."
        )));
    }
    if status.is_empty() {
        return Ok(VolumeAction::ResetStatus {
            status: None,
            detached: attach == "detached",
        });
    }
    let status = status.parse().map_err(|_| {
        let valid = VOLUME_STATUSES.map(|status| format!("'{status}'"));
        Fault::bad_request(format!(
            "Volume status: {} is invalid, valid statuses are: ({}).",
            object
                .get("status")
                .and_then(Json::text)
                .unwrap_or_default(),
            valid.join(", ")
        ))
    })?;
    Ok(VolumeAction::ResetStatus {
        status: Some(status),
        detached: attach == "detached",
    })
}

fn connector(key: &str, inner: &Json) -> Result<BTreeMap<String, String>, Fault> {
    match object(key, inner)?.get("connector") {
        Some(connector) => connector_pairs(connector),
        None => Err(refuse(key, inner, &missing("connector"))),
    }
}

/// Reads what the other side says of itself: all of it as text.
pub(super) fn connector_pairs(value: &Json) -> Result<BTreeMap<String, String>, Fault> {
    let members = value
        .members()
        .ok_or_else(|| refuse("connector", value, &wrong_type(value, "'object'")))?;
    let mut all = pairs(members);
    for (key, value) in members {
        if value.text().is_none() && !matches!(value, Json::Null) {
            all.insert(key.clone(), value.shown());
        }
    }
    Ok(all)
}

fn object<'a>(key: &str, value: &'a Json) -> Result<&'a Json, Fault> {
    match value.members() {
        Some(_) => Ok(value),
        None => Err(refuse(key, value, &wrong_type(value, "'object'"))),
    }
}

/// Returns the one key of a body, and what is under it.
pub(super) fn named(body: &Json) -> Result<(&str, &Json), Fault> {
    match body.members() {
        Some([(key, inner)]) => Ok((key, inner)),
        _ => Err(Fault::bad_request("Malformed request body")),
    }
}

pub(super) fn unknown(action: &str) -> Fault {
    Fault::bad_request(format!(
        "There is no such action: {action}. Verify the request body and Content-Type header and try again."
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Json {
        Json::read(text.as_bytes()).expect(text)
    }

    #[test]
    fn backup_actions_are_read_and_refused() {
        let parse = |text: &str| BackupAction::read(&read(text), Microversion::MIN);
        for (body, want) in [
            (
                r#"{"os-reset_status": {"status": "Available"}}"#,
                BackupAction::ResetStatus(Settled::Available),
            ),
            (
                r#"{"os-reset_status": {"status": "ERROR"}}"#,
                BackupAction::ResetStatus(Settled::Error),
            ),
            (r#"{"os-force_delete": null}"#, BackupAction::ForceDelete),
        ] {
            assert_eq!(parse(body), Ok(want), "{body}");
        }
        for (body, want) in [
            (r#"{}"#, "Malformed request body"),
            (r#"{"a": 1, "b": 2}"#, "Malformed request body"),
            (
                r#"{"os-fly": {}}"#,
                "There is no such action: os-fly. Verify the request body and Content-Type header and try again.",
            ),
            (
                r#"{"os-reset_status": {"status": "restoring"}}"#,
                "Backup status: restoring is invalid, valid statuses are: ['available', 'error'].",
            ),
            (
                r#"{"os-reset_status": {}}"#,
                "Invalid input for field/attribute os-reset_status. Value: {}. 'status' is a required property",
            ),
        ] {
            assert_eq!(parse(body), Err(Fault::bad_request(want)), "{body}");
        }
    }

    #[test]
    fn volume_actions_are_read_and_refused() {
        let parse = |text: &str| VolumeAction::read(&read(text), Microversion::MIN);
        assert_eq!(
            parse(
                r#"{"os-attach": {"instance_uuid": "i", "mountpoint": "/dev/vdb", "mode": "rw"}}"#
            ),
            Ok(VolumeAction::Attach {
                instance_id: Some("i".into()),
                host: None,
                mountpoint: Some("/dev/vdb".into()),
                mode: Some("rw".into()),
            })
        );
        assert_eq!(
            parse(r#"{"os-reset_status": {"status": "maintenance"}}"#),
            Ok(VolumeAction::ResetStatus {
                status: Some(VolumeStatus::Maintenance),
                detached: false,
            })
        );
        for body in [
            r#"{"os-attach": {"mountpoint": "/dev/vdb"}}"#,
            r#"{"os-attach": {"instance_uuid": "i", "mountpoint": "x", "mode": "xx"}}"#,
            r#"{"os-reset_status": {}}"#,
            r#"{"os-reset_status": {"status": "flying"}}"#,
            r#"{"os-initialize_connection": {}}"#,
            r#"{"os-update_readonly_flag": {"readonly": "maybe"}}"#,
            r#"{"os-set_image_metadata": null}"#,
        ] {
            assert!(parse(body).is_err(), "{body}");
        }
    }
}
