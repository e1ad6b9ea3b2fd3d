//! What goes over the wire. Pure: no I/O here, and no input makes anything panic.
//!
//! Numbers are big-endian. `handshake.rs` holds the options that are haggled about first,
//! `request.rs` and `reply.rs` what comes after.

mod fields;
pub mod handshake;
pub mod reply;
pub mod request;

pub use handshake::{
    BlockSizes, ExportInfo, InfoItem, MetaQuery, OptionCode, OptionReply, OptionRequest,
};
pub use reply::{Chunk, ChunkHeader, Descriptor, SimpleReply, WireError};
pub use request::{Command, Request};

/// What a server says first.
pub const SERVER_MAGIC: u64 = 0x4e42_444d_4147_4943;
/// What begins each option, and the second thing that a newstyle server says.
pub const OPTION_MAGIC: u64 = 0x4948_4156_454f_5054;
/// What begins each answer to an option.
pub const OPTION_REPLY_MAGIC: u64 = 0x0003_e889_0455_65a9;
/// What begins each request.
pub const REQUEST_MAGIC: u32 = 0x2560_9513;
/// What begins a simple reply.
pub const SIMPLE_REPLY_MAGIC: u32 = 0x6744_6698;
/// What begins a part of a structured reply.
pub const CHUNK_MAGIC: u32 = 0x668e_33ef;

/// The port that is reserved for NBD.
pub const DEFAULT_PORT: u16 = 10809;
/// The longest string that the protocol allows.
pub const MAX_STRING: usize = 4096;
/// The most bytes read or written at once where nobody has said anything else.
pub const MAX_PAYLOAD: u32 = 32 << 20;

/// Handshake flags; the same numbers mean the same from either side.
pub mod handshake_flag {
    /// The peer speaks the fixed newstyle handshake.
    pub const FIXED_NEWSTYLE: u16 = 1;
    /// The 124 zeroes after an old answer may be left out.
    pub const NO_ZEROES: u16 = 2;
}

/// What a server says of an export.
pub mod transmission_flag {
    /// The other flags mean something.
    pub const HAS_FLAGS: u16 = 1;
    /// Writes are refused.
    pub const READ_ONLY: u16 = 1 << 1;
    /// Flush is understood.
    pub const SEND_FLUSH: u16 = 1 << 2;
    /// "Durable before the answer" is understood.
    pub const SEND_FUA: u16 = 1 << 3;
    /// Trim is understood.
    pub const SEND_TRIM: u16 = 1 << 5;
    /// Writing zeroes is understood.
    pub const SEND_WRITE_ZEROES: u16 = 1 << 6;
    /// "Do not fragment" is understood.
    pub const SEND_DF: u16 = 1 << 7;
    /// Several connections see one another's writes, and one flush is for all.
    pub const CAN_MULTI_CONN: u16 = 1 << 8;
}

/// What a client asks of one request.
pub mod command_flag {
    /// Durable before the answer.
    pub const FUA: u16 = 1;
    /// Zeroes must keep their room.
    pub const NO_HOLE: u16 = 1 << 1;
    /// The answer must come in one piece.
    pub const DF: u16 = 1 << 2;
    /// One extent is enough.
    pub const REQ_ONE: u16 = 1 << 3;
}

/// The context that every server with block status has.
pub const BASE_ALLOCATION: &str = "base:allocation";

/// What a descriptor of [`BASE_ALLOCATION`] says.
pub mod allocation {
    /// No room is taken.
    pub const HOLE: u32 = 1;
    /// Reads as zeroes.
    pub const ZERO: u32 = 2;
}
