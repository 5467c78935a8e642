//! Sizes and times, as people write and read them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

const UNITS: [(&str, u64); 4] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

/// `64MiB`, `64M`, `64k`, `4096`. Units are powers of 1024.
pub(crate) fn parse_bytes(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1_u64 << 40,
        _ => return Err(format!("{text:?} is no size; write 4096, 64KiB or 64MiB")),
    };
    let number: u64 =
        number.parse().map_err(|_| format!("{text:?} is no size; write 4096, 64KiB or 64MiB"))?;
    number.checked_mul(factor).ok_or_else(|| format!("{text:?} is too large"))
}

/// Exact where it is a whole number of a unit, else with one decimal.
pub(crate) fn bytes(bytes: u64) -> String {
    for (unit, size) in UNITS {
        if bytes >= size {
            return if bytes.is_multiple_of(size) {
                format!("{} {unit}", bytes / size)
            } else {
                format!("{:.1} {unit}", bytes as f64 / size as f64)
            };
        }
    }
    format!("{bytes} B")
}

/// `1 batch`, `2 batches`.
pub(crate) fn counted(count: u64, what: &str) -> String {
    let ending = match (count, what.ends_with("ch")) {
        (1, _) => "",
        (_, true) => "es",
        (_, false) => "s",
    };
    format!("{count} {what}{ending}")
}

/// Seconds since 1970 in UTC, as RFC 3339 with milliseconds.
pub(crate) fn time(at: SystemTime) -> String {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", since.subsec_millis())
}

/// The date of a day counted from 1970-01-01, after Howard Hinnant's `civil_from_days`
/// (<https://howardhinnant.github.io/date_algorithms.html>): years begin in March, so that a leap day ends one.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

fn days_from_civil(year: u64, month: u64, day: u64) -> Option<u64> {
    let year = if month <= 2 { year.checked_sub(1)? } else { year };
    let (era, year_of_era) = (year / 400, year % 400);
    let day_of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    (era * 146_097 + day_of_era).checked_sub(719_468)
}

/// A time: RFC 3339 (`2026-05-01T12:00:00Z`, with an offset, or a date alone, in UTC), or so long ago (`2h`, `30m`, `1d`).
pub(crate) fn parse_time(text: &str) -> Result<SystemTime, String> {
    if let Some(ago) = parse_duration(text) {
        return SystemTime::now().checked_sub(ago).ok_or_else(|| format!("{text:?} is too long ago"));
    }
    let seconds = parse_rfc3339(text).ok_or_else(|| {
        format!("{text:?} is no time; write 2026-05-01T12:00:00Z, 2026-05-01, or 2h for two hours ago")
    })?;
    UNIX_EPOCH.checked_add(seconds).ok_or_else(|| format!("{text:?} is too far away"))
}

/// `300ms`, `10s`, `30m`, `2h`, `1d`.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let seconds = match unit {
        "ms" => return Some(Duration::from_millis(number)),
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    number.checked_mul(seconds).map(Duration::from_secs)
}

fn parse_rfc3339(text: &str) -> Option<Duration> {
    let number = |range: std::ops::Range<usize>| -> Option<u64> {
        let digits = text.get(range)?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
    };
    let is = |at: usize, wanted: &[u8]| text.as_bytes().get(at).is_some_and(|byte| wanted.contains(byte));
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let last = match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !is(4, b"-") || !is(7, b"-") || day == 0 || day > last {
        return None;
    }
    let days = days_from_civil(year, month, day)?;
    if text.len() == 10 {
        return Some(Duration::from_secs(days * 86_400));
    }
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    if !is(10, b"Tt ") || !is(13, b":") || !is(16, b":") || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (fraction, zone) = fraction_and_zone(text.get(19..)?)?;
    let local = days * 86_400 + hour * 3600 + minute * 60 + second;
    let utc = local.checked_add_signed(zone)?;
    Some(Duration::from_secs(utc) + fraction)
}

/// What follows the seconds; the zone as what is to be added to come to UTC.
fn fraction_and_zone(rest: &str) -> Option<(Duration, i64)> {
    let (fraction, zone) = match rest.strip_prefix('.') {
        None => (Duration::ZERO, rest),
        Some(rest) => {
            let end = rest.find(|c: char| !c.is_ascii_digit())?;
            let digits = rest.get(..end.min(9)).filter(|digits| !digits.is_empty())?;
            let nanos: u32 = digits.parse().ok()?;
            (Duration::from_nanos(u64::from(nanos) * 10_u64.pow(9 - digits.len() as u32)), rest.get(end..)?)
        }
    };
    if zone == "Z" || zone == "z" {
        return Some((fraction, 0));
    }
    let sign = match zone.as_bytes().first()? {
        b'+' => -1,
        b'-' => 1,
        _ => return None,
    };
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
    let fits = (0..24).contains(&hours) && (0..60).contains(&minutes);
    fits.then_some((fraction, sign * (hours * 3600 + minutes * 60)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_written() {
        for (text, size) in
            [("0", 0), ("4096", 4096), ("64KiB", 65_536), ("64 MiB", 64 << 20), ("2g", 2 << 30)]
        {
            assert_eq!(parse_bytes(text), Ok(size), "{text}");
        }
        for text in ["", "MiB", "1.5MiB", "-1", "64MB", "99999999999TiB", "0x10"] {
            assert!(parse_bytes(text).is_err(), "{text}");
        }
        let texts = [0, 1023, 1024, 1536, 64 << 20, 5 << 30].map(bytes);
        assert_eq!(texts, ["0 B", "1023 B", "1 KiB", "1.5 KiB", "64 MiB", "5 GiB"]);
    }

    #[test]
    fn times_round_trip_over_leap_years_and_centuries() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00.000Z", 0),
            ("2000-02-29T23:59:59.000Z", 951_868_799),
            ("2024-12-31T00:00:00.000Z", 1_735_603_200),
            ("2026-11-26T13:40:03.000Z", 1_795_700_403),
            ("2100-03-01T00:00:00.000Z", 4_107_542_400),
        ] {
            let at = UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!(parse_time(text), Ok(at), "{text}");
            assert_eq!(time(at), text);
        }
        let noon = UNIX_EPOCH + Duration::from_secs(951_825_600);
        for text in ["2000-02-29T12:00:00Z", "2000-02-29T14:30:00+02:30", "2000-02-29 07:00:00-05:00"] {
            assert_eq!(parse_time(text), Ok(noon), "{text}");
        }
        assert_eq!(parse_time("2000-02-29"), Ok(noon - Duration::from_secs(43_200)));
        assert_eq!(parse_time("2000-02-29T12:00:00.25Z"), Ok(noon + Duration::from_millis(250)));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "h",
            "2x",
            "2001-02-29",
            "2000-13-01",
            "2000-1-1",
            "2000-01-01T25:00:00Z",
            "2000-01-01T12:00:00",
            "1900-01-01",
        ] {
            assert!(parse_time(text).is_err(), "{text}");
        }
        assert_eq!(parse_duration("2h"), Some(Duration::from_secs(7200)));
        assert_eq!(parse_duration("300ms"), Some(Duration::from_millis(300)));
        assert_eq!(parse_duration("99999999999999999999d"), None);
    }
}
