//! When the next copy of the catalog is due: a pure decision.

use std::time::Duration;

/// Settings changes that follow each other within this time make one copy.
const QUIET: Duration = Duration::from_secs(5);
/// A copy of changed settings waits no longer, however often they change.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long ago what happened, as far as it is in no copy yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Unsaved {
    /// Since the last copy, or the start.
    pub(super) since_copy: Duration,
    /// Any row was changed.
    pub(super) rows: bool,
    /// Since the first and the latest change of settings (a vault, a policy, a share, a user …).
    pub(super) settings: Option<(Duration, Duration)>,
}

/// Tells whether a copy is due. `interval` is how often one is made of a catalog that changes.
pub(super) fn is_due(unsaved: Unsaved, interval: Duration) -> bool {
    let settings = unsaved
        .settings
        .is_some_and(|(first, latest)| latest >= QUIET || first >= PATIENCE);
    settings || (unsaved.rows && unsaved.since_copy >= interval)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn settings_are_copied_soon_and_rows_after_the_interval() {
        let hour = secs(3600);
        for (what, unsaved, want) in [
            ("nothing", Unsaved::default(), false),
            (
                "nothing for long",
                Unsaved {
                    since_copy: secs(99_999),
                    ..Unsaved::default()
                },
                false,
            ),
            (
                "rows just now",
                Unsaved {
                    rows: true,
                    since_copy: secs(3599),
                    ..Unsaved::default()
                },
                false,
            ),
            (
                "rows for an hour",
                Unsaved {
                    rows: true,
                    since_copy: hour,
                    ..Unsaved::default()
                },
                true,
            ),
            (
                "settings that still change",
                Unsaved {
                    rows: true,
                    settings: Some((secs(59), secs(4))),
                    ..Unsaved::default()
                },
                false,
            ),
            (
                "settings that have come to rest",
                Unsaved {
                    rows: true,
                    settings: Some((secs(5), secs(5))),
                    ..Unsaved::default()
                },
                true,
            ),
            (
                "settings that never rest",
                Unsaved {
                    rows: true,
                    settings: Some((secs(60), secs(0))),
                    ..Unsaved::default()
                },
                true,
            ),
        ] {
            assert_eq!(is_due(unsaved, hour), want, "{what}");
        }
    }
}
