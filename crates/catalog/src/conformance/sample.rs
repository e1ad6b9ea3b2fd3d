//! Rows to test with, from a seed: every field takes usual and awkward values alike.

use std::collections::BTreeMap;
use std::str::FromStr;

use emberkeep_model::{
    AppCredential, Assignment, Attachment, AttachmentStatus, Backup, BackupDamage, BackupState,
    ByteCount, ByteSpan, CbrFacts, Checkpoint, CheckpointResource, CheckpointStatus, CinderFacts,
    ContentOf, DamageFinder, Emptied, FileSystem, Foreign, ForeignPlace, Gib, IncludedVolume,
    KeptColumn, Lease, Limit, Member, MemberStatus, Message, MessageAction, MessageDetail,
    ObjectType, OperationDefinition, OperationType, Policy, PolicyBinding, Progress, Project,
    ProtectStatus, ProtectType, QuotaClass, QuotaSet, Replica, Role, Sealed, Server, ServerFacts,
    ServerVolume, ServiceSwitch, SkipReason, SkippedResource, Snapshot, SnapshotStatus,
    SourceFacts, Synced, Tag, Task, TaskState, Timestamp, TokenRecord, User, Vault, VaultResource,
    VaultStatus, Volume, VolumeChoice, VolumeSource, VolumeStatus, VolumeType, Work,
};

