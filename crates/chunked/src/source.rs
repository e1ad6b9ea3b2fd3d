//! A chain as a volume that can be read anywhere, as a backup engine reads its sources.
//!
//! Compressed objects can only be read from their beginning. Readers that go through the
//! volume more or less in order share one decoder for each object, and what it makes ahead of
//! some of them is kept for them; whoever goes back far pays with a decoder of his own.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use emberkeep_model::{BackupId, ByteCount};
use emberkeep_volumes::{ChangeSet, Extent, ExtentKind, SourceSnapshot, VolumeError};

use crate::chain::{Chain, Layer};
use crate::decode::ObjectReader;
use crate::error::ChunkedError;
use crate::layers::{ObjectIndex, Segment};
use crate::pool::PIECE;
use crate::port::ForeignObjects;

/// What is kept of decompressed bytes: eight readers, each in a window of 16 MiB.
pub const CACHE_BYTES: usize = 128 << 20;

/// Objects whose decoders are kept.
const OPEN_OBJECTS: usize = 9;

/// Decoders of one object: readers that are this far apart each get one.
const OPEN_READERS: usize = 2;

/// The newest backup of a chain, readable by many threads.
///
/// Whoever reads every byte once has had every object's digest checked: the last byte that an
/// object gives to the image is only handed out after that.
pub struct ChainSource<'a> {
    chain: Chain,
    objects: &'a dyn ForeignObjects,
    size: u64,
    what: String,
    /// The end of each object's last part in the image, within the object.
    last_needed: HashMap<ObjectIndex, u64>,
    open: Mutex<VecDeque<(ObjectIndex, Shared)>>,
    cache: Mutex<Cache>,
}

type Shared = Arc<Mutex<Vec<ObjectReader>>>;
type Block = (ObjectIndex, u64);

impl<'a> ChainSource<'a> {
    /// Takes a chain for a volume of `size`, or as long as its image is. What no object
    /// holds reads as zeroes.
    pub fn new(
        chain: Chain,
        objects: &'a dyn ForeignObjects,
        size: Option<ByteCount>,
    ) -> Result<Self, ChunkedError> {
        let size = size.unwrap_or_else(|| chain.end());
        chain.check_fits(size)?;
        chain.check_present(objects)?;
        let mut last_needed = HashMap::new();
        for part in chain.segments() {
            let end = part.skip + (part.end - part.start);
            last_needed
                .entry(part.object)
                .and_modify(|last: &mut u64| *last = end.max(*last))
                .or_insert(end);
        }
        Ok(Self {
            what: format!("backup {}", chain.newest().backup_id),
            chain,
            objects,
            size: size.0,
            last_needed,
            open: Mutex::default(),
            cache: Mutex::default(),
        })
    }

    /// Returns the chain.
    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// Finds the backup of the chain that a lineage names. Objects of it, or of one that it
    /// builds on, have not changed since.
    fn layer_of(&self, lineage: &str) -> Option<usize> {
        let layers = self.chain.layers();
        let found = layers
            .iter()
            .position(|layer| lineage_of(&layer.backup_id) == lineage)?;
        // An image that grew or shrank since is read as a whole.
        let end = layers[found..].iter().map(Layer::end).max()?;
        (end == self.chain.end().0).then_some(found)
    }

    fn check_range(&self, offset: u64, length: u64) -> Result<u64, VolumeError> {
        offset
            .checked_add(length)
            .filter(|end| *end <= self.size)
            .ok_or_else(|| VolumeError::OutOfRange {
                what: self.what.clone(),
                reason: format!(
                    "{length} bytes at {offset} reach beyond its {} bytes",
                    self.size
                ),
            })
    }

    /// Returns the parts of the image that lie at least partly in `range`.
    fn parts(&self, range: &Range<u64>) -> &[Segment] {
        let segments = self.chain.segments();
        let first = segments.partition_point(|part| part.end <= range.start);
        let count = segments[first..].partition_point(|part| part.start < range.end);
        &segments[first..first + count]
    }

