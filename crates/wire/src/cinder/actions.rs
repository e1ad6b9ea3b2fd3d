//! What is done with backups, volumes and snapshots besides: `POST …/action`, one key that names it.

use std::collections::BTreeMap;

use emberkeep_model::{Gib, SnapshotStatus, VolumeStatus};

use super::schema::{Kind, Shape, missing, pairs, refuse, rule, wrong_type};
use super::{Fault, Json, Microversion};

/// Something to be done with a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackupAction {
    /// Say whether it is available (or else in error).
    ResetStatus {
        /// It is.
        available: bool,
    },
    /// Delete it whatever goes on with it.
    ForceDelete,
}

pub(super) static RESET_BACKUP: Shape = Shape {
    required: &["status"],
    ..Shape::new("os-reset_status", &[rule("status", Kind::Text)])
};

impl BackupAction {
    /// Reads the body of a request.
    pub fn parse(body: &Json, version: Microversion) -> Result<Self, Fault> {
        match named(body)? {
            ("os-reset_status", _) => {
                let word = RESET_BACKUP.check(body, version)?.text("status");
                let word = word.unwrap_or_default();
                match word.to_ascii_lowercase().as_str() {
                    "available" => Ok(Self::ResetStatus { available: true }),
                    "error" => Ok(Self::ResetStatus { available: false }),
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

impl SnapshotAction {
    /// Reads the body of a request.
    pub fn parse(body: &Json) -> Result<Self, Fault> {
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

fn status<T: std::str::FromStr>(key: &str, inner: &Json) -> Result<T, Fault> {
    let Some(value) = object(key, inner)?.get("status") else {
        return Err(refuse(key, inner, &missing("status")));
    };
    let word = value.text().map(str::to_ascii_lowercase);
    word.and_then(|word| word.parse().ok()).ok_or_else(|| {
        Fault::invalid_input(format!(
            "Must specify a valid status, not '{}'",
            value.shown()
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
    Detach,
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
    /// Tell how to reach it.
    InitializeConnection,
    /// No longer to be reached.
    TerminateConnection,
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

impl VolumeAction {
    /// Reads the body of a request.
    pub fn parse(body: &Json, version: Microversion) -> Result<Self, Fault> {
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
            "os-detach" => Self::Detach,
            "os-force_detach" => Self::ForceDetach,
            "os-reserve" => Self::Reserve,
            "os-unreserve" => Self::Unreserve,
            "os-begin_detaching" => Self::BeginDetaching,
            "os-roll_detaching" => Self::RollDetaching,
            "os-initialize_connection" => {
                connector(key, inner)?;
                Self::InitializeConnection
            }
            "os-terminate_connection" => {
                connector(key, inner)?;
                Self::TerminateConnection
            }
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
    let Some(mountpoint) = text("mountpoint") else {
        return Err(refuse(KEY, inner, &missing("mountpoint")));
    };
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
        let valid: Vec<String> = VolumeStatus::ALL
            .iter()
            .map(|status| format!("'{status}'"))
            .collect();
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

fn connector(key: &str, inner: &Json) -> Result<(), Fault> {
    match object(key, inner)?.get("connector") {
        Some(connector) => object("connector", connector).map(drop),
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
fn named(body: &Json) -> Result<(&str, &Json), Fault> {
    match body.members() {
        Some([(key, inner)]) => Ok((key, inner)),
        _ => Err(Fault::bad_request("Malformed request body")),
    }
}

fn unknown(action: &str) -> Fault {
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
        let parse = |text: &str| BackupAction::parse(&read(text), Microversion::MIN);
        for (body, want) in [
            (
                r#"{"os-reset_status": {"status": "Available"}}"#,
                BackupAction::ResetStatus { available: true },
            ),
            (
                r#"{"os-reset_status": {"status": "ERROR"}}"#,
                BackupAction::ResetStatus { available: false },
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
        let parse = |text: &str| VolumeAction::parse(&read(text), Microversion::MIN);
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
