//! What `cargo xtask bench peers` puts beside the programs it measures, each printed as JSON:
//!
//! - `bare IMAGE`: a loop that reads, hashes, and compresses and encrypts what it has not met
//!   before, and keeps nothing of it;
//! - `hinted IMAGE CHANGED EXTENTS DIR`: backups on the word of a source that knows what changed
//!   (`EXTENTS`: lines of offset and length);
//! - `crowd REPO PROJECT BACKUP COUNT DIR`: so many restores at once in one process.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "an example that prints"
)]

use std::collections::HashSet;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use emberkeep_engine::{BackupRequest, InitOptions, Repository, Run, UnixMicros};
use emberkeep_format::{ChunkIdKey, Compressor, SealKey};
use emberkeep_keys::MasterKey;
use emberkeep_model::{BackupId, ByteCount};
use emberkeep_store::{LocalStore, ObjectStore};
use emberkeep_volumes::{
    ChangeSet, Extent, ExtentKind, FileSource, FileTarget, SourceSnapshot, VolumeError,
};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let told = match args[..] {
        ["bare", image] => bare(image),
        ["hinted", image, changed, extents, dir] => hinted(image, changed, extents, dir),
        ["crowd", repo, project, backup, count, dir] => {
            crowd(repo, project, backup, count.parse().unwrap(), dir)
        }
        _ => panic!(
            "bare IMAGE | hinted IMAGE CHANGED EXTENTS DIR | crowd REPO PROJECT BACKUP COUNT DIR"
        ),
    };
    println!("{told}");
}

/// Reads what is data, hashes it in chunks of 64 KiB, and compresses and encrypts those that are
/// new: no less than a backup has to do.
fn bare(image: &str) -> serde_json::Value {
    const CHUNK: usize = 64 << 10;
    const TAKEN: u64 = 16 << 20;
    let source = FileSource::open(image).unwrap();
    let size = source.size().0;
    let (_, extents) = source.extents(0..size, None).unwrap();
    let mut pieces = Vec::new();
    for extent in extents.iter().filter(|e| e.kind == ExtentKind::Data) {
        let mut at = extent.offset;
        while at < extent.offset + extent.length {
            let end = (extent.offset + extent.length).min(at + TAKEN);
            pieces.push(at..end);
            at = end;
        }
    }
    let (next, stored) = (AtomicU64::new(0), AtomicU64::new(0));
    let met = Mutex::new(HashSet::new());
    let before = Times::now();
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                let (ids, key) = (ChunkIdKey::new([1; 32]), SealKey::new(&[2; 32]));
                let mut compressor = Compressor::new().unwrap();
                let (mut plain, mut out) = (vec![0; 8 * CHUNK], vec![0; CHUNK]);
                let mut count = 0_u64;
                while let Some(piece) =
                    pieces.get(usize::try_from(next.fetch_add(1, Relaxed)).unwrap())
                {
                    let mut at = piece.start;
                    while at < piece.end {
                        let length = usize::try_from(piece.end - at).unwrap().min(plain.len());
                        source.read_at(at, &mut plain[..length]).unwrap();
                        at += length as u64;
                        for chunk in plain[..length].chunks(CHUNK) {
                            if !met.lock().unwrap().insert(ids.id(chunk)) {
                                continue;
                            }
                            let (encoded, _) = compressor.encode(chunk, &mut out);
                            let mut nonce = [0; 12];
                            nonce[..8].copy_from_slice(&count.to_le_bytes());
                            std::hint::black_box(key.seal(nonce, &[], &mut out[..encoded]));
                            stored.fetch_add(encoded as u64, Relaxed);
                            count += 1;
                        }
                    }
                }
            });
        }
    });
    before.told(serde_json::json!({ "stored_bytes": stored.into_inner() }))
}

/// A file whose changes since an earlier instant are known from a list.
struct Tracked {
    file: FileSource,
    instant: &'static str,
    changed: Vec<Range<u64>>,
}

impl SourceSnapshot for Tracked {
    fn size(&self) -> ByteCount {
        self.file.size()
    }

    fn lineage(&self) -> Option<String> {
        Some(self.instant.to_owned())
    }