/// A source of values that is the same for the same seed (splitmix64).
pub(super) struct Dice(pub(super) u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.roll() % end as u64).expect("below a usize")
    }

    pub(super) fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }

    pub(super) fn flip(&mut self) -> bool {
        self.below(2) == 1
    }

    pub(super) fn maybe<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.flip().then(|| make(self))
    }

    fn list<T>(&mut self, mut make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.below(4)).map(|_| make(self)).collect()
    }

    /// An id of either sort: 32 hex digits are both a UUID and what Keystone hands out.
    pub(super) fn id<T: FromStr<Err: std::fmt::Debug>>(&mut self) -> T {
        let digits = format!("{:016x}{:016x}", self.roll(), self.roll());
        digits.parse().expect("32 hex digits are an id")
    }

    pub(super) fn text(&mut self) -> String {
        let long = "long ".repeat(200);
        let texts = [
            "",
            " ",
            "data",
            "Data",
            "data ",
            "0",
            "00",
            "1e3",
            "0x10",
            "null",
            "NULL",
            "true",
            "'",
            "\"",
            "';--",
            "%",
            "_",
            "$1",
            "?",
            "\\",
            "\n",
            "\t\r\n",
            "é",
            "e\u{301}",
            "\u{10ffff}",
            "数据",
            "🔥",
            "\u{feff}",
            "ß",
            "\u{1}\u{7f}\u{80}",
            "{\"a\":1}",
            "[]",
            &long,
        ];
        self.pick(&texts).to_owned()
    }

    pub(super) fn time(&mut self) -> Timestamp {
        let usual = i64::try_from(self.roll() % 4_000_000_000_000_000).expect("fits");
        Timestamp(self.pick(&[usual, usual, usual, 0, 1, -1, i64::MAX, i64::MIN]))
    }

    fn count(&mut self) -> u64 {
        let any = self.roll() >> 1;
        self.pick(&[
            any,
            any >> 20,
            0,
            1,
            u64::from(u32::MAX) + 1,
            i64::MAX.unsigned_abs(),
        ])
    }

    fn size(&mut self) -> Gib {
        Gib(self.pick(&[1, 2, 40, 0, u32::MAX]))
    }

    fn pairs(&mut self) -> BTreeMap<String, String> {
        self.list(|d| (d.text(), d.text())).into_iter().collect()
    }

    pub(super) fn volume(&mut self) -> Volume {
        Volume {
            id: self.id(),
            project_id: self.id(),
            user_id: self.id(),
            name: self.maybe(Self::text),
            description: self.maybe(Self::text),
            size: self.size(),
            status: self.pick(VolumeStatus::ALL),
            previous_status: self.maybe(|d| d.pick(VolumeStatus::ALL)),
            volume_type_id: self.maybe(Self::id),
            availability_zone: self.text(),
            bootable: self.flip(),
            metadata: self.pairs(),
            snapshot_id: self.maybe(Self::id),
            source_volume_id: self.maybe(Self::id),
            readonly: self.maybe(Self::flip),
            image_metadata: self.pairs(),
            growing_to: self.maybe(Self::size),
            created_at: self.time(),
            updated_at: self.maybe(Self::time),
            revision: self.below(5) as u64,
        }
    }

    pub(super) fn snapshot(&mut self) -> Snapshot {
        Snapshot {
            id: self.id(),
            volume_id: self.id(),
            project_id: self.id(),
            user_id: self.id(),
            name: self.maybe(Self::text),
            description: self.maybe(Self::text),
            size: self.size(),
            status: self.pick(SnapshotStatus::ALL),
            progress: self.pick(&[0, 80, 100]),
            metadata: self.pairs(),
            created_at: self.time(),
            updated_at: self.maybe(Self::time),
            revision: self.below(5) as u64,
        }
    }

    pub(super) fn volume_type(&mut self) -> VolumeType {
        let unique: emberkeep_model::UserId = self.id();
        VolumeType {
            id: self.id(),
            name: format!("{}{unique}", self.text()),
            description: self.maybe(Self::text),
            is_public: self.flip(),
            extra_specs: self.pairs(),
            access: self.list(Self::id),
            created_at: self.time(),
            revision: self.below(5) as u64,
        }
    }

    pub(super) fn sealed(&mut self) -> Sealed {
        Sealed {
            at: self.time(),
            read: ByteCount(self.count()),
            data: ByteCount(self.count()),
            new: ByteCount(self.count()),
            stored: ByteCount(self.count()),
        }
    }

    /// One of each state.
    pub(super) fn backup_states(&mut self) -> [BackupState; 10] {
        let sealed = self.sealed();
        [
            BackupState::Queued,
            BackupState::Copying,
            BackupState::Available(sealed),
            BackupState::RestoreQueued {
                sealed: self.sealed(),
                target: self.id(),
            },
            BackupState::Restoring {
                sealed: self.sealed(),
                target: self.id(),
            },
            BackupState::DeleteQueued,
            BackupState::Deleting,
            BackupState::Deleted,
            BackupState::Failed {
                reason: self.text(),
            },
            BackupState::Damaged(sealed),
        ]
    }

    pub(super) fn backup(&mut self) -> Backup {
        let states = self.backup_states();
        let damaged = states.len() - 1;
        let mut backup = Backup {
            id: self.id(),
            project_id: self.id(),
            user_id: self.id(),
            volume_id: self.id(),
            volume_name: self.maybe(Self::text),
            snapshot_id: self.maybe(Self::id),
            vault_id: self.maybe(Self::id),
            checkpoint_id: self.maybe(Self::id),
            parent_id: self.maybe(Self::id),
            name: self.maybe(Self::text),
            description: self.maybe(Self::text),
            container: self.maybe(Self::text),
            availability_zone: self.maybe(Self::text),
            metadata: self.pairs(),
            size: self.size(),
            automatic: self.flip(),
            state: self.pick(&states[..damaged]),
            fail_reason: self.maybe(Self::text),
            restore_volume_id: self.maybe(Self::id),
            data_timestamp: self.time(),
            created_at: self.time(),
            updated_at: self.maybe(Self::time),
            deleted_at: self.maybe(Self::time),
            content: self.maybe(|d| ContentOf {
                project_id: d.id(),
                backup_id: d.id(),
            }),
            cinder: self.cinder(),
            cbr: CbrFacts {
                policy_id: self.maybe(Self::id),
                expires_at: self.maybe(Self::time),
                kind: self.pick(ObjectType::ALL),
                part_of: self.maybe(Self::id),
                server: self.maybe(Self::server_facts),
                replica: self.maybe(Self::replica),
            },
            damage: None,
            revision: self.below(5) as u64,
        };
        // Of those that are available every second one, without another roll: the sample that the
        // lists are filtered by stays as it was.
        if let BackupState::Available(sealed) = backup.state
            && sealed.at.0 % 2 == 0
        {
            backup.state = BackupState::Damaged(sealed);
            backup.damage = Some(damage(sealed));
        }
        backup
    }

    fn tag(&mut self) -> Tag {
        Tag {
            key: self.text(),
            value: self.text(),
        }
    }

    pub(super) fn vault(&mut self) -> Vault {
        Vault {
            id: self.id(),
            project_id: self.id(),
            user_id: self.id(),
            name: self.text(),
            description: self.maybe(Self::text),
            object_type: self.pick(ObjectType::ALL),
            protect_type: self.pick(ProtectType::ALL),
            size: self.size(),
            status: self.pick(VaultStatus::ALL),
            auto_expand: self.flip(),
            auto_bind: self.flip(),
            bind_rules: self.list(Self::tag),
            tags: self.list(Self::tag),
            locked: self.flip(),
            smn_notify: self.flip(),
            threshold: self.pick(&[0, 80, 100, u8::MAX]),
            backup_name_prefix: self.maybe(Self::text),
            frozen_scene: self.maybe(Self::text),
            created_at: self.time(),
            updated_at: self.maybe(Self::time),
            revision: self.below(5) as u64,
        }
    }

    pub(super) fn vault_resource(&mut self, vault: &Vault) -> VaultResource {
        VaultResource {
            vault_id: vault.id,
            resource_id: self.id(),
            name: self.maybe(Self::text),
            size: self.size(),
            status: self.pick(ProtectStatus::ALL),
            auto_protect: self.flip(),
            choice: self.choice(),
            created_at: self.time(),
            revision: self.below(5) as u64,
        }
    }

    fn choice(&mut self) -> VolumeChoice {
        VolumeChoice {
            include: self.list(|d| IncludedVolume {
                id: d.id(),
                os_version: d.maybe(Self::text),
            }),
            exclude: self.list(Self::id),
        }
    }

    pub(super) fn replica(&mut self) -> Replica {
        Replica {
            region: self.text(),
            source_region: self.text(),
            source_project_id: self.id(),
            source_backup_id: self.id(),
            source_checkpoint_id: self.maybe(Self::id),
            source_vault_id: self.maybe(Self::id),
            source_name: self.maybe(Self::text),
        }
    }

    fn server_facts(&mut self) -> ServerFacts {
        ServerFacts {
            os_type: self.maybe(Self::text),
            architecture: self.maybe(Self::text),
        }
    }

    pub(super) fn server(&mut self) -> Server {
        Server {
            id: self.id(),
            project_id: self.id(),
            user_id: self.id(),
            name: self.text(),
            description: self.maybe(Self::text),
            facts: self.server_facts(),
            metadata: self.pairs(),
            created_at: self.time(),
            updated_at: self.maybe(Self::time),
            revision: self.below(5) as u64,
        }
    }

    pub(super) fn server_volume(&mut self, server: &Server) -> ServerVolume {
        ServerVolume {
            volume_id: self.id(),
            server_id: server.id,
            created_at: self.time(),
            revision: self.below(5) as u64,
        }
    }

    pub(super) fn file_system(&mut self) -> FileSystem {
        FileSystem {
            id: self.id(),
            project_id: self.id(),
            user_id: self.id(),
            name: self.text(),
            description: self.maybe(Self::text),
            path: format!("/{}", self.id::<emberkeep_model::ProjectId>()),
            size: self.size(),
            metadata: self.pairs(),
            created_at: self.time(),
            updated_at: self.maybe(Self::time),
            revision: self.below(5) as u64,
        }
    }

    pub(super) fn checkpoint(&mut self) -> Checkpoint {
        use SkipReason as R;
        let reasons = [
            R::BackupRunning,
            R::Restoring,
            R::Removing,
            R::VolumeStatus,
            R::VolumeGone,
            R::ServerStatus,
            R::ServerGone,
            R::NoVolumes,
            R::FileSystemGone,
        ];
        Checkpoint {
            id: self.id(),
            project_id: self.id(),
            user_id: self.id(),
            vault_id: self.id(),
            name: self.text(),
            description: self.maybe(Self::text),
            automatic: self.flip(),
            retention_days: self.maybe(|d| d.pick(&[0, 1, 99_999, u32::MAX])),
            status: self.pick(CheckpointStatus::ALL),
            resources: self.list(|d| CheckpointResource {
                resource_id: d.id(),
                name: d.maybe(Self::text),
                size: d.size(),
                choice: d.choice(),
            }),
            skipped: self.list(|d| SkippedResource {
                resource_id: d.id(),
                name: d.maybe(Self::text),
                reason: d.pick(&reasons),
            }),
            created_at: self.time(),
            updated_at: self.maybe(Self::time),
            revision: self.below(5) as u64,
        }
    }

    /// One of each kind of work.
    pub(super) fn works(&mut self) -> Vec<Work> {
        let sources = [
            VolumeSource::Empty,
            VolumeSource::Snapshot {
                snapshot_id: self.id(),
            },
            VolumeSource::Volume {
                volume_id: self.id(),
            },
        ];
        vec![
            Work::CreateVolume {
                volume_id: self.id(),
                source: self.pick(&sources),
            },
            Work::ExtendVolume {
                volume_id: self.id(),
                size: self.size(),
            },
            Work::DeleteVolume {
                volume_id: self.id(),
            },
            Work::CreateSnapshot {
                snapshot_id: self.id(),
            },
            Work::DeleteSnapshot {
                snapshot_id: self.id(),
            },
            Work::Backup {
                backup_id: self.id(),
            },
            Work::Restore {
                backup_id: self.id(),
                volume_id: self.id(),
                fresh: self.flip(),
            },
            Work::DeleteBackup {
                backup_id: self.id(),
            },
            Work::ImportBackup {
                backup_id: self.id(),
            },
            Work::AdoptBackup {
                backup_id: self.id(),
            },
            Work::Replicate {
                backup_id: self.id(),
                volume_id: self.id(),
            },
            Work::SyncReplicas {
                vault_id: self.id(),
                found: Synced {
                    added: self.below(5) as u64,
                    gone: self.below(5) as u64,
                    unreadable: self.below(5) as u64,
                },
            },
            Work::RemoveResources {
                vault_id: self.id(),
                resource_ids: self.list(Self::id),
                names: self.list(|s| s.maybe(Self::text)),
            },
            Work::DeleteVault {
                vault_id: self.id(),
                backups: Emptied {
                    total: self.maybe(|s| s.below(5) as u64),
                    left: self.below(5) as u64,
                },
            },
            Work::MoveExpiry {
                vault_id: self.id(),
                backups: self.below(5) as u64,
                day: self.text(),
            },
            Work::Sweep,
        ]
    }

    /// One of each state.
    pub(super) fn task_states(&mut self) -> [TaskState; 7] {
        [
            TaskState::Waiting,
            TaskState::Running(Lease {
                worker: self.text(),
                until: self.time(),
            }),
            TaskState::Succeeded,
            TaskState::Failed {
                reason: self.text(),
            },
            TaskState::TimedOut {
                reason: self.text(),
            },
            TaskState::Cancelled,
            TaskState::Skipped {
                reason: self.text(),
            },
        ]
    }

    pub(super) fn task(&mut self) -> Task {
        let (works, states) = (self.works(), self.task_states());
        Task {
            id: self.id(),
            project_id: self.id(),
            user_id: self.id(),
            request_id: self.text(),
            work: self.pick(&works),
            state: self.pick(&states),
            generation: self.count(),
            progress: Progress {
                bytes_done: self.count(),
                bytes_total: self.count(),
                bytes_per_sec: self.count(),
            },
            cancel_asked: self.flip(),
            not_before: self.time(),
            object_type: self.pick(ObjectType::ALL),
            volume_id: self.maybe(Self::id),
            volume_name: self.maybe(Self::text),
            backup_id: self.maybe(Self::id),
            backup_name: self.maybe(Self::text),
            vault_id: self.maybe(Self::id),
            vault_name: self.maybe(Self::text),
            checkpoint_id: self.maybe(Self::id),
            policy_id: self.maybe(Self::id),
            notes: self.list(Self::text),
            created_at: self.time(),
            started_at: self.maybe(Self::time),
            updated_at: self.time(),
            ended_at: self.maybe(Self::time),
            revision: self.below(5) as u64,
        }
    }

    /// A task about nothing in particular that anybody may claim from instant 0 on.
    pub(super) fn waiting(
        &mut self,
        project: &emberkeep_model::ProjectId,
        created_at: i64,
    ) -> Task {
        Task {
            project_id: project.clone(),
            work: Work::DeleteVault {
                vault_id: self.id(),
                backups: Emptied::default(),
            },
            state: TaskState::Waiting,
            generation: 0,
            progress: Progress::default(),
            cancel_asked: false,
            not_before: Timestamp(0),
            volume_id: None,
            backup_id: None,
            created_at: Timestamp(created_at),
            started_at: None,
            ended_at: None,
            revision: 0,
            ..self.task()
        }
    }

    /// One of a project of its own.
    pub(super) fn lone_task(&mut self) -> Task {
        let project = self.id();
        self.waiting(&project, 1)
    }

    pub(super) fn project(&mut self) -> Project {
        let unique: emberkeep_model::UserId = self.id();
        Project {
            id: self.id(),
            name: format!("{}{unique}", self.text()),
            description: self.text(),
            enabled: self.flip(),
            created_at: self.time(),
            revision: self.below(5) as u64,
        }
    }

    pub(super) fn user(&mut self) -> User {
        let unique: emberkeep_model::UserId = self.id();
        User {
            id: self.id(),
            name: format!("{}{unique}", self.text()),
            password_hash: self.text(),
            default_project_id: self.maybe(Self::id),
            enabled: self.flip(),
            created_at: self.time(),
            revision: self.below(5) as u64,
        }
    }

    pub(super) fn token(&mut self) -> TokenRecord {
        let hash: emberkeep_model::UserId = self.id();
        TokenRecord {
            hash: hash.to_string(),
            user_id: self.id(),
            project_id: self.maybe(Self::id),
            methods: self.list(Self::text),
            audit_ids: self.list(Self::text),
            issued_at: self.time(),
            expires_at: self.time(),
            revoked: self.flip(),
            app_credential_id: self.maybe(Self::text),
        }
    }

    pub(super) fn assignment(&mut self) -> Assignment {
        Assignment {
            user_id: self.id(),
            project_id: self.id(),
            role: self.pick(Role::ALL),
        }
    }

    pub(super) fn policy(&mut self) -> Policy {
        Policy {
            id: self.id(),
            project_id: self.id(),
            user_id: self.id(),
            name: self.text(),
            enabled: self.flip(),
            operation_type: self.pick(OperationType::ALL),
            definition: OperationDefinition {
                max_backups: self.maybe(|d| Limit(d.pick(&[-1, 0, 7]))),
                timezone: self.maybe(Self::text),
                destination_project_id: self.maybe(Self::id),
                ..OperationDefinition::default()
            },
            patterns: self.list(Self::text),
            zone: self.maybe(Self::text),
            created_at: self.time(),
            updated_at: self.maybe(Self::time),
            revision: self.below(5) as u64,
        }
    }

    pub(super) fn binding(&mut self, policy: &Policy, vault: &Vault) -> PolicyBinding {
        PolicyBinding {
            policy_id: policy.id,
            vault_id: vault.id,
            destination_vault_id: self.maybe(Self::id),
            settled_until: self.time(),
            revision: self.below(5) as u64,
        }
    }

    pub(super) fn member(&mut self) -> Member {
        Member {
            id: self.id(),
            backup_id: self.id(),
            dest_project_id: self.id(),
            status: self.pick(MemberStatus::ALL),
            vault_id: self.maybe(Self::id),
            created_at: self.time(),
            updated_at: self.maybe(Self::time),
            revision: self.below(5) as u64,
        }
    }

    fn cinder(&mut self) -> CinderFacts {
        CinderFacts {
            host: self.maybe(Self::text),
            service: self.maybe(Self::text),
            service_metadata: self.maybe(Self::text),
            object_count: self.pick(&[0, 1, -1, i64::MAX]),
            temp_volume_id: self.maybe(Self::text),
            temp_snapshot_id: self.maybe(Self::text),
            num_dependent_backups: self.pick(&[0, 1, -1, i64::MIN]),
            encryption_key_id: self.maybe(Self::text),
            columns: self
                .list(|d| {
                    let kept = KeptColumn {
                        holds: d.maybe(Self::text),
                        beside: d.maybe(Self::text),
                    };
                    (d.text(), kept)
                })
                .into_iter()
                .collect(),
            source: self.maybe(|d| SourceFacts {
                name: d.maybe(Self::text),
                description: d.maybe(Self::text),
                metadata: d.pairs(),
                image_metadata: d.pairs(),
                bootable: d.flip(),
            }),
            foreign: self.maybe(|d| {
                let place = ForeignPlace {
                    driver: d.text(),
                    container: d.text(),
                    prefix: d.text(),
                };
                if d.flip() {
                    Foreign::Kept(place)
                } else {
                    Foreign::Adopted(place)
                }
            }),
        }
    }

    pub(super) fn app_credential(&mut self) -> AppCredential {
        let (id, unique): (emberkeep_model::UserId, emberkeep_model::UserId) =
            (self.id(), self.id());
        AppCredential {
            id: id.to_string(),
            user_id: self.id(),
            project_id: self.id(),
            name: format!("{}{unique}", self.text()),
            description: self.maybe(Self::text),
            secret_hash: self.text(),
            roles: self.list(|d| d.pick(Role::ALL)),
            unrestricted: self.flip(),
            created_at: self.time(),
            expires_at: self.maybe(Self::time),
            revision: self.below(5) as u64,
        }
    }

    pub(super) fn attachment(&mut self) -> Attachment {
        Attachment {
            id: self.id(),
            volume_id: self.id(),
            project_id: self.id(),
            user_id: self.id(),
            instance_id: self.maybe(Self::text),
            host: self.maybe(Self::text),
            mountpoint: self.maybe(Self::text),
            mode: self.text(),
            status: self.pick(AttachmentStatus::ALL),
            connector: self.pairs(),
            attached_at: self.maybe(Self::time),
            created_at: self.time(),
            revision: self.below(5) as u64,
        }
    }

    pub(super) fn message(&mut self) -> Message {
        Message {
            id: self.id(),
            project_id: self.id(),
            request_id: self.text(),
            resource_type: self.text(),
            resource_id: self.text(),
            action: self.pick(MessageAction::ALL),
            detail: self.pick(MessageDetail::ALL),
            created_at: self.time(),
            expires_at: self.time(),
            revision: self.below(5) as u64,
        }
    }

    fn limits(&mut self) -> BTreeMap<String, i64> {
        self.list(|d| (d.text(), d.pick(&[-1, 0, 10, i64::MAX])))
            .into_iter()
            .collect()
    }

    pub(super) fn quota_set(&mut self) -> QuotaSet {
        QuotaSet {
            project_id: self.id(),
            limits: self.limits(),
            revision: self.below(5) as u64,
        }
    }

    pub(super) fn quota_class(&mut self) -> QuotaClass {
        let unique: emberkeep_model::UserId = self.id();
        QuotaClass {
            name: format!("{}{unique}", self.text()),
            limits: self.limits(),
            revision: self.below(5) as u64,
        }
    }

    pub(super) fn service_switch(&mut self) -> ServiceSwitch {
        let unique: emberkeep_model::UserId = self.id();
        ServiceSwitch {
            binary_name: format!("{}{unique}", self.text()),
            disabled: self.flip(),
            disabled_reason: self.maybe(Self::text),
            updated_at: self.time(),
            revision: self.below(5) as u64,
        }
    }
}

fn damage(sealed: Sealed) -> BackupDamage {
    let start = sealed.read.0 % (1 << 40);
    BackupDamage {
        what: "p/1/packs/ab/abcd: the object is \"missing\"".to_owned(),
        lost: vec![ByteSpan {
            start,
            end: start + 4096,
        }],
        found_by: DamageFinder::Scrub,
        since: sealed.at,
        seen_at: sealed.at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_work_has_a_sample() {
        let works = Dice(1).works();
        let words: Vec<_> = works.iter().map(Work::word).collect();
        assert_eq!(words, Work::WORDS);
    }
}
