//! Writing a backup as Cinder's chunked drivers do, with the record that makes it known there
//! (`cinder-backup.md §4`).

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use emberkeep_chunked::{
    BackupHeader, Compression, DirectoryRepository, Location, VolumeFacts, VolumeMeta,
    WriteOptions, WriteReport,
};
use emberkeep_model::{ByteCount, Gib, Timestamp};
use emberkeep_objects::{
    Backup as Record, BackupStatus, DateTime, Dict, Json, Metadata, ObjectError, VersionedObject,
};
use emberkeep_sdk::native_types::BackupOrigin;
use emberkeep_volumes::SourceSnapshot;
use serde_json::json;

use crate::cinder_repo::{chunked_error, foreign_error, metered};
use crate::error::CliError;
use crate::output::Output;

/// Which of Cinder's drivers is to find the backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Driver {
    Posix,
    Nfs,
    Glusterfs,
    Swift,
    S3,
    Gcs,
}

impl Driver {
    fn class_path(self) -> &'static str {
        match self {
            Self::Posix => "cinder.backup.drivers.posix.PosixBackupDriver",
            Self::Nfs => "cinder.backup.drivers.nfs.NFSBackupDriver",
            Self::Glusterfs => "cinder.backup.drivers.glusterfs.GlusterfsBackupDriver",
            Self::Swift => "cinder.backup.drivers.swift.SwiftBackupDriver",
            Self::S3 => "cinder.backup.drivers.s3.S3BackupDriver",
            Self::Gcs => "cinder.backup.drivers.gcs.GoogleBackupDriver",
        }
    }

    /// Tells whether it keeps backups in directories, which decides over names and sizes.
    fn in_directory(self) -> bool {
        match self {
            Self::Posix | Self::Nfs | Self::Glusterfs => true,
            Self::Swift | Self::S3 | Self::Gcs => false,
        }
    }
}

/// Options of cinder-chunked; what is left out is what Cinder's driver does unless told otherwise.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of cinder-chunked")]
pub(crate) struct ChunkedArgs {
    /// Driver that will read the backup; determines object names
    #[arg(long, value_enum, default_value_t = Driver::Posix)]
    driver: Driver,
    /// How objects are compressed: none, zlib, gzip, bz2, bzip2 or zstd
    #[arg(long, value_name = "WORD", default_value = "zlib")]
    compression: Compression,
    /// Bytes of the volume in one object (backup_file_size, backup_…_object_size)
    #[arg(long, value_name = "BYTES")]
    object_size: Option<u64>,
    /// Bytes of the volume under one hash (backup_sha_block_size_bytes, backup_…_block_size)
    #[arg(long, value_name = "BYTES")]
    block_size: Option<u32>,
    /// The directory or bucket [default: as the driver chooses]
    #[arg(long)]
    container: Option<String>,
    /// The zone in the names of objects in object stores (storage_availability_zone)
    #[arg(long, default_value = "nova")]
    zone: String,
}

/// Where and how a backup is written.
pub(crate) struct Plan {
    root: PathBuf,
    repository: DirectoryRepository,
    location: Location,
    options: WriteOptions,
    driver: Driver,
    created_at: Timestamp,
}

impl ChunkedArgs {
    /// Looks at every option before anything is written.
    pub(crate) fn plan(&self, root: &Path, origin: &BackupOrigin) -> Result<Plan, CliError> {
        let created_at = time(&origin.created_at)?;
        let container = self.container.as_deref();
        let (id, volume) = (origin.id, origin.volume_id);
        let (location, defaults) = if self.driver.in_directory() {
            let location = Location::in_directory(id, volume, created_at, container);
            (location, WriteOptions::DIRECTORY)
        } else {
            let place = (self.zone.as_str(), container);
            let location = Location::in_object_store(id, volume, created_at, place);
            (location, WriteOptions::OBJECT_STORE)
        };
        let options = WriteOptions {
            compression: self.compression,
            object_size: self.object_size.unwrap_or(defaults.object_size),
            block_size: self.block_size.unwrap_or(defaults.block_size),
        };
        options.check().map_err(|error| chunked_error(&error))?;
        std::fs::create_dir_all(root).map_err(|cause| {
            CliError::failed_by(format_args!("making {}", root.display()), &cause)
        })?;
        Ok(Plan {
            root: root.to_owned(),
            repository: DirectoryRepository::open(root).map_err(|error| foreign_error(&error))?,
            location: location.map_err(|error| foreign_error(&error))?,
            options,
            driver: self.driver,
            created_at,
        })
    }
}

