//! The catalogue over any SQL engine: every statement is here, an adapter only runs them.
//!
//! The statements keep to what SQLite and PostgreSQL both take: `$1` placeholders, `RETURNING`,
//! `ON CONFLICT`, `IS NOT DISTINCT FROM`; text, 64-bit numbers and booleans.

mod backup;
mod change;
mod count;
mod known;
mod list;
mod quota;
mod row;
mod statement;
mod task;
mod value;

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use emberkeep_model::{
    AppCredential, Assignment, Attachment, AttachmentId, Backup, BackupId, ByteCount, Checkpoint,
    CheckpointId, FileSystem, FileSystemId, Gib, Member, MemberId, Message, MessageId, Policy,
    PolicyBinding, PolicyId, Progress, Project, ProjectId, QuotaClass, QuotaSet, QuotaUsage,
    ResourceId, ResourceUsage, Server, ServerId, ServerVolume, ServiceSwitch, Snapshot, SnapshotId,
    Task, TaskId, Timestamp, TokenRecord, User, UserId, Vault, VaultId, VaultResource, VaultUsage,
    Volume, VolumeId, VolumeType, VolumeTypeId,
};

pub(crate) use change::{Needs, Step};
pub(crate) use known::Known;
pub(crate) use row::Record;
pub(crate) use statement::{ByteBound, Statement};
pub(crate) use value::{Bind, Cell};

use crate::{
    AttachmentQuery, BackupQuery, Catalog, CatalogError, Change, InventoryQuery, MessageQuery,
    Page, PolicyQuery, Renewal, SnapshotQuery, TaskQuery, VaultQuery, VolumeQuery,
};
use list::List;
use row::Stored;
use value::Field;

/// How many ids one statement names at most; engines bound how many values it may have.
const IDS_AT_ONCE: usize = 500;

/// What an adapter does: run statements.
pub(crate) trait Engine: Send + Sync + 'static {
    /// Runs reads that all see the same moment; returns the rows of each.
    fn read(
        &self,
        statements: Vec<Statement>,
    ) -> impl Future<Output = Result<Vec<Vec<Record>>, CatalogError>> + Send;

    /// Runs reads that indexes answer at once, as [`Engine::read`] does.
    fn read_quick(
        &self,
        statements: Vec<Statement>,
    ) -> impl Future<Output = Result<Vec<Vec<Record>>, CatalogError>> + Send {
        self.read(statements)
    }

    /// Returns what is remembered of rows, if anything is.
    fn known(&self) -> Option<&Known> {
        None
    }

    /// Takes note of changes that were made.
    fn note(&self, changes: &[Change]) {
        let _ = changes;
    }

    /// Runs steps in order in one durable transaction; returns the rows of each. Nothing has happened
    /// if a step that needs a row changed none ([`CatalogError::Stale`]), a row or its unique name was
    /// there before ([`CatalogError::Exists`]), or a row that it refers to was not (`Stale` again).
    fn write(
        &self,
        steps: Vec<Step>,
    ) -> impl Future<Output = Result<Vec<Vec<Record>>, CatalogError>> + Send;
}

async fn rows<T: Stored>(engine: &impl Engine, read: Statement) -> Result<Vec<T>, CatalogError> {
    let records = engine.read(vec![read]).await?.pop().unwrap_or_default();
    records.into_iter().map(T::from_record).collect()
}

async fn one<T: Stored>(engine: &impl Engine, key: &impl Field) -> Result<Option<T>, CatalogError> {
    let record = quick(engine, statement::row::<T>(key)).await?.pop();
    record.map(T::from_record).transpose()
}

/// Runs one quick read.
async fn quick(engine: &impl Engine, read: Statement) -> Result<Vec<Record>, CatalogError> {
    Ok(engine
        .read_quick(vec![read])
        .await?
        .pop()
        .unwrap_or_default())
}

async fn page<T: Stored>(engine: &impl Engine, list: List) -> Result<Page<T>, CatalogError> {
    let max_bytes = list.page.max_bytes;
    let (records, total) = page_records(engine, list).await?;
    let bytes = records.iter().map(statement::bytes_of).sum::<u64>();
    let items = records.into_iter().map(T::from_record);
    Ok(Page {
        items: items.collect::<Result<_, _>>()?,
        total,
        is_cut: max_bytes.is_some_and(|most| bytes >= most),
    })
}