    fn extents(
        &self,
        range: Range<u64>,
        since: Option<&str>,
    ) -> Result<(ChangeSet, Vec<Extent>), VolumeError> {
        let Some(since) = since else {
            return self.file.extents(range, None);
        };
        let mut extents = Vec::new();
        let mut push = |start: u64, end: u64, kind| {
            if start < end {
                let length = end - start;
                extents.push(Extent {
                    offset: start,
                    length,
                    kind,
                });
            }
        };
        let mut at = range.start;
        for changed in &self.changed {
            let (start, end) = (changed.start.max(at), changed.end.min(range.end));
            if start < end {
                push(at, start, ExtentKind::Unchanged);
                push(start, end, ExtentKind::Data);
                at = end;
            }
        }
        push(at, range.end, ExtentKind::Unchanged);
        let lineage = since.to_owned();
        Ok((ChangeSet::Since { lineage }, extents))
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), VolumeError> {
        self.file.read_at(offset, buf)
    }
}

/// A full backup, one of the same bytes and one of the changed ones, both on the source's word.
fn hinted(image: &str, changed: &str, extents: &str, dir: &str) -> serde_json::Value {
    let store: Arc<dyn ObjectStore> = Arc::new(LocalStore::create(dir).unwrap());
    let master = MasterKey::from_bytes([1; 32]);
    let repository = Repository::init(store, &master, InitOptions::default()).unwrap();
    let project = repository.project("bench").unwrap();
    let mut list: Vec<Range<u64>> = std::fs::read_to_string(extents)
        .unwrap()
        .lines()
        .map(|line| {
            let (at, length) = line.split_once(' ').unwrap();
            let (at, length): (u64, u64) = (at.parse().unwrap(), length.parse().unwrap());
            at..at + length
        })
        .collect();
    list.sort_by_key(|range| range.start);
    let mut told = serde_json::Map::new();
    let mut parent = None;
    for (what, path, changed) in [
        ("full", image, Vec::new()),
        ("unchanged", image, Vec::new()),
        ("changed", changed, list),
    ] {
        let source = Tracked {
            file: FileSource::open(path).unwrap(),
            instant: what,
            changed,
        };
        let id = BackupId(uuid::Uuid::new_v4());
        let request = BackupRequest {
            parent,
            ..BackupRequest::new(id, what, UnixMicros(0))
        };
        let before = Times::now();
        let made = project.backup(&source, request, &Run::new()).unwrap();
        let figures = serde_json::json!({
            "read_bytes": made.manifest.statistics.read_bytes,
            "new_bytes": made.manifest.statistics.new_bytes,
            "caught": made.caught(),
        });
        told.insert(what.to_owned(), before.told(figures));
        parent = Some(id);
    }
    let out = Path::new(dir).join("restored.img");
    let source = FileSource::open(changed).unwrap();
    let target = FileTarget::create_new(&out, source.size()).unwrap();
    project
        .restore(parent.unwrap(), &target, &Run::new())
        .unwrap();
    serde_json::Value::Object(told)
}

/// Restores one backup so many times at once.
fn crowd(repo: &str, project: &str, backup: &str, count: usize, dir: &str) -> serde_json::Value {
    let store: Arc<dyn ObjectStore> = Arc::new(LocalStore::open(repo).unwrap());
    let key = MasterKey::load(&Path::new(repo).join("master.key")).unwrap();
    let repository = Repository::open(store, &key).unwrap();
    let project = repository.project(project).unwrap();
    let backup = BackupId(backup.parse().unwrap());
    let size = project.manifest(backup).unwrap().size;
    let before = Times::now();
    std::thread::scope(|scope| {
        for n in 0..count {
            let project = &project;
            scope.spawn(move || {
                let out = Path::new(dir).join(format!("crowd-{n}.img"));
                let target = FileTarget::create_new(&out, size).unwrap();
                project.restore(backup, &target, &Run::new()).unwrap();
                std::fs::remove_file(out).unwrap();
            });
        }
    });
    before.told(serde_json::json!({ "restores": count }))
}

struct Times {
    wall: Instant,
    cpu: f64,
}

impl Times {
    fn now() -> Self {
        Self {
            wall: Instant::now(),
            cpu: cpu(),
        }
    }

    /// Returns the cost since, with other figures.
    fn told(&self, mut more: serde_json::Value) -> serde_json::Value {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let peak = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .unwrap();
        let peak: f64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
        more["wall_secs"] = self.wall.elapsed().as_secs_f64().into();
        more["cpu_secs"] = (cpu() - self.cpu).into();
        more["peak_mib"] = (peak / 1024.0).into();
        more
    }
}

/// User and system seconds of this process.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let after = stat.rsplit_once(')').unwrap().1;
    let fields: Vec<&str> = after.split_whitespace().collect();
    let ticks = |at: usize| fields[at].parse::<f64>().unwrap() / 100.0;
    ticks(11) + ticks(12)
}