    /// Fills `buf` with what an object holds from `skip` on.
    fn read_object(
        &self,
        object: ObjectIndex,
        mut skip: u64,
        mut buf: &mut [u8],
    ) -> Result<(), ChunkedError> {
        while !buf.is_empty() {
            let number = skip / PIECE as u64;
            let within = usize::try_from(skip % PIECE as u64).expect("within a block");
            let bytes = self.block(object, number)?;
            let length = (bytes.len() - within).min(buf.len());
            let (now, later) = buf.split_at_mut(length);
            now.copy_from_slice(&bytes[within..within + length]);
            if within + length == bytes.len() {
                self.cache().spent((object, number));
            }
            skip += length as u64;
            buf = later;
        }
        Ok(())
    }

    /// Returns a block of an object, decompressing what lies between.
    fn block(&self, object: ObjectIndex, number: u64) -> Result<Arc<[u8]>, ChunkedError> {
        if let Some(bytes) = self.cache().get((object, number)) {
            return Ok(bytes);
        }
        let shared = self.readers(object);
        let mut readers = lock(&shared);
        // Who held the readers until now may have made it.
        if let Some(bytes) = self.cache().get((object, number)) {
            return Ok(bytes);
        }
        let at = number * PIECE as u64;
        let mut reader = self.take_reader(object, at, &mut readers)?;
        loop {
            let here = reader.position() / PIECE as u64;
            let bytes = self.decode(object, &mut reader)?;
            let more = reader.position() < self.last_needed[&object];
            if !more {
                // Before anyone sees the last of what the image needs.
                self.check_rest(object, &mut reader)?;
            }
            self.cache().put((object, here), &bytes);
            if here == number {
                if more {
                    readers.push(reader);
                }
                return Ok(bytes);
            }
        }
    }

    /// Takes the reader that has the least to skip, or opens one.
    fn take_reader(
        &self,
        object: ObjectIndex,
        at: u64,
        readers: &mut Vec<ObjectReader>,
    ) -> Result<ObjectReader, ChunkedError> {
        let nearest = readers
            .iter()
            .enumerate()
            .filter(|(_, reader)| reader.position() <= at)
            .max_by_key(|(_, reader)| reader.position());
        if let Some((index, _)) = nearest {
            return Ok(readers.swap_remove(index));
        }
        if readers.len() >= OPEN_READERS {
            readers.remove(0);
        }
        let (layer, entry) = self.chain.object(object);
        ObjectReader::open(self.objects, layer, entry)
    }

    fn decode(
        &self,
        object: ObjectIndex,
        reader: &mut ObjectReader,
    ) -> Result<Arc<[u8]>, ChunkedError> {
        let (layer, entry) = self.chain.object(object);
        let at = entry.offset + reader.position();
        let mut bytes = vec![0; PIECE];
        let read = reader
            .read(&mut bytes)
            .map_err(|fault| layer.object_error(entry, at, fault))?;
        bytes.truncate(read);
        Ok(bytes.into())
    }

    /// Reads what newer backups replace, for the sake of the digest.
    fn check_rest(
        &self,
        object: ObjectIndex,
        reader: &mut ObjectReader,
    ) -> Result<(), ChunkedError> {
        let (_, entry) = self.chain.object(object);
        while reader.position() < entry.length {
            self.decode(object, reader)?;
        }
        Ok(())
    }

