use proptest::prelude::*;

use super::*;

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

fn at(text: &str) -> Timestamp {
    let instant: jiff::Timestamp = text.parse().expect(text);
    Timestamp(instant.as_microsecond())
}

fn shown(at: Timestamp) -> String {
    crate::zone::show(at).to_string()
}

fn schedule(patterns: &[&str], zone: &str, created: &str) -> Schedule {
    let patterns = Patterns::parse(patterns).expect("are patterns");
    let zone = Zone::from_name(zone).expect("is a zone");
    Schedule::new(patterns, zone, at(created))
}

fn runs(schedule: &Schedule, after: &str, count: usize) -> Vec<String> {
    let runs = schedule.next_runs(at(after));
    runs.take(count).map(shown).collect()
}

#[test]
fn first_runs_follow_the_creation() {
    for (what, patterns, created, want) in [
        (
            "today, if the time is ahead",
            &["FREQ=DAILY;INTERVAL=3;BYHOUR=14"][..],
            "2026-03-01T13:59:59Z",
            ["2026-03-01T14:00:00Z", "2026-03-04T14:00:00Z"],
        ),
        (
            "an interval later, if it is not",
            &["FREQ=DAILY;INTERVAL=3;BYHOUR=14"],
            "2026-03-01T14:00:00Z",
            ["2026-03-04T14:00:00Z", "2026-03-07T14:00:00Z"],
        ),
        (
            "several hours, some of them ahead",
            &["FREQ=DAILY;INTERVAL=2;BYHOUR=20,8;BYMINUTE=30"],
            "2026-03-01T12:00:00Z",
            ["2026-03-01T20:30:00Z", "2026-03-03T08:30:00Z"],
        ),
        (
            "days of the week",
            &["FREQ=WEEKLY;BYDAY=SU,MO;BYHOUR=0"],
            "2026-03-01T00:00:00Z",
            ["2026-03-02T00:00:00Z", "2026-03-08T00:00:00Z"],
        ),
        (
            "several patterns, one instant in both",
            &["FREQ=WEEKLY;BYDAY=SU;BYHOUR=6", "FREQ=DAILY;BYHOUR=6,18"],
            "2026-03-01T05:00:00Z",
            ["2026-03-01T06:00:00Z", "2026-03-01T18:00:00Z"],
        ),
        (
            "over the end of a month, with a leap day",
            &["FREQ=DAILY;INTERVAL=30;BYHOUR=1"],
            "2028-01-31T02:00:00Z",
            ["2028-03-01T01:00:00Z", "2028-03-31T01:00:00Z"],
        ),
        (
            "on a leap day",
            &["FREQ=WEEKLY;BYDAY=TU;BYHOUR=12"],
            "2028-02-22T12:00:00Z",
            ["2028-02-29T12:00:00Z", "2028-03-07T12:00:00Z"],
        ),
    ] {
        let schedule = schedule(patterns, "UTC", created);
        assert_eq!(runs(&schedule, created, 2), want, "{what}");
        assert_eq!(
            runs(&schedule, "2000-01-01T00:00:00Z", 2),
            want,
            "{what}, asked from before the creation"
        );
    }
}

