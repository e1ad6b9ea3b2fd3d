//! A server's side of the haggling about options.

use std::io::{Read, Write};
use std::sync::Arc;

use super::SessionError;
use crate::error::ProtocolError;
use crate::export::{Export, Exports};
use crate::protocol::handshake::{MAX_OPTION, OPTION_HEADER, OptionHeader, reply_code};
use crate::protocol::{
    BASE_ALLOCATION, ExportInfo, InfoItem, MetaQuery, OPTION_MAGIC, OptionCode, OptionReply,
    OptionRequest, SERVER_MAGIC, handshake_flag, transmission_flag,
};

/// The most options of one client; none needs a tenth of them.
const MAX_OPTIONS: usize = 256;

/// Whether TLS is, or has to be, in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Security {
    Plain,
    TlsRequired,
    TlsDone,
}

/// What a client has agreed to.
pub(crate) struct Session {
    pub(crate) export: Arc<dyn Export>,
    pub(crate) structured: bool,
    /// Whether block status was asked for, under [`CONTEXT`].
    pub(crate) allocation: bool,
}

/// The number that [`BASE_ALLOCATION`] goes by.
pub(crate) const CONTEXT: u32 = 1;

/// How the haggling ended.
pub(crate) enum Negotiated {
    Ended,
    StartTls,
    Chosen(Session),
}

/// Says who we are, and listens to who they are.
pub(crate) fn greet<S: Read + Write>(stream: &mut S) -> Result<(), SessionError> {
    let flags = handshake_flag::FIXED_NEWSTYLE | handshake_flag::NO_ZEROES;
    let mut hello = SERVER_MAGIC.to_be_bytes().to_vec();
    hello.extend_from_slice(&OPTION_MAGIC.to_be_bytes());
    hello.extend_from_slice(&flags.to_be_bytes());
    stream.write_all(&hello)?;
    stream.flush()?;
    let mut flags = [0; 4];
    stream.read_exact(&mut flags)?;
    let wanted = u32::from(handshake_flag::FIXED_NEWSTYLE | handshake_flag::NO_ZEROES);
    if u32::from_be_bytes(flags) == wanted {
        Ok(())
    } else {
        // Any client of the last ten years knows both; one answer fewer to get wrong.
        Err(ProtocolError::Unexpected("the client does not speak the fixed newstyle").into())
    }
}

/// Answers options until an export is chosen, TLS has to start, or the client leaves.
pub(crate) fn negotiate<S: Read + Write>(
    stream: &mut S,
    exports: &dyn Exports,
    security: Security,
) -> Result<Negotiated, SessionError> {
    let mut haggle = Haggle {
        exports,
        security,
        structured: false,
        allocation: None,
    };
    for _ in 0..MAX_OPTIONS {
        let mut head = [0; OPTION_HEADER];
        stream.read_exact(&mut head)?;
        let OptionHeader { code, length } = OptionHeader::decode(&head)?;
        if length > MAX_OPTION {
            return Err(ProtocolError::Unexpected("an option is too large").into());
        }
        let mut data = vec![0; length as usize];
        stream.read_exact(&mut data)?;
        let option = match OptionRequest::decode(code, &data) {
            Ok(option) => option,
            Err(cause) if code == OptionCode::EXPORT_NAME => return Err(cause.into()),
            Err(cause) => {
                let refused = refusal(reply_code::ERR_INVALID, cause.to_string());
                send(stream, code, &[refused])?;
                continue;
            }
        };
        if let Some(end) = haggle.answer(stream, code, option)? {
            return Ok(end);
        }
    }
    Err(ProtocolError::Unexpected("the client haggles without end").into())
}

fn send<S: Write>(
    stream: &mut S,
    option: OptionCode,
    replies: &[OptionReply],
) -> Result<(), SessionError> {
    let wire: Vec<u8> = replies
        .iter()
        .flat_map(|reply| reply.encode(option))
        .collect();
    stream.write_all(&wire)?;
    Ok(stream.flush()?)
}

fn refusal(code: u32, message: impl Into<String>) -> OptionReply {
    OptionReply::Refused {
        code,
        message: message.into(),
    }
}

struct Haggle<'a> {
    exports: &'a dyn Exports,
    security: Security,
    structured: bool,
    /// The export whose allocation was asked for.
    allocation: Option<String>,
}

