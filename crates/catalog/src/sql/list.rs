//! Lists: which rows, in which order, from where on.
//!
//! Pages are found by key, not by counting: the marker's own row is joined as `m`, and a page holds what
//! comes after it. Nothing is smaller than any value, in the order and in the comparison alike.

use emberkeep_model::{
    Attachment, Backup, BackupState, Message, Policy, Snapshot, Task, Vault, Volume,
};

use super::count;
use super::row::Stored;
use super::statement::{Conditions, Statement, columns_of};
use super::value::Field;
use crate::{
    AttachmentField, AttachmentQuery, BackupField, BackupQuery, Comparison, Direction,
    InventoryQuery, MessageField, MessageQuery, Paging, PolicyQuery, SnapshotField, SnapshotQuery,
    TaskQuery, TextFilter, VaultQuery, VolumeField, VolumeQuery,
};

/// The longest page, and the longest way to it, that still counts as quick.
const QUICK_ROWS: u32 = 1000;

/// A column to sort and filter by.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Column {
    name: &'static str,
    nullable: bool,
    /// It is a member of another column, which is kept as JSON.
    member_of: Option<&'static str>,
}

const fn always(name: &'static str) -> Column {
    Column {
        name,
        nullable: false,
        member_of: None,
    }
}

const fn maybe(name: &'static str) -> Column {
    Column {
        name,
        nullable: true,
        member_of: None,
    }
}

/// A text that Cinder keeps of a backup besides.
const fn cinders(name: &'static str) -> Column {
    Column {
        name,
        nullable: true,
        member_of: Some("cinder"),
    }
}

/// A number that Cinder keeps of a backup besides; zero is left out.
const fn cinders_number(name: &'static str) -> Column {
    Column {
        name,
        nullable: false,
        member_of: Some("cinder"),
    }
}

impl Column {
    /// Writes the column of a row.
    fn of(&self, row: &str) -> String {
        let name = self.name;
        match (self.member_of, self.nullable) {
            (None, _) => format!("{row}.{name}"),
            (Some(whole), true) => format!("({row}.{whole} ->> '{name}')"),
            (Some(whole), false) => format!("COALESCE({row}.{whole} ->> '{name}', 0)"),
        }
    }

    /// Tells whether it is a column of the table's own, which an index may begin with.
    fn is_own(&self) -> bool {
        self.member_of.is_none()
    }
}

fn volume_column(field: VolumeField) -> Column {
    match field {
        VolumeField::CreatedAt => always("created_at"),
        VolumeField::UpdatedAt => maybe("updated_at"),
        VolumeField::Id => always("id"),
        VolumeField::ProjectId => always("project_id"),
        VolumeField::UserId => always("user_id"),
        VolumeField::Name => maybe("name"),
        VolumeField::Description => maybe("description"),
        VolumeField::Size => always("size"),
        VolumeField::Status => always("status"),
        VolumeField::AvailabilityZone => always("availability_zone"),
        VolumeField::Bootable => always("bootable"),
        VolumeField::VolumeTypeId => maybe("volume_type_id"),
        VolumeField::SnapshotId => maybe("snapshot_id"),
        VolumeField::SourceVolumeId => maybe("source_volume_id"),
    }
}

fn snapshot_column(field: SnapshotField) -> Column {
    match field {
        SnapshotField::CreatedAt => always("created_at"),
        SnapshotField::UpdatedAt => maybe("updated_at"),
        SnapshotField::Id => always("id"),
        SnapshotField::ProjectId => always("project_id"),
        SnapshotField::UserId => always("user_id"),
        SnapshotField::Name => maybe("name"),
        SnapshotField::Description => maybe("description"),
        SnapshotField::Size => always("size"),
        SnapshotField::Status => always("status"),
        SnapshotField::VolumeId => always("volume_id"),
    }
}

fn backup_column(field: BackupField) -> Column {
    match field {
        BackupField::CreatedAt => always("created_at"),
        BackupField::UpdatedAt => maybe("updated_at"),
        BackupField::DataTimestamp => always("data_timestamp"),
        BackupField::SealedAt => maybe("sealed_at"),
        BackupField::Id => always("id"),
        BackupField::ProjectId => always("project_id"),
        BackupField::UserId => always("user_id"),
        BackupField::Name => maybe("name"),
        BackupField::Description => maybe("description"),
        BackupField::Size => always("size"),
        BackupField::State => always("state"),
        BackupField::VolumeId => always("volume_id"),
        BackupField::SnapshotId => maybe("snapshot_id"),
        BackupField::ParentId => maybe("parent_id"),
        BackupField::RestoreVolumeId => maybe("restore_volume_id"),
        BackupField::Container => maybe("container"),
        BackupField::AvailabilityZone => maybe("availability_zone"),
        BackupField::FailReason => maybe("fail_reason"),
        BackupField::Host => cinders("host"),
        BackupField::Service => cinders("service"),
        BackupField::ServiceMetadata => cinders("service_metadata"),
        BackupField::ObjectCount => cinders_number("object_count"),
        BackupField::TempVolumeId => cinders("temp_volume_id"),
        BackupField::TempSnapshotId => cinders("temp_snapshot_id"),
        BackupField::NumDependentBackups => cinders_number("num_dependent_backups"),
        BackupField::EncryptionKeyId => cinders("encryption_key_id"),
    }
}