#[test]
fn clocks_that_change_neither_lose_nor_double_a_run() {
    for (what, zone, pattern, after, want) in [
        (
            "02:30 is skipped, so 03:30 it is",
            "Europe/Berlin",
            "FREQ=DAILY;BYHOUR=2;BYMINUTE=30",
            "2026-03-28T00:00:00Z",
            [
                "2026-03-28T01:30:00Z",
                "2026-03-29T01:30:00Z",
                "2026-03-30T00:30:00Z",
            ],
        ),
        (
            "02:30 comes twice, the first counts",
            "Europe/Berlin",
            "FREQ=DAILY;BYHOUR=2;BYMINUTE=30",
            "2026-10-24T00:00:00Z",
            [
                "2026-10-24T00:30:00Z",
                "2026-10-25T00:30:00Z",
                "2026-10-26T01:30:00Z",
            ],
        ),
        (
            "02:30 falls on 03:30, which is a run of its own",
            "Europe/Berlin",
            "FREQ=DAILY;BYHOUR=2,3;BYMINUTE=30",
            "2026-03-28T02:00:00Z",
            [
                "2026-03-28T02:30:00Z",
                "2026-03-29T01:30:00Z",
                "2026-03-30T00:30:00Z",
            ],
        ),
        (
            "west of Greenwich, spring",
            "America/New_York",
            "FREQ=WEEKLY;BYDAY=SU;BYHOUR=2",
            "2026-03-01T12:00:00Z",
            [
                "2026-03-08T07:00:00Z",
                "2026-03-15T06:00:00Z",
                "2026-03-22T06:00:00Z",
            ],
        ),
        (
            "west of Greenwich, autumn",
            "America/New_York",
            "FREQ=DAILY;BYHOUR=1",
            "2026-10-31T00:00:00Z",
            [
                "2026-10-31T05:00:00Z",
                "2026-11-01T05:00:00Z",
                "2026-11-02T06:00:00Z",
            ],
        ),
        (
            "half an hour is skipped",
            "Australia/Lord_Howe",
            "FREQ=DAILY;BYHOUR=2;BYMINUTE=15",
            "2026-10-02T00:00:00Z",
            [
                "2026-10-02T15:45:00Z",
                "2026-10-03T15:45:00Z",
                "2026-10-04T15:15:00Z",
            ],
        ),
        (
            "midnight is skipped",
            "America/Sao_Paulo",
            "FREQ=DAILY;BYHOUR=0",
            "2018-11-02T12:00:00Z",
            [
                "2018-11-03T03:00:00Z",
                "2018-11-04T03:00:00Z",
                "2018-11-05T02:00:00Z",
            ],
        ),
        (
            "a whole day is skipped, which then has but one run",
            "Pacific/Apia",
            "FREQ=DAILY;BYHOUR=6",
            "2011-12-29T00:00:00Z",
            [
                "2011-12-29T16:00:00Z",
                "2011-12-30T16:00:00Z",
                "2011-12-31T16:00:00Z",
            ],
        ),
        (
            "the clocks go back over midnight",
            "America/St_Johns",
            "FREQ=DAILY;BYHOUR=0,23;BYMINUTE=0",
            "2010-11-06T12:00:00Z",
            [
                "2010-11-07T01:30:00Z",
                "2010-11-07T02:30:00Z",
                "2010-11-08T02:30:00Z",
            ],
        ),
        (
            "no clock change",
            "Asia/Kolkata",
            "FREQ=DAILY;BYHOUR=5;BYMINUTE=30",
            "2026-03-28T00:00:00Z",
            [
                "2026-03-29T00:00:00Z",
                "2026-03-30T00:00:00Z",
                "2026-03-31T00:00:00Z",
            ],
        ),
    ] {
        let schedule = schedule(&[pattern], zone, "2001-01-01T00:00:00Z");
        assert_eq!(runs(&schedule, after, 3), want, "{what}");
    }
}

#[test]
fn a_fixed_offset_has_no_clock_changes() {
    let patterns = Patterns::parse(&["FREQ=DAILY;BYHOUR=2;BYMINUTE=30"]).expect("is a pattern");
    let zone = Zone::from_offset("UTC+01:00").expect("is an offset");
    let schedule = Schedule::new(patterns, zone, at("2026-03-28T00:00:00Z"));
    let want = [28, 29, 30].map(|day| format!("2026-03-{day}T01:30:00Z"));
    assert_eq!(runs(&schedule, "2026-03-28T00:00:00Z", 3), want);
}

#[test]
fn years_pass_without_a_day_lost() {
    // 2024 to 2033 has three leap days; every zone but the last changes its clocks at the hour
    // asked for.
    let (start, end) = ("2024-01-01T12:00:00Z", "2034-01-01T12:00:00Z");
    for (zone, hour) in [
        ("Europe/Berlin", 2),
        ("America/New_York", 2),
        ("Australia/Lord_Howe", 2),
        ("Antarctica/Troll", 2),
        ("America/Havana", 0),
        ("UTC", 2),
    ] {
        let daily = format!("FREQ=DAILY;BYHOUR={hour};BYMINUTE=15");
        let weekly = format!("FREQ=WEEKLY;BYDAY=TU;BYHOUR={hour};BYMINUTE=15");
        for (pattern, want) in [(daily, 3653), (weekly, 522)] {
            let schedule = schedule(&[&pattern], zone, start);
            let count = schedule
                .next_runs(at(start))
                .take_while(|run| *run < at(end))
                .count();
            assert_eq!(count, want, "{pattern} in {zone}");
        }
    }
}

