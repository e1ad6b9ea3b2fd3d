//! Volumes of a running QEMU, or of its storage daemon, frozen and told apart over QMP.
//!
//! At one instant, in one transaction: the dirty bitmap that was written since the last backup
//! stops, a new one begins, and a copy-before-write job keeps in a fleecing image whatever is
//! overwritten from then on. That image, over the live one, is the frozen volume; it is read
//! over NBD while the guest goes on writing.
//!
//! The old bitmap goes only when the backup is durable ([`QmpSource::commit`]). Otherwise the
//! new one is merged back into it ([`QmpSource::abandon`]), and what a killed process left is
//! put right by the next one. A monitor's socket serves one client at a time, so whoever has
//! it is alone.

mod monitor;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use emberkeep_model::ByteCount;
use emberkeep_nbd::{Address, AddressError, Place};
use serde_json::{Value, json};

use crate::nbd::{BitmapHints, NbdSource};
use crate::{ChangeSet, Extent, SourceSnapshot, VolumeError};
use monitor::Monitor;
pub use monitor::QmpError;

/// What begins every name that we give to anything in QEMU.
const OURS: &str = "emberkeep-";
const FLEECE: &str = "emberkeep-fleece";
const FLEECE_FILE: &str = "emberkeep-fleece-file";
const COPY_JOB: &str = "emberkeep-copy";
const CREATE_JOB: &str = "emberkeep-create";
const EXPORT: &str = "emberkeep-frozen";
/// The bytes that one bit of a bitmap stands for.
const GRANULARITY: u64 = 64 << 10;
/// How long QEMU may take to end a job or an export.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where a QEMU and a block node of it are: `qmp+unix:///NODE?socket=PATH`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QmpAddress {
    /// The socket of its monitor.
    pub socket: PathBuf,
    /// The node's name.
    pub node: String,
}

impl QmpAddress {
    const SCHEME: &str = "qmp+unix:";

    /// Tells whether text means to be such an address.
    pub fn looks_like(text: &str) -> bool {
        text.starts_with(Self::SCHEME)
    }
}

impl FromStr for QmpAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let refuse = |reason| AddressError {
            text: text.to_owned(),
            reason,
        };
        let rest = text.strip_prefix(Self::SCHEME);
        let rest = rest.ok_or_else(|| refuse("give qmp+unix:///NODE?socket=PATH"))?;
        // Spelt as an NBD export on a socket is, but for its beginning.
        let same: Address = format!("nbd+unix:{rest}")
            .parse()
            .map_err(|cause: AddressError| refuse(cause.reason))?;
        match same.place {
            Place::Unix(socket) if !same.export.is_empty() => Ok(Self {
                socket,
                node: same.export,
            }),
            Place::Unix(_) => Err(refuse("it names no node")),
            Place::Tcp { .. } => Err(refuse("it needs ?socket=PATH")),
        }
    }
}

/// A block node at one instant, while its guest goes on.
pub struct QmpSource {
    freeze: Freeze,
    frozen: Option<NbdSource>,
}

/// What was set up in QEMU, to be taken down again.
struct Freeze {
    monitor: Monitor,
    node: String,
    what: String,
    /// The bitmap that was written until this instant.
    old: Option<String>,
    /// The bitmap that is written from this instant on.
    new: String,
    image: PathBuf,
    socket: PathBuf,
}

/// What becomes of the bitmaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Committed,
    Abandoned,
}

impl QmpSource {
    /// Freezes a node. `lineage` is that of the backup before; where a bitmap was kept since
    /// then, it tells what changed. The fleecing image lies in `scratch`, which QEMU must be
    /// able to write to.
    pub fn freeze(
        address: &QmpAddress,
        scratch: &Path,
        lineage: Option<&str>,
    ) -> Result<Self, VolumeError> {
        let what = format!("node {} of {}", address.node, address.socket.display());
        let failed = |cause: QmpError| cause.into_volume_error(&what);
        let mut monitor = Monitor::connect(&address.socket).map_err(failed)?;
        let scratch = std::path::absolute(scratch)
            .map_err(|cause| VolumeError::io(scratch.display().to_string(), cause))?;
        take_down(&mut monitor).map_err(failed)?;
        let node = Node::find(&mut monitor, &address.node).map_err(failed)?;
        let parent = lineage.and_then(BitmapHints::bitmap_of);
        let old = put_bitmaps_right(&mut monitor, &node, parent).map_err(failed)?;
        let new = format!(
            "{OURS}{}",
            unique().map_err(|cause| VolumeError::io(&what, cause))?
        );
        let freeze = Freeze {
            monitor,
            node: address.node.clone(),
            what,
            old,
            image: scratch.join(format!("{new}.qcow2")),
            socket: scratch.join(format!("{new}.sock")),
            new,
        };
        freeze.set_up(&node)
    }