/// Reads a page, and how many match in all if that was asked for, both of one moment.
async fn page_records(
    engine: &impl Engine,
    list: List,
) -> Result<(Vec<Record>, Option<u64>), CatalogError> {
    let wants_total = list.total.is_some();
    let statements = std::iter::once(list.page).chain(list.total).collect();
    let results = if list.is_quick {
        engine.read_quick(statements).await?
    } else {
        engine.read(statements).await?
    };
    let mut results = results.into_iter();
    let records = results.next().unwrap_or_default();
    if !wants_total {
        return Ok((records, None));
    }
    let mut counts = results.next().unwrap_or_default().into_iter().flatten();
    Ok((records, Some(answer(&mut counts, "the length of a list")?)))
}

/// Returns the page with each row on its own, so that it can be passed on without being copied.
fn shared<T>(page: Page<T>) -> Page<Arc<T>> {
    Page {
        items: page.items.into_iter().map(Arc::new).collect(),
        total: page.total,
        is_cut: page.is_cut,
    }
}

/// Runs one write by itself; returns its rows.
async fn alone(
    engine: &impl Engine,
    statement: Statement,
    what: &str,
) -> Result<Vec<Record>, CatalogError> {
    let step = Step::alone(statement, what);
    Ok(engine.write(vec![step]).await?.pop().unwrap_or_default())
}

/// Takes the next value of an answer that is no row of ours.
fn answer<T: Field>(cells: &mut impl Iterator<Item = Cell>, what: &str) -> Result<T, CatalogError> {
    let cell = cells.next().ok_or_else(|| "nothing".to_owned());
    cell.and_then(T::from_cell)
        .map_err(|reason| CatalogError::Corrupt {
            what: what.to_owned(),
            reason,
        })
}

#[async_trait]
impl<E: Engine> Catalog for E {
    async fn apply(&self, changes: Vec<Change>) -> Result<(), CatalogError> {
        if changes.is_empty() {
            return Ok(());
        }
        self.write(changes.iter().map(Step::of).collect()).await?;
        self.note(&changes);
        Ok(())
    }

    async fn volume(&self, id: VolumeId) -> Result<Option<Volume>, CatalogError> {
        one(self, &id).await
    }

    async fn volumes(&self, query: &VolumeQuery) -> Result<Page<Volume>, CatalogError> {
        page(self, list::volumes(query)).await
    }

    async fn snapshot(&self, id: SnapshotId) -> Result<Option<Snapshot>, CatalogError> {
        one(self, &id).await
    }

    async fn snapshots(&self, query: &SnapshotQuery) -> Result<Page<Snapshot>, CatalogError> {
        page(self, list::snapshots(query)).await
    }

    async fn volume_type(&self, id: VolumeTypeId) -> Result<Option<VolumeType>, CatalogError> {
        one(self, &id).await
    }

    async fn volume_types(&self) -> Result<Vec<VolumeType>, CatalogError> {
        rows(
            self,
            statement::all_rows::<VolumeType>("t.created_at, t.id"),
        )
        .await
    }

    async fn backup(&self, id: BackupId) -> Result<Option<Backup>, CatalogError> {
        one(self, &id).await
    }

    async fn backups(&self, query: &BackupQuery) -> Result<Page<Backup>, CatalogError> {
        page(self, list::backups(query)).await
    }

    async fn backup_seen(&self, id: BackupId) -> Result<Option<Arc<Backup>>, CatalogError> {
        match self.known() {
            Some(known) => known::backup(self, known, id).await,
            None => Ok(one(self, &id).await?.map(Arc::new)),
        }
    }

    async fn backups_seen(&self, query: &BackupQuery) -> Result<Page<Arc<Backup>>, CatalogError> {
        if let Some(known) = self.known()
            && let Some(ids) = list::quick_backup_ids(query)
        {
            return known::backups(self, known, query, ids).await;
        }
        Ok(shared(page(self, list::backups(query)).await?))
    }

    async fn quota_usage(&self, project: &ProjectId) -> Result<QuotaUsage, CatalogError> {
        quota::usage(self, project).await
    }

    async fn quota_set(&self, project: &ProjectId) -> Result<Option<QuotaSet>, CatalogError> {
        one(self, project).await
    }