/// A backup that was written.
pub(crate) struct Written {
    origin: BackupOrigin,
    location: Location,
    report: WriteReport,
    size: ByteCount,
    service: &'static str,
    record: String,
    record_file: PathBuf,
}

/// Writes the objects, and the record beside their container.
pub(crate) fn write(
    plan: &Plan,
    source: &dyn SourceSnapshot,
    origin: &BackupOrigin,
) -> Result<Written, CliError> {
    let size = source.size();
    let header = BackupHeader {
        backup_id: origin.id,
        volume_id: origin.volume_id,
        name: origin.name.clone(),
        description: origin.description.clone(),
        created_at: plan.created_at,
        parent_id: None,
        volume_meta: Some(volume_meta(origin, plan.created_at)),
    };
    let report = metered("writing", size.0, |meter| {
        emberkeep_chunked::write(
            source,
            &plan.repository,
            &plan.location,
            (&header, plan.options),
            meter,
        )
    })
    .map_err(|error| chunked_error(&error))?;
    let record = record(plan, origin, report.object_count)
        .map_err(|error| CliError::failed_by("writing the record", &error))?;
    let service = plan.driver.class_path();
    let record_file = plan.root.join(format!("{}.record.json", origin.id));
    let text = json!({"backup-record": {"backup_service": service, "backup_url": record}});
    std::fs::write(&record_file, format!("{text:#}\n")).map_err(|cause| {
        CliError::failed_by(format_args!("writing {}", record_file.display()), &cause)
    })?;
    Ok(Written {
        origin: origin.clone(),
        location: plan.location.clone(),
        report,
        size,
        service,
        record,
        record_file,
    })
}

impl Written {
    /// Tells what was written, and how Cinder comes to know of it.
    pub(crate) fn tell(&self, output: &Output, took: Duration) -> Result<(), CliError> {
        let seconds = took.as_secs_f64();
        let words = format!(
            "backup {} written as {}/{}\n  {} in {} objects, {} stored, in {seconds:.1} s\n  record: {}\n  \
             to make it known: openstack volume backup record import {} $(jq -r '.[\"backup-record\"].backup_url' {})",
            self.origin.id,
            self.location.container(),
            self.location.prefix(),
            self.size,
            self.report.object_count,
            ByteCount(self.report.stored_bytes),
            self.record_file.display(),
            self.service,
            self.record_file.display(),
        );
        let json = json!({
            "backup_id": self.origin.id,
            "container": self.location.container(),
            "prefix": self.location.prefix(),
            "size_bytes": self.size,
            "objects": self.report.object_count,
            "stored_bytes": self.report.stored_bytes,
            "backup_service": self.service,
            "backup_url": self.record,
            "record_file": self.record_file,
            "seconds": seconds,
        });
        output.done(&words, &self.record_file.display().to_string(), &json)
    }
}

