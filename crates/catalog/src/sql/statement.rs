//! One statement with its values, in words that every engine takes.

use emberkeep_model::{Assignment, Member, ProjectId, Timestamp, UserId, VaultId};

use super::row::Stored;
use super::value::{Bind, Field};
use super::{Cell, Record};

/// A statement, its values numbered from `$1`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Statement {
    pub(crate) text: String,
    pub(crate) binds: Vec<Bind>,
    /// Read no further once so many bytes of text were read; all rows if none.
    pub(crate) max_bytes: Option<u64>,
}

/// Counts the bytes of text that a read has returned, against the bound of its statement.
#[derive(Debug)]
pub(crate) struct ByteBound {
    left: Option<u64>,
}

impl ByteBound {
    /// Begins to count for `statement`.
    pub(crate) fn of(statement: &Statement) -> Self {
        Self {
            left: statement.max_bytes,
        }
    }

    /// Counts a record; returns whether the bound is reached with it, so that the first is always read.
    pub(crate) fn is_reached_with(&mut self, record: &Record) -> bool {
        let Some(left) = &mut self.left else {
            return false;
        };
        *left = left.saturating_sub(bytes_of(record));
        *left == 0
    }
}

/// Returns how many bytes of text a record holds.
pub(crate) fn bytes_of(record: &Record) -> u64 {
    let text = record.iter().map(|cell| match cell {
        Cell::Text(text) => text.len() as u64,
        Cell::Null | Cell::Int(_) | Cell::Bool(_) | Cell::Odd(_) => 0,
    });
    text.sum()
}

/// The conditions that rows `t` of a list must meet.
#[derive(Debug, Default)]
pub(crate) struct Conditions {
    clauses: Vec<String>,
    pub(crate) binds: Vec<Bind>,
}

impl Conditions {
    /// Takes a value in; returns what stands for it in the text.
    pub(crate) fn bind(&mut self, value: &impl Field) -> String {
        self.binds.push(value.to_bind());
        format!("${}", self.binds.len())
    }

    pub(crate) fn add(&mut self, clause: impl Into<String>) {
        self.clauses.push(clause.into());
    }

    /// Compares a column with a value, if there is one.
    pub(crate) fn compare(&mut self, column: &str, operator: &str, value: Option<&impl Field>) {
        if let Some(value) = value {
            let place = self.bind(value);
            self.add(format!("t.{column} {operator} {place}"));
        }
    }

    pub(crate) fn equal(&mut self, column: &str, value: Option<&impl Field>) {
        self.compare(column, "=", value);
    }

    /// Wants a column to be one of some values; none of them matches nothing.
    pub(crate) fn among(&mut self, column: &str, values: &[impl Field]) {
        let clause = match self.places(values) {
            Some(places) => format!("t.{column} IN ({places})"),
            None => "1 = 0".to_owned(),
        };
        self.add(clause);
    }

    /// Wants a column to be one of some values, if there are any.
    pub(crate) fn any_of(&mut self, column: &str, values: &[impl Field]) {
        if !values.is_empty() {
            self.among(column, values);
        }
    }

    /// Wants a column of pairs, kept as JSON, to hold all of some.
    pub(crate) fn pairs(&mut self, column: &str, pairs: &[(String, String)]) {
        for (key, value) in pairs {
            let quoted = |text: &str| serde_json::Value::from(text).to_string();
            // The quotes make it a whole pair: within a text a quote is escaped, and keys hold none.
            let place = self.bind(&format!("{}:{}", quoted(key), quoted(value)));
            self.add(format!("REPLACE(t.{column}, {place}, '') <> t.{column}"));
        }
    }