    async fn quota_class(&self, name: &str) -> Result<Option<QuotaClass>, CatalogError> {
        one(self, &name.to_owned()).await
    }

    async fn attachment(&self, id: AttachmentId) -> Result<Option<Attachment>, CatalogError> {
        one(self, &id).await
    }

    async fn attachments(&self, query: &AttachmentQuery) -> Result<Page<Attachment>, CatalogError> {
        page(self, list::attachments(query)).await
    }

    async fn message(&self, id: MessageId) -> Result<Option<Message>, CatalogError> {
        one(self, &id).await
    }

    async fn messages(&self, query: &MessageQuery) -> Result<Page<Message>, CatalogError> {
        page(self, list::messages(query)).await
    }

    async fn purge_messages(&self, now: Timestamp) -> Result<u64, CatalogError> {
        Ok(alone(self, statement::purge_messages(now), "messages")
            .await?
            .len() as u64)
    }

    async fn service_switches(&self) -> Result<Vec<ServiceSwitch>, CatalogError> {
        rows(self, statement::all_rows::<ServiceSwitch>("t.binary_name")).await
    }

    async fn vault(&self, id: VaultId) -> Result<Option<Vault>, CatalogError> {
        one(self, &id).await
    }

    async fn vaults(&self, query: &VaultQuery) -> Result<Page<Vault>, CatalogError> {
        page(self, list::vaults(query)).await
    }

    async fn vault_resources(&self, vault: VaultId) -> Result<Vec<VaultResource>, CatalogError> {
        let order = "t.added, t.resource_id";
        rows(
            self,
            statement::rows_where::<VaultResource>("vault_id", &vault, order),
        )
        .await
    }

    async fn vault_resource(&self, id: ResourceId) -> Result<Option<VaultResource>, CatalogError> {
        one(self, &id).await
    }

    async fn server(&self, id: ServerId) -> Result<Option<Server>, CatalogError> {
        one(self, &id).await
    }

    async fn servers(
        &self,
        query: &InventoryQuery<ServerId>,
    ) -> Result<Page<Server>, CatalogError> {
        page(self, list::inventory::<Server, _>(query)).await
    }

    async fn server_volumes(&self, server: ServerId) -> Result<Vec<ServerVolume>, CatalogError> {
        let order = "t.added, t.volume_id";
        rows(
            self,
            statement::rows_where::<ServerVolume>("server_id", &server, order),
        )
        .await
    }

    async fn server_of(&self, volume: VolumeId) -> Result<Option<ServerVolume>, CatalogError> {
        one(self, &volume).await
    }

    async fn file_system(&self, id: FileSystemId) -> Result<Option<FileSystem>, CatalogError> {
        one(self, &id).await
    }

    async fn file_systems(
        &self,
        query: &InventoryQuery<FileSystemId>,
    ) -> Result<Page<FileSystem>, CatalogError> {
        page(self, list::inventory::<FileSystem, _>(query)).await
    }

    async fn vault_usage(&self, vaults: &[VaultId]) -> Result<Vec<VaultUsage>, CatalogError> {
        let reads = vaults
            .chunks(IDS_AT_ONCE)
            .map(statement::vault_usage)
            .collect();
        let mut known = HashMap::new();
        for record in self.read(reads).await?.into_iter().flatten() {
            let what = "the usage of a vault";
            let mut cells = record.into_iter();
            let id: VaultId = answer(&mut cells, what)?;
            let allocated: u64 = answer(&mut cells, what)?;
            let usage = VaultUsage {
                allocated: Gib(u32::try_from(allocated).unwrap_or(u32::MAX)),
                used: answer(&mut cells, what)?,
                backups: answer(&mut cells, what)?,
            };
            known.insert(id, usage);
        }
        Ok(vaults
            .iter()
            .map(|id| known.get(id).copied().unwrap_or_default())
            .collect())
    }

    async fn resource_usage(&self, vault: VaultId) -> Result<Vec<ResourceUsage>, CatalogError> {
        let what = "the usage of a resource";
        let answers = self.read(vec![statement::resource_usage(vault)]).await?;
        let usage = answers.into_iter().flatten().map(|record| {
            let mut cells = record.into_iter();
            Ok(ResourceUsage {
                resource_id: answer(&mut cells, what)?,
                used: answer::<ByteCount>(&mut cells, what)?,
                backups: answer(&mut cells, what)?,
            })
        });
        usage.collect()
    }

