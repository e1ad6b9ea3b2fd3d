//! How the catalog is copied into the repository.

use super::{ConfigError, number};

/// Copies of the catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CatalogConfig {
    /// Seconds between copies of a catalog that changes; 0 for no copies.
    pub copy_secs: u64,
    /// Copies that are kept.
    pub copies: usize,
}

/// Reads `catalog_copy_secs` and `catalog_copies`.
pub(super) fn read(
    env: impl Fn(&str) -> Option<String>,
    copy_secs: Option<u64>,
    copies: Option<usize>,
) -> Result<CatalogConfig, ConfigError> {
    let config = CatalogConfig {
        copy_secs: number(
            "CATALOG_COPY_SECS",
            env("CATALOG_COPY_SECS"),
            copy_secs,
            3600,
        )?,
        copies: number("CATALOG_COPIES", env("CATALOG_COPIES"), copies, 24)?,
    };
    let refuse = |key: &str, value: String, reason: &str| {
        Err(ConfigError::Value {
            key: key.into(),
            value,
            reason: reason.into(),
        })
    };
    if config.copy_secs > 7 * 24 * 3600 {
        let value = config.copy_secs.to_string();
        return refuse(
            "catalog_copy_secs",
            value,
            "must be 0 (no copies) to 604800",
        );
    }
    if !(1..=1000).contains(&config.copies) {
        let value = config.copies.to_string();
        return refuse("catalog_copies", value, "must be 1 to 1000");
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_make_no_sense_are_refused() {
        let none = |_: &str| None;
        let defaults = read(none, None, None).unwrap();
        assert_eq!((defaults.copy_secs, defaults.copies), (3600, 24));
        let env = |key: &str| (key == "CATALOG_COPY_SECS").then(|| "0".to_owned());
        assert_eq!(read(env, Some(9), None).unwrap().copy_secs, 0);
        for (secs, copies, key) in [
            (Some(604_801), None, "catalog_copy_secs"),
            (None, Some(0), "catalog_copies"),
            (None, Some(1001), "catalog_copies"),
        ] {
            match read(none, secs, copies) {
                Err(ConfigError::Value { key: found, .. }) => assert_eq!(found, key),
                other => panic!("{key}: {other:?}"),
            }
        }
    }
}
