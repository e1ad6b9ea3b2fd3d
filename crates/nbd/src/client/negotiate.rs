//! A client's side of the haggling about options.

use std::io::{Read, Write};

use crate::error::{ClientError, ProtocolError};
use crate::protocol::handshake::{
    ASK_BLOCK_SIZE, MAX_OPTION, OPTION_REPLY_HEADER, OptionReplyHeader, encode_choice,
    encode_option, reply_code,
};
use crate::protocol::{
    BlockSizes, InfoItem, MetaQuery, OPTION_MAGIC, OptionCode, OptionReply, SERVER_MAGIC,
    handshake_flag, transmission_flag,
};

/// The most answers to one option: a server may have many exports.
const MAX_REPLIES: usize = 100_000;

/// What client and server have agreed upon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// The export's size in bytes.
    pub size: u64,
    /// Its transmission flags.
    pub flags: u16,
    /// The pieces it wants.
    pub blocks: BlockSizes,
    /// Whether replies are structured.
    pub structured: bool,
    /// Contexts of block status, by the numbers they go by.
    pub contexts: Vec<(u32, String)>,
}

impl Terms {
    /// Tells whether the server said so; where it said nothing, nothing holds.
    pub fn has(&self, flag: u16) -> bool {
        self.flags & transmission_flag::HAS_FLAGS != 0 && self.flags & flag != 0
    }
}

/// Listens to who the server is, and answers.
pub(super) fn greet<S: Read + Write>(stream: &mut S) -> Result<u16, ClientError> {
    let mut hello = [0; 18];
    stream.read_exact(&mut hello)?;
    let number = |range: std::ops::Range<usize>| {
        hello[range]
            .iter()
            .fold(0u64, |sum, byte| sum << 8 | u64::from(*byte))
    };
    if number(0..8) != SERVER_MAGIC || number(8..16) != OPTION_MAGIC {
        return Err(ProtocolError::Unexpected("it does not greet as a newstyle server").into());
    }
    let flags = u16::from_be_bytes([hello[16], hello[17]]);
    let ours = flags & (handshake_flag::FIXED_NEWSTYLE | handshake_flag::NO_ZEROES);
    if ours & handshake_flag::FIXED_NEWSTYLE == 0 {
        return Err(ProtocolError::Unexpected("it does not speak the fixed newstyle").into());
    }
    stream.write_all(&u32::from(ours).to_be_bytes())?;
    stream.flush()?;
    Ok(ours)
}

/// Sends an option and collects the answers up to the one that ends them.
fn ask<S: Read + Write>(
    stream: &mut S,
    code: OptionCode,
    data: &[u8],
) -> Result<Vec<OptionReply>, ClientError> {
    stream.write_all(&encode_option(code, data))?;
    stream.flush()?;
    let mut replies = Vec::new();
    while replies.len() < MAX_REPLIES {
        let mut head = [0; OPTION_REPLY_HEADER];
        stream.read_exact(&mut head)?;
        let header = OptionReplyHeader::decode(&head)?;
        if header.option != code || header.length > MAX_OPTION {
            return Err(ProtocolError::Unexpected("an answer belongs to another question").into());
        }
        let mut data = vec![0; header.length as usize];
        stream.read_exact(&mut data)?;
        let reply = OptionReply::decode(header.code, &data)?;
        let last = matches!(reply, OptionReply::Ack | OptionReply::Refused { .. });
        replies.push(reply);
        if last {
            return Ok(replies);
        }
    }
    Err(ProtocolError::Unexpected("the answers do not end").into())
}

/// How the last answer of an option sounds.
enum Ending {
    Done,
    Refused { code: u32, message: String },
}

fn ending(replies: &mut Vec<OptionReply>) -> Ending {
    match replies.pop() {
        Some(OptionReply::Refused { code, message }) => Ending::Refused { code, message },
        _ => Ending::Done,
    }
}

/// Asks the server to go on under TLS; afterwards the stream has to be.
pub(super) fn start_tls<S: Read + Write>(stream: &mut S, place: &str) -> Result<(), ClientError> {
    match ending(&mut ask(stream, OptionCode::STARTTLS, &[])?) {
        Ending::Done => Ok(()),
        Ending::Refused { code, message } => Err(refused(place, code, message)),
    }
}