fn attachment_column(field: AttachmentField) -> Column {
    match field {
        AttachmentField::CreatedAt => always("created_at"),
        AttachmentField::Id => always("id"),
        AttachmentField::VolumeId => always("volume_id"),
        AttachmentField::InstanceId => maybe("instance_id"),
        AttachmentField::Host => maybe("host"),
        AttachmentField::Mountpoint => maybe("mountpoint"),
        AttachmentField::Mode => always("mode"),
        AttachmentField::Status => always("status"),
        AttachmentField::AttachedAt => maybe("attached_at"),
    }
}

fn message_column(field: MessageField) -> Column {
    match field {
        MessageField::CreatedAt => always("created_at"),
        MessageField::Id => always("id"),
        MessageField::ResourceType => always("resource_type"),
        MessageField::ResourceId => always("resource_id"),
        MessageField::RequestId => always("request_id"),
        MessageField::ExpiresAt => always("expires_at"),
    }
}

/// Tells whether an index gives backups in this order.
fn is_indexed(field: BackupField) -> bool {
    matches!(
        field,
        BackupField::CreatedAt
            | BackupField::UpdatedAt
            | BackupField::DataTimestamp
            | BackupField::SealedAt
            | BackupField::Id
            | BackupField::Name
            | BackupField::Size
            | BackupField::State
            | BackupField::VolumeId
    )
}

/// Wants columns, read as text, to hold some values.
fn matching<F: Copy>(wanted: &mut Conditions, filters: &[TextFilter<F>], column: fn(F) -> Column) {
    for filter in filters {
        let column = column(filter.field);
        let text = column.of("t");
        if filter.like {
            let place = wanted.bind(&format!("%{}%", filter.value));
            wanted.add(format!("CAST({text} AS TEXT) LIKE {place}"));
        } else if column.is_own() {
            // As it stands, so that an index may find it.
            wanted.equal(column.name, Some(&filter.value));
        } else {
            let place = wanted.bind(&filter.value);
            wanted.add(format!("CAST({text} AS TEXT) = {place}"));
        }
    }
}

/// The statements of one list: its page, and the count of all matches if that was asked for.
pub(crate) struct List {
    pub(crate) page: Statement,
    /// Indexes give all of it: it takes no longer with more rows.
    pub(crate) is_quick: bool,
    pub(crate) total: Option<Statement>,
    /// An index gives the page, whatever the total takes.
    is_quick_page: bool,
}

impl List {
    /// Takes the total, if one is wanted, from what is counted already.
    fn count_by(&mut self, counted: Option<Statement>) {
        if self.total.is_some()
            && let Some(counted) = counted
        {
            self.total = Some(counted);
            self.is_quick = self.is_quick_page;
        }
    }
}

pub(crate) fn volumes(query: &VolumeQuery) -> List {
    let mut wanted = Conditions::default();
    wanted.equal("project_id", query.project.as_ref());
    wanted.equal("name", query.name.as_ref());
    wanted.equal("status", query.status.as_ref());
    if let Some(ids) = &query.ids {
        wanted.among("id", ids);
    }
    wanted.equal("availability_zone", query.availability_zone.as_ref());
    wanted.equal("bootable", query.bootable.as_ref());
    wanted.equal("size", query.size.as_ref());
    wanted.equal("snapshot_id", query.snapshot.as_ref());
    wanted.pairs("metadata", &query.metadata);
    matching(&mut wanted, &query.text, volume_column);
    for filter in &query.times {
        let operator = match filter.is {
            Comparison::Above => ">",
            Comparison::From => ">=",
            Comparison::Equal => "=",
            Comparison::Unequal => "<>",
            Comparison::Below => "<",
            Comparison::UpTo => "<=",
        };
        wanted.compare(volume_column(filter.field).name, operator, Some(&filter.at));
    }
    list::<Volume, _, _>(wanted, &query.sort, volume_column, &query.paging)
}