    /// Ends a freeze whose backup is durable: the bitmap that led up to it is not needed any more.
    pub fn commit(mut self) -> Result<(), VolumeError> {
        self.end(Outcome::Committed)
    }

    /// Ends a freeze whose backup did not come about: the next one is told of all changes since
    /// the last that did.
    pub fn abandon(mut self) -> Result<(), VolumeError> {
        self.end(Outcome::Abandoned)
    }

    fn end(&mut self, outcome: Outcome) -> Result<(), VolumeError> {
        self.frozen = None;
        self.freeze.end(outcome)
    }

    fn source(&self) -> &NbdSource {
        self.frozen
            .as_ref()
            .expect("it is there until the freeze ends, which takes the source")
    }
}

impl SourceSnapshot for QmpSource {
    fn size(&self) -> ByteCount {
        self.source().size()
    }

    fn lineage(&self) -> Option<String> {
        self.source().lineage()
    }

    fn extents(
        &self,
        range: Range<u64>,
        since: Option<&str>,
    ) -> Result<(ChangeSet, Vec<Extent>), VolumeError> {
        self.source().extents(range, since)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), VolumeError> {
        self.source().read_at(offset, buf)
    }
}

impl Freeze {
    fn set_up(mut self, node: &Node) -> Result<QmpSource, VolumeError> {
        let created = std::fs::File::create_new(&self.image);
        created.map_err(|cause| VolumeError::io(self.image.display().to_string(), cause))?;
        if let Err(cause) = self.begin(node) {
            // Nothing was frozen, so there is nothing to merge; what was made goes.
            let told = cause.into_volume_error(&self.what);
            self.clear_away();
            return Err(told);
        }
        match self.open() {
            Ok(frozen) => Ok(QmpSource {
                freeze: self,
                frozen: Some(frozen),
            }),
            Err(cause) => {
                // The bitmaps were changed already; the first failure is the one to tell.
                let _ = self.end(Outcome::Abandoned);
                Err(cause)
            }
        }
    }

    /// Makes the fleecing image, and the instant.
    fn begin(&mut self, node: &Node) -> Result<(), QmpError> {
        let monitor = &mut self.monitor;
        let image = self.image.display().to_string();
        monitor.ask(
            "blockdev-add",
            json!({"driver": "file", "node-name": FLEECE_FILE, "filename": image}),
        )?;
        let options = json!({"driver": "qcow2", "file": FLEECE_FILE, "size": node.size});
        monitor.ask(
            "blockdev-create",
            json!({"job-id": CREATE_JOB, "options": options}),
        )?;
        monitor.conclude(CREATE_JOB, PATIENCE)?;
        monitor.ask(
            "blockdev-add",
            json!({
                "driver": "qcow2", "node-name": FLEECE, "file": FLEECE_FILE, "backing": self.node,
            }),
        )?;
        let mut actions = vec![json!({
            "type": "block-dirty-bitmap-add",
            "data": {
                "node": self.node, "name": self.new, "granularity": GRANULARITY,
                "persistent": node.keeps_bitmaps,
            },
        })];
        if let Some(old) = &self.old {
            actions.push(json!({
                "type": "block-dirty-bitmap-disable", "data": {"node": self.node, "name": old},
            }));
        }
        actions.push(json!({
            "type": "blockdev-backup",
            "data": {"job-id": COPY_JOB, "device": self.node, "target": FLEECE, "sync": "none"},
        }));
        // All or nothing, and all at one instant.
        monitor.ask("transaction", json!({"actions": actions}))?;
        Ok(())
    }