/// Asks what exports there are, and says goodbye.
pub(super) fn list<S: Read + Write>(
    stream: &mut S,
    place: &str,
) -> Result<Vec<String>, ClientError> {
    let mut replies = ask(stream, OptionCode::LIST, &[])?;
    let end = ending(&mut replies);
    // Nothing hangs on whether the goodbye arrives.
    let _ = stream.write_all(&encode_option(OptionCode::ABORT, &[]));
    let _ = stream.flush();
    match end {
        Ending::Refused { code, message } => Err(refused(place, code, message)),
        Ending::Done => Ok(replies
            .into_iter()
            .filter_map(|reply| match reply {
                OptionReply::Server(name) => Some(name),
                _ => None,
            })
            .collect()),
    }
}

/// Agrees on an export and on how it is read.
pub(super) fn choose<S: Read + Write>(
    stream: &mut S,
    place: &str,
    export: &str,
    contexts: &[String],
    greeting: u16,
) -> Result<Terms, ClientError> {
    let structured = matches!(
        ending(&mut ask(stream, OptionCode::STRUCTURED_REPLY, &[])?),
        Ending::Done
    );
    let mut agreed = Vec::new();
    if structured && !contexts.is_empty() {
        let query = MetaQuery {
            export: export.to_owned(),
            queries: contexts.to_vec(),
        };
        let mut replies = ask(stream, OptionCode::SET_META_CONTEXT, &query.encode())?;
        if matches!(ending(&mut replies), Ending::Done) {
            agreed.extend(replies.into_iter().filter_map(|reply| match reply {
                OptionReply::MetaContext { id, name } => Some((id, name)),
                _ => None,
            }));
        }
    }
    let mut terms = Terms {
        size: 0,
        flags: 0,
        blocks: BlockSizes::default(),
        structured,
        contexts: agreed,
    };
    let choice = encode_choice(export, &[ASK_BLOCK_SIZE]);
    let mut replies = ask(stream, OptionCode::GO, &choice)?;
    match ending(&mut replies) {
        Ending::Done => {
            let mut told = false;
            for reply in replies {
                match reply {
                    OptionReply::Info(InfoItem::Export(info)) => {
                        (terms.size, terms.flags) = (info.size, info.flags);
                        told = true;
                    }
                    OptionReply::Info(InfoItem::BlockSizes(sizes)) => terms.blocks = sizes,
                    _ => {}
                }
            }
            if !told {
                return Err(ProtocolError::Unexpected("it tells no size").into());
            }
        }
        Ending::Refused {
            code: reply_code::ERR_UNSUP,
            ..
        } => old_choice(stream, export, greeting, &mut terms)?,
        Ending::Refused {
            code: reply_code::ERR_UNKNOWN,
            ..
        } => {
            return Err(ClientError::NoSuchExport {
                place: place.to_owned(),
                export: export.to_owned(),
            });
        }
        Ending::Refused { code, message } => return Err(refused(place, code, message)),
    }
    if i64::try_from(terms.size).is_err() {
        return Err(ProtocolError::Unexpected("its size makes no sense").into());
    }
    Ok(terms)
}

/// Chooses the export as servers understood it before there was anything better.
fn old_choice<S: Read + Write>(
    stream: &mut S,
    export: &str,
    greeting: u16,
    terms: &mut Terms,
) -> Result<(), ClientError> {
    stream.write_all(&encode_option(OptionCode::EXPORT_NAME, export.as_bytes()))?;
    stream.flush()?;
    let mut size = [0; 8];
    stream.read_exact(&mut size)?;
    let mut flags = [0; 2];
    stream.read_exact(&mut flags)?;
    if greeting & handshake_flag::NO_ZEROES == 0 {
        stream.read_exact(&mut [0; 124])?;
    }
    terms.size = u64::from_be_bytes(size);
    terms.flags = u16::from_be_bytes(flags);
    Ok(())
}

fn refused(place: &str, code: u32, message: String) -> ClientError {
    let message = match code {
        _ if !message.is_empty() => message,
        reply_code::ERR_TLS_REQD => "it talks under TLS only (nbds://)".to_owned(),
        reply_code::ERR_POLICY => "it does not allow that".to_owned(),
        code => format!("its answer is {}", code & !reply_code::ERROR),
    };
    ClientError::Refused {
        place: place.to_owned(),
        message,
    }
}