#[test]
fn the_end_of_time_ends_the_runs() {
    let schedule = schedule(&["FREQ=DAILY;BYHOUR=12"], "UTC", "2026-01-01T00:00:00Z");
    let last = schedule.next_runs(at("9999-12-28T13:00:00Z"));
    let last: Vec<_> = last.map(shown).collect();
    assert_eq!(
        last.last().map(String::as_str),
        Some("9999-12-30T12:00:00Z")
    );
    let never = Decision::Wait {
        until: Timestamp(i64::MAX),
    };
    let end = Timestamp(i64::MAX);
    assert_eq!(schedule.due(end, end), never);
}

#[test]
fn what_is_due() {
    let hourly = &["FREQ=DAILY;BYHOUR=9,10,11"][..];
    let daily = &["FREQ=DAILY;BYHOUR=10"][..];
    let monthly = &["FREQ=DAILY;INTERVAL=30;BYHOUR=10"][..];
    let run = |text| Decision::Run { at: at(text) };
    let wait = |text| Decision::Wait { until: at(text) };
    let missed = |text, run_once| Decision::Missed {
        at: at(text),
        run_once,
    };
    for (what, patterns, settled, now, want) in [
        (
            "not yet",
            daily,
            "2026-03-01T10:00:00Z",
            "2026-03-02T09:59:59.999999Z",
            wait("2026-03-02T10:00:00Z"),
        ),
        (
            "on the instant",
            daily,
            "2026-03-01T10:00:00Z",
            "2026-03-02T10:00:00Z",
            run("2026-03-02T10:00:00Z"),
        ),
        (
            "settled",
            daily,
            "2026-03-02T10:00:00Z",
            "2026-03-02T10:00:00Z",
            wait("2026-03-03T10:00:00Z"),
        ),
        (
            "a little late",
            daily,
            "2026-03-01T10:00:00Z",
            "2026-03-02T10:59:59.999999Z",
            run("2026-03-02T10:00:00Z"),
        ),
        (
            "an hour late",
            daily,
            "2026-03-01T10:00:00Z",
            "2026-03-02T11:00:00Z",
            missed("2026-03-02T10:00:00Z", false),
        ),
        (
            "down over two runs, back in time for the latest",
            hourly,
            "2026-03-02T09:00:00Z",
            "2026-03-02T11:20:00Z",
            missed("2026-03-02T11:00:00Z", true),
        ),
        (
            "down over all of them",
            hourly,
            "2026-03-01T11:00:00Z",
            "2026-03-02T12:00:00Z",
            missed("2026-03-02T11:00:00Z", false),
        ),
        (
            "down for years",
            daily,
            "2026-03-01T10:00:00Z",
            "2031-07-05T10:30:00Z",
            missed("2031-07-05T10:00:00Z", true),
        ),
        (
            "down for two long intervals",
            monthly,
            "2026-01-31T10:00:00Z",
            "2026-04-01T10:30:00Z",
            missed("2026-04-01T10:00:00Z", true),
        ),
        (
            "down for one long interval",
            monthly,
            "2026-03-02T10:00:00Z",
            "2026-04-01T10:30:00Z",
            run("2026-04-01T10:00:00Z"),
        ),
        (
            "bound before it was made, as clocks go",
            daily,
            "2025-12-31T00:00:00Z",
            "2026-01-01T09:00:00Z",
            wait("2026-01-01T10:00:00Z"),
        ),
        (
            "the clock was set back behind the last run",
            daily,
            "2026-03-02T10:00:00Z",
            "2026-03-02T09:58:00Z",
            wait("2026-03-03T10:00:00Z"),
        ),
    ] {
        let schedule = schedule(patterns, "UTC", "2026-01-01T00:00:00Z");
        assert_eq!(schedule.due(at(settled), at(now)), want, "{what}");
    }
}

