//! What a row of the table of endpoints is made of.

use axum::response::Response;
use emberkeep_wire::cinder::{Microversion, Site};
use futures::future::BoxFuture;

use super::call::{Answer, Call};
use crate::endpoint::Row;

/// The parts of a path that its row leaves open, in their order. Ids are as given: what is no id names nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named(pub(super) Vec<String>);

impl Named {
    /// Returns the first: an id, a name, a word.
    pub(super) fn id(&self) -> &str {
        self.0.first().map_or("", String::as_str)
    }

    /// Returns the second: the key of a pair.
    pub(super) fn key(&self) -> &str {
        self.0.get(1).map_or("", String::as_str)
    }
}

/// What answers a request, after all that is common to them has been checked.
pub(super) type Handler = for<'a> fn(&'a Call, &'a Named) -> BoxFuture<'a, Answer>;

/// A row of the table.
pub(super) type CinderRow = Row<Handler>;

/// A document that everybody may read.
pub(super) type Document = fn(&Site) -> Response;

/// What has metadata of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    Backup,
    Volume,
    Snapshot,
}

impl CinderRow {
    /// Returns the first microversion that has it.
    pub(super) fn first(&self) -> Microversion {
        Microversion::v3(self.endpoint.since)
    }
}
