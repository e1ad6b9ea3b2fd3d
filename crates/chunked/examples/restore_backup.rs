//! Restores the newest backup in a directory of Cinder's, or one that is named, to a new file.
//!
//! `cargo run --release -p emberkeep-chunked --example restore_backup -- repo disk.raw`

use std::collections::HashMap;
use std::process::ExitCode;
use std::time::Instant;

use emberkeep_chunked::{BackupMetadata, Chain, DirectoryRepository, find, restore};
use emberkeep_volumes::FileTarget;

fn run(args: &[String]) -> Result<String, Box<dyn std::error::Error>> {
    let [repository, image, named @ ..] = args else {
        return Err("give a directory, a file to make and, if you like, a backup".into());
    };
    let objects = DirectoryRepository::open(repository)?;
    let mut locations = HashMap::new();
    let mut newest = None;
    for found in find(&objects)? {
        let made = BackupMetadata::read(&objects, &found.location)?.created_at;
        newest = newest.max(Some((made, found.backup_id)));
        locations.insert(found.backup_id, found.location);
    }
    let id = match (named.first(), newest) {
        (Some(id), _) => id.parse()?,
        (None, Some((_, id))) => id,
        (None, None) => return Err("there is no backup in the directory".into()),
    };
    let newest = locations.get(&id).ok_or("there is no such backup")?;
    let chain = Chain::load(&objects, newest, |parent| {
        Ok(locations.get(&parent).cloned())
    })?;
    let begun = Instant::now();
    let target = FileTarget::create_new(image, chain.end())?;
    let report = restore(&chain, &objects, &target, &())?;
    Ok(format!(
        "{id}: {} from {} backups, {} bytes written, in {:.1} s",
        chain.end(),
        chain.layers().len(),
        report.written_bytes,
        begun.elapsed().as_secs_f64()
    ))
}

#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "an example speaks to people"
)]
fn main() -> ExitCode {
    match run(&std::env::args().skip(1).collect::<Vec<_>>()) {
        Ok(told) => {
            println!("{told}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
