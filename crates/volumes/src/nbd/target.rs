//! Writes a volume that somebody serves.

use std::ops::Range;

use emberkeep_model::ByteCount;
use emberkeep_nbd::{Address, Client, ClientOptions};

use super::volume_error;
use crate::{RestoreTarget, TargetState, VolumeError};

/// An export of any NBD server, as the target of a restore.
#[derive(Debug)]
pub struct NbdTarget {
    client: Client,
    what: String,
    state: TargetState,
}

impl NbdTarget {
    /// Connects to a writable export. Whether it is new, and so zero, only the caller knows.
    pub fn open(address: &Address, state: TargetState) -> Result<Self, VolumeError> {
        let what = address.to_string();
        let client = Client::connect(address, ClientOptions::default())
            .map_err(|cause| volume_error(what.clone(), cause))?;
        if !client.is_writable() {
            let kind = std::io::ErrorKind::ReadOnlyFilesystem;
            let cause = std::io::Error::new(kind, "the export is read-only");
            return Err(VolumeError::io(what, cause));
        }
        Ok(Self {
            client,
            what,
            state,
        })
    }

    fn writing(&self) -> String {
        format!("writing {}", self.what)
    }
}

impl RestoreTarget for NbdTarget {
    fn size(&self) -> ByteCount {
        ByteCount(self.client.size())
    }

    fn state(&self) -> TargetState {
        self.state
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), VolumeError> {
        let read = self.client.read_at(offset, buf);
        read.map_err(|cause| volume_error(format!("reading {}", self.what), cause))
    }

    fn write_at(&self, offset: u64, buf: &[u8]) -> Result<(), VolumeError> {
        let written = self.client.write_at(offset, buf);
        written.map_err(|cause| volume_error(self.writing(), cause))
    }

    fn zero(&self, range: Range<u64>) -> Result<(), VolumeError> {
        let zeroed = self.client.zero(range);
        zeroed.map_err(|cause| volume_error(self.writing(), cause))
    }

    fn finish(&self) -> Result<(), VolumeError> {
        let flushed = self.client.flush();
        flushed.map_err(|cause| volume_error(self.writing(), cause))
    }
}
