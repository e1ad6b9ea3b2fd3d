//! From a name, an id or the beginning of one to the one backup it means.

use emberkeep_engine::{Manifest, ProjectRepository, UnixMicros};

use super::repository_error;
use crate::error::CliError;
use crate::output::say;

/// The shortest beginning of an id that is taken for one.
const LEAST_PREFIX: usize = 4;

/// A backup and the project it is in.
pub(super) struct Found<'a> {
    pub(super) project: &'a ProjectRepository,
    pub(super) manifest: Manifest,
}

/// Reads the manifests of all `projects`, newest first; damaged ones are told of, not hidden.
pub(super) fn manifests(projects: &[ProjectRepository]) -> Result<Vec<Found<'_>>, CliError> {
    let mut all = Vec::new();
    for project in projects {
        let found = project
            .manifests()
            .map_err(|error| repository_error(&error))?;
        for damage in &found.damaged {
            say(&format!(
                "emberkeep: a backup cannot be listed: {}",
                crate::error::chain(damage)
            ));
        }
        all.extend(
            found
                .readable
                .into_iter()
                .map(|manifest| Found { project, manifest }),
        );
    }
    all.sort_by_key(|found| {
        std::cmp::Reverse((found.manifest.created_at, found.manifest.backup_id))
    });
    Ok(all)
}

/// Chooses the backup that `wanted` means. A whole id wins over a name, a name over the
/// beginning of an id; what means several is refused.
pub(super) fn one<'a, 'p>(wanted: &str, all: &'a [Found<'p>]) -> Result<&'a Found<'p>, CliError> {
    let described: Vec<_> = all
        .iter()
        .map(|found| {
            (
                found.manifest.backup_id.to_string(),
                found.manifest.name.as_str(),
            )
        })
        .collect();
    match choose(wanted, &described).as_slice() {
        [only] => Ok(&all[*only]),
        [] => Err(
            CliError::not_found(format!("no backup has the name or id '{wanted}'"))
                .hint("`emberkeep repo list` shows what there is"),
        ),
        several => {
            let lines: Vec<_> = several
                .iter()
                .map(|at| &all[*at].manifest)
                .map(|found| {
                    format!(
                        "  {}  {}  {}",
                        found.backup_id,
                        time(found.created_at),
                        found.name
                    )
                })
                .collect();
            Err(
                CliError::refused(format!("'{wanted}' means {} backups", several.len())).hint(
                    format!("give the id of the one you mean:\n{}", lines.join("\n")),
                ),
            )
        }
    }
}

fn choose(wanted: &str, all: &[(String, &str)]) -> Vec<usize> {
    let lower = wanted.to_lowercase();
    let those = |test: &dyn Fn(&(String, &str)) -> bool| -> Vec<usize> {
        (0..all.len()).filter(|at| test(&all[*at])).collect()
    };
    let mut chosen = those(&|(id, _)| *id == lower || id.replace('-', "") == lower);
    if chosen.is_empty() {
        chosen = those(&|(_, name)| *name == wanted);
    }
    if chosen.is_empty() && wanted.len() >= LEAST_PREFIX {
        chosen = those(&|(id, _)| id.starts_with(&lower));
    }
    chosen
}

/// Shows an instant for people, in UTC.
pub(super) fn time(at: UnixMicros) -> String {
    jiff::Timestamp::from_microsecond(at.0).map_or_else(
        |_| "-".to_owned(),
        |at| at.strftime("%Y-%m-%d %H:%M:%S").to_string(),
    )
}

/// Shows an instant for programs.
pub(super) fn zulu(at: UnixMicros) -> Option<String> {
    jiff::Timestamp::from_microsecond(at.0)
        .ok()
        .map(|at| format!("{at:.6}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_come_before_names_and_names_before_beginnings() {
        let all = [
            ("aaaa1111-0000-4000-8000-000000000001".to_owned(), "monday"),
            ("aaaa2222-0000-4000-8000-000000000002".to_owned(), "tuesday"),
            ("bbbb0000-0000-4000-8000-000000000003".to_owned(), "monday"),
            ("cccc0000-0000-4000-8000-000000000004".to_owned(), "aaaa1"),
        ];
        for (what, wanted, want) in [
            (
                "a whole id",
                "aaaa1111-0000-4000-8000-000000000001",
                vec![0],
            ),
            (
                "without dashes",
                "AAAA1111000040008000000000000001",
                vec![0],
            ),
            ("a single name", "tuesday", vec![1]),
            ("a name of several", "monday", vec![0, 2]),
            ("a name that looks like a beginning", "aaaa1", vec![3]),
            ("a beginning", "aaaa2", vec![1]),
            ("a beginning of several", "aaaa", vec![0, 1]),
            ("too short a beginning", "bbb", vec![]),
            ("nothing", "sunday", vec![]),
        ] {
            assert_eq!(choose(wanted, &all), want, "{what}");
        }
    }

    #[test]
    fn instants_are_shown_in_utc() {
        let at = UnixMicros(1_772_366_400_250_000);
        assert_eq!(time(at), "2026-03-01 12:00:00");
        assert_eq!(zulu(at).as_deref(), Some("2026-03-01T12:00:00.250000Z"));
    }
}
