//! What holds for any points under any rules.

use proptest::prelude::*;

use super::*;

fn any_point() -> impl Strategy<Value = Point> {
    let start = at("2024-01-01T00:00:00Z");
    let facts = (
        0..3u128,
        0..800i64,
        0..4i64,
        prop::option::weighted(0.2, 1..900i64),
    );
    let kinds = (
        prop::sample::select(vec![Origin::Automatic, Origin::Automatic, Origin::Manual]),
        prop_oneof![
            1 => Just(Progress::Making),
            6 => Just(Progress::Complete),
            2 => Just(Progress::Failed),
        ],
        prop::bool::weighted(0.1),
        prop::bool::weighted(0.1),
        prop::bool::weighted(0.1),
    );
    (facts, kinds).prop_map(move |(facts, kinds)| {
        let (resource, day, quarter, expiry) = facts;
        let (origin, progress, locked, shared, in_use) = kinds;
        let made_at = start.plus_secs(day * DAY + quarter * DAY / 4);
        Point {
            resource: VolumeId(Uuid::from_u128(resource)),
            expires_at: expiry.map(|days| made_at.plus_secs(days * DAY)),
            origin,
            progress,
            holds: Holds {
                locked,
                shared,
                in_use,
            },
            ..point(0, made_at)
        }
    })
}

fn any_points() -> impl Strategy<Value = Vec<Point>> {
    prop::collection::vec(any_point(), 0..120).prop_map(|mut points| {
        for (number, point) in (0..).zip(&mut points) {
            point.backup = BackupId(Uuid::from_u128(number));
        }
        points
    })
}

fn any_rules() -> impl Strategy<Value = Rules> {
    let few = || prop_oneof![Just(0u32), 0..8u32];
    let max = prop::option::weighted(0.85, 1..12u32);
    (max, few(), few(), few(), few()).prop_map(|(max_backups, day, week, month, year)| Rules {
        max_backups,
        days: None,
        day_backups: day,
        week_backups: week,
        month_backups: month,
        year_backups: year,
    })
}

fn any_zone() -> impl Strategy<Value = Zone> {
    prop::sample::select(vec![
        "UTC",
        "Europe/Berlin",
        "America/St_Johns",
        "Pacific/Apia",
    ])
    .prop_map(|name| Zone::from_name(name).expect(name))
}

fn any_now() -> impl Strategy<Value = Timestamp> {
    (0..1000i64).prop_map(|day| at("2024-01-01T00:00:00Z").plus_secs(day * DAY))
}

/// Says by the words of the rule whether a number of backups or a period keeps `point`: counts
/// anew for every point and names periods by text.
fn rules_keep(point: &Point, points: &[Point], rules: &Rules, zone: &Zone, now: Timestamp) -> bool {
    let Some(most) = rules.max_backups else {
        return true;
    };
    let newer: Vec<_> = points
        .iter()
        .filter(|p| p.resource == point.resource)
        .filter(|p| p.origin == Origin::Automatic && p.progress == Progress::Complete)
        .filter(|p| p.expires_at.is_none_or(|expiry| expiry > now))
        .filter(|p| (p.made_at, p.backup) > (point.made_at, point.backup))
        .collect();
    let among = |most: u32, count: usize| count < usize::try_from(most).expect("is small");
    let last_of = |format: &str, most: u32| {
        let period = |p: &Point| zone.day_of(p.made_at).strftime(format).to_string();
        let newer: BTreeSet<_> = newer.iter().map(|p| period(p)).collect();
        !newer.contains(&period(point)) && among(most, newer.len())
    };
    among(most, newer.len())
        || last_of("%F", rules.day_backups)
        || last_of("%G week %V", rules.week_backups)
        || last_of("%Y-%m", rules.month_backups)
        || last_of("%Y", rules.year_backups)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn each_point_has_one_verdict_and_the_right_one(
        points in any_points(),
        rules in any_rules(),
        zone in any_zone(),
        now in any_now(),
    ) {
        let verdicts = judge(&points, &rules, &zone, now);
        let judged: BTreeSet<_> = verdicts.iter().map(|verdict| verdict.backup).collect();
        prop_assert_eq!(verdicts.len(), points.len());
        prop_assert_eq!(judged.len(), points.len());
        for verdict in verdicts {
            let point = points.iter().find(|p| p.backup == verdict.backup).expect("was judged");
            let holds = point.holds;
            if holds.locked || holds.shared || holds.in_use || point.origin == Origin::Manual {
                prop_assert!(!verdict.fate.is_drop(), "{point:?}");
            } else if point.progress == Progress::Complete {
                let expired = point.expires_at.is_some_and(|expiry| expiry <= now);
                let keep = !expired && rules_keep(point, &points, &rules, &zone, now);
                prop_assert_eq!(verdict.fate.is_drop(), !keep, "{:?} {}", point, verdict.fate);
            }
            if let Fate::Keep { reasons } = verdict.fate {
                prop_assert!(!reasons.is_empty());
            }
        }
    }

    #[test]
    fn the_order_of_points_does_not_matter(
        (points, shuffled) in any_points().prop_flat_map(|points| {
            (Just(points.clone()), Just(points).prop_shuffle())
        }),
        rules in any_rules(),
        zone in any_zone(),
        now in any_now(),
    ) {
        prop_assert_eq!(
            judge(&points, &rules, &zone, now),
            judge(&shuffled, &rules, &zone, now)
        );
    }

    #[test]
    fn more_rules_never_drop_more(
        points in any_points(),
        rules in any_rules(),
        more in any_rules(),
        zone in any_zone(),
        now in any_now(),
    ) {
        // A first number of backups is the one rule that limits; without it all stay.
        let both = Rules {
            max_backups: rules.max_backups.map(|most| most + more.max_backups.unwrap_or(0)),
            days: None,
            day_backups: rules.day_backups + more.day_backups,
            week_backups: rules.week_backups + more.week_backups,
            month_backups: rules.month_backups + more.month_backups,
            year_backups: rules.year_backups + more.year_backups,
        };
        let with_more = kept(&points, &both, &zone, now);
        for point in kept(&points, &rules, &zone, now) {
            prop_assert!(with_more.contains(&point), "{point:?}");
        }
        let no_number = Rules { max_backups: None, ..both };
        let without_limit = kept(&points, &no_number, &zone, now);
        for point in with_more {
            prop_assert!(without_limit.contains(&point), "{point:?}");
        }
    }

    #[test]
    fn what_is_left_stays_left(
        points in any_points(),
        rules in any_rules(),
        zone in any_zone(),
        now in any_now(),
    ) {
        let left = kept(&points, &rules, &zone, now);
        prop_assert_eq!(kept(&left, &rules, &zone, now), left);
    }
}
