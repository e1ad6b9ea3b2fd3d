//! Makes again what backups belonged to: projects, users, vaults, policies, checkpoints, servers.

use std::collections::{BTreeMap, BTreeSet};

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{Error, PasswordHasher};
use emberkeep_catalog::{Catalog, CatalogError, Change, Row};
use emberkeep_engine::{BackupFacts, ContextFacts, PolicyFacts, WholeFacts};
use emberkeep_model::{
    Assignment, Backup, Checkpoint, CheckpointId, CheckpointResource, CheckpointStatus, FileSystem,
    FileSystemId, Gib, ObjectType, Policy, PolicyBinding, Project, ProjectId, ProtectStatus,
    ProtectType, ResourceId, Role, Server, ServerId, ServerVolume, Timestamp, User, UserId, Vault,
    VaultId, VaultResource, VaultStatus,
};

use crate::{ServiceError, new_secret};

/// The capacity of a vault of which nothing is known but its backups.
const LEAST_VAULT: u32 = 100;
/// The percentage from which such a vault warns.
const THRESHOLD: u8 = 80;

/// How many rows were made of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Belongings {
    /// Projects of the built-in identity.
    pub projects: u64,
    /// Its users, whose passwords are lost.
    pub users: u64,
    /// Vaults.
    pub vaults: u64,
    /// Policies.
    pub policies: u64,
    /// Checkpoints.
    pub checkpoints: u64,
    /// Servers.
    pub servers: u64,
    /// File systems.
    pub file_systems: u64,
}

/// What one backup remembers.
struct Note {
    backup: Backup,
    context: Option<ContextFacts>,
    whole: Option<WholeFacts>,
}

impl Note {
    /// Returns what the vault protects: a part of a server's backup stands for its server.
    fn resource(&self) -> (ResourceId, Option<String>, Gib) {
        match &self.whole {
            Some(whole) => (
                whole.server_id.into(),
                whole.server_name.clone(),
                whole.size_gib,
            ),
            None => (
                self.backup.resource_id(),
                self.backup.volume_name.clone(),
                self.backup.size,
            ),
        }
    }
}

/// What backups remember of a user.
#[derive(Default)]
struct FoundUser {
    name: Option<String>,
    roles: BTreeMap<ProjectId, Vec<Role>>,
}

/// Collects what backups remember and makes rows of it.
pub(super) struct Context<'c> {
    catalog: &'c dyn Catalog,
    built_in_identity: bool,
    now: Timestamp,
    notes: Vec<Note>,
    made: Belongings,
}

impl<'c> Context<'c> {
    pub(super) fn new(catalog: &'c dyn Catalog, built_in_identity: bool, now: Timestamp) -> Self {
        Self {
            catalog,
            built_in_identity,
            now,
            notes: Vec::new(),
            made: Belongings::default(),
        }
    }

    /// Takes note of a backup that gets a row.
    pub(super) fn note(&mut self, backup: &Backup, facts: &BackupFacts) {
        self.notes.push(Note {
            backup: backup.clone(),
            context: facts.context.clone(),
            whole: facts.whole.clone(),
        });
    }

    /// Makes what is not there; `held` are the vaults that the backups are in.
    pub(super) async fn make(
        mut self,
        held: &BTreeSet<VaultId>,
    ) -> Result<Belongings, ServiceError> {
        // What is remembered latest counts.
        self.notes
            .sort_by_key(|note| (note.backup.created_at, note.backup.id));
        if self.built_in_identity {
            self.make_projects().await?;
            self.make_users().await?;
        }
        self.make_servers().await?;
        self.make_file_systems().await?;
        for vault in held {
            if self.catalog.vault(*vault).await?.is_none() {
                self.make_vault(*vault).await?;
            }
        }
        self.make_checkpoints().await?;
        Ok(self.made)
    }

    async fn make_projects(&mut self) -> Result<(), ServiceError> {
        let mut names: BTreeMap<ProjectId, Option<String>> = BTreeMap::new();
        for note in &self.notes {
            let name = note.context.as_ref().and_then(|c| c.project_name.clone());
            let known = names.entry(note.backup.project_id.clone()).or_default();
            *known = name.or(known.take());
        }
        for (id, name) in names {
            if self.catalog.project(&id).await?.is_some() {
                continue;
            }
            let row = |name: String| {
                Row::Project(Project {
                    id: id.clone(),
                    name,
                    description: String::new(),
                    enabled: true,
                    created_at: self.now,
                    revision: 0,
                })
            };
            let by_id = id.to_string();
            self.insert_named(row(name.unwrap_or(by_id.clone())), row(by_id))
                .await?;
            self.made.projects += 1;
        }
        Ok(())
    }

