//! Every refusal in CBR's form. Which situation a refusal of the service is, is decided here;
//! which status and code that has, in `wire`.

use axum::Json;
use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use emberkeep_model::ResourceId;
use emberkeep_service::{CbrError, Fault, ServiceError, VaultUse};
use emberkeep_wire::cbr::{Code, ErrorBody, Refused};

use crate::{BodyError, RETRY_SECS};

/// Why a call is refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// The service refuses it.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// What it says is malformed.
    #[error(transparent)]
    Form(#[from] Refused),
    /// Its body could not be read.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// Its query could not be read.
    #[error("query: {0}")]
    Query(String),
    /// Nothing of this id can be protected.
    #[error("Resource {0} does not exist.")]
    NoSuchInstance(ResourceId),
    /// There is no such path or method.
    #[error("The API does not exist or has not been published.")]
    NoRoute,
    /// Without a good token.
    #[error("The request you have made requires authentication.")]
    SignIn {
        /// Where to get one.
        identity: String,
    },
}

impl Refusal {
    fn code(&self) -> Code {
        match self {
            Self::Service(error) => code(error),
            Self::Form(refused) => refused.code,
            Self::Body(BodyError::TooLarge) => Code::TooLarge,
            Self::Body(BodyError::Empty | BodyError::NotJson(_) | BodyError::Broken(_))
            | Self::Query(_) => Code::BadParameter,
            Self::NoSuchInstance(_) => Code::NoSuchResource,
            Self::NoRoute => Code::NoRoute,
            Self::SignIn { .. } => Code::Unauthenticated,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let code = self.code();
        let (status, error_code) = code.answer();
        let error_msg = if code == Code::Internal {
            tracing::error!(error = &self as &dyn std::error::Error, "a CBR call failed");
            "An inner part failed; X-Request-Id names the entry in the log.".to_owned()
        } else {
            if matches!(code, Code::Unavailable | Code::NoSpace) {
                tracing::error!(error = &self as &dyn std::error::Error, "a CBR call failed");
            }
            self.to_string()
        };
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = ErrorBody {
            error_code: error_code.into(),
            error_msg,
        };
        let mut response = (status, Json(body)).into_response();
        if let Self::Service(ServiceError::CatalogUnavailable(_)) = &self {
            let wait = HeaderValue::from_static(RETRY_SECS);
            response.headers_mut().insert(RETRY_AFTER, wait);
        }
        if let Self::SignIn { identity } = &self
            && let Ok(value) = HeaderValue::from_str(&format!("Keystone uri=\"{identity}\""))
        {
            response.headers_mut().insert(WWW_AUTHENTICATE, value);
        }
        response
    }
}

/// Returns what CBR calls a refusal. No wildcard arm: a new variant must choose.
fn code(error: &ServiceError) -> Code {
    use ServiceError as E;
    match error {
        E::NoSuchVolume(_) => Code::NoSuchDisk,
        E::NoSuchSnapshot(_) => Code::NoSuchSnapshot,
        E::NoSuchBackup(_) => Code::NoSuchBackup,
        E::NoSuchVault(_) => Code::NoSuchVault,
        E::NoSuchCheckpoint(_) => Code::NoSuchCheckpoint,
        E::NoSuchTask(_) => Code::NoSuchTask,
        E::NoSuchVolumeType(_) | E::NoSuchProject(_) | E::NoSuchUser(_) => Code::NoSuchResource,
        E::NoSuchMarker(_) | E::Invalid { .. } => Code::BadParameter,
        E::VolumeStatus { .. }
        | E::BackupVolumeStatus { .. }
        | E::BackupSnapshotStatus { .. }
        | E::BackupNeedsForce(_)
        | E::ResourceVolumeStatus { .. } => Code::DiskStatus,
        E::ExtendTooSmall { .. }
        | E::VolumeTypeInUse(_)
        | E::SnapshotOfOtherVolume { .. }
        | E::NoParent(_)
        | E::TaskEnded(_) => Code::BadParameter,
        E::BackupNotDeletable { .. } => Code::BackupNotDeletable,
        E::BackupNotRestorable { .. } => Code::BackupNotRestorable,
        E::RestoreTargetStatus { .. } => Code::TargetStatus,
        E::RestoreTargetTooSmall { .. } => Code::TargetTooSmall,
        E::RestoreTargetBackingUp(_) => Code::TargetBackingUp,
        E::RestoreTargetRestoring(_) => Code::TargetRestoring,
        E::BackupInUse(_) => Code::BackupInUse,
        E::VaultStatus { wanted, .. } => match wanted {
            VaultUse::Change => Code::VaultStatus,
            VaultUse::BackUp => Code::VaultStatusForbidsBackup,
            VaultUse::Restore => Code::VaultStatusForbidsRestore,
        },
        E::VaultSize(_) => Code::VaultSize,
        E::VaultCapacity { .. } => Code::VaultCapacity,
        E::VaultFull(_) => Code::VaultFull,
        E::VaultTooManyResources => Code::VaultTooManyResources,
        E::VaultBusy(_) => Code::VaultBusy,
        E::VaultLocked(_) => Code::VaultUpdateLocked,
        E::VaultKind(_) => Code::VaultKind,
        E::NothingToBackUp => Code::NothingToBackUp,
        E::ResourceType { .. } => Code::ResourceType,
        E::ResourceInOtherVault { .. } => Code::ResourceInOtherVault,
        E::ResourceTwice(_) => Code::ResourceTwice,
        E::ResourceNotInVault(_) => Code::ResourceNotInVault,
        E::ResourceBusy(_) => Code::ResourceBusy,
        E::ResourceRemoving(_) => Code::ResourceRemoving,
        E::Unauthenticated => Code::Unauthenticated,
        E::Forbidden | E::Policy { .. } | E::WrongProject(_) => Code::Forbidden,
        E::ProjectExists(_) | E::UserExists(_) | E::Busy => Code::Changed,
        E::NoSpace | E::LowSpace(_) | E::CatalogFull(_) => Code::NoSpace,
        E::CatalogUnavailable(_) => Code::Unavailable,
        E::Cbr(error) => own_code(error),
        // What only Block Storage knows has no code of its own here.
        E::Storage(error) => match error.fault() {
            Fault::NotFound => Code::NoSuchResource,
            Fault::BadRequest | Fault::OverQuota => Code::BadParameter,
            Fault::Conflict => Code::Changed,
            Fault::Forbidden => Code::Forbidden,
            Fault::Unauthorized => Code::Unauthenticated,
            Fault::Unavailable => Code::Unavailable,
            Fault::NoSpace => Code::NoSpace,
            Fault::Internal => Code::Internal,
        },
        E::Catalog(_) | E::Inner(..) => Code::Internal,
    }
}

fn own_code(error: &CbrError) -> Code {
    use CbrError as E;
    match error {
        E::NoSuchPolicy(_) => Code::NoSuchPolicy,
        E::PolicyNotBound { .. } => Code::PolicyNotBound,
        E::TooManyPolicies { .. } => Code::TooManyPolicies,
        E::PolicyDestination(_) => Code::PolicyDestination,
        E::PolicyUnsuited { .. } => Code::PolicyUnsuited,
        E::NoSuchDestination(_) => Code::NoSuchDestination,
        E::VaultForCopies(_) => Code::VaultForCopies,
        E::DestinationTakesNoReplicas(_) => Code::DestinationTakesNoReplicas,
        E::DestinationKind(_) => Code::ResourceType,
        E::DestinationCheck(_) => Code::DestinationCheck,
        E::NoSuchRegion(_) => Code::NoSuchRegion,
        E::DestinationProject(_) => Code::DestinationProject,
        E::VaultNotReplicable(_) => Code::VaultNotReplicable,
        E::ReplicaOfReplica(_) => Code::ReplicaOfReplica,
        E::NotReplicable(_) => Code::NotReplicable,
        E::ReplicaStatus { .. } => Code::BackupNotDeletable,
        E::ReplicatedAlready { .. } => Code::ReplicatedAlready,
        E::DestinationFull { .. } => Code::DestinationFull,
        E::NoSuchServer(_) => Code::NoSuchServer,
        E::NoSuchFileSystem(_) => Code::NoSuchResource,
        E::VolumeInServer { .. } => Code::Changed,
        E::ServerStatus { .. } => Code::ServerStatus,
        E::NoDisks(_) => Code::NoDisks,
        E::PartOfServer { .. } => Code::BackupNotDeletable,
        E::TargetOtherServer { .. } => Code::TargetOtherServer,
        E::TargetKind(_) => Code::TargetKind,
        E::TargetSystemDisk(_) => Code::TargetSystemDisk,
        E::Directory(_) => Code::BadParameter,
        E::VaultDeleteLocked(_) => Code::VaultDeleteLocked,
        E::BackupLocked(_) => Code::BackupLocked,
        E::VaultKeeps { .. } => Code::BackupNotDeletable,
        E::PolicyDropsLocked { .. } => Code::VaultUpdateLocked,
        E::NoMetadata { .. } => Code::MetadataUnavailable,
        E::TooManyTags { .. } => Code::TooManyTags,
        E::NoSuchTag(_) => Code::NoSuchTag,
        E::TooManyShares { .. } => Code::TooManyShares,
        E::ShareStatus { .. } => Code::ShareStatus,
        E::SharedAlready { .. } => Code::SharedAlready,
        E::ShareProject(_) => Code::ShareProject,
        E::NoSuchMember(_) => Code::NoSuchMember,
        E::MemberUpdate(_) => Code::MemberUpdate,
        E::NotShareable(_) => Code::NotShareable,
        E::MemberVaultKind(_) => Code::MemberVaultKind,
    }
}