    /// Serves the instant, and connects to it.
    fn open(&mut self) -> Result<NbdSource, VolumeError> {
        let bitmaps: Vec<Value> = self
            .old
            .iter()
            .map(|old| json!({"node": self.node, "name": old}))
            .collect();
        let socket = self.socket.display().to_string();
        let monitor = &mut self.monitor;
        let mut served = || {
            monitor.ask(
                "nbd-server-start",
                json!({"addr": {"type": "unix", "data": {"path": socket}}, "max-connections": 16}),
            )?;
            let export = json!({
                "type": "nbd", "id": EXPORT, "node-name": FLEECE, "name": EXPORT, "bitmaps": bitmaps,
            });
            monitor.ask("block-export-add", export).inspect_err(|_| {
                // Nobody else would: a server that we started goes with its export.
                let _ = monitor.ask("nbd-server-stop", json!({}));
            })
        };
        served().map_err(|cause| cause.into_volume_error(&self.what))?;
        let address = Address::new(Place::Unix(self.socket.clone()), EXPORT);
        let hints = BitmapHints {
            until: self.old.clone(),
            since: Some(self.new.clone()),
        };
        NbdSource::open(&address, hints)
    }

    fn end(&mut self, outcome: Outcome) -> Result<(), VolumeError> {
        let mut ended = || {
            take_down(&mut self.monitor)?;
            match (outcome, &self.old) {
                (Outcome::Committed, Some(old)) => {
                    remove_bitmap(&mut self.monitor, &self.node, old)
                }
                (Outcome::Committed, None) => Ok(()),
                (Outcome::Abandoned, Some(old)) => {
                    let new = std::slice::from_ref(&self.new);
                    merge_back(&mut self.monitor, &self.node, old, new)?;
                    remove_bitmap(&mut self.monitor, &self.node, &self.new)
                }
                (Outcome::Abandoned, None) => {
                    remove_bitmap(&mut self.monitor, &self.node, &self.new)
                }
            }
        };
        let told = ended().map_err(|cause| cause.into_volume_error(&self.what));
        self.clear_away();
        told
    }

    /// Removes the files; QEMU has let go of them, or never had them.
    fn clear_away(&mut self) {
        if take_down(&mut self.monitor).is_ok() {
            for path in [&self.image, &self.socket] {
                // What was never made needs no removing.
                let _ = std::fs::remove_file(path);
            }
        }
    }
}

/// Ends whatever freeze there is: the export, the job, the fleecing image, the server.
fn take_down(monitor: &mut Monitor) -> Result<(), QmpError> {
    let has = |list: &Value, key: &str, name: &str| {
        let entries = list.as_array().map(Vec::as_slice).unwrap_or_default();
        entries.iter().any(|entry| entry[key] == name)
    };
    let exports = monitor.ask("query-block-exports", json!({}))?;
    if has(&exports, "id", EXPORT) {
        monitor.ask("block-export-del", json!({"id": EXPORT, "mode": "hard"}))?;
        monitor.wait("the export does not end", PATIENCE, |monitor| {
            let exports = monitor.ask("query-block-exports", json!({}))?;
            Ok(!has(&exports, "id", EXPORT))
        })?;
        monitor.ask("nbd-server-stop", json!({}))?;
    }
    for job in [COPY_JOB, CREATE_JOB] {
        let jobs = monitor.ask("query-jobs", json!({}))?;
        if has(&jobs, "id", job) {
            // It may end by itself meanwhile, and one that is over is dismissed.
            let _ = monitor.ask("job-cancel", json!({"id": job}));
            monitor.wait("a job does not end", PATIENCE, |monitor| {
                let _ = monitor.ask("job-dismiss", json!({"id": job}));
                let jobs = monitor.ask("query-jobs", json!({}))?;
                Ok(!has(&jobs, "id", job))
            })?;
        }
    }
    let nodes = monitor.ask("query-named-block-nodes", json!({"flat": true}))?;
    for node in [FLEECE, FLEECE_FILE] {
        if has(&nodes, "node-name", node) {
            monitor.ask("blockdev-del", json!({"node-name": node}))?;
        }
    }
    let all = nodes.as_array().map(Vec::as_slice).unwrap_or_default();
    if let Some(image) = all.iter().find(|node| node["node-name"] == FLEECE_FILE)
        && let Some(path) = image["image"]["filename"].as_str()
        && Path::new(path)
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with(OURS))
    {
        // Made by us or by one of us that was killed; it may be gone already.
        let _ = std::fs::remove_file(path);
    }
    Ok(())
}