    async fn make_users(&mut self) -> Result<(), ServiceError> {
        let mut found: BTreeMap<UserId, FoundUser> = BTreeMap::new();
        for note in &self.notes {
            let user = found.entry(note.backup.user_id.clone()).or_default();
            let FoundUser { name, roles } = user;
            let project = note.backup.project_id.clone();
            match &note.context {
                Some(context) => {
                    *name = context.user_name.clone().or(name.take());
                    roles.insert(project, context.roles.clone());
                }
                // Of an older manifest: least that could make the backup.
                None => {
                    roles.entry(project).or_insert_with(|| vec![Role::Member]);
                }
            }
        }
        let mut hash = None;
        for (id, FoundUser { name, roles }) in found {
            if self.catalog.user(&id).await?.is_some() {
                continue;
            }
            let hash = match &hash {
                Some(hash) => String::clone(hash),
                None => hash.insert(unknown_password().await?).clone(),
            };
            let row = |name: String| {
                Row::User(User {
                    id: id.clone(),
                    name,
                    password_hash: hash.clone(),
                    default_project_id: roles.keys().next().cloned(),
                    enabled: true,
                    created_at: self.now,
                    revision: 0,
                })
            };
            let by_id = id.to_string();
            self.insert_named(row(name.unwrap_or(by_id.clone())), row(by_id))
                .await?;
            self.made.users += 1;
            for (project_id, roles) in roles {
                for role in roles {
                    let assignment = Assignment {
                        user_id: id.clone(),
                        project_id: project_id.clone(),
                        role,
                    };
                    self.apply(vec![Change::Save(Row::Assignment(assignment))])
                        .await?;
                }
            }
        }
        Ok(())
    }

    /// Inserts a row; under its id where its name is taken.
    async fn insert_named(&self, row: Row, by_id: Row) -> Result<(), ServiceError> {
        match self.catalog.apply(vec![Change::Insert(row)]).await {
            Err(CatalogError::Exists { .. }) => self.apply(vec![Change::Insert(by_id)]).await,
            other => Ok(other?),
        }
    }

    async fn apply(&self, changes: Vec<Change>) -> Result<(), ServiceError> {
        Ok(self.catalog.apply(changes).await?)
    }

    async fn make_vault(&mut self, id: VaultId) -> Result<(), ServiceError> {
        let notes: Vec<&Note> = self
            .notes
            .iter()
            .filter(|note| note.backup.vault_id == Some(id))
            .collect();
        let Some(latest) = notes.last() else {
            return Ok(());
        };
        let known = notes
            .iter()
            .rev()
            .find_map(|note| note.context.as_ref().filter(|c| c.vault.is_some()));
        let facts = known.and_then(|context| context.vault.as_ref());
        // A lock is never taken back: whenever there was one, there is.
        let locked = notes.iter().any(|note| {
            let vault = note.context.as_ref().and_then(|c| c.vault.as_ref());
            vault.is_some_and(|vault| vault.locked)
        });
        let mut resources: BTreeMap<ResourceId, VaultResource> = BTreeMap::new();
        for note in &notes {
            let (resource_id, name, size) = note.resource();
            let choice = note.context.as_ref().and_then(|c| c.choice.clone());
            let resource = VaultResource {
                vault_id: id,
                resource_id,
                name,
                size,
                status: ProtectStatus::Available,
                auto_protect: true,
                choice: choice.unwrap_or_default(),
                created_at: self.now,
                revision: 0,
            };
            resources.insert(resource_id, resource);
        }
        let needed: u32 = resources
            .values()
            .fold(0, |sum, one| sum.saturating_add(one.size.0));
        let kind = match latest.whole {
            Some(_) => ObjectType::Server,
            None => latest.backup.cbr.kind,
        };
        let vault = Vault {
            id,
            project_id: latest.backup.project_id.clone(),
            user_id: facts.map_or(&latest.backup.user_id, |v| &v.user_id).clone(),
            name: facts.map_or_else(|| recovered(id), |v| v.name.clone()),
            description: facts.and_then(|v| v.description.clone()),
            object_type: facts.map_or(kind, |v| v.object_type),
            protect_type: facts.map_or(ProtectType::Backup, |v| v.protect_type),
            size: facts.map_or(Gib(needed.max(LEAST_VAULT)), |v| v.size),
            status: VaultStatus::Available,
            auto_expand: facts.is_none_or(|v| v.auto_expand),
            auto_bind: facts.is_some_and(|v| v.auto_bind),
            bind_rules: facts.map(|v| v.bind_rules.clone()).unwrap_or_default(),
            tags: facts.map(|v| v.tags.clone()).unwrap_or_default(),
            locked,
            smn_notify: facts.is_some_and(|v| v.smn_notify),
            threshold: facts.map_or(THRESHOLD, |v| v.threshold),
            backup_name_prefix: facts.and_then(|v| v.backup_name_prefix.clone()),
            frozen_scene: None,
            created_at: facts.map_or(latest.backup.created_at, |v| v.created_at),
            updated_at: Some(self.now),
            revision: 0,
        };
        let policies = known.map(|c| c.policies.clone()).unwrap_or_default();
        let project = vault.project_id.clone();
        self.apply(vec![Change::Insert(Row::Vault(vault))]).await?;
        self.made.vaults += 1;
        for resource in resources.into_values() {
            if self
                .catalog
                .vault_resource(resource.resource_id)
                .await?
                .is_none()
            {
                self.apply(vec![Change::Insert(Row::VaultResource(resource))])
                    .await?;
            }
        }
        for facts in policies {
            self.make_policy(&project, id, facts).await?;
        }
        Ok(())
    }