#[test]
fn a_policy_without_a_zone_runs_in_utc() {
    let policy = |zone: Option<&str>, pattern: &str| Policy {
        id: emberkeep_model::PolicyId(uuid::Uuid::nil()),
        project_id: "p".parse().expect("is an id"),
        user_id: "u".parse().expect("is an id"),
        name: "nightly".to_owned(),
        enabled: true,
        operation_type: emberkeep_model::OperationType::Backup,
        definition: emberkeep_model::OperationDefinition {
            timezone: Some("UTC+03:00".to_owned()),
            ..Default::default()
        },
        patterns: vec![pattern.to_owned()],
        zone: zone.map(str::to_owned),
        created_at: at("2026-07-01T00:00:00Z"),
        updated_at: None,
        revision: 0,
    };
    let first = |zone, pattern| {
        Schedule::of(&policy(zone, pattern))
            .map(|schedule| runs(&schedule, "2026-07-01T00:00:00Z", 1))
    };
    let daily = "FREQ=DAILY;BYHOUR=12";
    let (utc, berlin) = ("2026-07-01T12:00:00Z", "2026-07-01T10:00:00Z");
    assert_eq!(first(None, daily), Ok(vec![utc.to_owned()]));
    assert_eq!(
        first(Some("Europe/Berlin"), daily),
        Ok(vec![berlin.to_owned()])
    );
    let refusals = [(Some("Berlin"), daily), (None, "FREQ=DAILY")]
        .map(|(zone, pattern)| first(zone, pattern).map_err(|error| error.to_string()));
    let want = [
        "'Berlin' is not the name of a time zone, such as Europe/Berlin",
        "pattern 1 'FREQ=DAILY': BYHOUR is missing",
    ];
    assert_eq!(refusals, want.map(|text| Err(text.to_owned())));
}

/// One pattern as numbers: an interval or a set of weekdays, hours and a minute.
#[derive(Debug, Clone)]
struct Numbers {
    interval: Option<i64>,
    weekdays: Vec<i64>,
    hours: Vec<i64>,
    minute: i64,
}

impl Numbers {
    fn text(&self) -> String {
        let list = |numbers: &[i64]| {
            let texts: Vec<_> = numbers.iter().map(i64::to_string).collect();
            texts.join(",")
        };
        let (hours, minute) = (list(&self.hours), self.minute);
        if let Some(interval) = self.interval {
            return format!("BYHOUR={hours};FREQ=DAILY;INTERVAL={interval};BYMINUTE={minute}");
        }
        let names = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"];
        let days: Vec<_> = (0..)
            .zip(names)
            .filter(|(day, _)| self.weekdays.contains(day))
            .map(|(_, name)| name)
            .collect();
        let days = days.join(",");
        format!("FREQ=WEEKLY;BYDAY={days};BYMINUTE={minute};BYHOUR={hours}")
    }

    /// Tells whether the pattern names a minute since 1970, by plain arithmetic.
    fn names(&self, minute: i64, created_minute: i64) -> bool {
        let (day, created_day) = (minute.div_euclid(1440), created_minute.div_euclid(1440));
        // 1970 began on a Thursday.
        let weekday = (day + 3).rem_euclid(7);
        let on_day = match self.interval {
            Some(interval) => (day - created_day).rem_euclid(interval) == 0,
            None => self.weekdays.contains(&weekday),
        };
        let of_day = minute.rem_euclid(1440);
        on_day && of_day % 60 == self.minute && self.hours.contains(&(of_day / 60))
    }
}

fn one_pattern(minute: i64) -> impl Strategy<Value = Numbers> {
    let days = prop_oneof![
        (1..=30i64).prop_map(|interval| (Some(interval), vec![])),
        prop::collection::vec(0..7i64, 1..4).prop_map(|weekdays| (None, weekdays)),
    ];
    (days, prop::collection::vec(0..24i64, 1..4)).prop_map(move |((interval, weekdays), hours)| {
        Numbers {
            interval,
            weekdays,
            hours,
            minute,
        }
    })
}

/// Patterns of one minute, which are never too close to each other.
fn patterns() -> impl Strategy<Value = Vec<Numbers>> {
    (0..60i64).prop_flat_map(|minute| prop::collection::vec(one_pattern(minute), 1..4))
}

fn zone() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "UTC",
        "Europe/Berlin",
        "America/New_York",
        "America/Sao_Paulo",
        "America/St_Johns",
        "Antarctica/Troll",
        "Australia/Lord_Howe",
        "Africa/Casablanca",
        "Asia/Kolkata",
        "Pacific/Apia",
    ])
}

