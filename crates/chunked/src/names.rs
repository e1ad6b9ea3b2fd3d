//! Names and times as Cinder writes them.

use emberkeep_model::Timestamp;
use jiff::tz::TimeZone;

/// Refuses what could lead out of a container; returns why.
pub(crate) fn check_path(path: &str) -> Result<(), &'static str> {
    if path.len() > 4096 {
        return Err("it is too long");
    }
    if path.contains('\0') {
        return Err("it holds a NUL");
    }
    for part in path.split('/') {
        match part {
            "" => return Err("it has an empty part"),
            "." | ".." => return Err("it leads elsewhere"),
            _ => {}
        }
    }
    Ok(())
}

/// `20240501112030`, as it stands in the names of objects.
pub(crate) fn compact_time(time: Timestamp) -> String {
    civil(time).strftime("%Y%m%d%H%M%S").to_string()
}

/// `2024-05-01 11:20:30.655330+00:00`: Python's `str()` of an aware datetime, which has no
/// fraction if it is zero.
pub(crate) fn python_time(time: Timestamp) -> String {
    let civil = civil(time);
    let micros = time.0.rem_euclid(1_000_000);
    let text = civil.strftime("%Y-%m-%d %H:%M:%S").to_string();
    if micros == 0 {
        format!("{text}+00:00")
    } else {
        format!("{text}.{micros:06}+00:00")
    }
}

/// `2024-05-01T11:20:30.655330`, as it stands in a volume's columns.
pub(crate) fn column_time(time: Timestamp) -> String {
    let micros = time.0.rem_euclid(1_000_000);
    let text = civil(time).strftime("%Y-%m-%dT%H:%M:%S").to_string();
    format!("{text}.{micros:06}")
}

fn civil(time: Timestamp) -> jiff::civil::DateTime {
    // Instants beyond the year 9999 have no such form; nothing is backed up then.
    let instant = jiff::Timestamp::from_microsecond(time.0).unwrap_or_default();
    TimeZone::UTC.to_datetime(instant)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_pythons() {
        for (micros, python, compact) in [
            (
                1_711_936_923_001_453,
                "2024-04-01 02:02:03.001453+00:00",
                "20240401020203",
            ),
            (
                1_711_936_923_000_000,
                "2024-04-01 02:02:03+00:00",
                "20240401020203",
            ),
            (-1, "1969-12-31 23:59:59.999999+00:00", "19691231235959"),
        ] {
            assert_eq!(python_time(Timestamp(micros)), python);
            assert_eq!(compact_time(Timestamp(micros)), compact);
        }
        assert_eq!(
            column_time(Timestamp(1_711_936_923_000_000)),
            "2024-04-01T02:02:03.000000"
        );
    }

    #[test]
    fn paths_stay_inside() {
        for (path, fits) in [
            ("a/b", true),
            ("volume_x-00001", true),
            ("..a/b..", true),
            ("", false),
            ("/etc", false),
            ("a/../b", false),
            ("..", false),
            ("a//b", false),
            ("a/.", false),
            ("a\0b", false),
        ] {
            assert_eq!(check_path(path).is_ok(), fits, "{path:?}");
        }
    }
}
