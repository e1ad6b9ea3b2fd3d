//! How people prove who they are, and what that has shown.

use emberkeep_model::{AppCredential, Timestamp, User};

use super::names::{AppCredentialName, Named};
use crate::ServiceError;

/// What somebody shows to prove who they are.
#[derive(Clone)]
pub enum Proof {
    /// A name and a password.
    Password {
        /// Who.
        user: Named,
        /// The password.
        password: String,
    },
    /// A token they have already.
    Token(String),
    /// An application credential and its secret.
    AppCredential {
        /// Which.
        credential: AppCredentialName,
        /// The secret.
        secret: String,
    },
}

/// Somebody who has shown who they are.
pub(super) struct Proven {
    pub(super) user: User,
    pub(super) methods: Vec<String>,
    pub(super) parent_audit_id: Option<String>,
    pub(super) expires_at: Option<Timestamp>,
    pub(super) app_credential: Option<AppCredential>,
}

impl Proven {
    /// Joins two proofs, which must be of the same user; the token lasts as long as the shorter one.
    pub(super) fn and(mut self, other: Self) -> Result<Self, ServiceError> {
        if self.user.id != other.user.id {
            return Err(ServiceError::Unauthenticated);
        }
        for method in other.methods {
            if !self.methods.contains(&method) {
                self.methods.push(method);
            }
        }
        self.parent_audit_id = self.parent_audit_id.or(other.parent_audit_id);
        // What limits one of them limits both.
        self.app_credential = self.app_credential.or(other.app_credential);
        self.expires_at = match (self.expires_at, other.expires_at) {
            (Some(one), Some(two)) => Some(one.min(two)),
            (one, two) => one.or(two),
        };
        Ok(self)
    }
}
