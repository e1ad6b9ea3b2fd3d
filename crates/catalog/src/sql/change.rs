//! Changes of rows as steps of one transaction.

use super::row::Stored;
use super::statement::Statement;
use super::value::{Bind, Field};
use crate::{Change, Key, Row};

/// One statement of a transaction. Each returns a row for every row that it changed.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) statement: Statement,
    /// What it changes, for errors.
    pub(crate) what: String,
    pub(crate) needs: Needs,
}

/// What a step must have done, or nothing happens at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Changed a row.
    Row,
    /// Anything: whoever asked looks at the rows.
    Nothing,
}

impl Step {
    /// A step that stands alone and may find nothing to do.
    pub(crate) fn alone(statement: Statement, what: &str) -> Self {
        Self {
            statement,
            what: what.to_owned(),
            needs: Needs::Nothing,
        }
    }

    pub(crate) fn of(change: &Change) -> Self {
        match change {
            Change::Insert(row) => Self::of_row(row, Verb::Insert),
            Change::Save(row) => Self::of_row(row, Verb::Save),
            Change::Remove(key, revision) => Self::removal(key, *revision),
        }
    }

    fn of_row(row: &Row, verb: Verb) -> Self {
        match row {
            Row::Volume(row) => verb.step(row, &row.id),
            Row::Snapshot(row) => verb.step(row, &row.id),
            Row::VolumeType(row) => verb.step(row, &format_args!("'{}'", row.name)),
            Row::Backup(row) => verb.step(row, &row.id),
            Row::Vault(row) => verb.step(row, &row.id),
            Row::VaultResource(row) => verb.step(row, &row.resource_id),
            Row::Server(row) => verb.step(row, &row.id),
            Row::ServerVolume(row) => verb.step(row, &row.volume_id),
            Row::FileSystem(row) => verb.step(row, &row.id),
            Row::Checkpoint(row) => verb.step(row, &row.id),
            Row::Task(row) => verb.step(row, &row.id),
            Row::Project(row) => verb.step(row, &format_args!("'{}'", row.name)),
            Row::User(row) => verb.step(row, &format_args!("'{}'", row.name)),
            Row::Token(row) => verb.step(row, &"record"),
            Row::AppCredential(row) => verb.step(row, &format_args!("'{}'", row.name)),
            Row::Attachment(row) => verb.step(row, &row.id),
            Row::Message(row) => verb.step(row, &row.id),
            Row::QuotaSet(row) => verb.step(row, &row.project_id),
            Row::QuotaClass(row) => verb.step(row, &row.name),
            Row::ServiceSwitch(row) => verb.step(row, &row.binary_name),
            Row::Policy(row) => verb.step(row, &row.id),
            Row::PolicyBinding(row) => verb.step(
                row,
                &format_args!("{} of vault {}", row.policy_id, row.vault_id),
            ),
            Row::Member(row) => verb.step(row, &row.id),
            Row::Assignment(row) => verb.step(
                row,
                &format_args!("{} of {} in {}", row.role, row.user_id, row.project_id),
            ),
        }
    }

    fn removal(key: &Key, revision: u64) -> Self {
        use emberkeep_model as m;
        match key {
            Key::Volume(id) => remove::<m::Volume>(id, revision),
            Key::Snapshot(id) => remove::<m::Snapshot>(id, revision),
            Key::VolumeType(id) => remove::<m::VolumeType>(id, revision),
            Key::Backup(id) => remove::<m::Backup>(id, revision),
            Key::Vault(id) => remove::<m::Vault>(id, revision),
            Key::VaultResource(id) => remove::<m::VaultResource>(id, revision),
            Key::Server(id) => remove::<m::Server>(id, revision),
            Key::ServerVolume(id) => remove::<m::ServerVolume>(id, revision),
            Key::FileSystem(id) => remove::<m::FileSystem>(id, revision),
            Key::Checkpoint(id) => remove::<m::Checkpoint>(id, revision),
            Key::Task(id) => remove::<m::Task>(id, revision),
            Key::Project(id) => remove::<m::Project>(id, revision),
            Key::User(id) => remove::<m::User>(id, revision),
            Key::AppCredential(id) => remove::<m::AppCredential>(id, revision),
            Key::Attachment(id) => remove::<m::Attachment>(id, revision),
            Key::Message(id) => remove::<m::Message>(id, revision),
            Key::QuotaSet(id) => remove::<m::QuotaSet>(id, revision),
            Key::QuotaClass(name) => remove::<m::QuotaClass>(name, revision),
            Key::ServiceSwitch(name) => remove::<m::ServiceSwitch>(name, revision),
            Key::Token(hash) => remove_where::<m::TokenRecord>(
                vec![hash.to_bind()],
                None,
                "token record".to_owned(),
            ),
            Key::Policy(id) => remove::<m::Policy>(id, revision),
            Key::PolicyBinding(policy, vault) => remove_where::<m::PolicyBinding>(
                vec![policy.to_bind(), vault.to_bind()],
                Some(revision),
                format!("policy binding {policy} of vault {vault}"),
            ),
            Key::Member(id) => remove::<m::Member>(id, revision),
            Key::Assignment(row) => remove_where::<m::Assignment>(
                row.binds(),
                None,
                format!("role {} of {} in {}", row.role, row.user_id, row.project_id),
            ),
        }
    }
}

