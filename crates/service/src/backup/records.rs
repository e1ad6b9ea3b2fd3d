//! Records of backups: a description that another service, or this one, can take up again
//! (`cinder-backup.md §3.5`). The content does not travel: a record says where it lies.

use std::collections::BTreeMap;

use emberkeep_catalog::{BackupQuery, Change, Row};
use emberkeep_chunked::Location;
use emberkeep_model::{
    Backup, BackupId, BackupState, Caller, ContentOf, Foreign, ForeignPlace, Gib, ProjectId,
    SnapshotId, Timestamp, VolumeId, Work,
};
use emberkeep_objects::{
    Backup as Record, BackupStatus, DateTime, Dict, Json, Metadata, ObjectError, RecordError,
    VersionedObject, decode_record,
};
use uuid::Uuid;

use crate::foreign::repository::ChunkedDriver;
use crate::pairs;
use crate::quotas::Need;
use crate::race::racing;
use crate::refusal::Refusal;
use crate::switches::Binary;
use crate::{BackupRecord, Service, ServiceError};

/// What our driver is called where class paths are expected; clients look at how it begins.
const DRIVER: &str = "cinder.backup.drivers.emberkeep.EmberkeepBackupDriver";
/// What our driver finds content by begins with this; project and id follow.
const PLACE: &str = "emberkeep";

/// A backup taken up from a record.
#[derive(Debug, Clone)]
pub struct Imported {
    /// The backup.
    pub backup: Backup,
    /// There was a deleted row of that id, which lives again.
    pub revived: bool,
}

impl Service {
    /// Describes a backup so that it can be taken up again.
    pub async fn export_backup(
        &self,
        caller: &Caller,
        id: BackupId,
    ) -> Result<BackupRecord, ServiceError> {
        let backup = self.visible_backup(caller, id).await?;
        self.allow(caller, "backup:export-import")?;
        if !matches!(backup.state, BackupState::Available(_)) {
            return Err(Refusal::BackupNotExportable(id).into());
        }
        self.must_be_on(Binary::Backup).await?;
        let failed = |error: ObjectError| ServiceError::Inner("writing a record", Box::new(error));
        let mut extra = Dict::new();
        extra.insert("driver_info", Json::Dict(Dict::new()));
        let url = described(&backup)
            .and_then(|record| record.encode_record(&extra))
            .map_err(failed)?;
        Ok(BackupRecord {
            service: driver_of(&backup).to_owned(),
            url,
        })
    }

    /// Takes a backup up from a record, for the caller's project. What its driver finds wrong with it
    /// is told by the backup, which is then in error.
    pub async fn import_backup(
        &self,
        caller: &Caller,
        record: BackupRecord,
    ) -> Result<Imported, ServiceError> {
        self.allow(caller, "backup:backup-import")?;
        if !self.is_on(Binary::Backup).await? {
            return Err(Refusal::NobodyImports(record.service).into());
        }
        let fields = fields_of(&record.url)?;
        let named = text(&fields, "id");
        let named = named.ok_or(Refusal::Record("Provided backup record is missing an id"))?;
        pairs::check_new(&pairs_of(&fields))?;
        let size = size_of(&fields)?;
        let id = id_of(&named)?;
        racing(|| async {
            let known = self.catalog.backup(id).await?;
            if known
                .as_ref()
                .is_some_and(|known| known.deleted_at.is_none())
            {
                return Err(Refusal::BackupExists(id).into());
            }
            let _turn = self.quota_turn(&caller.project_id).await;
            let need = Need {
                backups: 1,
                backup_gigabytes: u64::from(size.0),
                ..Need::default()
            };
            let mut changes = vec![self.reserve(&caller.project_id, need).await?];
            let mut backup = self.blank(caller, id, size);
            backup.revision = known.as_ref().map_or(0, |known| known.revision);
            if let Err(reason) = self
                .take_up(caller, &mut backup, &record.service, &fields, &mut changes)
                .await?
            {
                backup.fail_reason = Some(reason.clone());
                backup.state = BackupState::Failed { reason };
            }
            let row = Row::Backup(backup.clone());
            changes.push(match known {
                Some(_) => Change::Save(row),
                None => Change::Insert(row),
            });
            self.commit(changes).await?;
            Ok(Imported {
                backup,
                revived: known.is_some(),
            })
        })
        .await
    }

