//! What an error of SQLite means for the caller.

use crate::CatalogError;

/// Result codes of SQLite, without what the upper bytes add.
mod code {
    pub(super) const PERM: i32 = 3;
    pub(super) const BUSY: i32 = 5;
    pub(super) const LOCKED: i32 = 6;
    pub(super) const NOMEM: i32 = 7;
    pub(super) const READONLY: i32 = 8;
    pub(super) const INTERRUPT: i32 = 9;
    pub(super) const IOERR: i32 = 10;
    pub(super) const CORRUPT: i32 = 11;
    pub(super) const FULL: i32 = 13;
    pub(super) const CANTOPEN: i32 = 14;
    pub(super) const PROTOCOL: i32 = 15;
    /// `SQLITE_IOERR_SHMSIZE`: no room for the index of the write-ahead log.
    pub(super) const IOERR_SHMSIZE: i32 = IOERR | (19 << 8);
}

/// Classifies a failure of a pooled connection.
pub(super) fn failure(error: sqlx::Error, what: &str) -> CatalogError {
    let code = error
        .as_database_error()
        .and_then(|e| e.code()?.parse::<i32>().ok());
    if matches!(
        error,
        sqlx::Error::Io(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::BeginFailed
    ) {
        return CatalogError::Unavailable {
            what: what.to_owned(),
            advice: "the connection is replaced; retry",
            cause: Box::new(error),
        };
    }
    classify(code, what, Box::new(error))
}

/// Classifies a failure of a quick read.
pub(super) fn quick_failure(error: rusqlite::Error, what: &str) -> CatalogError {
    let code = error.sqlite_error().map(|e| e.extended_code);
    classify(code, what, Box::new(error))
}

fn classify(
    code: Option<i32>,
    what: &str,
    cause: Box<dyn std::error::Error + Send + Sync>,
) -> CatalogError {
    let what = what.to_owned();
    let Some(extended) = code else {
        return CatalogError::Failed(cause);
    };
    // The low byte is the kind of failure, the rest tells more.
    let advice = match extended & 0xff {
        code::BUSY | code::LOCKED => return CatalogError::InUse { what },
        code::FULL => return CatalogError::NoSpace { what, cause },
        _ if extended == code::IOERR_SHMSIZE => return CatalogError::NoSpace { what, cause },
        code::IOERR => {
            "the disk failed (EIO); check the kernel log and the file system's free space and quota"
        }
        code::CORRUPT => "the file is damaged; restore it from a copy",
        code::READONLY | code::PERM => {
            "the file is read-only; check its owner, mode and how it is mounted"
        }
        code::CANTOPEN => {
            "it cannot be opened; check that its directory is mounted and writable, and the limit of open files"
        }
        code::NOMEM => "memory ran out",
        code::INTERRUPT | code::PROTOCOL => "it was interrupted; retry",
        _ => return CatalogError::Failed(cause),
    };
    CatalogError::Unavailable {
        what,
        advice,
        cause,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_mean_what_the_caller_can_do() {
        for (code, want) in [
            (5, "in use"),
            (5 | (2 << 8), "in use"),
            (6, "in use"),
            (7, "unavailable"),
            (8, "unavailable"),
            (9, "unavailable"),
            (10 | (3 << 8), "unavailable"),
            (10 | (4 << 8), "unavailable"),
            (10 | (19 << 8), "no space"),
            (11, "unavailable"),
            (13, "no space"),
            (14, "unavailable"),
            (1, "failed"),
            (19 | (3 << 8), "failed"),
        ] {
            let got = match classify(Some(code), "the catalog", "cause".into()) {
                CatalogError::InUse { .. } => "in use",
                CatalogError::NoSpace { .. } => "no space",
                CatalogError::Unavailable { .. } => "unavailable",
                CatalogError::Failed(_) => "failed",
                other => panic!("{code}: {other:?}"),
            };
            assert_eq!(got, want, "{code}");
        }
    }
}
