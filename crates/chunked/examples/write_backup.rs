//! Writes a disk image as a backup of Cinder's posix driver, and prints what its record needs.
//!
//! `cargo run --release -p emberkeep-chunked --example write_backup -- disk.raw repo [zlib]`

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use emberkeep_chunked::{BackupHeader, DirectoryRepository, Location, WriteOptions, write};
use emberkeep_model::{BackupId, Timestamp, VolumeId};
use emberkeep_volumes::FileSource;

const BACKUP: &str = "0b9e0d3c-5a52-4a2e-9d3f-5c86f1d1a001";
const VOLUME: &str = "0b9e0d3c-5a52-4a2e-9d3f-5c86f1d1b001";

fn run(args: &[String]) -> Result<String, Box<dyn std::error::Error>> {
    let [image, repository, rest @ ..] = args else {
        return Err("give an image, a directory and, if you like, a compression".into());
    };
    let mut options = WriteOptions::DIRECTORY;
    if let Some(word) = rest.first() {
        options.compression = word.parse()?;
    }
    let (backup_id, volume_id): (BackupId, VolumeId) = (BACKUP.parse()?, VOLUME.parse()?);
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros();
    let created_at = Timestamp(i64::try_from(now)?);
    let location = Location::in_directory(backup_id, volume_id, created_at, None)?;
    let header = BackupHeader {
        backup_id,
        volume_id,
        name: Some("an example".to_owned()),
        description: None,
        created_at,
        parent_id: None,
        volume_meta: None,
    };
    let source = FileSource::open(image)?;
    let sink = DirectoryRepository::open(repository)?;
    let report = write(&source, &sink, &location, (&header, options), &())?;
    Ok(format!(
        "{{\"id\": \"{backup_id}\", \"volume_id\": \"{volume_id}\", \"container\": \"{}\", \"service_metadata\": \"{}\", \"object_count\": {}}}",
        location.container(),
        location.prefix(),
        report.object_count
    ))
}

#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "an example speaks to people"
)]
fn main() -> ExitCode {
    match run(&std::env::args().skip(1).collect::<Vec<_>>()) {
        Ok(record) => {
            println!("{record}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
