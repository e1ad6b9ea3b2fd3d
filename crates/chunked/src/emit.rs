//! Writes `_metadata` and `_sha256file` as Python does, sorted and indented, while what they
//! list is still being found out: neither list is ever held in memory.

use std::io::{self, BufWriter, Write};

use crate::json::{push_optional, push_string};
use crate::names::python_time;
use crate::port::SinkObject;
use crate::sha_list::Hash;
use crate::write::BackupHeader;

/// A JSON object of which one member is a long list.
pub(crate) struct Listed {
    out: BufWriter<Box<dyn SinkObject>>,
    /// What comes after the list.
    rest: String,
    empty: bool,
}

/// What is recorded of one object.
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) compression: &'static str,
    pub(crate) length: u64,
    pub(crate) md5: [u8; 16],
    pub(crate) offset: u64,
}

impl Listed {
    /// Starts a `_metadata` object.
    pub(crate) fn metadata(out: Box<dyn SinkObject>, header: &BackupHeader) -> io::Result<Self> {
        let mut head = head(header);
        member(&mut head, "created_at", |out| {
            push_string(out, &python_time(header.created_at));
        });
        let mut rest = String::new();
        let parent = header.parent_id.map(|id| id.to_string());
        member(&mut rest, "parent_id", |out| {
            push_optional(out, parent.as_deref())
        });
        member(&mut rest, "version", |out| push_string(out, "1.0.0"));
        member(&mut rest, "volume_id", |out| {
            push_string(out, &header.volume_id.to_string());
        });
        member(&mut rest, "volume_meta", |out| {
            push_optional(out, header.volume_meta.as_deref());
        });
        Self::start(out, &head, "objects", rest)
    }

    /// Starts a `_sha256file` object.
    pub(crate) fn hashes(
        out: Box<dyn SinkObject>,
        header: &BackupHeader,
        block_size: u32,
    ) -> io::Result<Self> {
        let mut head = head(header);
        member(&mut head, "chunk_size", |out| {
            out.push_str(&block_size.to_string())
        });
        member(&mut head, "created_at", |out| {
            push_string(out, &python_time(header.created_at));
        });
        let mut rest = String::new();
        member(&mut rest, "version", |out| push_string(out, "1.0.0"));
        member(&mut rest, "volume_id", |out| {
            push_string(out, &header.volume_id.to_string());
        });
        Self::start(out, &head, "sha256s", rest)
    }

    fn start(out: Box<dyn SinkObject>, head: &str, list: &str, rest: String) -> io::Result<Self> {
        let mut out = BufWriter::with_capacity(64 << 10, out);
        // Members are written with the comma that goes before them.
        write!(out, "{{{},\n  \"{list}\": [", head.trim_start_matches(','))?;
        Ok(Self {
            out,
            rest,
            empty: true,
        })
    }

    fn next(&mut self) -> io::Result<()> {
        let separator: &[u8] = if self.empty { b"\n" } else { b",\n" };
        self.empty = false;
        self.out.write_all(separator)
    }

    pub(crate) fn push_hash(&mut self, hash: &Hash) -> io::Result<()> {
        self.next()?;
        let mut digits = [0; 64];
        hex::encode_to_slice(hash, &mut digits).map_err(io::Error::other)?;
        self.out.write_all(b"    \"")?;
        self.out.write_all(&digits)?;
        self.out.write_all(b"\"")
    }

    pub(crate) fn push_object(&mut self, line: &Line) -> io::Result<()> {
        self.next()?;
        let mut name = String::new();
        push_string(&mut name, &line.name);
        write!(
            self.out,
            "    {{\n      {name}: {{\n        \"compression\": \"{}\",\n        \"length\": {},\n        \"md5\": \"{}\",\n        \"offset\": {}\n      }}\n    }}",
            line.compression,
            line.length,
            hex::encode(line.md5),
            line.offset
        )
    }

    /// Writes the rest and gives the object its name.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        let end = if self.empty { "]" } else { "\n  ]" };
        write!(self.out, "{end}{}\n}}", self.rest)?;
        self.out
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?
            .finish()
    }
}

/// What both kinds begin with.
fn head(header: &BackupHeader) -> String {
    let mut head = String::new();
    member(&mut head, "backup_description", |out| {
        push_optional(out, header.description.as_deref());
    });
    member(&mut head, "backup_id", |out| {
        push_string(out, &header.backup_id.to_string());
    });
    member(&mut head, "backup_name", |out| {
        push_optional(out, header.name.as_deref());
    });
    head
}

fn member(out: &mut String, key: &str, value: impl FnOnce(&mut String)) {
    out.push_str(",\n  \"");
    out.push_str(key);
    out.push_str("\": ");
    value(out);
}
