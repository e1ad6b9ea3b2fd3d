//! Refusals of the service in Cinder's codes and words (`cinder-backup.md §2.5`).

use std::error::Error;

use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use emberkeep_service::{Refusal as StorageRefusal, ServiceError};
use emberkeep_wire::cinder::{Fault, FaultKind};

use super::call::{Refusal, json};
use crate::{RETRY_SECS, RequestId};

/// Makes the answer of a refusal; `identity` is where tokens are got.
pub(super) fn render(refusal: Refusal, identity: &str, request_id: &RequestId) -> Response {
    let mut wait = None;
    let fault = match refusal {
        Refusal::Fault(fault) => fault,
        Refusal::Service(ServiceError::Unauthenticated) => return unauthenticated(identity),
        Refusal::Service(error) => {
            let fault = fault_of(&error);
            if is_ours(fault.kind) {
                let chain = chain(&error);
                tracing::error!(request_id = %request_id.0, error = %chain, "a request failed");
            }
            if let ServiceError::CatalogUnavailable(_) = error {
                wait = Some(RETRY_SECS);
            }
            fault
        }
    };
    let status = StatusCode::from_u16(fault.kind.code()).unwrap_or(StatusCode::BAD_REQUEST);
    let mut response = json(status, &fault);
    if let Some(seconds) = wait.or(fault.retry_after()) {
        response
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from_static(seconds));
    }
    response
}

/// Tells whether a refusal is for a fault of the service, whose cause belongs in the log.
fn is_ours(kind: FaultKind) -> bool {
    matches!(
        kind,
        FaultKind::Internal | FaultKind::ServiceUnavailable | FaultKind::InsufficientStorage
    )
}

/// Refuses a caller that is not known, as what guards a service does: in the identity API's form.
fn unauthenticated(identity: &str) -> Response {
    let body = emberkeep_wire::identity::FaultBody {
        error: emberkeep_wire::identity::Fault {
            code: StatusCode::UNAUTHORIZED.as_u16(),
            message: ServiceError::Unauthenticated.to_string(),
            title: "Unauthorized".to_owned(),
        },
    };
    let mut response = json(StatusCode::UNAUTHORIZED, &body);
    if let Ok(value) = HeaderValue::from_str(&format!("Keystone uri=\"{identity}\"")) {
        response.headers_mut().insert(WWW_AUTHENTICATE, value);
    }
    response
}