/// What QEMU says of a node.
struct Node {
    name: String,
    size: u64,
    /// Whether bitmaps outlive the process in its image.
    keeps_bitmaps: bool,
    bitmaps: Vec<Bitmap>,
}

struct Bitmap {
    name: String,
    recording: bool,
    usable: bool,
}

impl Node {
    fn find(monitor: &mut Monitor, name: &str) -> Result<Self, QmpError> {
        let nodes = monitor.ask("query-named-block-nodes", json!({"flat": true}))?;
        let all = nodes.as_array().map(Vec::as_slice).unwrap_or_default();
        let found = all.iter().find(|node| node["node-name"] == name);
        let found = found.ok_or_else(|| QmpError::NoSuchNode(name.to_owned()))?;
        let bitmaps = found["dirty-bitmaps"].as_array();
        let bitmaps = bitmaps.map(Vec::as_slice).unwrap_or_default();
        Ok(Self {
            name: name.to_owned(),
            size: found["image"]["virtual-size"]
                .as_u64()
                .ok_or(QmpError::Unexpected("it tells no size"))?,
            keeps_bitmaps: found["drv"] == "qcow2",
            bitmaps: bitmaps
                .iter()
                .filter_map(|bitmap| {
                    Some(Bitmap {
                        name: bitmap["name"].as_str()?.to_owned(),
                        recording: bitmap["recording"].as_bool()?,
                        // One that was in use when QEMU was killed says nothing.
                        usable: !bitmap["inconsistent"].as_bool().unwrap_or(false),
                    })
                })
                .collect(),
        })
    }
}

/// Makes the parent's bitmap tell of all changes since, and removes our others. Returns its
/// name if there is one that can be relied on.
fn put_bitmaps_right(
    monitor: &mut Monitor,
    node: &Node,
    parent: Option<&str>,
) -> Result<Option<String>, QmpError> {
    let kept = node
        .bitmaps
        .iter()
        .find(|bitmap| bitmap.usable && parent == Some(bitmap.name.as_str()));
    let others: Vec<&Bitmap> = node
        .bitmaps
        .iter()
        .filter(|bitmap| bitmap.name.starts_with(OURS))
        .filter(|bitmap| kept.is_none_or(|kept| kept.name != bitmap.name))
        .collect();
    let mut old = kept.map(|bitmap| bitmap.name.clone());
    if let Some(kept) = kept
        && !kept.recording
    {
        // A freeze was never ended: what was written since then is in the bitmap that it began.
        let began: Vec<String> = others
            .iter()
            .filter(|bitmap| bitmap.usable && bitmap.recording)
            .map(|bitmap| bitmap.name.clone())
            .collect();
        if began.is_empty() {
            old = None;
        } else {
            merge_back(monitor, &node.name, &kept.name, &began)?;
        }
    }
    for bitmap in others {
        remove_bitmap(monitor, &node.name, &bitmap.name)?;
    }
    if old.is_none()
        && let Some(kept) = kept
    {
        remove_bitmap(monitor, &node.name, &kept.name)?;
    }
    Ok(old)
}

/// Lets the old bitmap go on from where it stopped.
fn merge_back(
    monitor: &mut Monitor,
    node: &str,
    old: &str,
    new: &[String],
) -> Result<(), QmpError> {
    let actions = json!([
        {"type": "block-dirty-bitmap-enable", "data": {"node": node, "name": old}},
        {"type": "block-dirty-bitmap-merge", "data": {"node": node, "target": old, "bitmaps": new}},
    ]);
    monitor.ask("transaction", json!({"actions": actions}))?;
    Ok(())
}

fn remove_bitmap(monitor: &mut Monitor, node: &str, name: &str) -> Result<(), QmpError> {
    let which = json!({"node": node, "name": name});
    monitor.ask("block-dirty-bitmap-remove", which)?;
    Ok(())
}

/// Returns a name that was never used.
fn unique() -> std::io::Result<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/uuid")?;
    Ok(text.trim().to_owned())
}

#[cfg(test)]
mod tests;
