//! Signing in: proofs taken, tokens given out, looked up and taken back.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use emberkeep_catalog::{Change, Key, Row};
use emberkeep_model::{Project, Role, Timestamp, TokenRecord, User, UserId};

use super::attempts::Subject;
use super::names::{Named, Scope};
use super::proof::{Proof, Proven};
use super::secret::{audit_id, hash_of, new_secret};
use super::state::{Identity, lock};
use super::token::{Authenticator, Issued, TokenCredential, TokenInfo};
use crate::ServiceError;

/// A probe is answered from the last success for this long.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);

/// Tokens that have ended are removed from the catalogue this often.
const PURGE_EVERY_SECS: i64 = 600;

impl Identity {
    /// Checks that the catalogue can be read and durably written.
    pub async fn probe(&self) -> Result<(), ServiceError> {
        const HASH: &str = "probe";
        self.catalog.token(HASH).await?;
        // Everybody may ask: no more than one write and sync a second.
        let mut proven = self.proven.lock().await;
        if proven.is_some_and(|at| at.elapsed() < PROBE_INTERVAL) {
            return Ok(());
        }
        *proven = None;
        // Comes and goes in one transaction, so that nobody ever sees it; its page is written all the same.
        let user_id = HASH.parse::<UserId>();
        let user_id = user_id.map_err(|e| ServiceError::Inner("probing", Box::new(e)))?;
        let now = self.clock.now();
        let row = TokenRecord {
            hash: HASH.to_owned(),
            user_id,
            project_id: None,
            methods: Vec::new(),
            audit_ids: Vec::new(),
            issued_at: now,
            expires_at: now,
            revoked: true,
            app_credential_id: None,
        };
        let changes = vec![
            Change::Insert(Row::Token(row)),
            Change::Remove(Key::Token(HASH.to_owned()), 0),
        ];
        self.catalog.apply(changes).await?;
        *proven = Some(Instant::now());
        Ok(())
    }

    /// Gives out a token for `scope` to whoever `proofs` prove; they must all be of one user.
    pub async fn sign_in(&self, proofs: &[Proof], scope: &Scope) -> Result<Issued, ServiceError> {
        self.sign_in_from(None, proofs, scope).await
    }

    /// The same for a client at `address`: its failures are counted apart from those of others.
    pub async fn sign_in_from(
        &self,
        address: Option<IpAddr>,
        proofs: &[Proof],
        scope: &Scope,
    ) -> Result<Issued, ServiceError> {
        let now = self.clock.now();
        self.purge(now).await;
        let mut proven: Option<Proven> = None;
        for proof in proofs {
            let next = match proof {
                Proof::Password { user, password } => {
                    self.prove_password(address, user, password).await?
                }
                Proof::Token(token) => self.prove_token(token).await?,
                Proof::AppCredential { credential, secret } => {
                    self.prove_app_credential(address, credential, secret)
                        .await?
                }
            };
            proven = Some(match proven {
                None => next,
                Some(first) => first.and(next)?,
            });
        }
        let proven = proven.ok_or(ServiceError::Unauthenticated)?;
        let project = match &proven.app_credential {
            Some(credential) => Some(self.project_of(credential, scope).await?),
            None => self.project_for(&proven.user, scope).await?,
        };
        let token = new_secret();
        let lifetime = i64::try_from(self.settings.token_lifetime.as_secs()).unwrap_or(i64::MAX);
        let mut audit_ids = vec![audit_id()];
        audit_ids.extend(proven.parent_audit_id);
        let record = TokenRecord {
            hash: hash_of(&token),
            user_id: proven.user.id.clone(),
            project_id: project.as_ref().map(|project| project.id.clone()),
            methods: proven.methods,
            audit_ids,
            issued_at: now,
            // A token got with a token ends with it: else nobody would ever need the password again.
            expires_at: proven.expires_at.unwrap_or_else(|| now.plus_secs(lifetime)),
            revoked: false,
            app_credential_id: proven.app_credential.map(|credential| credential.id),
        };
        let proven_by = proven.user.password_hash.clone();
        let info = self.describe(&record, proven.user, project).await?;
        self.catalog
            .apply(vec![Change::Insert(Row::Token(record))])
            .await?;
        // Tokens are taken back with a password: one that was made meanwhile must not escape.
        let user = self.catalog.user(&info.user_id).await?;
        if !user.is_some_and(|user| user.enabled && user.password_hash == proven_by) {
            self.revoke(&token).await?;
            return Err(ServiceError::Unauthenticated);
        }
        Ok(Issued { token, info })
    }

    /// Takes a token back. One that is good for nothing is `Unauthenticated`.
    pub async fn revoke(&self, token: &str) -> Result<(), ServiceError> {
        let hash = hash_of(token);
        let mut record = self.live_record(&hash).await?;
        record.revoked = true;
        self.catalog
            .apply(vec![Change::Save(Row::Token(record))])
            .await?;
        self.forget_tokens();
        Ok(())
    }