    async fn policy(&self, id: PolicyId) -> Result<Option<Policy>, CatalogError> {
        one(self, &id).await
    }

    async fn policies(&self, query: &PolicyQuery) -> Result<Page<Policy>, CatalogError> {
        page(self, list::policies(query)).await
    }

    async fn policy_vaults(&self, policy: PolicyId) -> Result<Vec<PolicyBinding>, CatalogError> {
        rows(
            self,
            statement::rows_where::<PolicyBinding>("policy_id", &policy, "t.vault_id"),
        )
        .await
    }

    async fn vault_policies(&self, vault: VaultId) -> Result<Vec<PolicyBinding>, CatalogError> {
        rows(
            self,
            statement::rows_where::<PolicyBinding>("vault_id", &vault, "t.policy_id"),
        )
        .await
    }

    async fn member(&self, id: MemberId) -> Result<Option<Member>, CatalogError> {
        one(self, &id).await
    }

    async fn members(&self, backup: BackupId) -> Result<Vec<Member>, CatalogError> {
        rows(
            self,
            statement::rows_where::<Member>("backup_id", &backup, "t.created_at DESC, t.id DESC"),
        )
        .await
    }

    async fn shares_in(&self, vault: VaultId) -> Result<Vec<Member>, CatalogError> {
        rows(self, statement::shares_in(vault)).await
    }

    async fn checkpoint(&self, id: CheckpointId) -> Result<Option<Checkpoint>, CatalogError> {
        one(self, &id).await
    }

    async fn task(&self, id: TaskId) -> Result<Option<Task>, CatalogError> {
        one(self, &id).await
    }

    async fn tasks(&self, query: &TaskQuery) -> Result<Page<Task>, CatalogError> {
        page(self, list::tasks(query)).await
    }

    async fn claim_task(
        &self,
        worker: &str,
        now: Timestamp,
        lease_until: Timestamp,
    ) -> Result<Option<Task>, CatalogError> {
        let claimed = alone(self, task::claim(worker, now, lease_until), "the next task").await?;
        claimed
            .into_iter()
            .next()
            .map(Task::from_record)
            .transpose()
    }

    async fn renew_task(
        &self,
        id: TaskId,
        generation: u64,
        now: Timestamp,
        lease_until: Timestamp,
        progress: Progress,
    ) -> Result<Renewal, CatalogError> {
        let what = format!("task {id}");
        let renewal = task::renew(id, generation, now, lease_until, progress);
        let renewed = alone(self, renewal, &what).await?;
        match renewed.into_iter().next() {
            Some(record) => Ok(Renewal::Held {
                cancel_asked: answer(&mut record.into_iter(), &what)?,
            }),
            None => Ok(Renewal::Lost),
        }
    }

    async fn release_leases(&self, prefix: &str, now: Timestamp) -> Result<u64, CatalogError> {
        Ok(alone(self, task::release(prefix, now), "a lease")
            .await?
            .len() as u64)
    }

    async fn ask_cancel(&self, id: TaskId, now: Timestamp) -> Result<bool, CatalogError> {
        let asked = alone(self, task::ask_cancel(id, now), &format!("task {id}")).await?;
        Ok(!asked.is_empty())
    }

    async fn project(&self, id: &ProjectId) -> Result<Option<Project>, CatalogError> {
        one(self, id).await
    }

    async fn projects(&self) -> Result<Vec<Project>, CatalogError> {
        rows(self, statement::all_rows::<Project>("t.name")).await
    }

    async fn user(&self, id: &UserId) -> Result<Option<User>, CatalogError> {
        one(self, id).await
    }

    async fn users(&self) -> Result<Vec<User>, CatalogError> {
        rows(self, statement::all_rows::<User>("t.name")).await
    }

    async fn assignments(&self, user: &UserId) -> Result<Vec<Assignment>, CatalogError> {
        rows(self, statement::roles_of(user)).await
    }

    async fn app_credential(&self, id: &str) -> Result<Option<AppCredential>, CatalogError> {
        one(self, &id.to_owned()).await
    }

