//! Our NBD client, and the understanding of addresses and messages, against any server.
//!
//! `cargo +nightly fuzz run nbd_client -- -max_total_time=600`.
#![no_main]

use std::io::{self, Read, Write};

use emberkeep_nbd::client::converse;
use emberkeep_nbd::protocol::{BASE_ALLOCATION, Chunk, OptionCode, OptionReply, OptionRequest};
use emberkeep_nbd::Address;
use libfuzzer_sys::fuzz_target;

/// The server's bytes one way; what the client says goes nowhere.
struct Wire<'a>(&'a [u8]);

impl Read for Wire<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

impl Write for Wire<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        Ok(buf.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a well-behaved server says until an export of 64 KiB is chosen.
fn well_behaved() -> Vec<u8> {
    let mut bytes = b"NBDMAGICIHAVEOPT\0\x03".to_vec();
    let reply = |code: u32, option: u32, data: &[u8]| {
        let mut wire = 0x0003_e889_0455_65a9_u64.to_be_bytes().to_vec();
        wire.extend_from_slice(&option.to_be_bytes());
        wire.extend_from_slice(&code.to_be_bytes());
        wire.extend_from_slice(&(data.len() as u32).to_be_bytes());
        wire.extend_from_slice(data);
        wire
    };
    bytes.extend(reply(1, 8, &[]));
    bytes.extend(reply(4, 10, b"\0\0\0\x01base:allocation"));
    bytes.extend(reply(1, 10, &[]));
    bytes.extend(reply(3, 7, b"\0\0\0\0\0\0\0\x01\0\0\x01\x01"));
    bytes.extend(reply(1, 7, &[]));
    bytes
}

fuzz_target!(|input: &[u8]| {
    let Some((choice, rest)) = input.split_first() else {
        return;
    };
    let code = u32::from(*choice);
    match choice % 8 {
        0 => {
            if let Ok(text) = std::str::from_utf8(rest)
                && let Ok(address) = text.parse::<Address>()
            {
                let again: Address = address.to_string().parse().expect("it was one");
                assert_eq!(again, address);
            }
        }
        1 => drop(OptionReply::decode(code / 8, rest)),
        2 => drop(OptionRequest::decode(OptionCode(code / 8), rest)),
        3 => {
            if let Ok(chunk) = Chunk::decode(u16::from(choice / 8 % 8), rest) {
                chunk.encode(1, 0);
            }
        }
        _ => {
            let mut bytes = if choice % 2 == 0 { well_behaved() } else { Vec::new() };
            bytes.extend_from_slice(rest);
            let contexts = [BASE_ALLOCATION.to_owned()];
            if let Ok((_, read)) = converse(&mut Wire(&bytes), "v", &contexts, 1 << 16) {
                assert!(read.len() <= 1 << 16);
            }
        }
    }
});