    /// Checks a name and a password.
    pub(super) async fn prove_password(
        &self,
        address: Option<IpAddr>,
        user: &Named,
        password: &str,
    ) -> Result<Proven, ServiceError> {
        let user_row = self.find_user(user).await?.filter(|user| user.enabled);
        // Failures are counted by what was typed, whether anybody has that name or not: being refused must
        // not tell who exists.
        let subject = Subject::new(address, user);
        let permit = self.passwords.permit().await?;
        if lock(&self.attempts).is_blocked(&subject, self.clock.now()) {
            // The same work as for a wrong password, so that the time does not tell either.
            self.passwords
                .verify(permit, None, password.to_owned())
                .await?;
            // Not what was typed: people type passwords where names belong.
            let user = user_row.as_ref().map_or("unknown", |user| user.id.as_str());
            tracing::warn!(user, "sign-in refused: too many failed attempts");
            return Err(ServiceError::Unauthenticated);
        }
        let hash = user_row.as_ref().map(|user| user.password_hash.clone());
        let right = self
            .passwords
            .verify(permit, hash, password.to_owned())
            .await?;
        match user_row {
            Some(user) if right => {
                lock(&self.attempts).succeeded(&subject, self.clock.now());
                Ok(Proven {
                    user,
                    methods: vec!["password".to_owned()],
                    parent_audit_id: None,
                    expires_at: None,
                    app_credential: None,
                })
            }
            Some(_) | None => {
                lock(&self.attempts).failed(&subject, self.clock.now());
                Err(ServiceError::Unauthenticated)
            }
        }
    }

    /// Checks a token that is to be exchanged for another.
    async fn prove_token(&self, token: &str) -> Result<Proven, ServiceError> {
        let record = self.live_record(&hash_of(token)).await?;
        let user = self.enabled_user(&record.user_id).await?;
        let app_credential = match &record.app_credential_id {
            Some(id) => Some(self.live_app_credential(id).await?),
            None => None,
        };
        let mut methods = record.methods;
        if !methods.iter().any(|method| method == "token") {
            methods.push("token".to_owned());
        }
        Ok(Proven {
            user,
            methods,
            parent_audit_id: record.audit_ids.into_iter().next(),
            expires_at: Some(record.expires_at),
            app_credential,
        })
    }

    /// Finds the project of a scope. One that is asked for must be there; a default that is gone is none.
    async fn project_for(
        &self,
        user: &User,
        scope: &Scope,
    ) -> Result<Option<Project>, ServiceError> {
        let (project, must) = match scope {
            Scope::Unscoped => return Ok(None),
            Scope::Elsewhere => return Err(ServiceError::Unauthenticated),
            Scope::Project(named) => (self.find_project(named).await?, true),
            Scope::Default => match &user.default_project_id {
                Some(id) => (self.catalog.project(id).await?, false),
                None => return Ok(None),
            },
        };
        if let Some(project) = project.filter(|project| project.enabled)
            && !self.roles_in(&user.id, &project.id).await?.is_empty()
        {
            return Ok(Some(project));
        }
        if must {
            Err(ServiceError::Unauthenticated)
        } else {
            Ok(None)
        }
    }

    /// Looks a token up; one that has ended or was taken back counts as not there.
    pub(super) async fn live_record(&self, hash: &str) -> Result<TokenRecord, ServiceError> {
        self.catalog
            .token(hash)
            .await?
            .filter(|record| !record.revoked && record.expires_at > self.clock.now())
            .ok_or(ServiceError::Unauthenticated)
    }

    /// Looks a user up who can sign in.
    pub(super) async fn enabled_user(&self, id: &UserId) -> Result<User, ServiceError> {
        self.catalog
            .user(id)
            .await?
            .filter(|user| user.enabled)
            .ok_or(ServiceError::Unauthenticated)
    }

    /// Says what a token is good for now. A scoped one whose project or roles are gone is good for nothing.
    async fn describe(
        &self,
        record: &TokenRecord,
        user: User,
        project: Option<Project>,
    ) -> Result<TokenInfo, ServiceError> {
        let credential = match &record.app_credential_id {
            Some(id) => Some(self.live_app_credential(id).await?),
            None => None,
        };
        let (project, roles) = match project {
            None => (None, Vec::new()),
            Some(project) => {
                let mut roles = self.roles_in(&user.id, &project.id).await?;
                if let Some(credential) = &credential {
                    let given = |role: &Role| {
                        credential
                            .roles
                            .iter()
                            .any(|one| one.implied().contains(role))
                    };
                    roles.retain(given);
                }
                (Some((project.id, project.name)), roles)
            }
        };
        if project.is_some() && roles.is_empty() {
            return Err(ServiceError::Unauthenticated);
        }
        Ok(TokenInfo {
            user_id: user.id,
            user_name: user.name,
            project,
            roles,
            methods: record.methods.clone(),
            audit_ids: record.audit_ids.clone(),
            issued_at: record.issued_at,
            expires_at: record.expires_at,
            access_rules: None,
            app_credential: credential.map(|credential| TokenCredential {
                id: credential.id,
                name: credential.name,
                restricted: !credential.unrestricted,
            }),
        })
    }

    /// Removes tokens that have ended, once in a while; failing to is no reason to refuse anybody.
    async fn purge(&self, now: Timestamp) {
        {
            let mut purged_at = lock(&self.purged_at);
            if now < purged_at.plus_secs(PURGE_EVERY_SECS) {
                return;
            }
            *purged_at = now;
        }
        if let Err(error) = self.catalog.purge_tokens(now).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "old tokens were not removed"
            );
        }
    }
}

#[async_trait]
impl Authenticator for Identity {
    async fn validate(&self, token: &str) -> Result<TokenInfo, ServiceError> {
        let hash = hash_of(token);
        let now = self.clock.now();
        let epoch = {
            let cache = lock(&self.cache);
            if let Some(info) = cache.get(&hash, now) {
                return Ok(info);
            }
            cache.epoch()
        };
        let record = self.live_record(&hash).await?;
        let user = self.enabled_user(&record.user_id).await?;
        let project = match &record.project_id {
            None => None,
            Some(id) => Some(
                self.catalog
                    .project(id)
                    .await?
                    .filter(|project| project.enabled)
                    .ok_or(ServiceError::Unauthenticated)?,
            ),
        };
        let info = self.describe(&record, user, project).await?;
        lock(&self.cache).put(epoch, hash, info.clone(), now);
        Ok(info)
    }
}