/// Words a refusal. No wildcard arm: a new variant must choose.
fn fault_of(error: &ServiceError) -> Fault {
    use ServiceError as E;
    let bad = |what: &str| Fault::bad_request(format!("{what}: {error}"));
    match error {
        E::NoSuchVolume(_)
        | E::NoSuchSnapshot(_)
        | E::NoSuchVolumeType(_)
        | E::NoSuchBackup(_)
        | E::NoSuchVault(_)
        | E::NoSuchCheckpoint(_)
        | E::NoSuchTask(_)
        | E::NoSuchProject(_)
        | E::NoSuchUser(_)
        | E::NoSuchMarker(_) => Fault::not_found(error.to_string()),
        E::VolumeStatus { .. }
        | E::BackupVolumeStatus { .. }
        | E::BackupNeedsForce(_)
        | E::SnapshotOfOtherVolume { .. }
        | E::RestoreTargetStatus { .. }
        | E::RestoreTargetTooSmall { .. } => bad("Invalid volume"),
        // Here a volume that is busy is told by its status alone.
        E::RestoreTargetBackingUp(_) | E::RestoreTargetRestoring(_) => {
            Fault::bad_request("Invalid volume: Volume to be restored to must be available")
        }
        E::BackupSnapshotStatus { .. } => bad("Invalid snapshot"),
        E::NoParent(_)
        | E::BackupNotDeletable { .. }
        | E::BackupNotRestorable { .. }
        | E::BackupInUse(_) => bad("Invalid backup"),
        E::ExtendTooSmall { current, wanted } => Fault::invalid_input(format!(
            "New size for extend must be greater than current size. (current: {}, extended: {}).",
            current.0, wanted.0
        )),
        E::VolumeTypeInUse(_) => bad("Invalid volume type"),
        E::Invalid { .. } => bad("Invalid input received"),
        // A backup's container may name a vault, which then has its say.
        E::VaultStatus { .. }
        | E::VaultSize(_)
        | E::VaultCapacity { .. }
        | E::VaultFull(_)
        | E::VaultTooManyResources
        | E::ResourceType { .. }
        | E::ResourceInOtherVault { .. }
        | E::ResourceTwice(_)
        | E::ResourceNotInVault(_)
        | E::ResourceBusy(_)
        | E::ResourceRemoving(_)
        | E::ResourceVolumeStatus { .. }
        | E::VaultBusy(_)
        | E::VaultLocked(_)
        | E::VaultKind(_)
        | E::NothingToBackUp
        | E::TaskEnded(_) => bad("Invalid input received"),
        E::Unauthenticated => Fault::new(FaultKind::Unauthorized, error.to_string()),
        E::Forbidden | E::Policy { .. } | E::WrongProject(_) => {
            Fault::new(FaultKind::Forbidden, error.to_string())
        }
        E::ProjectExists(_) | E::UserExists(_) | E::Busy => {
            Fault::new(FaultKind::ConflictingRequest, error.to_string())
        }
        E::Storage(refusal) => refused(refusal),
        E::NoSpace | E::LowSpace(_) | E::CatalogFull(_) => {
            Fault::new(FaultKind::InsufficientStorage, error.to_string())
        }
        E::CatalogUnavailable(_) => Fault::new(FaultKind::ServiceUnavailable, error.to_string()),
        E::Cbr(error) => {
            let kind = match error.fault() {
                emberkeep_service::Fault::NotFound => FaultKind::ItemNotFound,
                _ => FaultKind::BadRequest,
            };
            Fault::new(kind, error.to_string())
        }
        E::Catalog(_) | E::Inner(..) => Fault::new(
            FaultKind::Internal,
            "The server has either erred or is incapable of performing the requested operation.",
        ),
    }
}

/// Words what only Block Storage refuses. No wildcard arm: a new variant must choose.
fn refused(refusal: &StorageRefusal) -> Fault {
    use StorageRefusal as R;
    let text = refusal.to_string();
    match refusal {
        R::NoSuchAttachment(_)
        | R::NoSuchMessage(_)
        | R::NoSuchService(_)
        | R::NoSuchExtraSpec { .. }
        | R::NoSuchTypeAccess { .. }
        | R::NoSuchAppCredential(_)
        | R::NoSuchServiceAt { .. }
        | R::NoSuchTypeNamed(_)
        | R::NoSuchImageProperty(_) => Fault::not_found(text),
        R::BackupHasDependents(_)
        | R::ParentMissing { .. }
        | R::NotForeign(_)
        | R::BackupNotExportable(_)
        | R::BackupExists(_)
        | R::SourceBackupStatus
        | R::BackupWithoutContent(_) => Fault::bad_request(format!("Invalid backup: {text}")),
        R::Record(_) | R::NoSuchQuota(_) | R::NoSuchClassQuota(_) | R::SmallerThanSource(_) => {
            Fault::invalid_input(text)
        }
        R::QuotaBelowUsage { .. } | R::Snapshot(_) | R::Attachment(_) | R::NoSuchZone(_) => {
            Fault::bad_request(text)
        }
        R::Volume { .. } | R::VolumeNotDeletable { .. } | R::SourceVolumeStatus => {
            Fault::bad_request(format!("Invalid volume: {text}"))
        }
        R::SnapshotNotDeletable | R::SourceSnapshotStatus => {
            Fault::bad_request(format!("Invalid snapshot: {text}"))
        }
        R::Type(_) => Fault::bad_request(text),
        R::TooManyBackups { .. }
        | R::BackupsTooLarge { .. }
        | R::TooManyVolumes { .. }
        | R::TooManySnapshots { .. }
        | R::VolumesTooLarge { .. }
        | R::TooManyPairs { .. }
        | R::VolumeTooLarge { .. } => Fault::new(FaultKind::OverLimit, text),
        R::TypeExists(_) | R::TypeAccessExists { .. } | R::AppCredentialExists(_) => {
            Fault::new(FaultKind::ConflictingRequest, text)
        }
        R::NobodyImports(_) | R::IdentityUnreachable => {
            Fault::new(FaultKind::ServiceUnavailable, text)
        }
    }
}