    async fn app_credentials(&self, user: &UserId) -> Result<Vec<AppCredential>, CatalogError> {
        rows(
            self,
            statement::rows_where::<AppCredential>("user_id", user, "t.name"),
        )
        .await
    }

    async fn token(&self, hash: &str) -> Result<Option<TokenRecord>, CatalogError> {
        one(self, &hash.to_owned()).await
    }

    async fn revoke_tokens(&self, user: &UserId) -> Result<u64, CatalogError> {
        Ok(alone(self, statement::revoke_tokens(user), "tokens")
            .await?
            .len() as u64)
    }

    async fn purge_tokens(&self, now: Timestamp) -> Result<u64, CatalogError> {
        Ok(alone(self, statement::purge_tokens(now), "tokens")
            .await?
            .len() as u64)
    }
}

/// A statement whose plan an adapter's test looks at.
#[cfg(test)]
pub(crate) struct PlanProbe {
    pub(crate) what: &'static str,
    pub(crate) statement: Statement,
    pub(crate) uses: &'static [&'static str],
    pub(crate) avoids: &'static [&'static str],
}

/// The statements of a page of backups: of whole rows, and of their ids alone.
#[cfg(test)]
pub(crate) fn list_statements(query: &BackupQuery) -> (Statement, Statement) {
    (list::backups(query).page, list::backup_ids(query))
}