    pub(crate) fn words(&mut self, column: &str, words: &[&'static str]) {
        let words: Vec<String> = words.iter().map(|&w| w.to_owned()).collect();
        self.any_of(column, &words);
    }

    /// Takes values in; returns what stands for them, if there are any.
    pub(crate) fn places(&mut self, values: &[impl Field]) -> Option<String> {
        let places: Vec<_> = values.iter().map(|value| self.bind(value)).collect();
        (!places.is_empty()).then(|| places.join(", "))
    }

    /// Returns the clause that joins them all.
    pub(crate) fn text(&self) -> String {
        if self.clauses.is_empty() {
            "1 = 1".to_owned()
        } else {
            self.clauses.join(" AND ")
        }
    }
}

/// Names columns of table `t`.
pub(crate) fn columns_of<T: Stored>() -> String {
    let columns: Vec<_> = T::COLUMNS.iter().map(|c| format!("t.{c}")).collect();
    columns.join(", ")
}

/// Reads every row in which `column` has a value, in the order given.
pub(crate) fn rows_where<T: Stored>(column: &str, value: &impl Field, order: &str) -> Statement {
    Statement {
        max_bytes: None,
        text: format!(
            "SELECT {} FROM {} t WHERE t.{column} = $1 ORDER BY {order}",
            columns_of::<T>(),
            T::TABLE
        ),
        binds: vec![value.to_bind()],
    }
}

/// Reads the row with a key of one column.
pub(crate) fn row<T: Stored>(key: &impl Field) -> Statement {
    rows_where::<T>(T::COLUMNS[0], key, "1")
}

/// Reads how often the row with a key of one column was changed.
pub(crate) fn revision<T: Stored>(key: &impl Field) -> Statement {
    Statement {
        max_bytes: None,
        text: format!(
            "SELECT t.revision FROM {} t WHERE t.{} = $1",
            T::TABLE,
            T::COLUMNS[0]
        ),
        binds: vec![key.to_bind()],
    }
}

/// Reads the rows with keys of one column.
pub(crate) fn rows_of<T: Stored, K: Field>(keys: &[K]) -> Statement {
    let mut wanted = Conditions::default();
    wanted.among(T::COLUMNS[0], keys);
    Statement {
        max_bytes: None,
        text: format!(
            "SELECT {} FROM {} t WHERE {}",
            columns_of::<T>(),
            T::TABLE,
            wanted.text()
        ),
        binds: wanted.binds,
    }
}

/// Reads a whole table.
pub(crate) fn all_rows<T: Stored>(order: &str) -> Statement {
    Statement {
        max_bytes: None,
        text: format!(
            "SELECT {} FROM {} t ORDER BY {order}",
            columns_of::<T>(),
            T::TABLE
        ),
        binds: Vec::new(),
    }
}

/// Reads the roles of a user.
pub(crate) fn roles_of(user: &UserId) -> Statement {
    rows_where::<Assignment>("user_id", user, "t.project_id, t.role")
}

/// Reads the shares of the backups in a vault.
pub(crate) fn shares_in(vault: VaultId) -> Statement {
    Statement {
        max_bytes: None,
        text: format!(
            "SELECT {} FROM members t JOIN backups b ON b.id = t.backup_id WHERE b.vault_id = $1 ORDER BY t.id",
            columns_of::<Member>()
        ),
        binds: vec![vault.to_bind()],
    }
}

/// Takes the tokens of a user back; returns a row for each.
pub(crate) fn revoke_tokens(user: &UserId) -> Statement {
    Statement {
        max_bytes: None,
        text: "UPDATE tokens SET revoked = TRUE WHERE user_id = $1 RETURNING hash".to_owned(),
        binds: vec![user.to_bind()],
    }
}

/// Removes tokens that have ended; returns a row for each.
pub(crate) fn purge_tokens(now: Timestamp) -> Statement {
    Statement {
        max_bytes: None,
        text: "DELETE FROM tokens WHERE expires_at < $1 RETURNING hash".to_owned(),
        binds: vec![now.to_bind()],
    }
}

/// Removes messages that have ended; returns a row for each.
pub(crate) fn purge_messages(now: Timestamp) -> Statement {
    Statement {
        max_bytes: None,
        text: "DELETE FROM messages WHERE expires_at < $1 RETURNING id".to_owned(),
        binds: vec![now.to_bind()],
    }
}

/// Counts a project's volumes by type: the type, how many, GiB.
pub(crate) fn volume_usage(project: &ProjectId) -> Statement {
    Statement {
        max_bytes: None,
        text: "SELECT t.volume_type_id, COUNT(*), \
               CAST(COALESCE(SUM(COALESCE(t.growing_to, t.size)), 0) AS BIGINT) \
               FROM volumes t WHERE t.project_id = $1 GROUP BY t.volume_type_id"
            .to_owned(),
        binds: vec![project.to_bind()],
    }
}

/// Counts a project's snapshots by the type of their volumes: the type, how many, GiB.
pub(crate) fn snapshot_usage(project: &ProjectId) -> Statement {
    Statement {
        max_bytes: None,
        text: "SELECT v.volume_type_id, COUNT(*), CAST(COALESCE(SUM(t.size), 0) AS BIGINT) \
               FROM snapshots t LEFT JOIN volumes v ON v.id = t.volume_id \
               WHERE t.project_id = $1 GROUP BY v.volume_type_id"
            .to_owned(),
        binds: vec![project.to_bind()],
    }
}

/// Counts a project's backups outside of vaults: how many, GiB.
pub(crate) fn backup_usage(project: &ProjectId) -> Statement {
    Statement {
        max_bytes: None,
        text: "SELECT CAST(COALESCE(SUM(t.rows), 0) AS BIGINT), CAST(COALESCE(SUM(t.size), 0) AS BIGINT) \
               FROM backup_counts t WHERE t.project_id = $1 AND t.vault_id = '' AND t.state <> 'deleted'"
            .to_owned(),
        binds: vec![project.to_bind()],
    }
}

/// Counts what vaults hold: their id, GiB of resources, bytes stored, backups.
pub(crate) fn vault_usage(vaults: &[VaultId]) -> Statement {
    let mut wanted = Conditions::default();
    let places = wanted.places(vaults).unwrap_or_else(|| "NULL".to_owned());
    Statement {
        max_bytes: None,
        text: format!(
            "SELECT v.id, \
             (SELECT CAST(COALESCE(SUM(r.size), 0) AS BIGINT) FROM vault_resources r WHERE r.vault_id = v.id), \
             (SELECT CAST(COALESCE(SUM(b.stored), 0) AS BIGINT) FROM backup_counts b \
             WHERE b.vault_id = v.id AND b.state <> 'deleted' AND b.kind <> 'server'), \
             (SELECT CAST(COALESCE(SUM(b.rows), 0) AS BIGINT) FROM backup_counts b \
             WHERE b.vault_id = v.id AND b.state <> 'deleted' AND b.part = FALSE) \
             FROM vaults v WHERE v.id IN ({places})"
        ),
        binds: wanted.binds,
    }
}

/// Counts what a vault holds of each resource: its id, bytes stored, backups. What is stored for
/// a server are its volumes' backups; what is backed up as part of it counts with it.
pub(crate) fn resource_usage(vault: VaultId) -> Statement {
    Statement {
        max_bytes: None,
        text: "SELECT COALESCE(w.volume_id, b.volume_id) AS resource, \
               CAST(COALESCE(SUM(CASE WHEN b.kind = 'server' THEN 0 ELSE b.bytes_stored END), 0) AS BIGINT), \
               SUM(CASE WHEN b.part_of IS NULL THEN 1 ELSE 0 END) FROM backups b \
               LEFT JOIN backups w ON w.id = b.part_of \
               WHERE b.vault_id = $1 AND b.state <> 'deleted' GROUP BY resource ORDER BY resource"
            .to_owned(),
        binds: vec![vault.to_bind()],
    }
}
