//! `Range` (RFC 9110 §14), in the words of the file server: it knows the numbers that a u64 holds, and of the sets those of
//! one range.

use axum::http::{HeaderMap, HeaderValue, header};

/// Makes the field say the same in numbers that the file server reads, for a file of so many octets; takes it away where
/// it is to be ignored: a unit that is none of ours (§14.2), a set that is none, several ranges (§15.3.7: the whole is
/// always a right answer).
pub(super) fn settle(headers: &mut HeaderMap, length: u64) {
    let Some(field) = headers.remove(header::RANGE) else { return };
    let settled = field.to_str().ok().and_then(|field| bounded(field, length));
    if let Some(value) = settled.and_then(|field| HeaderValue::try_from(field).ok()) {
        headers.insert(header::RANGE, value);
    }
}

fn bounded(field: &str, length: u64) -> Option<String> {
    let (unit, set) = field.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (first, last) = set.trim().split_once('-')?;
    match (number(first), number(last)) {
        // The last octets; a file that has fewer is meant whole (§14.1.2).
        (None, Some(last)) if first.is_empty() && last >= length => Some("bytes=0-".to_owned()),
        (None, Some(last)) if first.is_empty() => Some(format!("bytes=-{last}")),
        (Some(first), None) if last.is_empty() => Some(format!("bytes={first}-")),
        (Some(first), Some(last)) if first <= last => Some(format!("bytes={first}-{last}")),
        _ => None,
    }
}

/// A number of any length; one beyond all files is as good as another.
fn number(digits: &str) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.bytes().all(|octet| octet.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_said_in_numbers_that_are_understood_and_what_is_none_is_ignored() {
        let table = [
            ("bytes=10-19", Some("bytes=10-19")),
            ("BYTES = 010-019", Some("bytes=10-19")),
            ("bytes=10-99999999999999999999999", Some("bytes=10-18446744073709551615")),
            ("bytes=99999999999999999999-", Some("bytes=18446744073709551615-")),
            (
                "bytes=99999999999999999999-99999999999999999999",
                Some("bytes=18446744073709551615-18446744073709551615"),
            ),
            ("bytes=-20", Some("bytes=-20")),
            ("bytes=-100", Some("bytes=0-")),
            ("bytes=-99999999999999999999", Some("bytes=0-")),
            ("bytes=-0", Some("bytes=-0")),
            ("bytes=20-10", None),
            ("bytes=0-1,5-6", None),
            ("lines=1-2", None),
            ("bytes=a-b", None),
            ("bytes=-", None),
            ("bytes", None),
        ];
        for (asked, settled) in table {
            assert_eq!(bounded(asked, 100).as_deref(), settled, "{asked}");
        }
    }
}