/// Returns an error and what caused it, for the log.
fn chain(error: &ServiceError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use emberkeep_model::{Gib, VolumeId};

    #[test]
    fn refusals_are_worded_as_cinder_words_them() {
        let text = "b5578821-5a02-435d-9b3a-ef5b91b65eb7";
        let volume: VolumeId = text.parse().expect("is an id");
        let backup = text.parse().expect("is an id");
        let snapshot = text.parse().expect("is an id");
        use ServiceError as E;
        for (error, code, want) in [
            (E::NoSuchBackup(backup), 404, format!("Backup {text} could not be found.")),
            (E::NoSuchVolume(volume), 404, format!("Volume {text} could not be found.")),
            (
                E::BackupVolumeStatus { id: volume, status: "error" },
                400,
                "Invalid volume: Volume to be backed up must be available or in-use, but the current status is \"error\".".to_owned(),
            ),
            (
                E::BackupNeedsForce(volume),
                400,
                "Invalid volume: Backing up an in-use volume must use the force flag.".to_owned(),
            ),
            (
                E::SnapshotOfOtherVolume { volume, snapshot_volume: volume },
                400,
                format!("Invalid volume: Volume {text} does not match with snapshot.volume_id {text}."),
            ),
            (
                E::BackupSnapshotStatus { id: snapshot, status: "error" },
                400,
                "Invalid snapshot: Snapshot to be backed up must be available, but the current status is \"error\".".to_owned(),
            ),
            (
                E::NoParent(volume),
                400,
                "Invalid backup: No backups available to do an incremental backup.".to_owned(),
            ),
            (
                E::BackupNotDeletable { id: backup, state: "copying" },
                400,
                "Invalid backup: Backup status must be available or error".to_owned(),
            ),
            (
                E::BackupNotRestorable { id: backup, state: "failed" },
                400,
                "Invalid backup: Backup status must be available".to_owned(),
            ),
            (
                E::RestoreTargetStatus { id: volume, status: "in-use" },
                400,
                "Invalid volume: Volume to be restored to must be available".to_owned(),
            ),
            (
                E::RestoreTargetTooSmall { id: volume, have: 1, need: 3 },
                400,
                "Invalid volume: volume size 1 is too small to restore backup of size 3.".to_owned(),
            ),
            (
                E::ExtendTooSmall { current: Gib(2), wanted: Gib(1) },
                400,
                "Invalid input received: New size for extend must be greater than current size. (current: 2, extended: 1).".to_owned(),
            ),
            (
                E::Policy { rule: "backup:delete" },
                403,
                "Policy doesn't allow backup:delete to be performed.".to_owned(),
            ),
            (
                E::Inner("reading", Box::new(std::io::Error::other("/secret/path"))),
                500,
                "The server has either erred or is incapable of performing the requested operation.".to_owned(),
            ),
        ] {
            let fault = fault_of(&error);
            assert_eq!((fault.kind.code(), fault.message), (code, want), "{error:?}");
        }
        let error = E::Inner("reading", Box::new(std::io::Error::other("disk is gone")));
        assert_eq!(chain(&error), "an inner part failed: reading: disk is gone");
    }
}
