//! What to do next after a refusal, where its code or status says enough to tell.

use emberkeep_sdk::Refusal;

/// Codes of CBR (`cbr-v3.md §3`), and what helps.
const BY_CODE: &[(&str, &str)] = &[
    (
        "BackupService.0001",
        "put something into the vault first: `emberkeep vault add VAULT VOLUME`",
    ),
    (
        "BackupService.2001",
        "make the volume larger (`emberkeep volume extend`), or name another one",
    ),
    (
        "BackupService.2002",
        "wait for its backup to end: `emberkeep task list` shows how far it has come",
    ),
    (
        "BackupService.2010",
        "wait for the other restore to end: `emberkeep task list` shows how far it has come",
    ),
    (
        "BackupService.2011",
        "it must be available: detach it first, or name another one",
    ),
    (
        "BackupService.6101",
        "a vault is made with 10 to 10485760 GiB",
    ),
    (
        "BackupService.6103",
        "take it out of the other vault first: `emberkeep vault remove` (its backups there go)",
    ),
    (
        "BackupService.6107",
        "make the vault larger: `emberkeep vault update VAULT --size GIB`",
    ),
    (
        "BackupService.6110",
        "the vault is locked, and stays so: only automatic backups that have expired go",
    ),
    (
        "BackupService.6111",
        "the vault is locked: it can be deleted once its automatic backups have expired",
    ),
    (
        "BackupService.6114",
        "make the vault larger (`emberkeep vault update VAULT --size GIB`), or delete backups",
    ),
    (
        "BackupService.6125",
        "wait for what goes on in it to end: `emberkeep task list` shows how far it has come",
    ),
    (
        "BackupService.6135",
        "`emberkeep vault show VAULT` shows what is in it",
    ),
    (
        "BackupService.6203",
        "wait for what goes on with it to end: `emberkeep task list` shows how far it has come",
    ),
    (
        "BackupService.6216",
        "wait for what uses it to end: `emberkeep task list` shows how far it has come",
    ),
    (
        "BackupService.6220",
        "its vault is locked: it goes by itself when it has expired",
    ),
    (
        "BackupService.7003",
        "`emberkeep volume show` says how it stands; it must be available or in use",
    ),
];

/// Returns what to do next, if that can be told.
pub(crate) fn next_step(refusal: &Refusal) -> Option<&'static str> {
    let by_code = |code: &String| {
        let known = BY_CODE.iter().find(|(known, _)| known == code);
        known.map(|(_, advice)| *advice)
    };
    refusal
        .code
        .as_ref()
        .and_then(by_code)
        .or(match refusal.status {
            401 | 403 => Some("the role of this user is not enough for it"),
            409 => Some("somebody changed it meanwhile: look how it stands, then ask again"),
            413 => Some("`emberkeep quota show` shows what the project may have, and has"),
            429 => Some("too much was asked at once: ask again a little later"),
            _ => None,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, code: Option<&str>) -> Refusal {
        Refusal {
            asked: "POST /vaults".to_owned(),
            status,
            code: code.map(str::to_owned),
            message: "No.".to_owned(),
            request_id: None,
        }
    }

    #[test]
    fn the_code_says_more_than_the_status() {
        for (status, code, want) in [
            (
                400,
                Some("BackupService.6101"),
                Some("a vault is made with 10"),
            ),
            (413, Some("overLimit"), Some("`emberkeep quota show`")),
            (403, None, Some("the role")),
            (400, Some("badRequest"), None),
            (400, None, None),
        ] {
            let told = next_step(&refusal(status, code));
            let fits = match (told, want) {
                (Some(told), Some(want)) => told.starts_with(want),
                (told, want) => told.is_none() && want.is_none(),
            };
            assert!(fits, "{status} {code:?}: {told:?}");
        }
    }

    #[test]
    fn advice_is_given_once_for_each_code_and_fits_a_line() {
        for (at, (code, advice)) in BY_CODE.iter().enumerate() {
            assert!(
                BY_CODE[..at].iter().all(|(other, _)| other < code),
                "{code}"
            );
            assert!(advice.chars().count() <= 90, "{code}");
        }
    }
}