#[derive(Clone, Copy)]
enum Verb {
    Insert,
    Save,
}

impl Verb {
    fn step<T: Stored>(self, row: &T, name: &dyn std::fmt::Display) -> Step {
        let statement = match (self, T::REVISED) {
            (Self::Insert, _) => insert(row),
            (Self::Save, true) => save(row),
            (Self::Save, false) => replace_or_make(row),
        };
        Step {
            statement,
            what: format!("{} {name}", T::NOUN),
            needs: Needs::Row,
        }
    }
}

fn insert<T: Stored>(row: &T) -> Statement {
    let binds = row.binds();
    let mut columns = T::COLUMNS.to_vec();
    let mut values: Vec<_> = (1..=binds.len()).map(|n| format!("${n}")).collect();
    if let Some((column, value)) = T::COMPUTED {
        columns.push(column);
        values.push(value.to_owned());
    }
    Statement {
        max_bytes: None,
        text: format!(
            "INSERT INTO {} ({}) VALUES ({}) RETURNING {}",
            T::TABLE,
            columns.join(", "),
            values.join(", "),
            T::COLUMNS[0]
        ),
        binds,
    }
}

/// Replaces a row that still has the revision given, which is the last of its values.
fn save<T: Stored>(row: &T) -> Statement {
    let binds = row.binds();
    let sets: Vec<_> = numbered(T::COLUMNS)
        .skip(T::KEY)
        .take(T::COLUMNS.len() - T::KEY - 1)
        .map(|(n, column)| format!("{column} = ${n}"))
        .collect();
    Statement {
        max_bytes: None,
        text: format!(
            "UPDATE {} SET {}, revision = revision + 1 WHERE {} AND revision = ${} RETURNING {}",
            T::TABLE,
            sets.join(", "),
            key_matches::<T>(),
            binds.len(),
            T::COLUMNS[0]
        ),
        binds,
    }
}

fn replace_or_make<T: Stored>(row: &T) -> Statement {
    let made = insert(row);
    // A row that is all key is set to what it is, so that it comes back as changed.
    let sets: Vec<_> = T::COLUMNS
        .iter()
        .skip(T::KEY)
        .chain(&T::COLUMNS[..1])
        .map(|column| format!("{column} = excluded.{column}"))
        .collect();
    let conflict = format!(
        " ON CONFLICT ({}) DO UPDATE SET {} RETURNING",
        T::COLUMNS[..T::KEY].join(", "),
        sets.join(", ")
    );
    Statement {
        max_bytes: None,
        text: made.text.replace(" RETURNING", &conflict),
        binds: made.binds,
    }
}

fn remove<T: Stored>(key: &(impl Field + std::fmt::Display), revision: u64) -> Step {
    remove_where::<T>(
        vec![key.to_bind()],
        Some(revision),
        format!("{} {key}", T::NOUN),
    )
}

fn remove_where<T: Stored>(key: Vec<Bind>, revision: Option<u64>, what: String) -> Step {
    let mut statement = Statement {
        max_bytes: None,
        text: format!("DELETE FROM {} WHERE {}", T::TABLE, key_matches::<T>()),
        binds: key,
    };
    if let Some(revision) = revision {
        statement.binds.push(revision.to_bind());
        statement
            .text
            .push_str(&format!(" AND revision = ${}", statement.binds.len()));
    }
    statement
        .text
        .push_str(&format!(" RETURNING {}", T::COLUMNS[0]));
    Step {
        statement,
        what,
        needs: Needs::Row,
    }
}

fn key_matches<T: Stored>() -> String {
    let parts: Vec<_> = numbered(T::COLUMNS)
        .take(T::KEY)
        .map(|(n, column)| format!("{column} = ${n}"))
        .collect();
    parts.join(" AND ")
}

fn numbered<'a>(columns: &'a [&'a str]) -> impl Iterator<Item = (usize, &'a str)> {
    columns
        .iter()
        .enumerate()
        .map(|(i, column)| (i + 1, *column))
}