    /// Returns an object's readers, forgetting those of the object not used for longest.
    fn readers(&self, object: ObjectIndex) -> Shared {
        let mut open = lock(&self.open);
        let found = open.iter().position(|(other, _)| *other == object);
        let entry = match found.and_then(|at| open.remove(at)) {
            Some(entry) => entry,
            None => {
                if open.len() >= OPEN_OBJECTS {
                    open.pop_front();
                }
                (object, Shared::default())
            }
        };
        let shared = Arc::clone(&entry.1);
        open.push_back(entry);
        shared
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        lock(&self.cache)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Names the instant that a backup is of.
fn lineage_of(backup: &BackupId) -> String {
    format!("cinder backup {backup}")
}

impl SourceSnapshot for ChainSource<'_> {
    fn size(&self) -> ByteCount {
        ByteCount(self.size)
    }

    fn lineage(&self) -> Option<String> {
        Some(lineage_of(&self.chain.newest().backup_id))
    }

    fn extents(
        &self,
        range: Range<u64>,
        since: Option<&str>,
    ) -> Result<(ChangeSet, Vec<Extent>), VolumeError> {
        self.check_range(range.start, range.end.saturating_sub(range.start))?;
        let mut extents: Vec<Extent> = Vec::new();
        let mut push = |range: Range<u64>, kind| {
            let length = range.end - range.start;
            match extents.last_mut() {
                _ if length == 0 => {}
                Some(last) if last.kind == kind => last.length += length,
                _ => extents.push(Extent {
                    offset: range.start,
                    length,
                    kind,
                }),
            }
        };
        let known = since.and_then(|lineage| self.layer_of(lineage));
        let mut at = range.start;
        for part in self.parts(&range) {
            let (start, end) = (part.start.max(at), part.end.min(range.end));
            push(at..start, ExtentKind::Zero);
            let kind = match known {
                Some(known) if part.object.layer as usize >= known => ExtentKind::Unchanged,
                _ => ExtentKind::Data,
            };
            push(start..end, kind);
            at = end;
        }
        push(at..range.end.max(at), ExtentKind::Zero);
        let changes = match since {
            Some(lineage) if known.is_some() => ChangeSet::Since {
                lineage: lineage.to_owned(),
            },
            Some(_) => ChangeSet::FullScan {
                reason: "the backup does not build on that one".to_owned(),
            },
            None => ChangeSet::FullScan {
                reason: "nobody asked what has changed".to_owned(),
            },
        };
        Ok((changes, extents))
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), VolumeError> {
        let end = self.check_range(offset, buf.len() as u64)?;
        let place = |at: u64| usize::try_from(at - offset).expect("within the buffer");
        let mut at = offset;
        for part in self.parts(&(offset..end)) {
            let (start, stop) = (part.start.max(at), part.end.min(end));
            buf[place(at)..place(start)].fill(0);
            let skip = part.skip + (start - part.start);
            self.read_object(part.object, skip, &mut buf[place(start)..place(stop)])
                .map_err(|cause| {
                    VolumeError::io(format!("reading {}", self.what), io::Error::other(cause))
                })?;
            at = stop;
        }
        buf[place(at)..].fill(0);
        Ok(())
    }
}

/// Blocks that were made and may be wanted by others.
#[derive(Default)]
struct Cache {
    blocks: HashMap<Block, (Rank, Arc<[u8]>)>,
    order: BTreeMap<Rank, Block>,
    bytes: usize,
    turn: u64,
}

/// Which blocks go first: those that were read to their end, then the oldest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Spent(u64),
    Waiting(u64),
}

impl Cache {
    fn get(&self, block: Block) -> Option<Arc<[u8]>> {
        self.blocks.get(&block).map(|(_, bytes)| Arc::clone(bytes))
    }

    fn put(&mut self, block: Block, bytes: &Arc<[u8]>) {
        if self.blocks.contains_key(&block) {
            return;
        }
        while self.bytes + bytes.len() > CACHE_BYTES {
            let Some((_, oldest)) = self.order.pop_first() else {
                break;
            };
            if let Some((_, bytes)) = self.blocks.remove(&oldest) {
                self.bytes -= bytes.len();
            }
        }
        let rank = Rank::Waiting(self.next_turn());
        self.bytes += bytes.len();
        self.order.insert(rank, block);
        self.blocks.insert(block, (rank, Arc::clone(bytes)));
    }

    fn spent(&mut self, block: Block) {
        let turn = self.next_turn();
        if let Some((rank, _)) = self.blocks.get_mut(&block) {
            self.order.remove(rank);
            *rank = Rank::Spent(turn);
            self.order.insert(*rank, block);
        }
    }

    fn next_turn(&mut self) -> u64 {
        self.turn += 1;
        self.turn
    }
}
