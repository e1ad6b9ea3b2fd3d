//! Our NBD server against any client: no input makes it panic, and nothing it says is longer
//! than what was asked for.
//!
//! `cargo +nightly fuzz run nbd_server -- -max_total_time=600`.
#![no_main]

use std::io::{self, Read, Write};
use std::ops::Range;
use std::sync::{Arc, Mutex};

use emberkeep_nbd::export::Room;
use emberkeep_nbd::server::serve_stream;
use emberkeep_nbd::{Export, ExportError, SingleExport, Stretch, StretchKind};
use libfuzzer_sys::fuzz_target;

const SIZE: usize = 1 << 16;

struct Memory(Mutex<Vec<u8>>);

fn at(range: Range<u64>) -> Range<usize> {
    range.start as usize..range.end as usize
}

impl Export for Memory {
    fn size(&self) -> u64 {
        SIZE as u64
    }
    fn is_writable(&self) -> bool {
        true
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ExportError> {
        let range = at(offset..offset + buf.len() as u64);
        buf.copy_from_slice(&self.0.lock().unwrap()[range]);
        Ok(())
    }
    fn stretches(&self, range: Range<u64>) -> Result<Vec<Stretch>, ExportError> {
        assert!(range.start < range.end && range.end <= SIZE as u64);
        let mut found = Vec::new();
        let mut from = range.start;
        while from < range.end {
            let until = ((from / 5000 + 1) * 5000).min(range.end);
            let kind = if from / 5000 % 2 == 0 { StretchKind::Data } else { StretchKind::Hole };
            found.push(Stretch { length: until - from, kind });
            from = until;
        }
        Ok(found)
    }
    fn write_at(&self, offset: u64, buf: &[u8]) -> Result<(), ExportError> {
        let range = at(offset..offset + buf.len() as u64);
        self.0.lock().unwrap()[range].copy_from_slice(buf);
        Ok(())
    }
    fn zero(&self, range: Range<u64>, _: Room) -> Result<(), ExportError> {
        self.0.lock().unwrap()[at(range)].fill(0);
        Ok(())
    }
}

/// The client's bytes one way, and a count of the server's the other way.
struct Wire<'a>(&'a [u8], u64);

impl Read for Wire<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

impl Write for Wire<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.1 += buf.len() as u64;
        Ok(buf.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fuzz_target!(|input: &[u8]| {
    // The handshake is not what takes guessing: half of the inputs begin behind it.
    let mut bytes = Vec::new();
    let rest = match input.split_first() {
        Some((choice, rest)) if choice % 2 == 0 => {
            bytes.extend_from_slice(&3u32.to_be_bytes());
            bytes.extend_from_slice(b"IHAVEOPT\0\0\0\x08\0\0\0\0");
            bytes.extend_from_slice(b"IHAVEOPT\0\0\0\x0a\0\0\0\x1b\0\0\0\0\0\0\0\x01\0\0\0\x0fbase:allocation");
            if choice % 4 == 0 {
                bytes.extend_from_slice(b"IHAVEOPT\0\0\0\x07\0\0\0\x06\0\0\0\0\0\0");
            }
            rest
        }
        _ => input,
    };
    bytes.extend_from_slice(rest);
    let exports = SingleExport::new("v", Arc::new(Memory(Mutex::new(vec![1; SIZE]))));
    let mut wire = Wire(&bytes, 0);
    let _ = serve_stream(&mut wire, &exports);
    // Each request of 28 bytes is answered with the volume at most, and each option with little.
    let most = 1000 + bytes.len() as u64 * (SIZE as u64 / 16);
    assert!(wire.1 <= most, "{} bytes said to {}", wire.1, bytes.len());
});
