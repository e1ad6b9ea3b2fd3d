//! Volumes in memory and repositories to test with.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "each test file uses its part, and a test may panic"
)]

use std::ops::Range;
use std::sync::{Arc, Mutex};

use emberkeep_engine::{
    BackupRequest, CheckOptions, InitOptions, ProjectRepository, Repository, Run, SweepError,
    SweepOptions, UnixMicros,
};
use emberkeep_keys::MasterKey;
use emberkeep_model::{BackupId, ByteCount};
use emberkeep_store::{MemoryStore, ObjectStore};
use emberkeep_volumes::{
    ChangeSet, Extent, ExtentKind, RestoreTarget, SourceSnapshot, TargetState, VolumeError,
};

pub const KIB: usize = 1 << 10;
pub const MIB: usize = 1 << 20;

/// A volume's bytes, with holes wherever 512 zero bytes lie: finer than our blocks on purpose.
pub struct Source(pub Vec<u8>);

impl SourceSnapshot for Source {
    fn size(&self) -> ByteCount {
        ByteCount(self.0.len() as u64)
    }

    fn extents(
        &self,
        range: Range<u64>,
        _: Option<&str>,
    ) -> Result<(ChangeSet, Vec<Extent>), VolumeError> {
        const GRAIN: usize = 512;
        let zeroes = [0; GRAIN];
        let mut extents: Vec<Extent> = Vec::new();
        let (mut at, end) = (range.start as usize, range.end as usize);
        while at < end {
            let next = ((at / GRAIN + 1) * GRAIN).min(end);
            let zero = self.0[at..next] == zeroes[..next - at];
            let kind = if zero {
                ExtentKind::Zero
            } else {
                ExtentKind::Data
            };
            match extents.last_mut() {
                Some(last) if last.kind == kind => last.length += (next - at) as u64,
                _ => extents.push(Extent {
                    offset: at as u64,
                    length: (next - at) as u64,
                    kind,
                }),
            }
            at = next;
        }
        Ok((
            ChangeSet::FullScan {
                reason: "a test".into(),
            },
            extents,
        ))
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), VolumeError> {
        let at = offset as usize;
        buf.copy_from_slice(&self.0[at..at + buf.len()]);
        Ok(())
    }
}

/// A volume to restore to.
pub struct Target {
    pub bytes: Mutex<Vec<u8>>,
    pub state: TargetState,
    pub finished: Mutex<bool>,
    pub writes: Mutex<usize>,
}

impl Target {
    pub fn fresh(size: usize) -> Self {
        Self::new(vec![0; size], TargetState::Zeroed)
    }

    pub fn used(bytes: Vec<u8>) -> Self {
        Self::new(bytes, TargetState::HoldsData)
    }

    fn new(bytes: Vec<u8>, state: TargetState) -> Self {
        Self {
            bytes: Mutex::new(bytes),
            state,
            finished: Mutex::default(),
            writes: Mutex::default(),
        }
    }

    pub fn finished(&self) -> Vec<u8> {
        assert!(
            *self.finished.lock().unwrap(),
            "the restore did not finish its target"
        );
        self.bytes.lock().unwrap().clone()
    }
}

impl RestoreTarget for Target {
    fn size(&self) -> ByteCount {
        ByteCount(self.bytes.lock().unwrap().len() as u64)
    }

    fn state(&self) -> TargetState {
        self.state
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), VolumeError> {
        let at = offset as usize;
        buf.copy_from_slice(&self.bytes.lock().unwrap()[at..at + buf.len()]);
        Ok(())
    }

    fn write_at(&self, offset: u64, buf: &[u8]) -> Result<(), VolumeError> {
        let at = offset as usize;
        *self.writes.lock().unwrap() += buf.len();
        self.bytes.lock().unwrap()[at..at + buf.len()].copy_from_slice(buf);
        Ok(())
    }

    fn zero(&self, range: Range<u64>) -> Result<(), VolumeError> {
        self.bytes.lock().unwrap()[range.start as usize..range.end as usize].fill(0);
        Ok(())
    }

    fn finish(&self) -> Result<(), VolumeError> {
        *self.finished.lock().unwrap() = true;
        Ok(())
    }
}

/// A store that others hold too, to put a wrapper around.
pub struct Shared(pub Arc<dyn ObjectStore>);

impl ObjectStore for Shared {
    fn put_if_absent(
        &self,
        name: &str,
        parts: &[&[u8]],
    ) -> Result<(), emberkeep_store::StoreError> {
        self.0.put_if_absent(name, parts)
    }
    fn put(&self, name: &str, parts: &[&[u8]]) -> Result<(), emberkeep_store::StoreError> {
        self.0.put(name, parts)
    }
    fn get(&self, name: &str) -> Result<Vec<u8>, emberkeep_store::StoreError> {
        self.0.get(name)
    }
    fn get_range(
        &self,
        name: &str,
        range: std::ops::Range<u64>,
    ) -> Result<Vec<u8>, emberkeep_store::StoreError> {
        self.0.get_range(name, range)
    }
    fn head(&self, name: &str) -> Result<Option<u64>, emberkeep_store::StoreError> {
        self.0.head(name)
    }
    fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<emberkeep_store::Listed>, emberkeep_store::StoreError> {
        self.0.list(prefix, after, limit)
    }
    fn delete_many(&self, names: &[String]) -> Result<(), emberkeep_store::StoreError> {
        self.0.delete_many(names)
    }
    fn describe(&self) -> String {
        self.0.describe()
    }
}