fn build(patterns: &[Numbers], zone: &str, created: Timestamp) -> Schedule {
    let texts: Vec<_> = patterns.iter().map(Numbers::text).collect();
    Schedule::new(
        Patterns::parse(&texts).expect("are patterns"),
        Zone::from_name(zone).expect("is a zone"),
        created,
    )
}

/// An instant from 2005 to 2035, when Newfoundland changed its clocks at midnight and Samoa
/// lost a day, among others.
fn instant() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        3 => (1_104_537_600..2_051_222_400i64).prop_map(|secs| Timestamp(secs * 1_000_000)),
        1 => (0..4 * DAY).prop_map(|secs| at("2011-12-28T00:00:00Z").plus_secs(secs)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn runs_are_those_that_plain_counting_finds(
        patterns in patterns(),
        created in instant(),
    ) {
        let schedule = build(&patterns, "UTC", created);
        let days = 45;
        let created_minute = created.0.div_euclid(60_000_000);
        let want: Vec<_> = (created_minute + 1..=created_minute + days * 1440)
            .filter(|minute| patterns.iter().any(|p| p.names(*minute, created_minute)))
            .map(|minute| Timestamp(minute * 60_000_000))
            .collect();
        let end = Timestamp((created_minute + days * 1440) * 60_000_000);
        let found: Vec<_> = schedule.next_runs(created).take_while(|run| *run <= end).collect();
        prop_assert_eq!(found, want);
    }

    #[test]
    fn runs_strictly_increase_and_do_not_depend_on_where_one_starts(
        patterns in patterns(),
        zone in zone(),
        created in instant(),
        skipped in 0..40usize,
    ) {
        let schedule = build(&patterns, zone, created);
        let runs: Vec<_> = schedule.next_runs(created).take(80).collect();
        prop_assert_eq!(runs.len(), 80);
        prop_assert!(runs[0] > created);
        prop_assert!(runs.is_sorted_by(|one, next| one < next));
        let later: Vec<_> = schedule.next_runs(runs[skipped]).take(79 - skipped).collect();
        prop_assert_eq!(&later, &runs[skipped + 1..]);
        let just_before = Timestamp(runs[skipped].0 - 1);
        prop_assert_eq!(schedule.next_runs(just_before).next(), Some(runs[skipped]));
    }

    #[test]
    fn no_clock_makes_a_run_happen_twice(
        patterns in patterns(),
        zone in zone(),
        created in instant(),
        steps in prop::collection::vec(
            prop_oneof![-3 * DAY..3 * DAY, 0..2 * HOUR, -90 * DAY..90 * DAY],
            1..60,
        ),
    ) {
        let schedule = build(&patterns, zone, created);
        let (mut now, mut settled) = (created, created);
        let mut started = Vec::new();
        for step in steps {
            now = now.plus_secs(step);
            let decision = schedule.due(settled, now);
            if let Decision::Wait { until } = decision {
                prop_assert!(until > now && until > settled);
                prop_assert_eq!(schedule.next_runs(settled.max(now)).next(), Some(until));
            }
            if let Some(at) = decision.run() {
                prop_assert!(at <= now && now < at.plus_secs(HOUR));
                started.push(at);
            }
            if let Some(at) = decision.settles() {
                prop_assert!(settled < at);
                settled = at;
            }
            prop_assert_eq!(schedule.due(settled, now).settles(), None);
        }
        prop_assert!(started.is_sorted_by(|one, next| one < next));
    }

    #[test]
    fn a_steady_clock_misses_nothing(patterns in patterns(), zone in zone(), created in instant()) {
        let schedule = build(&patterns, zone, created);
        let want: Vec<_> = schedule.next_runs(created).take(30).collect();
        let (mut settled, mut now) = (created, created);
        let mut started = Vec::new();
        while started.len() < want.len() {
            match schedule.due(settled, now) {
                Decision::Wait { until } => now = until.plus_secs(20),
                Decision::Run { at } => {
                    started.push(at);
                    settled = at;
                }
                Decision::Missed { at, .. } => panic!("missed {}", shown(at)),
            }
        }
        prop_assert_eq!(started, want);
    }
}