pub(crate) fn snapshots(query: &SnapshotQuery) -> List {
    let mut wanted = Conditions::default();
    wanted.equal("project_id", query.project.as_ref());
    wanted.equal("name", query.name.as_ref());
    wanted.equal("status", query.status.as_ref());
    wanted.equal("volume_id", query.volume.as_ref());
    wanted.pairs("metadata", &query.metadata);
    matching(&mut wanted, &query.text, snapshot_column);
    list::<Snapshot, _, _>(wanted, &query.sort, snapshot_column, &query.paging)
}

pub(crate) fn backups(query: &BackupQuery) -> List {
    backups_with(query, &columns_of::<Backup>())
}

/// Lists the ids of the backups that match, each with its revision.
#[cfg(test)]
pub(crate) fn backup_ids(query: &BackupQuery) -> Statement {
    backups_with(query, IDS).page
}

/// Lists the ids of the backups that match, each with its revision, if indexes give that.
pub(crate) fn quick_backup_ids(query: &BackupQuery) -> Option<List> {
    Some(backups_with(query, IDS)).filter(|list| list.is_quick)
}

const IDS: &str = "t.id, t.revision";

fn backups_with(query: &BackupQuery, columns: &str) -> List {
    let mut wanted = Conditions::default();
    if !query.with_deleted {
        // As a literal, so that it matches the condition of the partial indexes.
        wanted.add(format!("t.state <> '{}'", BackupState::Deleted.word()));
    }
    wanted.equal("project_id", query.project.as_ref());
    wanted.equal("name", query.name.as_ref());
    wanted.words("state", &query.states);
    wanted.any_of("volume_id", &query.volumes);
    wanted.equal("volume_name", query.volume_name.as_ref());
    wanted.equal("vault_id", query.vault.as_ref());
    if query.in_vaults_only {
        wanted.add("t.vault_id IS NOT NULL");
    }
    wanted.equal("checkpoint_id", query.checkpoint.as_ref());
    wanted.equal("kind", query.kind.as_ref());
    wanted.equal("part_of", query.part_of.as_ref());
    if query.whole_only {
        wanted.add("t.part_of IS NULL");
    }
    wanted.equal("replica_of", query.replica_of.as_ref());
    match query.replicas {
        Some(true) => wanted.add("t.replica_of IS NOT NULL"),
        Some(false) => wanted.add("t.replica_of IS NULL"),
        None => {}
    }
    wanted.equal("parent_id", query.parent.as_ref());
    wanted.equal("availability_zone", query.availability_zone.as_ref());
    match query.incremental {
        Some(true) => wanted.add("t.parent_id IS NOT NULL"),
        Some(false) => wanted.add("t.parent_id IS NULL"),
        None => {}
    }
    wanted.compare("created_at", ">=", query.created_from.as_ref());
    wanted.compare("created_at", "<=", query.created_to.as_ref());
    if let Some(shared) = &query.shared {
        let project = wanted.bind(&shared.with);
        let statuses: Vec<_> = shared.statuses.iter().map(|s| wanted.bind(s)).collect();
        let answered = if statuses.is_empty() {
            String::new()
        } else {
            format!(" AND s.status IN ({})", statuses.join(", "))
        };
        let own = if shared.own_too {
            format!(" OR t.project_id = {project}")
        } else {
            String::new()
        };
        wanted.add(format!(
            "(t.id IN (SELECT s.backup_id FROM members s WHERE s.dest_project_id = {project}{answered}){own})"
        ));
    }
    wanted.equal("content_id", query.content.as_ref());
    if let Some(project) = &query.content_of {
        let project = wanted.bind(project);
        // As two parts, each of which an index knows.
        wanted.add(format!(
            "((t.content_id IS NULL AND t.project_id = {project}) OR (t.content_id IS NOT NULL AND t.content_project = {project}))"
        ));
    }
    wanted.equal("size", query.size.as_ref());
    wanted.equal("data_timestamp", query.taken_at.as_ref());
    wanted.compare("data_timestamp", "<", query.taken_before.as_ref());
    wanted.equal("updated_at", query.updated_at.as_ref());
    wanted.pairs("metadata", &query.metadata);
    matching(&mut wanted, &query.text, backup_column);
    let mut list =
        list_of::<Backup, _, _>(wanted, &query.sort, backup_column, &query.paging, columns);
    list.count_by(count::backups(query));
    // What no index knows of is looked for in every row.
    list.is_quick &= query.text.is_empty()
        && query.metadata.is_empty()
        && query.taken_at.is_none()
        && query.taken_before.is_none()
        && query.updated_at.is_none()
        && query.content_of.is_none()
        && query.shared.is_none()
        && query.sort.iter().all(|&(field, _)| is_indexed(field));
    list
}