/// Bytes that do not compress.
pub fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut out = Vec::with_capacity(len + 8);
    while out.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out.extend_from_slice(&state.to_le_bytes());
    }
    out.truncate(len);
    out
}

/// Bytes that compress like text.
pub fn text(len: usize, seed: u64) -> Vec<u8> {
    let mut out = noise(len, seed);
    for byte in &mut out {
        *byte = b'a' + *byte % 4;
    }
    out
}

/// A volume of `len` bytes with text, noise, and runs of zeroes of all alignments.
pub fn mixed(len: usize, seed: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(len);
    let mut n = seed;
    while out.len() < len {
        n += 1;
        let part = 1 + (n.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 40) as usize % (700 * KIB);
        match n % 4 {
            0 => out.extend(noise(part, n)),
            1 | 2 => out.extend(text(part, n)),
            _ => out.resize(out.len() + part, 0),
        }
    }
    out.truncate(len);
    out
}

/// Removes each manifest in turn: check misses it, no sweep frees anything, and once it is back
/// all is well.
pub fn each_manifest_is_missed(project: &ProjectRepository, store: &Arc<dyn ObjectStore>) {
    let listed = emberkeep_store::list_all(&**store, "").unwrap();
    let manifests = listed.iter().filter(|o| o.name.contains("/manifests/"));
    for object in manifests {
        let name = &object.name;
        let good = store.get(name).unwrap();
        store.delete_many(std::slice::from_ref(name)).unwrap();
        let report = project.check(CheckOptions::default(), &Run::new()).unwrap();
        let missed = report.problems.iter().find(|p| p.damage.object == *name);
        let missed = missed.unwrap_or_else(|| panic!("{name} is not missed: {report:?}"));
        assert_eq!(missed.backups.len(), 1, "{missed:?}");
        let refused = project.sweep(SweepOptions::default(), &Run::new());
        match refused {
            Err(SweepError::ManifestsMissing(ids)) => assert_eq!(ids, missed.backups),
            other => panic!("{name}: {other:?}"),
        }
        store.put(name, &[&good]).unwrap();
    }
    let report = project.check(CheckOptions::default(), &Run::new()).unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
}

/// A repository with one project.
pub struct Fixture {
    pub store: Arc<dyn ObjectStore>,
    pub master: MasterKey,
    pub project: ProjectRepository,
}

impl Fixture {
    pub fn new() -> Self {
        Self::on(Arc::new(MemoryStore::new()))
    }

    /// The same repository, as it lies in another store.
    pub fn on_store(&self, store: Arc<dyn ObjectStore>) -> Self {
        Self {
            project: self.through(store.clone()),
            master: self.master.clone(),
            store,
        }
    }

    pub fn on(store: Arc<dyn ObjectStore>) -> Self {
        let master = MasterKey::from_bytes([42; 32]);
        let repository = Repository::init(store.clone(), &master, InitOptions::default()).unwrap();
        let project = repository.project("project-a").unwrap();
        Self {
            store,
            master,
            project,
        }
    }

    /// Opens the same objects through another store.
    pub fn through(&self, store: Arc<dyn ObjectStore>) -> ProjectRepository {
        Repository::open(store, &self.master)
            .unwrap()
            .project("project-a")
            .unwrap()
    }

    pub fn backup(&self, n: u128, bytes: &[u8]) -> emberkeep_engine::Manifest {
        let source = Source(bytes.to_vec());
        self.project
            .backup(&source, request(n), &Run::new())
            .unwrap()
            .manifest
    }

    pub fn restores(&self, n: u128, want: &[u8]) {
        restores(&self.project, n, want);
    }

    pub fn names(&self, part: &str) -> Vec<String> {
        emberkeep_store::list_all(&*self.store, "")
            .unwrap()
            .into_iter()
            .map(|object| object.name)
            .filter(|name| name.contains(part))
            .collect()
    }
}

pub fn id(n: u128) -> BackupId {
    BackupId(uuid::Uuid::from_u128(n))
}

pub fn request(n: u128) -> BackupRequest {
    BackupRequest::new(id(n), format!("backup {n}"), UnixMicros(n as i64))
}

pub fn restores(project: &ProjectRepository, n: u128, want: &[u8]) {
    let target = Target::fresh(want.len());
    project.restore(id(n), &target, &Run::new()).unwrap();
    assert!(target.finished() == want, "backup {n} came back changed");
}

/// Copies a store as it is now.
pub fn copy(from: &dyn ObjectStore) -> Arc<MemoryStore> {
    let to = MemoryStore::new();
    for object in emberkeep_store::list_all(from, "").unwrap() {
        to.put(&object.name, &[&from.get(&object.name).unwrap()])
            .unwrap();
    }
    Arc::new(to)
}