    /// Builds the row of an import that nothing is known of yet.
    fn blank(&self, caller: &Caller, id: BackupId, size: Gib) -> Backup {
        let now = self.now();
        let whose = (caller.project_id.clone(), caller.user_id.clone());
        let mut backup = Backup::new(id, whose, VolumeId(Uuid::nil()), now);
        backup.availability_zone = Some(self.settings.availability_zone.clone());
        backup.size = size;
        backup.updated_at = Some(now);
        backup
    }

    /// Returns the driver of Cinder's that a record means, if it is one whose backups can be read here.
    fn foreign_driver(&self, recorded: &str) -> Option<ChunkedDriver> {
        let mut drivers = self.foreign.iter().flat_map(|place| &place.drivers);
        drivers.find(|driver| driver.is_meant_by(recorded)).copied()
    }

    /// Notes where a backup lies that Cinder wrote. A task looks whether it is there.
    fn take_up_foreign(
        &self,
        caller: &Caller,
        backup: &mut Backup,
        (driver, prefix): (ChunkedDriver, String),
        changes: &mut Vec<Change>,
    ) -> Result<(), String> {
        let place = ForeignPlace {
            driver: driver.class_path().to_owned(),
            container: backup.container.clone().unwrap_or_default(),
            prefix,
        };
        // Names that lead elsewhere are never looked up.
        Location::new(place.container.as_str(), place.prefix.as_str())
            .map_err(|error| error.to_string())?;
        backup.cinder.service = Some(place.driver.clone());
        backup.cinder.service_metadata = Some(place.prefix.clone());
        backup.cinder.foreign = Some(Foreign::Kept(place));
        let work = Work::ImportBackup {
            backup_id: backup.id,
        };
        let mut task = self.backup_task(caller, backup, work);
        // It concerns nothing here that bears the volume's name.
        task.volume_id = None;
        changes.push(Change::Insert(Row::Task(task)));
        Ok(())
    }

    /// Fills the row from the record, as a driver does, or says why it cannot.
    async fn take_up(
        &self,
        caller: &Caller,
        backup: &mut Backup,
        driver: &str,
        fields: &Dict,
        changes: &mut Vec<Change>,
    ) -> Result<Result<(), String>, ServiceError> {
        let foreign = self.foreign_driver(driver);
        if foreign.is_none() && !DRIVER.starts_with(driver) {
            backup.cinder.service = Some(driver.to_owned());
            return Ok(Err(format!(
                "Import record failed, cannot find backup service to perform the import. Request service {driver}."
            )));
        }
        let missing: Vec<&str> = NEEDED
            .into_iter()
            .filter(|name| fields.get(name).is_none())
            .collect();
        if !missing.is_empty() {
            return Ok(Err(format!(
                "Driver successfully decoded imported backup data, but there are missing fields ({}).",
                missing.join(", ")
            )));
        }
        fill(backup, fields);
        let place = text(fields, "service_metadata").unwrap_or_default();
        if let Some(driver) = foreign {
            return Ok(self.take_up_foreign(caller, backup, (driver, place), changes));
        }
        let Some(content) = content_at(&place) else {
            return Ok(Err(format!("'{place}' names no content that is kept here")));
        };
        let own = content.project_id == backup.project_id && content.backup_id == backup.id;
        let wanted = content.backup_id;
        backup.content = Some(content).filter(|_| !own);
        // Of those who show the content already one must stay for as long as this takes.
        let (shown, fence) = self.fence(wanted).await?;
        if shown && fence.is_none() {
            return Ok(Err(format!(
                "the content of backup {wanted} is being deleted"
            )));
        }
        changes.extend(fence);
        Ok(match self.sealed_of(backup).await? {
            Some(sealed) => {
                backup.state = BackupState::Available(sealed);
                Ok(())
            }
            None => Err(format!(
                "the content of backup {wanted} is not in the repository"
            )),
        })
    }