fn volume_meta(origin: &BackupOrigin, created_at: Timestamp) -> String {
    let volume = origin.volume.as_ref();
    let pairs = |pairs: &std::collections::BTreeMap<String, String>| {
        let pairs = pairs.iter();
        pairs
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    };
    let facts = VolumeFacts {
        id: origin.volume_id,
        user_id: origin.user_id.to_string(),
        project_id: origin.project_id.to_string(),
        host: None,
        size: Gib(origin.size_gib),
        availability_zone: origin.availability_zone.clone(),
        status: "available".to_owned(),
        attached: false,
        name: volume.and_then(|volume| volume.name.clone()),
        description: volume.and_then(|volume| volume.description.clone()),
        volume_type_id: None,
        bootable: volume.is_some_and(|volume| volume.bootable),
        multiattach: false,
        created_at,
        updated_at: None,
        metadata: volume
            .map(|volume| pairs(&volume.metadata))
            .unwrap_or_default(),
        image: volume
            .map(|volume| pairs(&volume.image_metadata))
            .unwrap_or_default(),
    };
    VolumeMeta::of_volume(&facts).to_text()
}

/// Writes the backup as Cinder's object, as exporting it there would.
fn record(plan: &Plan, origin: &BackupOrigin, objects: u32) -> Result<String, ObjectError> {
    let mut record = Record::orphan();
    let texts = [
        (Record::ID, Some(origin.id.to_string())),
        (Record::USER_ID, Some(origin.user_id.to_string())),
        (Record::PROJECT_ID, Some(origin.project_id.to_string())),
        (Record::VOLUME_ID, Some(origin.volume_id.to_string())),
        (Record::HOST, None),
        (Record::AVAILABILITY_ZONE, origin.availability_zone.clone()),
        (
            Record::CONTAINER,
            Some(plan.location.container().to_owned()),
        ),
        (Record::PARENT_ID, None),
        (Record::FAIL_REASON, None),
        (Record::DISPLAY_NAME, origin.name.clone()),
        (Record::DISPLAY_DESCRIPTION, origin.description.clone()),
        (
            Record::SERVICE_METADATA,
            Some(plan.location.prefix().to_owned()),
        ),
        (Record::SERVICE, Some(plan.driver.class_path().to_owned())),
        (Record::TEMP_VOLUME_ID, None),
        (Record::TEMP_SNAPSHOT_ID, None),
        (
            Record::SNAPSHOT_ID,
            origin.snapshot_id.map(|id| id.to_string()),
        ),
        (Record::RESTORE_VOLUME_ID, None),
        (Record::ENCRYPTION_KEY_ID, None),
    ];
    for (key, value) in texts {
        match value {
            Some(value) => record.set(key, value)?,
            None => record.set_null(key)?,
        }
    }
    record.set(Record::STATUS, BackupStatus::Available)?;
    record.set(Record::SIZE, i64::from(origin.size_gib))?;
    record.set(Record::OBJECT_COUNT, i64::from(objects))?;
    record.set(Record::NUM_DEPENDENT_BACKUPS, 0)?;
    let mut pairs = Metadata::new();
    for (key, value) in &origin.metadata {
        pairs.insert(key.clone(), value.clone());
    }
    record.set(Record::METADATA, pairs)?;
    record.set(Record::DELETED, false)?;
    let data_of = time(&origin.data_timestamp).unwrap_or(plan.created_at);
    let times = [
        (Record::DATA_TIMESTAMP, Some(data_of)),
        (Record::CREATED_AT, Some(plan.created_at)),
        (Record::UPDATED_AT, None),
        (Record::DELETED_AT, None),
    ];
    for (key, value) in times {
        match value.and_then(|at| DateTime::from_timestamp(at).ok()) {
            Some(at) => record.set(key, at)?,
            None => record.set_null(key)?,
        }
    }
    let mut extra = Dict::new();
    extra.insert("driver_info", Json::Dict(Dict::new()));
    record.encode_record(&extra)
}

fn time(text: &str) -> Result<Timestamp, CliError> {
    text.parse::<jiff::Timestamp>()
        .map(|at| Timestamp(at.as_microsecond()))
        .map_err(|_| CliError::failed(format!("the service says '{text}' for a time")))
}