pub(crate) fn vaults(query: &VaultQuery) -> List {
    let mut wanted = Conditions::default();
    wanted.equal("project_id", query.project.as_ref());
    wanted.equal("name", query.name.as_ref());
    wanted.any_of("id", &query.ids);
    wanted.equal("object_type", query.object_type.as_ref());
    wanted.equal("protect_type", query.protect_type.as_ref());
    wanted.equal("status", query.status.as_ref());
    if let Some(places) = wanted.places(&query.resources) {
        wanted.add(format!(
            "t.id IN (SELECT r.vault_id FROM vault_resources r WHERE r.resource_id IN ({places}))"
        ));
    }
    if let Some(policy) = &query.policy {
        let place = wanted.bind(policy);
        wanted.add(format!(
            "t.id IN (SELECT b.vault_id FROM policy_bindings b WHERE b.policy_id = {place})"
        ));
    }
    let mut list = list::<Vault, VolumeField, _>(wanted, &[], volume_column, &query.paging);
    list.count_by(count::vaults(query));
    list
}

pub(crate) fn inventory<T: Stored, Id: Field>(query: &InventoryQuery<Id>) -> List {
    let mut wanted = Conditions::default();
    wanted.equal("project_id", query.project.as_ref());
    wanted.equal("name", query.name.as_ref());
    wanted.any_of("id", &query.ids);
    list::<T, VolumeField, _>(wanted, &[], volume_column, &query.paging)
}

pub(crate) fn policies(query: &PolicyQuery) -> List {
    let mut wanted = Conditions::default();
    wanted.equal("project_id", query.project.as_ref());
    wanted.equal("operation_type", query.operation_type.as_ref());
    wanted.equal("enabled", query.enabled.as_ref());
    if let Some(vault) = &query.vault {
        let place = wanted.bind(vault);
        wanted.add(format!(
            "t.id IN (SELECT b.policy_id FROM policy_bindings b WHERE b.vault_id = {place})"
        ));
    }
    list::<Policy, VolumeField, _>(wanted, &[], volume_column, &query.paging)
}

pub(crate) fn tasks(query: &TaskQuery) -> List {
    let mut wanted = Conditions::default();
    wanted.equal("project_id", query.project.as_ref());
    wanted.words("kind", &query.work);
    wanted.words("state", &query.states);
    wanted.equal("object_type", query.object_type.as_ref());
    wanted.equal("volume_id", query.volume.as_ref());
    wanted.equal("volume_name", query.volume_name.as_ref());
    wanted.equal("backup_id", query.backup.as_ref());
    wanted.equal("vault_id", query.vault.as_ref());
    wanted.equal("vault_name", query.vault_name.as_ref());
    wanted.equal("checkpoint_id", query.checkpoint.as_ref());
    wanted.compare("created_at", ">=", query.created_from.as_ref());
    wanted.compare("created_at", "<=", query.created_to.as_ref());
    let mut list = list::<Task, VolumeField, _>(wanted, &[], volume_column, &query.paging);
    list.count_by(count::tasks(query));
    // Ended tasks pile up: a page of rare ones is looked for among all.
    list.is_quick &= query.states.is_empty() && query.object_type.is_none();
    list
}

pub(crate) fn attachments(query: &AttachmentQuery) -> List {
    let mut wanted = Conditions::default();
    wanted.equal("project_id", query.project.as_ref());
    wanted.any_of("volume_id", &query.volumes);
    wanted.equal("instance_id", query.instance.as_ref());
    wanted.equal("status", query.status.as_ref());
    list::<Attachment, _, _>(wanted, &query.sort, attachment_column, &query.paging)
}

pub(crate) fn messages(query: &MessageQuery) -> List {
    let mut wanted = Conditions::default();
    wanted.equal("project_id", query.project.as_ref());
    wanted.equal("resource_id", query.resource_id.as_ref());
    wanted.equal("resource_type", query.resource_type.as_ref());
    wanted.equal("request_id", query.request_id.as_ref());
    if let Some((action, detail)) = &query.event {
        wanted.equal("action", Some(action));
        wanted.equal("detail", Some(detail));
    }
    list::<Message, _, _>(wanted, &query.sort, message_column, &query.paging)
}

fn list<T: Stored, F: Copy, Id: Field>(
    wanted: Conditions,
    sort: &[(F, Direction)],
    column: fn(F) -> Column,
    paging: &Paging<Id>,
) -> List {
    list_of::<T, F, Id>(wanted, sort, column, paging, &columns_of::<T>())
}