    async fn make_policy(
        &mut self,
        project: &ProjectId,
        vault: VaultId,
        facts: PolicyFacts,
    ) -> Result<(), ServiceError> {
        let mut changes = Vec::new();
        if self.catalog.policy(facts.id).await?.is_none() {
            self.made.policies += 1;
            changes.push(Change::Insert(Row::Policy(Policy {
                id: facts.id,
                project_id: project.clone(),
                user_id: facts.user_id,
                name: facts.name,
                enabled: facts.enabled,
                operation_type: facts.operation_type,
                definition: facts.definition,
                patterns: facts.patterns,
                zone: facts.zone,
                created_at: facts.created_at,
                updated_at: Some(self.now),
                revision: 0,
            })));
        }
        changes.push(Change::Insert(Row::PolicyBinding(PolicyBinding {
            policy_id: facts.id,
            vault_id: vault,
            destination_vault_id: facts.destination_vault_id,
            // Runs that were missed meanwhile are not made up for.
            settled_until: self.now,
            revision: 0,
        })));
        self.apply(changes).await
    }

    async fn make_checkpoints(&mut self) -> Result<(), ServiceError> {
        let mut runs: BTreeMap<CheckpointId, Vec<&Note>> = BTreeMap::new();
        for note in &self.notes {
            if let Some(id) = note.backup.checkpoint_id {
                runs.entry(id).or_default().push(note);
            }
        }
        let mut made = 0;
        for (id, notes) in runs {
            let first = notes[0];
            let Some(vault_id) = first.backup.vault_id else {
                continue;
            };
            if self.catalog.checkpoint(id).await?.is_some() {
                continue;
            }
            let facts = notes
                .iter()
                .find_map(|note| note.context.as_ref()?.checkpoint.as_ref());
            let mut resources: BTreeMap<ResourceId, CheckpointResource> = BTreeMap::new();
            for note in &notes {
                let (resource_id, name, size) = note.resource();
                let choice = note.context.as_ref().and_then(|c| c.choice.clone());
                let resource = CheckpointResource {
                    resource_id,
                    name,
                    size,
                    choice: choice.unwrap_or_default(),
                };
                resources.insert(resource_id, resource);
            }
            let name = first.backup.name.clone();
            let checkpoint = Checkpoint {
                id,
                project_id: first.backup.project_id.clone(),
                user_id: facts.map_or(&first.backup.user_id, |c| &c.user_id).clone(),
                vault_id,
                name: facts.map_or_else(|| name.unwrap_or_default(), |c| c.name.clone()),
                description: facts.and_then(|c| c.description.clone()),
                automatic: facts.map_or(first.backup.automatic, |c| c.automatic),
                retention_days: facts.and_then(|c| c.retention_days),
                status: CheckpointStatus::Available,
                resources: resources.into_values().collect(),
                skipped: Vec::new(),
                created_at: facts.map_or(first.backup.created_at, |c| c.created_at),
                updated_at: Some(self.now),
                revision: 0,
            };
            self.apply(vec![Change::Insert(Row::Checkpoint(checkpoint))])
                .await?;
            made += 1;
        }
        self.made.checkpoints += made;
        Ok(())
    }

