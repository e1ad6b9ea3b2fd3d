//! A volume in memory, and servers of it.
#![allow(dead_code, reason = "each test file uses some of it")]

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, RwLock};

use emberkeep_nbd::export::Room;
use emberkeep_nbd::{
    Address, Export, ExportError, Listener, Place, Server, ServerOptions, SingleExport, Stretch,
    StretchKind,
};

pub(crate) const BLOCK: u64 = 4096;

/// A volume in memory, which knows of its zero blocks.
pub(crate) struct Memory {
    pub(crate) bytes: RwLock<Vec<u8>>,
    pub(crate) writable: bool,
    pub(crate) broken: AtomicBool,
    pub(crate) flushes: AtomicU64,
}

impl Memory {
    pub(crate) fn new(bytes: Vec<u8>, writable: bool) -> Arc<Self> {
        Arc::new(Self {
            bytes: RwLock::new(bytes),
            writable,
            broken: AtomicBool::new(false),
            flushes: AtomicU64::new(0),
        })
    }

    fn mind_breakage(&self) -> Result<(), ExportError> {
        if self.broken.load(Relaxed) {
            return Err(ExportError::Medium("disk on fire".into()));
        }
        Ok(())
    }
}

fn at(range: Range<u64>) -> Range<usize> {
    usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()
}

impl Export for Memory {
    fn size(&self) -> u64 {
        self.bytes.read().unwrap().len() as u64
    }

    fn is_writable(&self) -> bool {
        self.writable
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ExportError> {
        self.mind_breakage()?;
        let bytes = self.bytes.read().unwrap();
        buf.copy_from_slice(&bytes[at(offset..offset + buf.len() as u64)]);
        Ok(())
    }

    fn stretches(&self, range: Range<u64>) -> Result<Vec<Stretch>, ExportError> {
        let bytes = self.bytes.read().unwrap();
        let mut found: Vec<Stretch> = Vec::new();
        let mut start = range.start;
        while start < range.end {
            let end = ((start / BLOCK + 1) * BLOCK).min(range.end);
            let zero = bytes[at(start..end)].iter().all(|byte| *byte == 0);
            let kind = if zero {
                StretchKind::Hole
            } else {
                StretchKind::Data
            };
            let length = end - start;
            match found.last_mut() {
                Some(last) if last.kind == kind => last.length += length,
                _ => found.push(Stretch { length, kind }),
            }
            start = end;
        }
        Ok(found)
    }

    fn write_at(&self, offset: u64, buf: &[u8]) -> Result<(), ExportError> {
        self.mind_breakage()?;
        let mut bytes = self.bytes.write().unwrap();
        bytes[at(offset..offset + buf.len() as u64)].copy_from_slice(buf);
        Ok(())
    }

    fn zero(&self, range: Range<u64>, _room: Room) -> Result<(), ExportError> {
        self.mind_breakage()?;
        self.bytes.write().unwrap()[at(range)].fill(0);
        Ok(())
    }

    fn flush(&self) -> Result<(), ExportError> {
        self.flushes.fetch_add(1, Relaxed);
        Ok(())
    }
}

/// Bytes with stretches of zeroes and of data, on and off block borders.
pub(crate) fn content(size: usize) -> Vec<u8> {
    let mut content = vec![0; size];
    for (i, byte) in content.iter_mut().enumerate() {
        if i % 300_000 < 130_000 {
            *byte = (i % 251).to_le_bytes()[0];
        }
    }
    content
}

/// Serves an export as `vol` on a socket in `dir`.
pub(crate) fn serve(
    dir: &Path,
    export: Arc<dyn Export>,
    options: ServerOptions,
) -> (Server, PathBuf) {
    let socket = dir.join("nbd.sock");
    let listener = Listener::unix(socket.clone()).unwrap();
    let exports = Arc::new(SingleExport::new("vol", export));
    let server = Server::start(listener, exports, options).unwrap();
    (server, socket)
}

pub(crate) fn address(socket: &Path) -> Address {
    Address::new(Place::Unix(socket.to_owned()), "vol")
}

/// Runs a program to its end and returns what it said; it has to succeed.
pub(crate) fn run(program: &str, arguments: &[&str]) -> String {
    let output = run_any(program, arguments);
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {} {}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs a program to its end.
pub(crate) fn run_any(program: &str, arguments: &[&str]) -> Output {
    Command::new(program)
        .args(arguments)
        .output()
        .unwrap_or_else(|cause| panic!("{program} has to be installed: {cause}"))
}