    /// Tells whether a backup shows some content, and returns a change that fails if the one it names goes.
    async fn fence(&self, content: BackupId) -> Result<(bool, Option<Change>), ServiceError> {
        let query = BackupQuery {
            content: Some(content),
            ..BackupQuery::default()
        };
        let mut rows = self.catalog.backups(&query).await?.items;
        let maker = self.catalog.backup(content).await?;
        rows.extend(maker.filter(|maker| maker.content.is_none() && maker.deleted_at.is_none()));
        let shown = !rows.is_empty();
        let stays = rows
            .into_iter()
            .find(|row| !matches!(row.state, BackupState::DeleteQueued | BackupState::Deleting));
        Ok((shown, stays.map(|row| Change::Save(Row::Backup(row)))))
    }
}

/// Fields without which a driver takes nothing up.
const NEEDED: [&str; 7] = [
    "display_name",
    "display_description",
    "container",
    "size",
    "service_metadata",
    "object_count",
    "id",
];

fn fields_of(url: &str) -> Result<Dict, Refusal> {
    match decode_record(url) {
        Ok(Json::Dict(fields)) => Ok(fields),
        // What is no description has no id either.
        Ok(_) => Err(Refusal::Record("Provided backup record is missing an id")),
        Err(RecordError::Decode) => Err(Refusal::Record("Can't decode backup record.")),
        Err(RecordError::Parse) => Err(Refusal::Record("Can't parse backup record.")),
    }
}

fn id_of(text: &str) -> Result<BackupId, Refusal> {
    text.parse()
        .map_err(|_| Refusal::Record("Provided backup record has an id that is no UUID"))
}

fn size_of(fields: &Dict) -> Result<Gib, Refusal> {
    if matches!(fields.get("size"), None | Some(Json::Null)) {
        return Err(Refusal::Record(
            "Provided backup record is missing size attribute",
        ));
    }
    let size = number(fields, "size").and_then(|size| u32::try_from(size).ok());
    size.map(Gib).ok_or(Refusal::Record(
        "Provided backup record has a size that is none",
    ))
}