impl Haggle<'_> {
    fn answer<S: Write>(
        &mut self,
        stream: &mut S,
        code: OptionCode,
        option: OptionRequest,
    ) -> Result<Option<Negotiated>, SessionError> {
        match (&option, self.security) {
            (OptionRequest::StartTls, Security::TlsRequired) => {
                send(stream, code, &[OptionReply::Ack])?;
                return Ok(Some(Negotiated::StartTls));
            }
            (OptionRequest::StartTls, Security::Plain) => {
                let refused = refusal(reply_code::ERR_POLICY, "there is no TLS here");
                send(stream, code, &[refused])?;
                return Ok(None);
            }
            (OptionRequest::StartTls, Security::TlsDone) => {
                let refused = refusal(reply_code::ERR_INVALID, "there is TLS already");
                send(stream, code, &[refused])?;
                return Ok(None);
            }
            (OptionRequest::Abort, _) => {}
            (OptionRequest::ExportName(_), Security::TlsRequired) => {
                return Err(ProtocolError::Unexpected("a client wants no TLS").into());
            }
            (_, Security::TlsRequired) => {
                let refused = refusal(reply_code::ERR_TLS_REQD, "TLS is required");
                send(stream, code, &[refused])?;
                return Ok(None);
            }
            (_, Security::Plain | Security::TlsDone) => {}
        }
        let replies = match option {
            OptionRequest::Abort => {
                // The client may be gone without waiting for it.
                let _ = send(stream, code, &[OptionReply::Ack]);
                return Ok(Some(Negotiated::Ended));
            }
            OptionRequest::ExportName(name) => {
                let Some(export) = self.exports.open(&name) else {
                    return Err(ProtocolError::Unexpected("there is no such export").into());
                };
                let info = info_of(&*export);
                let mut wire = info.size.to_be_bytes().to_vec();
                wire.extend_from_slice(&info.flags.to_be_bytes());
                stream.write_all(&wire)?;
                stream.flush()?;
                return Ok(Some(Negotiated::Chosen(self.session(&name, export))));
            }
            OptionRequest::Go(name) => {
                if let Some(export) = self.exports.open(&name) {
                    send(stream, code, &describe(&*export))?;
                    return Ok(Some(Negotiated::Chosen(self.session(&name, export))));
                }
                vec![unknown()]
            }
            OptionRequest::Info(name) => match self.exports.open(&name) {
                Some(export) => describe(&*export),
                None => vec![unknown()],
            },
            OptionRequest::List => {
                let names = self.exports.names().into_iter();
                let mut replies: Vec<_> = names.map(OptionReply::Server).collect();
                replies.push(OptionReply::Ack);
                replies
            }
            OptionRequest::StructuredReply => {
                self.structured = true;
                vec![OptionReply::Ack]
            }
            OptionRequest::ListMetaContext(query) => self.contexts(&query, Asked::List),
            OptionRequest::SetMetaContext(query) => self.contexts(&query, Asked::Set),
            OptionRequest::StartTls | OptionRequest::Unknown => {
                vec![refusal(
                    reply_code::ERR_UNSUP,
                    "the option is not known here",
                )]
            }
        };
        send(stream, code, &replies)?;
        Ok(None)
    }

    fn session(&self, name: &str, export: Arc<dyn Export>) -> Session {
        Session {
            export,
            structured: self.structured,
            allocation: self.structured && self.allocation.as_deref() == Some(name),
        }
    }

    fn contexts(&mut self, query: &MetaQuery, asked: Asked) -> Vec<OptionReply> {
        if !self.structured {
            let words = "structured replies come first";
            return vec![refusal(reply_code::ERR_INVALID, words)];
        }
        if asked == Asked::Set {
            self.allocation = None;
        }
        if self.exports.open(&query.export).is_none() {
            return vec![unknown()];
        }
        let meant = |text: &String| match asked {
            Asked::Set => text == BASE_ALLOCATION,
            Asked::List => text == BASE_ALLOCATION || text == "base:",
        };
        let all = asked == Asked::List && query.queries.is_empty();
        let mut replies = Vec::new();
        if all || query.queries.iter().any(meant) {
            let id = match asked {
                Asked::List => 0,
                Asked::Set => {
                    self.allocation = Some(query.export.clone());
                    CONTEXT
                }
            };
            let name = BASE_ALLOCATION.to_owned();
            replies.push(OptionReply::MetaContext { id, name });
        }
        replies.push(OptionReply::Ack);
        replies
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    List,
    Set,
}

fn unknown() -> OptionReply {
    refusal(reply_code::ERR_UNKNOWN, "there is no export of that name")
}

fn describe(export: &dyn Export) -> Vec<OptionReply> {
    vec![
        OptionReply::Info(InfoItem::Export(info_of(export))),
        OptionReply::Info(InfoItem::BlockSizes(export.block_sizes())),
        OptionReply::Ack,
    ]
}

fn info_of(export: &dyn Export) -> ExportInfo {
    use transmission_flag as flag;
    let mut flags = flag::HAS_FLAGS | flag::SEND_DF | flag::CAN_MULTI_CONN | flag::SEND_FLUSH;
    flags |= if export.is_writable() {
        flag::SEND_FUA | flag::SEND_TRIM | flag::SEND_WRITE_ZEROES
    } else {
        flag::READ_ONLY
    };
    ExportInfo {
        size: export.size(),
        flags,
    }
}
