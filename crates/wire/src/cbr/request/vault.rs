//! The rarer calls about vaults (`cbr-v3.md §2.2`).

use emberkeep_model::{Timestamp, VaultId};

use super::{MAX_RESOURCES, threshold};
use crate::cbr::form::{Fields, Refused, Text, body};
use crate::time;

/// `POST /vaults/{id}/migrateresources`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrateResources {
    /// Where to.
    pub destination_vault_id: VaultId,
    /// What, as given.
    pub resource_ids: Vec<String>,
}

impl MigrateResources {
    /// Reads the body.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refused> {
        let map = body(bytes)?;
        let top = Fields::top(&map);
        Ok(Self {
            destination_vault_id: top
                .id("destination_vault_id")?
                .ok_or_else(|| top.missing("destination_vault_id"))?,
            resource_ids: resource_ids(&top)?,
        })
    }
}

/// `PUT /vaults/{id}/set-resources`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetResources {
    /// Which, as given.
    pub resource_ids: Vec<String>,
    /// Scheduled runs leave them out.
    pub suspend: bool,
}

impl SetResources {
    /// Reads the body.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refused> {
        let map = body(bytes)?;
        let top = Fields::top(&map);
        let action = top
            .choice("action", &["suspend", "unsuspend"])?
            .ok_or_else(|| top.missing("action"))?;
        Ok(Self {
            resource_ids: resource_ids(&top)?,
            suspend: action == "suspend",
        })
    }
}

fn resource_ids(top: &Fields<'_>) -> Result<Vec<String>, Refused> {
    let ids = top
        .texts("resource_ids")?
        .ok_or_else(|| top.missing("resource_ids"))?;
    if (1..=MAX_RESOURCES).contains(&ids.len()) {
        Ok(ids)
    } else {
        Err(top.refuse(
            "resource_ids",
            format_args!("must name 1 to {MAX_RESOURCES} resources"),
        ))
    }
}

/// `PUT /vaults/batch-update`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VaultsUpdate {
    /// Notify when `threshold` is passed.
    pub smn_notify: Option<bool>,
    /// Percent of capacity.
    pub threshold: Option<u8>,
}

impl VaultsUpdate {
    /// Reads the body.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refused> {
        let map = body(bytes)?;
        let vault = Fields::wrapped(&map, "vault")?;
        Ok(Self {
            smn_notify: vault.flag("smn_notify")?,
            threshold: threshold(&vault)?,
        })
    }
}

/// `PUT /vaults/{id}/update-backup-expiration-time`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpirationUpdate {
    /// The day, as given.
    pub day: String,
    /// Its end.
    pub expires_at: Timestamp,
}

impl ExpirationUpdate {
    /// Reads the body.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refused> {
        const DAY: &str = "expect_expiration_date";
        let map = body(bytes)?;
        let top = Fields::top(&map);
        let day = top.wanted(DAY, Text::Filled(10))?;
        let zone = top.wanted("time_zone", Text::Filled(9))?;
        let offset = zone
            .strip_prefix("UTC")
            .filter(|offset| offset.len() == 6)
            .ok_or_else(|| top.refuse("time_zone", "must look like UTC+02:00"))?;
        if day.len() != 10 {
            return Err(top.refuse(DAY, "must look like 2027-03-01"));
        }
        time::parse(&day).map_err(|_| top.refuse(DAY, "must look like 2027-03-01"))?;
        let begins = time::parse(&format!("{day}T00:00:00{offset}"))
            .map_err(|_| top.refuse("time_zone", "must look like UTC+02:00"))?;
        Ok(Self {
            day,
            expires_at: begins.plus_secs(24 * 60 * 60),
        })
    }
}