fn text(fields: &Dict, name: &str) -> Option<String> {
    match fields.get(name)? {
        Json::Text(text) => Some(text.clone()),
        Json::Int(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Returns the tenant's pairs; those that are not text are left out.
fn pairs_of(fields: &Dict) -> BTreeMap<String, String> {
    let Some(Json::Dict(pairs)) = fields.get("metadata") else {
        return BTreeMap::new();
    };
    let pairs = pairs.iter();
    pairs
        .filter_map(|(key, value)| Some((key.to_owned(), value.as_text()?.to_owned())))
        .collect()
}

fn number(fields: &Dict, name: &str) -> Option<i64> {
    match fields.get(name)? {
        Json::Int(number) => i64::try_from(*number).ok(),
        Json::Text(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn time(fields: &Dict, name: &str) -> Option<Timestamp> {
    let text = text(fields, name)?;
    DateTime::parse(&text).ok()?.timestamp().ok()
}

/// Takes over what a record says. What it says of whose the backup is, and of how it stood, is left out.
fn fill(backup: &mut Backup, fields: &Dict) {
    backup.name = text(fields, "display_name");
    backup.description = text(fields, "display_description");
    backup.container = text(fields, "container");
    if let Some(id) = text(fields, "volume_id").and_then(|id| id.parse().ok()) {
        backup.volume_id = id;
    }
    backup.parent_id = text(fields, "parent_id").and_then(|id| id.parse().ok());
    backup.snapshot_id = text(fields, "snapshot_id").and_then(|id| id.parse::<SnapshotId>().ok());
    backup.restore_volume_id = text(fields, "restore_volume_id").and_then(|id| id.parse().ok());
    backup.created_at = time(fields, "created_at").unwrap_or(backup.created_at);
    backup.data_timestamp = time(fields, "data_timestamp").unwrap_or(backup.created_at);
    backup.metadata = pairs_of(fields);
    backup.cinder.object_count = number(fields, "object_count").unwrap_or_default();
    backup.cinder.num_dependent_backups = number(fields, "num_dependent_backups").unwrap_or(0);
    backup.cinder.temp_volume_id = text(fields, "temp_volume_id");
    backup.cinder.temp_snapshot_id = text(fields, "temp_snapshot_id");
    backup.cinder.encryption_key_id = text(fields, "encryption_key_id");
}

pub(crate) fn driver_of(backup: &Backup) -> &str {
    backup.cinder.service.as_deref().unwrap_or(DRIVER)
}

/// Says where the content of a backup lies.
pub(crate) fn place_of(backup: &Backup) -> String {
    let (project, id) = backup.content();
    format!("{PLACE}/{project}/{id}")
}

fn content_at(place: &str) -> Option<ContentOf> {
    let mut parts = place.split('/');
    let content = match (parts.next()?, parts.next()?, parts.next()?) {
        (PLACE, project, id) => ContentOf {
            project_id: project.parse::<ProjectId>().ok()?,
            backup_id: id.parse().ok()?,
        },
        _ => return None,
    };
    parts.next().is_none().then_some(content)
}

/// Writes a backup as Cinder's object of version 1.7.
fn described(backup: &Backup) -> Result<Record, ObjectError> {
    let mut record = Record::orphan();
    let texts = [
        (Record::ID, Some(backup.id.to_string())),
        (Record::USER_ID, Some(backup.user_id.to_string())),
        (Record::PROJECT_ID, Some(backup.project_id.to_string())),
        (Record::VOLUME_ID, Some(backup.volume_id.to_string())),
        (Record::HOST, Some(Binary::Backup.host().to_owned())),
        (Record::AVAILABILITY_ZONE, backup.availability_zone.clone()),
        (Record::CONTAINER, backup.container.clone()),
        (Record::PARENT_ID, backup.parent_id.map(|id| id.to_string())),
        (Record::FAIL_REASON, backup.fail_reason.clone()),
        (Record::DISPLAY_NAME, backup.name.clone()),
        (Record::DISPLAY_DESCRIPTION, backup.description.clone()),
        (
            Record::SERVICE_METADATA,
            Some(
                backup
                    .cinder
                    .service_metadata
                    .clone()
                    .unwrap_or_else(|| place_of(backup)),
            ),
        ),
        (Record::SERVICE, Some(driver_of(backup).to_owned())),
        (Record::TEMP_VOLUME_ID, backup.cinder.temp_volume_id.clone()),
        (
            Record::TEMP_SNAPSHOT_ID,
            backup.cinder.temp_snapshot_id.clone(),
        ),
        (
            Record::SNAPSHOT_ID,
            backup.snapshot_id.map(|id| id.to_string()),
        ),
        (
            Record::RESTORE_VOLUME_ID,
            backup.restore_volume_id.map(|id| id.to_string()),
        ),
        (
            Record::ENCRYPTION_KEY_ID,
            backup.cinder.encryption_key_id.clone(),
        ),
    ];
    for (key, value) in texts {
        match value {
            Some(value) => record.set(key, value)?,
            None => record.set_null(key)?,
        }
    }
    record.set(Record::STATUS, BackupStatus::Available)?;
    record.set(Record::SIZE, i64::from(backup.size.0))?;
    record.set(Record::OBJECT_COUNT, backup.cinder.object_count)?;
    let dependents = backup.cinder.num_dependent_backups;
    record.set(Record::NUM_DEPENDENT_BACKUPS, dependents)?;
    let mut pairs = Metadata::new();
    for (key, value) in &backup.metadata {
        pairs.insert(key.clone(), value.clone());
    }
    record.set(Record::METADATA, pairs)?;
    record.set(Record::DELETED, false)?;
    let times = [
        (Record::DATA_TIMESTAMP, Some(backup.data_timestamp)),
        (Record::CREATED_AT, Some(backup.created_at)),
        (Record::UPDATED_AT, backup.updated_at),
        (Record::DELETED_AT, None),
    ];
    for (key, value) in times {
        match value.and_then(|at| DateTime::from_timestamp(at).ok()) {
            Some(at) => record.set(key, at)?,
            None => record.set_null(key)?,
        }
    }
    Ok(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_name_content() {
        let id = "90579aca-bb30-4c39-b80b-8f6d92efeace";
        let found = content_at(&format!("emberkeep/p1/{id}")).expect("is a place");
        assert_eq!(found.project_id.as_str(), "p1");
        assert_eq!(found.backup_id.to_string(), id);
        for place in [
            "",
            "emberkeep",
            "emberkeep/p1",
            "emberkeep/p1/x",
            &format!("other/p1/{id}"),
            &format!("emberkeep/p1/{id}/more"),
            "volume_b55_20240701120136_backup_905",
        ] {
            assert_eq!(content_at(place), None, "{place}");
        }
    }
}