fn list_of<T: Stored, F: Copy, Id: Field>(
    mut wanted: Conditions,
    sort: &[(F, Direction)],
    column: fn(F) -> Column,
    paging: &Paging<Id>,
    columns: &str,
) -> List {
    let is_quick_page = paging.limit.is_some_and(|limit| limit <= QUICK_ROWS)
        && paging.offset <= u64::from(QUICK_ROWS);
    let total = paging.with_total.then(|| Statement {
        max_bytes: None,
        text: format!(
            "SELECT COUNT(*) FROM {} t WHERE {}",
            T::TABLE,
            wanted.text()
        ),
        binds: wanted.binds.clone(),
    });
    let keys = total_order(sort.iter().map(|&(field, way)| (column(field), way)));
    let mut from = format!("{} t", T::TABLE);
    if let Some(marker) = &paging.marker {
        let place = wanted.bind(marker);
        from = format!("{} m JOIN {from} ON m.id = {place}", T::TABLE);
        wanted.add(after_marker(&keys));
    }
    // A skip needs a limit in some engines, so there always is one.
    let limit = wanted.bind(&paging.limit.map_or(i64::MAX, i64::from));
    let offset = wanted.bind(&paging.offset);
    let order: Vec<_> = keys.iter().map(order_by).collect();
    let page = Statement {
        max_bytes: paging.max_bytes,
        text: format!(
            "SELECT {columns} FROM {from} WHERE {} ORDER BY {} LIMIT {limit} OFFSET {offset}",
            wanted.text(),
            order.join(", ")
        ),
        binds: wanted.binds,
    };
    List {
        page,
        is_quick: is_quick_page && total.is_none(),
        total,
        is_quick_page,
    }
}

/// Ends an order with `created_at` and `id`, so that no two rows are equal in it.
fn total_order(sort: impl Iterator<Item = (Column, Direction)>) -> Vec<(Column, Direction)> {
    let mut keys: Vec<(Column, Direction)> = Vec::new();
    let mut asked: Vec<_> = sort.collect();
    let way = asked.first().map_or(Direction::Descending, |&(_, way)| way);
    asked.extend([(always("created_at"), way), (always("id"), way)]);
    for (column, way) in asked {
        // A column named twice decides nothing the second time, and nothing is left to decide after the id.
        if keys
            .iter()
            .all(|(known, _)| *known != column && known.name != "id")
        {
            keys.push((column, way));
        }
    }
    keys
}

fn order_by(&(column, way): &(Column, Direction)) -> String {
    let text = column.of("t");
    match (way, column.nullable) {
        (Direction::Ascending, false) => format!("{text} ASC"),
        (Direction::Descending, false) => format!("{text} DESC"),
        (Direction::Ascending, true) => format!("{text} ASC NULLS FIRST"),
        (Direction::Descending, true) => format!("{text} DESC NULLS LAST"),
    }
}

/// Says that `t` comes after `m`: equal in some first keys, then beyond it.
fn after_marker(keys: &[(Column, Direction)]) -> String {
    let mut equal = String::new();
    let mut ways = Vec::new();
    for key in keys {
        ways.push(format!("({equal}{})", beyond(key)));
        let (row, marker) = (key.0.of("t"), key.0.of("m"));
        let is = if key.0.nullable {
            "IS NOT DISTINCT FROM"
        } else {
            "="
        };
        equal.push_str(&format!("{row} {is} {marker} AND "));
    }
    let after = format!("({})", ways.join(" OR "));
    match keys.first() {
        // Follows from the rest, but this one an index can begin at.
        Some((column, way)) if !column.nullable && column.is_own() => {
            let name = column.name;
            let beyond = match way {
                Direction::Ascending => ">=",
                Direction::Descending => "<=",
            };
            format!("t.{name} {beyond} m.{name} AND {after}")
        }
        _ => after,
    }
}

fn beyond(&(column, way): &(Column, Direction)) -> String {
    let (row, marker) = (column.of("t"), column.of("m"));
    match (way, column.nullable) {
        (Direction::Ascending, false) => format!("{row} > {marker}"),
        (Direction::Descending, false) => format!("{row} < {marker}"),
        (Direction::Ascending, true) => {
            format!("({row} > {marker} OR ({row} IS NOT NULL AND {marker} IS NULL))")
        }
        (Direction::Descending, true) => {
            format!("({row} < {marker} OR ({row} IS NULL AND {marker} IS NOT NULL))")
        }
    }
}