/// One word as a probe wants it.
#[cfg(test)]
fn leaked(word: &'static str) -> &'static [&'static str] {
    Box::leak(Box::new([word]))
}

/// The statements that run all the time, or over tables that only grow.
#[cfg(test)]
pub(crate) fn plan_probes() -> Vec<PlanProbe> {
    use crate::{Direction, Paging};
    const NO_SORT: &[&str] = &["TEMP B-TREE", "SCAN t"];
    let project: ProjectId = "p".parse().expect("an id");
    let id = "6f1c1f0c000040008000000000000001";
    let mut probes = Vec::new();
    let mut add = |what, statement, uses, avoids| {
        probes.push(PlanProbe {
            what,
            statement,
            uses,
            avoids,
        });
    };
    for marked in [false, true] {
        fn paging<Id: std::str::FromStr>(marked: bool, id: &str) -> Paging<Id> {
            Paging {
                marker: if marked { id.parse().ok() } else { None },
                ..Paging::default()
            }
        }
        let project = Some(project.clone());
        let query = VolumeQuery {
            project: project.clone(),
            paging: paging(marked, id),
            ..VolumeQuery::default()
        };
        add(
            "volumes",
            list::volumes(&query).page,
            &["volumes_by_project (project_id="],
            NO_SORT,
        );
        let query = SnapshotQuery {
            project: project.clone(),
            paging: paging(marked, id),
            ..SnapshotQuery::default()
        };
        add(
            "snapshots",
            list::snapshots(&query).page,
            &["snapshots_by_project (project_id="],
            NO_SORT,
        );
        let query = BackupQuery {
            project: project.clone(),
            paging: paging(marked, id),
            ..BackupQuery::default()
        };
        add(
            "backups",
            list::backups(&query).page,
            &["backups_by_project (project_id="],
            NO_SORT,
        );
        let oldest = vec![(crate::BackupField::CreatedAt, Direction::Ascending)];
        let query = BackupQuery {
            sort: oldest,
            ..query
        };
        add(
            "oldest backups",
            list::backups(&query).page,
            &["backups_by_project (project_id="],
            NO_SORT,
        );
        let vault = id.parse().ok();
        let query = BackupQuery {
            vault,
            paging: paging(marked, id),
            ..BackupQuery::default()
        };
        add(
            "backups of a vault",
            list::backups(&query).page,
            &["backups_by_vault (vault_id="],
            NO_SORT,
        );
        let query = VaultQuery {
            project: project.clone(),
            paging: paging(marked, id),
            ..VaultQuery::default()
        };
        add(
            "vaults",
            list::vaults(&query).page,
            &["vaults_by_project (project_id="],
            NO_SORT,
        );
        let query = TaskQuery {
            project,
            paging: paging(marked, id),
            ..TaskQuery::default()
        };
        add(
            "tasks",
            list::tasks(&query).page,
            &["tasks_by_project (project_id="],
            NO_SORT,
        );
    }
    // Every order that clients ask for, and every filter with the usual order.
    {
        use crate::{BackupField as B, SnapshotField, VolumeField as V};
        let only = Some(project.clone());
        let orders = [
            (B::Name, "backups_by_name (project_id="),
            (B::Size, "backups_by_size (project_id="),
            (B::UpdatedAt, "backups_by_update (project_id="),
            (B::DataTimestamp, "backups_by_data (project_id="),
            (B::SealedAt, "backups_by_seal (project_id="),
            (B::State, "backups_by_state (project_id="),
            (B::VolumeId, "backups_by_project_volume (project_id="),
            (B::Id, "backups_by_id (project_id="),
        ];
        for (field, index) in orders {
            for way in [Direction::Ascending, Direction::Descending] {
                let query = BackupQuery {
                    project: only.clone(),
                    sort: vec![(field, way)],
                    ..BackupQuery::default()
                };
                add(
                    "ordered backups",
                    list::backup_ids(&query),
                    leaked(index),
                    NO_SORT,
                );
            }
        }
        let backups = |query: BackupQuery| list::backup_ids(&query);
        let default = || BackupQuery {
            project: only.clone(),
            ..BackupQuery::default()
        };
        let filtered = [
            (
                BackupQuery {
                    name: Some("n".into()),
                    ..default()
                },
                "backups_by_name (project_id=? AND name=?)",
            ),
            (
                BackupQuery {
                    states: vec!["available"],
                    ..default()
                },
                "backups_by_state (project_id=? AND state=?)",
            ),
            (
                BackupQuery {
                    volumes: id.parse().into_iter().collect(),
                    ..default()
                },
                "volume_id=?)",
            ),
            (BackupQuery::default(), "backups_by_age"),
        ];
        for (query, index) in filtered {
            // The whole index in order is a walk, but never beyond the page.
            add(
                "filtered backups",
                backups(query),
                leaked(index),
                &["TEMP B-TREE"],
            );
        }
        let orders = [
            (V::Name, "volumes_by_name (project_id="),
            (V::Status, "volumes_by_status (project_id="),
            (V::Size, "volumes_by_size (project_id="),
        ];
        for (field, index) in orders {
            let query = VolumeQuery {
                project: only.clone(),
                sort: vec![(field, Direction::Descending)],
                ..VolumeQuery::default()
            };
            add(
                "ordered volumes",
                list::volumes(&query).page,
                leaked(index),
                NO_SORT,
            );
        }
        let orders = [
            (SnapshotField::Name, "snapshots_by_name (project_id="),
            (SnapshotField::Status, "snapshots_by_status (project_id="),
        ];
        for (field, index) in orders {
            let query = SnapshotQuery {
                project: only.clone(),
                sort: vec![(field, Direction::Descending)],
                ..SnapshotQuery::default()
            };
            add(
                "ordered snapshots",
                list::snapshots(&query).page,
                leaked(index),
                NO_SORT,
            );
        }
    }
    let now = Timestamp(0);
    add(
        "claim",
        task::claim("w", now, now),
        &[
            "tasks_waiting (not_before<",
            "tasks_running (lease_until<",
            "tasks_running (lease_until>",
            // What is held is looked up by each reason to wait, not gone through.
            "SEARCH h USING AUTOMATIC COVERING INDEX (volume_id=?)",
            "SEARCH h USING AUTOMATIC COVERING INDEX (backup_id=?)",
            "SEARCH b USING AUTOMATIC COVERING INDEX (project_id=?)",
        ],
        &["SCAN tasks", "SCAN h "],
    );
    add(
        "release",
        task::release("w", now),
        &["tasks_running (lease_until>"],
        &[],
    );
    add(
        "resources",
        statement::vault_usage(&[id.parse().expect("an id")]),
        &["vault_resources_by_vault", "backup_counts_by_vault"],
        &["SCAN"],
    );
    for (what, statement) in [
        ("volume usage", statement::volume_usage(&project)),
        ("snapshot usage", statement::snapshot_usage(&project)),
        ("backup usage", statement::backup_usage(&project)),
    ] {
        add(what, statement, &["project_id=?"], &["SCAN t"]);
    }
    add(
        "purge",
        statement::purge_tokens(now),
        &["tokens_by_end"],
        &["SCAN"],
    );
    probes
}
