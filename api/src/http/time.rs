//! Times as the API writes them: RFC 3339, UTC, with milliseconds.

use time::OffsetDateTime;

/// `2026-11-23T03:44:05.123Z` for milliseconds since the Unix epoch. A time beyond the year 9999 is written as its last
/// millisecond.
#[must_use]
pub fn rfc3339(ms: u64) -> String {
    let at = i128::from(ms).saturating_mul(1_000_000);
    let Ok(at) = OffsetDateTime::from_unix_timestamp_nanos(at) else {
        return "9999-12-31T23:59:59.999Z".to_owned();
    };
    let (year, month, day) = at.to_calendar_date();
    let (hour, minute, second, ms) = at.to_hms_milli();
    let month = u8::from(month);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_utc_with_milliseconds_whatever_the_number() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(1_709_210_096_007), "2024-02-29T12:34:56.007Z");
        assert_eq!(rfc3339(u64::MAX), "9999-12-31T23:59:59.999Z");
    }
}
