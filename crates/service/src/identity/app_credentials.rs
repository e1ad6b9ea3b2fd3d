//! Application credentials: secrets of their own for programs that act for a user in one project.

use std::net::IpAddr;

use emberkeep_catalog::{CatalogError, Change, Key, Row};
use emberkeep_model::{AppCredential, Project, Role, Timestamp, UserId};
use uuid::Uuid;

use super::attempts::Subject;
use super::names::{AppCredentialName, Scope};
use super::proof::Proven;
use super::secret::new_secret;
use super::state::{Identity, lock};
use super::token::TokenInfo;
use crate::ServiceError;
use crate::refusal::Refusal;

/// The longest name (Keystone's limit).
const LONGEST_NAME: usize = 255;

/// An application credential to be made, for the project of the token.
#[derive(Clone)]
pub struct NewAppCredential {
    /// Its name, which the user has not taken yet.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// Its secret; one is made if none is given.
    pub secret: Option<String>,
    /// What it may do; all that the token allows if empty.
    pub roles: Vec<Role>,
    /// When it ends, if ever.
    pub expires_at: Option<Timestamp>,
    /// May make and delete further ones.
    pub unrestricted: bool,
}

impl Identity {
    /// Makes an application credential for the user and project of a token; returns its secret, too,
    /// which is nowhere kept.
    pub async fn create_app_credential(
        &self,
        caller: &TokenInfo,
        new: NewAppCredential,
    ) -> Result<(AppCredential, String), ServiceError> {
        unrestricted(caller)?;
        let invalid = |field, reason: &str| ServiceError::Invalid {
            field,
            reason: reason.to_owned(),
        };
        let length = new.name.trim().chars().count();
        if !(1..=LONGEST_NAME).contains(&length) {
            return Err(invalid("name", "must have 1 to 255 characters"));
        }
        if new.expires_at.is_some_and(|at| at <= self.clock.now()) {
            return Err(invalid("expires_at", "must lie in the future"));
        }
        let (project_id, _) = caller.project.clone().ok_or(ServiceError::Forbidden)?;
        if !new.roles.iter().all(|role| caller.roles.contains(role)) {
            return Err(invalid("roles", "cannot be more than the token's"));
        }
        let secret = new.secret.unwrap_or_else(new_secret);
        let credential = AppCredential {
            id: Uuid::new_v4().simple().to_string(),
            user_id: caller.user_id.clone(),
            project_id,
            name: new.name,
            description: new.description,
            secret_hash: self.passwords.hash(secret.clone()).await?,
            roles: if new.roles.is_empty() {
                caller.roles.clone()
            } else {
                new.roles
            },
            unrestricted: new.unrestricted,
            created_at: self.clock.now(),
            expires_at: new.expires_at,
            revision: 0,
        };
        let row = Row::AppCredential(credential.clone());
        match self.catalog.apply(vec![Change::Insert(row)]).await {
            Ok(()) => Ok((credential, secret)),
            Err(CatalogError::Exists { .. }) => {
                Err(Refusal::AppCredentialExists(credential.name).into())
            }
            Err(other) => Err(other.into()),
        }
    }

    /// Lists a user's application credentials by name.
    pub async fn app_credentials(&self, user: &UserId) -> Result<Vec<AppCredential>, ServiceError> {
        Ok(self.catalog.app_credentials(user).await?)
    }

    /// Looks one of a user's application credentials up.
    pub async fn app_credential(
        &self,
        user: &UserId,
        id: &str,
    ) -> Result<AppCredential, ServiceError> {
        let found = self.catalog.app_credential(id).await?;
        found
            .filter(|credential| credential.user_id == *user)
            .ok_or_else(|| Refusal::NoSuchAppCredential(id.to_owned()).into())
    }

    /// Deletes one; the tokens that were got with it are good for nothing from now on.
    pub async fn delete_app_credential(
        &self,
        caller: &TokenInfo,
        user: &UserId,
        id: &str,
    ) -> Result<(), ServiceError> {
        unrestricted(caller)?;
        let found = self.app_credential(user, id).await?;
        let gone = Change::Remove(Key::AppCredential(found.id), found.revision);
        self.catalog.apply(vec![gone]).await?;
        self.forget_tokens();
        Ok(())
    }

    /// Checks a credential and its secret. Whatever is wrong, the answer and its time are the same.
    pub(super) async fn prove_app_credential(
        &self,
        address: Option<IpAddr>,
        named: &AppCredentialName,
        secret: &str,
    ) -> Result<Proven, ServiceError> {
        let found = match named {
            AppCredentialName::Id(id) => self.catalog.app_credential(id).await?,
            AppCredentialName::Name(name, user) => match self.find_user(user).await? {
                Some(user) => self
                    .catalog
                    .app_credentials(&user.id)
                    .await?
                    .into_iter()
                    .find(|one| one.name == *name),
                None => None,
            },
        };
        let now = self.clock.now();
        let found = found.filter(|one| one.expires_at.is_none_or(|end| end > now));
        let subject = Subject::new(address, named);
        let permit = self.passwords.permit().await?;
        if lock(&self.attempts).is_blocked(&subject, now) {
            // The same work as for a wrong secret, so that the time does not tell who exists.
            self.passwords
                .verify(permit, None, secret.to_owned())
                .await?;
            tracing::warn!("sign-in refused: too many failed attempts with one credential");
            return Err(ServiceError::Unauthenticated);
        }
        let hash = found.as_ref().map(|one| one.secret_hash.clone());
        let right = self
            .passwords
            .verify(permit, hash, secret.to_owned())
            .await?;
        match found {
            Some(credential) if right => {
                lock(&self.attempts).succeeded(&subject, now);
                Ok(Proven {
                    user: self.enabled_user(&credential.user_id).await?,
                    methods: vec!["application_credential".to_owned()],
                    parent_audit_id: None,
                    expires_at: None,
                    app_credential: Some(credential),
                })
            }
            Some(_) | None => {
                lock(&self.attempts).failed(&subject, now);
                Err(ServiceError::Unauthenticated)
            }
        }
    }

    /// Looks a credential up that is still good.
    pub(super) async fn live_app_credential(
        &self,
        id: &str,
    ) -> Result<AppCredential, ServiceError> {
        let now = self.clock.now();
        self.catalog
            .app_credential(id)
            .await?
            .filter(|one| one.expires_at.is_none_or(|end| end > now))
            .ok_or(ServiceError::Unauthenticated)
    }

    /// Returns the one project that a credential is good for; any other scope is refused.
    pub(super) async fn project_of(
        &self,
        credential: &AppCredential,
        scope: &Scope,
    ) -> Result<Project, ServiceError> {
        let wanted = match scope {
            Scope::Default => None,
            Scope::Project(named) => Some(self.find_project(named).await?),
            Scope::Unscoped | Scope::Elsewhere => return Err(ServiceError::Unauthenticated),
        };
        let fits =
            wanted.is_none_or(|wanted| wanted.is_some_and(|p| p.id == credential.project_id));
        let project = self.catalog.project(&credential.project_id).await?;
        project
            .filter(|project| fits && project.enabled)
            .ok_or(ServiceError::Unauthenticated)
    }
}

/// Refuses a token that was got with a restricted credential.
fn unrestricted(caller: &TokenInfo) -> Result<(), ServiceError> {
    match &caller.app_credential {
        Some(credential) if credential.restricted => Err(ServiceError::Forbidden),
        Some(_) | None => Ok(()),
    }
}
