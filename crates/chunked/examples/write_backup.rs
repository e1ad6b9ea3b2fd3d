//! Writes disk images as backups of Cinder's posix driver, a full one and those that build on it, and prints what
//! the record of each needs, a line for each.
//!
//! `cargo run --release -p emberkeep-chunked --example write_backup -- repo zlib 1999994880 32768 disk.raw later.raw`

use std::io::Write as _;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use emberkeep_chunked::{
    BackupHeader, DirectoryRepository, ForeignObjects, Location, WriteOptions, write,
    write_incremental,
};
use emberkeep_model::{BackupId, Timestamp, VolumeId};
use emberkeep_volumes::FileSource;

fn run(args: &[String]) -> Result<(), Box<dyn std::error::Error>> {
    let [
        repository,
        compression,
        object_size,
        block_size,
        images @ ..,
    ] = args
    else {
        return Err("give a directory, a compression, two sizes and images".into());
    };
    let options = WriteOptions {
        compression: compression.parse()?,
        object_size: object_size.parse()?,
        block_size: block_size.parse()?,
    };
    let sink = DirectoryRepository::open(repository)?;
    let first = SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros();
    let volume_id: VolumeId = format!("{first:032x}").parse()?;
    let mut parent: Option<(BackupId, Location)> = None;
    for (n, image) in (1..).zip(images) {
        let backup_id: BackupId = format!("{:032x}", (n << 64) + first).parse()?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros();
        let created_at = Timestamp(i64::try_from(now)?);
        let location = Location::in_directory(backup_id, volume_id, created_at, None)?;
        let header = BackupHeader {
            backup_id,
            volume_id,
            name: Some(format!("example {n}")),
            description: None,
            created_at,
            parent_id: None,
            volume_meta: None,
        };
        let source = FileSource::open(image)?;
        let what = (&header, options);
        let report = match &parent {
            None => write(&source, &sink, &location, what, &())?,
            Some((_, place)) => {
                let parent = (&sink as &dyn ForeignObjects, place);
                write_incremental(&source, &sink, &location, what, parent, &())?
            }
        };
        let builds_on = parent.map_or("null".to_owned(), |(id, _)| format!("\"{id}\""));
        writeln!(
            std::io::stdout(),
            "{{\"id\": \"{backup_id}\", \"volume_id\": \"{volume_id}\", \"parent_id\": {builds_on}, \
             \"container\": \"{}\", \"service_metadata\": \"{}\", \"object_count\": {}}}",
            location.container(),
            location.prefix(),
            report.object_count
        )?;
        parent = Some((backup_id, location));
    }
    Ok(())
}

#[expect(clippy::print_stderr, reason = "an example speaks to people")]
fn main() -> ExitCode {
    match run(&std::env::args().skip(1).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
