//! Backups written straight from their rows. The views of `backups.rs` say the same; a list of a thousand
//! would spend most of its time on making them.

use emberkeep_model::Backup;
use serde::Serialize;

use super::backups::{MAX_REASON, NO_KEY, status_of};
use super::{Listing, Microversion, Resource, Site};
use crate::time;

/// What an answer of one backup takes, about.
const ABOUT: usize = 1024;

/// Writes backups for one caller: what is the same in all of them is made once.
#[derive(Debug, Clone)]
pub struct ShownBackups {
    /// What stands before the id in the link to the backup itself, as JSON.
    itself: Vec<u8>,
    /// What stands before it in the bookmark.
    bookmark: Vec<u8>,
    version: Microversion,
    owners: bool,
}

impl ShownBackups {
    /// Will show backups at `site`; `owners` says whether the caller may see whose they are.
    pub fn new(site: &Site, version: Microversion, owners: bool) -> Self {
        let [itself, bookmark] = site.roots("backups").map(|root| {
            let mut text = Vec::new();
            put(&mut text, &root);
            // What follows belongs to the same text.
            text.pop();
            text
        });
        Self {
            itself,
            bookmark,
            version,
            owners,
        }
    }

    /// Writes the answer that shows `backup`: what [`BackupDetail`](super::BackupDetail) is, as JSON.
    pub fn detail(&self, backup: &Backup) -> Vec<u8> {
        let mut out = Vec::with_capacity(ABOUT);
        out.extend_from_slice(b"{\"backup\":");
        self.put_detail(&mut out, backup);
        out.push(b'}');
        out
    }

    /// Writes the answer that lists backups in full; `total` is how many match, if that was counted.
    pub fn details<'a>(
        &self,
        backups: impl ExactSizeIterator<Item = &'a Backup>,
        listing: &Listing,
        total: Option<u64>,
        site: &Site,
    ) -> Vec<u8> {
        let mut out = Vec::with_capacity(ABOUT * (backups.len() + 1));
        let (count, mut last) = (backups.len(), None);
        out.extend_from_slice(b"{\"backups\":[");
        for backup in backups {
            if last.is_some() {
                out.push(b',');
            }
            self.put_detail(&mut out, backup);
            last = Some(backup.id);
        }
        out.push(b']');
        let last = last.map(|id| id.to_string());
        let (next, total) = listing.ends("backups/detail", count, last.as_deref(), total, site);
        if let Some(next) = next {
            out.extend_from_slice(b",\"");
            out.extend_from_slice(Resource::Backup.links_key().as_bytes());
            out.extend_from_slice(b"\":[");
            put(&mut out, &next);
            out.push(b']');
        }
        if let Some(total) = total {
            out.extend_from_slice(b",\"count\":");
            put(&mut out, &total);
        }
        out.push(b'}');
        out
    }

    fn put_detail(&self, out: &mut Vec<u8>, backup: &Backup) {
        let since = |minor| self.version >= Microversion::v3(minor);
        let mut id = [0; 36];
        let id = backup.id.0.hyphenated().encode_lower(&mut id).as_bytes();
        out.extend_from_slice(b"{\"id\":\"");
        out.extend_from_slice(id);
        out.extend_from_slice(b"\",\"status\":\"");
        out.extend_from_slice(status_of(&backup.state).as_bytes());
        out.extend_from_slice(b"\",\"size\":");
        put(out, &backup.size);
        out.extend_from_slice(b",\"object_count\":");
        put(out, &backup.cinder.object_count);
        out.extend_from_slice(b",\"availability_zone\":");
        put(out, &backup.availability_zone);
        out.extend_from_slice(b",\"container\":");
        put(out, &backup.container);
        out.extend_from_slice(b",\"created_at\":\"");
        time::put_naive(out, backup.created_at);
        out.extend_from_slice(b"\",\"updated_at\":");
        match backup.updated_at {
            None => out.extend_from_slice(b"null"),
            Some(at) => {
                out.push(b'"');
                time::put_naive(out, at);
                out.push(b'"');
            }
        }
        out.extend_from_slice(b",\"name\":");
        put(out, &backup.name);
        out.extend_from_slice(b",\"description\":");
        put(out, &backup.description);
        out.extend_from_slice(b",\"fail_reason\":");
        put(out, &backup.fail_reason.as_deref().map(kept_reason));
        out.extend_from_slice(b",\"volume_id\":");
        put(out, &backup.volume_id);
        out.extend_from_slice(b",\"links\":[{\"rel\":\"self\",\"href\":");
        out.extend_from_slice(&self.itself);
        out.extend_from_slice(id);
        out.extend_from_slice(b"\"},{\"rel\":\"bookmark\",\"href\":");
        out.extend_from_slice(&self.bookmark);
        out.extend_from_slice(id);
        out.extend_from_slice(b"\"}],\"is_incremental\":");
        put(out, &backup.is_incremental());
        out.extend_from_slice(b",\"has_dependent_backups\":");
        put(out, &(backup.cinder.num_dependent_backups != 0));
        out.extend_from_slice(b",\"snapshot_id\":");
        put(out, &backup.snapshot_id);
        out.extend_from_slice(b",\"data_timestamp\":\"");
        time::put_naive(out, backup.data_timestamp);
        out.push(b'"');
        if since(43) {
            out.extend_from_slice(b",\"metadata\":");
            put(out, &backup.metadata);
        }
        if self.owners && since(18) {
            out.extend_from_slice(b",\"os-backup-project-attr:project_id\":");
            put(out, backup.project_id.as_str());
        }
        if self.owners && since(56) {
            out.extend_from_slice(b",\"user_id\":");
            put(out, backup.user_id.as_str());
        }
        if let Some(key) = &backup.cinder.encryption_key_id
            && since(64)
            && key != NO_KEY
        {
            out.extend_from_slice(b",\"encryption_key_id\":");
            put(out, key);
        }
        out.push(b'}');
    }
}

/// Returns as much of a reason as Cinder keeps.
fn kept_reason(reason: &str) -> &str {
    let end = reason.char_indices().nth(MAX_REASON);
    end.map_or(reason, |(end, _)| &reason[..end])
}

fn put(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    // Memory takes all that is written, and texts, numbers and plain maps can all be written.
    drop(serde_json::to_writer(out, value));
}
