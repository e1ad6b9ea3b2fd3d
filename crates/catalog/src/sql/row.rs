//! Which table and columns each row is kept in.

use emberkeep_model::{
    AppCredential, Assignment, Attachment, Checkpoint, FileSystem, Member, Message, Policy,
    PolicyBinding, Project, QuotaClass, QuotaSet, Server, ServerVolume, ServiceSwitch, Snapshot,
    TokenRecord, User, Vault, VaultResource, Volume, VolumeType,
};

use super::value::{Bind, Cell, Field};
use crate::CatalogError;

/// A row as it was read, its values in the order of the columns that were asked for.
pub(crate) type Record = Vec<Cell>;

/// A type whose values are rows of a table of their own.
pub(crate) trait Stored: Sized + Send + 'static {
    const TABLE: &'static str;
    /// What people call one.
    const NOUN: &'static str;
    /// Every column that the type knows, those of the key first.
    const COLUMNS: &'static [&'static str];
    /// How many columns the key has.
    const KEY: usize = 1;
    /// Whether it counts its changes, in `revision`.
    const REVISED: bool = true;
    /// A column that only the database knows, and what a new row gets there.
    const COMPUTED: Option<(&'static str, &'static str)> = None;

    /// Returns its values, one for each column.
    fn binds(&self) -> Vec<Bind>;

    /// Reads it back, or says what is wrong.
    fn from_cells(cells: &mut Cells<'_>) -> Result<Self, String>;

    /// Reads a whole record back.
    fn from_record(record: Record) -> Result<Self, CatalogError> {
        let what = match record.first() {
            Some(Cell::Text(id)) => format!("{} {id}", Self::NOUN),
            _ => format!("a {}", Self::NOUN),
        };
        let mut cells = Cells {
            columns: Self::COLUMNS,
            record,
            next: 0,
        };
        Self::from_cells(&mut cells).map_err(|reason| CatalogError::Corrupt { what, reason })
    }
}

/// A record whose values are taken out one by one, by name.
pub(crate) struct Cells<'a> {
    columns: &'a [&'a str],
    record: Record,
    /// Values are mostly taken in order: the next one is looked for from here on.
    next: usize,
}

impl Cells<'_> {
    pub(crate) fn take<T: Field>(&mut self, column: &str) -> Result<T, String> {
        let place = match self.columns.get(self.next) {
            Some(next) if *next == column => Some(self.next),
            _ => self.columns.iter().position(|c| *c == column),
        };
        self.next = place.map_or(0, |place| place + 1);
        let cell = place.and_then(|i| self.record.get_mut(i));
        let cell = cell.ok_or_else(|| format!("{column}: no such column"))?;
        T::from_cell(std::mem::replace(cell, Cell::Null)).map_err(|why| format!("{column}: {why}"))
    }
}

/// Declares rows whose columns are their fields, one for one.
macro_rules! stored {
    ($($row:ident, $noun:literal in $table:literal $(, $name:ident = $value:expr)* => $($column:ident)*;)*) => {$(
        impl Stored for $row {
            const TABLE: &'static str = $table;
            const NOUN: &'static str = $noun;
            const COLUMNS: &'static [&'static str] = &[$(stringify!($column)),*];
            $(const $name: stored!(@type $name) = $value;)*

            fn binds(&self) -> Vec<Bind> {
                vec![$(self.$column.to_bind()),*]
            }

            fn from_cells(cells: &mut Cells<'_>) -> Result<Self, String> {
                Ok(Self { $($column: cells.take(stringify!($column))?),* })
            }
        }
    )*};
    (@type KEY) => { usize };
    (@type REVISED) => { bool };
    (@type COMPUTED) => { Option<(&'static str, &'static str)> };
}

stored! {
    Volume, "volume" in "volumes" =>
        id project_id user_id name description size status previous_status volume_type_id
        availability_zone bootable metadata snapshot_id source_volume_id
        readonly image_metadata growing_to created_at updated_at revision;
    Snapshot, "snapshot" in "snapshots" =>
        id volume_id project_id user_id name description size status progress metadata created_at updated_at revision;
    VolumeType, "volume type" in "volume_types" =>
        id name description is_public extra_specs access created_at revision;
    Vault, "vault" in "vaults" =>
        id project_id user_id name description object_type protect_type size status auto_expand
        auto_bind bind_rules tags locked smn_notify threshold backup_name_prefix frozen_scene created_at updated_at revision;
    // Those added in one go share their instant, so the order they came in is kept apart; $2 is `vault_id`.
    VaultResource, "vault resource" in "vault_resources", COMPUTED = Some((
        "added",
        "(SELECT COALESCE(MAX(o.added), 0) + 1 FROM vault_resources o WHERE o.vault_id = $2)",
    )) => resource_id vault_id name size status auto_protect choice created_at revision;
    Server, "server" in "servers" =>
        id project_id user_id name description facts metadata created_at updated_at revision;
    // $2 is `server_id`.
    ServerVolume, "volume of a server" in "server_volumes", COMPUTED = Some((
        "added",
        "(SELECT COALESCE(MAX(o.added), 0) + 1 FROM server_volumes o WHERE o.server_id = $2)",
    )) => volume_id server_id created_at revision;
    FileSystem, "file system" in "file_systems" =>
        id project_id user_id name description path size metadata created_at updated_at revision;
    Checkpoint, "checkpoint" in "checkpoints" =>
        id project_id user_id vault_id name description automatic retention_days status resources
        skipped created_at updated_at revision;
    Project, "project" in "projects" => id name description enabled created_at revision;
    User, "user" in "users" =>
        id name password_hash default_project_id enabled created_at revision;
    TokenRecord, "token" in "tokens", REVISED = false =>
        hash user_id project_id methods audit_ids issued_at expires_at revoked app_credential_id;
    Policy, "policy" in "policies" =>
        id project_id user_id name enabled operation_type definition patterns zone created_at updated_at revision;
    PolicyBinding, "policy binding" in "policy_bindings", KEY = 2 =>
        policy_id vault_id destination_vault_id settled_until revision;
    Member, "member" in "members" =>
        id backup_id dest_project_id status vault_id created_at updated_at revision;
    Assignment, "role" in "assignments", KEY = 3, REVISED = false => user_id project_id role;
    AppCredential, "application credential" in "app_credentials" =>
        id user_id project_id name description secret_hash roles unrestricted created_at expires_at revision;
    Attachment, "attachment" in "attachments" =>
        id volume_id project_id user_id instance_id host mountpoint mode status connector attached_at
        created_at revision;
    Message, "message" in "messages" =>
        id project_id request_id resource_type resource_id action detail created_at expires_at revision;
    QuotaSet, "quota set" in "quota_sets" => project_id limits revision;
    QuotaClass, "quota class" in "quota_classes" => name limits revision;
    ServiceSwitch, "service switch" in "service_switches" =>
        binary_name disabled disabled_reason updated_at revision;
}
