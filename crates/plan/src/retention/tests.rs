use std::collections::BTreeSet;

use emberkeep_model::{ByteCount, Gib, Limit, OperationDefinition, Sealed};
use uuid::Uuid;

use super::*;
use crate::pattern::Patterns;
use crate::schedule::Schedule;

mod laws;

const DAY: i64 = 24 * 60 * 60;

fn at(text: &str) -> Timestamp {
    let instant: jiff::Timestamp = text.parse().expect(text);
    Timestamp(instant.as_microsecond())
}

fn point(number: u128, made_at: Timestamp) -> Point {
    Point {
        backup: BackupId(Uuid::from_u128(number)),
        resource: VolumeId(Uuid::nil()),
        made_at,
        expires_at: None,
        origin: Origin::Automatic,
        progress: Progress::Complete,
        holds: Holds::default(),
    }
}

/// Makes one complete automatic backup for each instant.
fn points(instants: &[&str]) -> Vec<Point> {
    (1..)
        .zip(instants)
        .map(|(number, text)| point(number, at(text)))
        .collect()
}

/// Shows verdicts as `made_at  fate`, a line each.
fn shown(points: &[Point], verdicts: &[Verdict]) -> String {
    let line = |verdict: &Verdict| {
        let point = points.iter().find(|point| point.backup == verdict.backup);
        let made_at = crate::zone::show(point.expect("was judged").made_at);
        format!("{made_at}  {}", verdict.fate)
    };
    verdicts.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn kept(points: &[Point], rules: &Rules, zone: &Zone, now: Timestamp) -> Vec<Point> {
    let verdicts = judge(points, rules, zone, now);
    let drops: BTreeSet<_> = verdicts
        .iter()
        .filter(|verdict| verdict.fate.is_drop())
        .map(|verdict| verdict.backup)
        .collect();
    let mut left = points.to_vec();
    left.retain(|point| !drops.contains(&point.backup));
    left
}

#[test]
fn every_verdict_says_why() {
    let rules = Rules {
        max_backups: Some(2),
        day_backups: 3,
        month_backups: 2,
        ..Rules::default()
    };
    let mut points = points(&[
        "2026-03-10T22:00:00Z",
        "2026-03-10T10:00:00Z",
        "2026-03-10T04:00:00Z",
        "2026-03-09T04:00:00Z",
        "2026-03-08T04:00:00Z",
        "2026-03-07T04:00:00Z",
        "2026-03-06T04:00:00Z",
        "2026-03-05T04:00:00Z",
        "2026-03-04T04:00:00Z",
        "2026-03-03T04:00:00Z",
        "2026-02-28T04:00:00Z",
        "2026-02-27T04:00:00Z",
        "2025-12-31T04:00:00Z",
    ]);
    points[0].progress = Progress::Making;
    points[3].holds.shared = true;
    points[5].holds.locked = true;
    points[6].origin = Origin::Manual;
    points[7].progress = Progress::Failed;
    points[8].expires_at = Some(at("2026-03-11T04:00:00Z"));
    (points[8].holds.in_use, points[8].holds.shared) = (true, true);
    points[9].expires_at = Some(at("2026-03-04T04:00:00Z"));
    points[11].expires_at = Some(at("2026-03-10T04:00:00Z"));
    let now = at("2026-03-11T04:00:00Z");
    insta::assert_snapshot!(shown(&points, &judge(&points, &rules, &Zone::UTC, now)), @r"
    2026-03-10T22:00:00Z  kept: still being made
    2026-03-10T10:00:00Z  kept: newest 1 of 2, daily 1 of 3, monthly 1 of 2
    2026-03-10T04:00:00Z  kept: newest 2 of 2
    2026-03-09T04:00:00Z  kept: daily 2 of 3, shared
    2026-03-08T04:00:00Z  kept: daily 3 of 3
    2026-03-07T04:00:00Z  kept: locked
    2026-03-06T04:00:00Z  kept: made by hand
    2026-03-05T04:00:00Z  kept: failed 1 of 10, for a month
    2026-03-04T04:00:00Z  kept: shared, in use
    2026-03-03T04:00:00Z  drops: older than 1 day
    2026-02-28T04:00:00Z  kept: monthly 2 of 2
    2026-02-27T04:00:00Z  drops: older than 11 days
    2025-12-31T04:00:00Z  drops: beyond the newest 2
    ");

    points.truncate(9);
    let by_days = Rules {
        days: Some(30),
        ..Rules::default()
    };
    points[2].expires_at = by_days.expires_at(points[2].made_at);
    points[4].expires_at = Some(points[4].made_at.plus_secs(3 * DAY));
    insta::assert_snapshot!(shown(&points, &judge(&points, &by_days, &Zone::UTC, now)), @r"
    2026-03-10T22:00:00Z  kept: still being made
    2026-03-10T10:00:00Z  kept: no limit
    2026-03-10T04:00:00Z  kept: until 2026-04-09T04:00:00Z
    2026-03-09T04:00:00Z  kept: no limit, shared
    2026-03-08T04:00:00Z  drops: older than 3 days
    2026-03-07T04:00:00Z  kept: no limit, locked
    2026-03-06T04:00:00Z  kept: made by hand
    2026-03-05T04:00:00Z  kept: failed 1 of 10, for a month
    2026-03-04T04:00:00Z  kept: shared, in use
    ");
}

#[test]
fn without_a_number_the_periods_change_nothing() {
    let rules = Rules {
        day_backups: 1,
        ..Rules::default()
    };
    let points = points(&["2026-03-10T10:00:00Z", "2016-03-10T04:00:00Z"]);
    let verdicts = judge(&points, &rules, &Zone::UTC, at("2026-03-11T00:00:00Z"));
    for verdict in verdicts {
        assert_eq!(verdict.fate.to_string(), "kept: no limit");
    }
}

#[test]
fn failed_ones_stay_ten_at_most_and_a_month_at_most() {
    let days = (1..=12).map(|day| format!("2026-01-{:02}T04:00:00Z", 32 - day));
    let days: Vec<_> = days.collect();
    let mut points = points(&days.iter().map(String::as_str).collect::<Vec<_>>());
    for point in &mut points {
        point.progress = Progress::Failed;
    }
    for (what, now, want) in [
        ("the last ten", "2026-02-01T00:00:00Z", 10),
        ("a month ends", "2026-02-28T03:59:59Z", 4),
        (
            "January has more days than February",
            "2026-02-28T04:00:00Z",
            0,
        ),
    ] {
        let left = kept(&points, &Rules::default(), &Zone::UTC, at(now));
        assert_eq!(left.len(), want, "{what}");
    }
    let verdicts = judge(
        &points,
        &Rules::default(),
        &Zone::UTC,
        at("2026-02-22T05:00:00Z"),
    );
    insta::assert_snapshot!(shown(&points, &verdicts), @r"
    2026-01-31T04:00:00Z  kept: failed 1 of 10, for a month
    2026-01-30T04:00:00Z  kept: failed 2 of 10, for a month
    2026-01-29T04:00:00Z  kept: failed 3 of 10, for a month
    2026-01-28T04:00:00Z  kept: failed 4 of 10, for a month
    2026-01-27T04:00:00Z  kept: failed 5 of 10, for a month
    2026-01-26T04:00:00Z  kept: failed 6 of 10, for a month
    2026-01-25T04:00:00Z  kept: failed 7 of 10, for a month
    2026-01-24T04:00:00Z  kept: failed 8 of 10, for a month
    2026-01-23T04:00:00Z  kept: failed 9 of 10, for a month
    2026-01-22T04:00:00Z  drops: failed more than a month ago
    2026-01-21T04:00:00Z  drops: beyond the last 10 failed
    2026-01-20T04:00:00Z  drops: beyond the last 10 failed
    ");
}

#[test]
fn days_begin_where_the_policy_says() {
    let points = points(&[
        "2026-03-02T10:30:00Z",
        "2026-03-02T09:30:00Z",
        "2026-03-01T23:30:00Z",
        "2026-03-01T00:30:00Z",
    ]);
    let now = at("2026-03-03T00:00:00Z");
    let picked = |rules: Rules, zone: &Zone| {
        let rules = Rules {
            max_backups: Some(1),
            ..rules
        };
        let left = kept(&points, &rules, zone, now);
        left.iter()
            .map(|point| point.backup.0.as_u128())
            .collect::<Vec<_>>()
    };
    let days = Rules {
        day_backups: 100,
        ..Rules::default()
    };
    let weeks = Rules {
        week_backups: 100,
        ..Rules::default()
    };
    let months = Rules {
        month_backups: 100,
        ..Rules::default()
    };
    let offset = |text| Zone::from_offset(text).expect(text);
    for (what, rules, zone, want) in [
        ("days in UTC", days, Zone::UTC, vec![1, 3]),
        (
            "days far in the east",
            days,
            offset("UTC+14:00"),
            vec![1, 2, 4],
        ),
        ("days in the west", days, offset("UTC-10:00"), vec![1, 2, 4]),
        ("weeks from Monday in UTC", weeks, Zone::UTC, vec![1, 3]),
        (
            "Monday has begun in the east",
            weeks,
            offset("UTC+01:00"),
            vec![1, 4],
        ),
        ("months in UTC", months, Zone::UTC, vec![1]),
        (
            "February in the west",
            months,
            offset("UTC-01:00"),
            vec![1, 4],
        ),
    ] {
        assert_eq!(picked(rules, &zone), want, "{what}");
    }
}

#[test]
fn the_last_of_a_day_of_25_hours_is_one() {
    let berlin = Zone::from_name("Europe/Berlin").expect("is a zone");
    let points = points(&[
        "2026-10-25T22:30:00Z",
        "2026-10-25T01:30:00Z",
        "2026-10-25T00:30:00Z",
        "2026-10-24T22:30:00Z",
        "2026-10-24T21:30:00Z",
    ]);
    let rules = Rules {
        max_backups: Some(1),
        day_backups: 7,
        ..Rules::default()
    };
    let left = kept(&points, &rules, &berlin, at("2026-10-26T00:00:00Z"));
    let left: Vec<_> = left.iter().map(|point| point.backup.0.as_u128()).collect();
    assert_eq!(left, [1, 5]);
}

#[test]
fn years_of_nightly_backups_thin_out() {
    let patterns = Patterns::parse(&["FREQ=DAILY;BYHOUR=2;BYMINUTE=30"]).expect("is a pattern");
    let berlin = Zone::from_name("Europe/Berlin").expect("is a zone");
    let schedule = Schedule::new(patterns, berlin.clone(), at("2023-11-15T12:00:00Z"));
    let rules = Rules {
        max_backups: Some(3),
        day_backups: 5,
        week_backups: 4,
        month_backups: 14,
        year_backups: 10,
        ..Rules::default()
    };
    let end = at("2028-03-02T00:00:00Z");
    let runs = schedule.next_runs(at("2023-11-15T12:00:00Z"));
    let mut left: Vec<Point> = Vec::new();
    for (number, run) in (1..).zip(runs.take_while(|run| *run < end)) {
        left.push(point(number, run));
        left = kept(&left, &rules, &berlin, run);
    }
    insta::assert_snapshot!(shown(&left, &judge(&left, &rules, &berlin, end)), @r"
    2028-03-01T01:30:00Z  kept: newest 1 of 3, daily 1 of 5, weekly 1 of 4, monthly 1 of 14, yearly 1 of 10
    2028-02-29T01:30:00Z  kept: newest 2 of 3, daily 2 of 5, monthly 2 of 14
    2028-02-28T01:30:00Z  kept: newest 3 of 3, daily 3 of 5
    2028-02-27T01:30:00Z  kept: daily 4 of 5, weekly 2 of 4
    2028-02-26T01:30:00Z  kept: daily 5 of 5
    2028-02-20T01:30:00Z  kept: weekly 3 of 4
    2028-02-13T01:30:00Z  kept: weekly 4 of 4
    2028-01-31T01:30:00Z  kept: monthly 3 of 14
    2027-12-31T01:30:00Z  kept: monthly 4 of 14, yearly 2 of 10
    2027-11-30T01:30:00Z  kept: monthly 5 of 14
    2027-10-31T00:30:00Z  kept: monthly 6 of 14
    2027-09-30T00:30:00Z  kept: monthly 7 of 14
    2027-08-31T00:30:00Z  kept: monthly 8 of 14
    2027-07-31T00:30:00Z  kept: monthly 9 of 14
    2027-06-30T00:30:00Z  kept: monthly 10 of 14
    2027-05-31T00:30:00Z  kept: monthly 11 of 14
    2027-04-30T00:30:00Z  kept: monthly 12 of 14
    2027-03-31T00:30:00Z  kept: monthly 13 of 14
    2027-02-28T01:30:00Z  kept: monthly 14 of 14
    2026-12-31T01:30:00Z  kept: yearly 3 of 10
    2025-12-31T01:30:00Z  kept: yearly 4 of 10
    2024-12-31T01:30:00Z  kept: yearly 5 of 10
    2023-12-31T01:30:00Z  kept: yearly 6 of 10
    ");
}

#[test]
fn limits_are_read_as_sent() {
    let definition = |fields: &[(&str, i32)], timezone: Option<&str>| {
        let mut definition = OperationDefinition {
            timezone: timezone.map(str::to_owned),
            ..OperationDefinition::default()
        };
        for (field, value) in fields {
            let limit = Some(Limit(*value));
            match *field {
                "max" => definition.max_backups = limit,
                "days" => definition.retention_duration_days = limit,
                "day" => definition.day_backups = limit,
                "week" => definition.week_backups = limit,
                "month" => definition.month_backups = limit,
                "year" => definition.year_backups = limit,
                "full" => definition.full_backup_interval = Some(*value),
                other => panic!("no field {other}"),
            }
        }
        definition
    };
    let utc3 = Some("UTC+03:00");
    let max = |max_backups| Rules {
        max_backups: Some(max_backups),
        ..Rules::default()
    };
    let days = |days| Rules {
        days: Some(days),
        ..Rules::default()
    };
    let none = Rules::default();
    for (fields, timezone, want) in [
        (&[][..], None, none),
        (&[], utc3, none),
        (&[("max", -1), ("days", -1)], None, none),
        (
            &[("max", 0), ("days", 0), ("day", 0), ("year", 0)],
            None,
            none,
        ),
        (&[("max", 99_999), ("days", -1)], None, max(99_999)),
        (&[("max", -1), ("days", 1), ("month", 0)], None, days(1)),
        (&[("full", 0)], None, none),
        (
            &[
                ("max", 7),
                ("day", 1),
                ("week", 2),
                ("month", 3),
                ("year", 100),
            ],
            utc3,
            Rules {
                max_backups: Some(7),
                days: None,
                day_backups: 1,
                week_backups: 2,
                month_backups: 3,
                year_backups: 100,
            },
        ),
    ] {
        let read = read_rules(&definition(fields, timezone), None);
        let zone = timezone.map_or(Ok(Zone::UTC), Zone::from_offset);
        assert_eq!(read, Ok((want, zone.expect("is an offset"))), "{fields:?}");
    }
    let berlin = Zone::from_name("Europe/Berlin").expect("is a zone");
    let named = read_rules(
        &definition(&[("max", 1), ("day", 1)], None),
        Some("Europe/Berlin"),
    );
    assert_eq!(
        named.map(|(_, zone)| zone),
        Ok(berlin),
        "a named zone will do"
    );

    let refused = [
        (&[("max", -2)][..], None, None),
        (&[("max", 100_000)], None, None),
        (&[("days", 100_000)], None, None),
        (&[("day", -1)], None, None),
        (&[("year", 101)], utc3, None),
        (&[("full", 101)], None, None),
        (&[("full", -2)], None, None),
        (&[("days", 30), ("max", 1)], None, None),
        (&[("days", 30), ("month", 1)], utc3, None),
        (&[("max", 3), ("week", 1)], None, None),
        (&[], Some("UTC+3"), None),
        (&[], Some("UTC+3"), Some("Europe/Berlin")),
        (&[], None, Some("Berlin")),
    ]
    .map(|(fields, timezone, zone_name)| {
        let refusal = read_rules(&definition(fields, timezone), zone_name);
        refusal.expect_err("is refused").to_string()
    });
    insta::assert_snapshot!(refused.join("\n"), @r"
    max_backups is -2, but must be -1 for no limit, or 1 to 99999
    max_backups is 100000, but must be -1 for no limit, or 1 to 99999
    retention_duration_days is 100000, but must be -1 for no limit, or 1 to 99999
    day_backups is -1, but must be 0 to 100
    year_backups is 101, but must be 0 to 100
    full_backup_interval is 101, but must be -1 to 100
    full_backup_interval is -2, but must be -1 to 100
    retention_duration_days and max_backups cannot be set together
    retention_duration_days and month_backups cannot be set together
    timezone is needed with week_backups
    timezone: 'UTC+3' is not an offset from UTC-12:00 to UTC+14:00
    timezone: 'UTC+3' is not an offset from UTC-12:00 to UTC+14:00
    timezone: 'Berlin' is not the name of a time zone, such as Europe/Berlin
    ");
}

#[test]
fn expiry_is_fixed_when_a_backup_is_made() {
    let rules = |days| Rules {
        days,
        ..Rules::default()
    };
    let made_at = at("2028-02-28T04:00:00Z");
    assert_eq!(rules(None).expires_at(made_at), None);
    let expires_at = rules(Some(2)).expires_at(made_at);
    assert_eq!(expires_at, Some(at("2028-03-01T04:00:00Z")));

    let mut old = point(1, made_at);
    old.expires_at = expires_at;
    for (now, days, want) in [
        (
            "2028-03-01T03:59:59Z",
            1,
            "kept: until 2028-03-01T04:00:00Z",
        ),
        ("2028-03-01T04:00:00Z", 90, "drops: older than 2 days"),
    ] {
        let verdicts = judge(&[old], &rules(Some(days)), &Zone::UTC, at(now));
        assert_eq!(verdicts[0].fate.to_string(), want, "now {days} days");
    }
}

#[test]
fn a_row_says_how_far_its_backup_has_come() {
    let sealed = Sealed {
        at: Timestamp(9),
        read: ByteCount(0),
        data: ByteCount(0),
        new: ByteCount(0),
        stored: ByteCount(0),
    };
    let target = VolumeId(Uuid::from_u128(7));
    let failed = BackupState::Failed {
        reason: "full disk".to_owned(),
    };
    for (state, want) in [
        (BackupState::Queued, Some((Progress::Making, false))),
        (BackupState::Copying, Some((Progress::Making, false))),
        (
            BackupState::Available(sealed),
            Some((Progress::Complete, false)),
        ),
        (
            BackupState::RestoreQueued { sealed, target },
            Some((Progress::Complete, true)),
        ),
        (
            BackupState::Restoring { sealed, target },
            Some((Progress::Complete, true)),
        ),
        (failed, Some((Progress::Failed, false))),
        (BackupState::DeleteQueued, None),
        (BackupState::Deleting, None),
        (BackupState::Deleted, None),
    ] {
        for (automatic, origin) in [(true, Origin::Automatic), (false, Origin::Manual)] {
            let backup = row(state.clone(), automatic);
            let want = want.map(|(progress, in_use)| Point {
                origin,
                progress,
                holds: Holds {
                    in_use,
                    ..Holds::default()
                },
                ..point(1, Timestamp(5))
            });
            assert_eq!(Point::of(&backup), want, "{state}");
        }
    }
}

fn row(state: BackupState, automatic: bool) -> Backup {
    Backup {
        id: BackupId(Uuid::from_u128(1)),
        project_id: "p".parse().expect("is an id"),
        user_id: "u".parse().expect("is an id"),
        volume_id: VolumeId(Uuid::nil()),
        volume_name: None,
        snapshot_id: None,
        vault_id: None,
        checkpoint_id: None,
        parent_id: None,
        name: None,
        description: None,
        container: None,
        availability_zone: None,
        metadata: std::collections::BTreeMap::new(),
        size: Gib(1),
        automatic,
        state,
        fail_reason: None,
        restore_volume_id: None,
        data_timestamp: Timestamp(4),
        created_at: Timestamp(5),
        updated_at: None,
        deleted_at: None,
        damage: None,
        content: None,
        cinder: emberkeep_model::CinderFacts::default(),
        cbr: Default::default(),
        revision: 0,
    }
}