    async fn make_servers(&mut self) -> Result<(), ServiceError> {
        // The latest whole of each server, and its volumes.
        let mut found: BTreeMap<ServerId, (&Note, &WholeFacts, Vec<&Note>)> = BTreeMap::new();
        for note in &self.notes {
            let Some(whole) = &note.whole else {
                continue;
            };
            let id = ServerId(whole.server_id.0);
            let same = found
                .get(&id)
                .is_some_and(|(first, ..)| first.backup.cbr.part_of == note.backup.cbr.part_of);
            if same {
                if let Some((.., parts)) = found.get_mut(&id) {
                    parts.push(note);
                }
            } else {
                found.insert(id, (note, whole, vec![note]));
            }
        }
        let mut made = 0;
        for (id, (note, whole, parts)) in found {
            if self.catalog.server(id).await?.is_some() {
                continue;
            }
            let metadata = note.context.as_ref().map(|c| c.resource_metadata.clone());
            let server = Server {
                id,
                project_id: note.backup.project_id.clone(),
                user_id: note.backup.user_id.clone(),
                name: whole.server_name.clone().unwrap_or_else(|| id.to_string()),
                description: None,
                facts: whole.server.clone().unwrap_or_default(),
                metadata: metadata.unwrap_or_default(),
                created_at: note.backup.created_at,
                updated_at: Some(self.now),
                revision: 0,
            };
            self.apply(vec![Change::Insert(Row::Server(server))])
                .await?;
            made += 1;
            for part in parts {
                let volume_id = part.backup.volume_id;
                if self.catalog.server_of(volume_id).await?.is_none() {
                    let row = ServerVolume {
                        volume_id,
                        server_id: id,
                        created_at: self.now,
                        revision: 0,
                    };
                    self.apply(vec![Change::Insert(Row::ServerVolume(row))])
                        .await?;
                }
            }
        }
        self.made.servers += made;
        Ok(())
    }

    async fn make_file_systems(&mut self) -> Result<(), ServiceError> {
        let mut found: BTreeMap<FileSystemId, (&Note, &ContextFacts, &String)> = BTreeMap::new();
        for note in &self.notes {
            if let Some(context) = &note.context
                && let Some(path) = &context.directory
            {
                let id = FileSystemId::from(note.backup.resource_id());
                found.insert(id, (note, context, path));
            }
        }
        let mut made = 0;
        for (id, (note, context, path)) in found {
            if self.catalog.file_system(id).await?.is_some() {
                continue;
            }
            let name = note.backup.volume_name.clone();
            let row = FileSystem {
                id,
                project_id: note.backup.project_id.clone(),
                user_id: note.backup.user_id.clone(),
                name: name.unwrap_or_else(|| id.to_string()),
                description: None,
                path: path.clone(),
                size: note.backup.size,
                metadata: context.resource_metadata.clone(),
                created_at: note.backup.created_at,
                updated_at: Some(self.now),
                revision: 0,
            };
            match self
                .catalog
                .apply(vec![Change::Insert(Row::FileSystem(row))])
                .await
            {
                Ok(()) => made += 1,
                // Its directory is another's by now.
                Err(CatalogError::Exists { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.made.file_systems += made;
        Ok(())
    }
}

fn recovered(id: VaultId) -> String {
    let id = id.to_string();
    format!("recovered-{}", &id[..8])
}

/// Hashes a password that nobody knows: one that is to be reset.
pub(super) async fn unknown_password() -> Result<String, ServiceError> {
    hashed(new_secret()).await
}

/// Hashes a password.
pub(super) async fn hashed(password: String) -> Result<String, ServiceError> {
    let hashing = tokio::task::spawn_blocking(move || {
        let hash: Result<PasswordHash, Error> =
            Argon2::default().hash_password(password.as_bytes());
        hash.map(|hash| hash.to_string())
            .map_err(|error| ServiceError::Inner("password hashing", error.into()))
    });
    hashing
        .await
        .map_err(|panicked| ServiceError::Inner("password hashing", Box::new(panicked)))?
}
