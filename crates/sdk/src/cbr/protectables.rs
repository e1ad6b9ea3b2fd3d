//! What could be protected (`cbr-v3.md §2.10`).

use super::{Cbr, Instance, ProtectableQuery, word};
use crate::connection::Call;
use crate::error::SdkError;
use crate::ids::ResourceId;
use crate::pages::{Pages, Turning};

/// The most that is given at once.
const PAGE: usize = 50;

impl Cbr {
    /// Lists what could be put into vaults of this kind.
    pub fn protectables(
        &self,
        kind: &word::ObjectType,
        query: &ProtectableQuery,
    ) -> Pages<Instance> {
        let path = ["protectables", kind.as_str(), "instances"];
        self.pages(Turning::Offset, query.of(Call::get(path)))
            .page_size(PAGE)
    }

    /// Shows one of them.
    pub async fn protectable(
        &self,
        kind: &word::ObjectType,
        id: &ResourceId,
    ) -> Result<Instance, SdkError> {
        let path = ["protectables", kind.as_str(), "instances", id.as_str()];
        self.one(Call::get(path)).await
    }
}
