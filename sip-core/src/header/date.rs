//! Date (RFC 3261 §20.17): checked, never used. A SIP date is in GMT and in no other zone.

use super::scan::is_lws;

const DAYS: [&[u8]; 7] = [b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun"];
const MONTHS: [&[u8]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

/// True where `value` is an RFC 1123 date in GMT: `Sat, 13 Nov 2010 23:29:00 GMT`.
#[must_use]
pub fn is_sip_date(value: &[u8]) -> bool {
    let words: Vec<&[u8]> = value.split(|&b| is_lws(b)).filter(|word| !word.is_empty()).take(7).collect();
    let [weekday, day, month, year, time, zone] = words.as_slice() else { return false };
    let is_day = weekday.strip_suffix(b",").is_some_and(|name| one_of(name, &DAYS));
    let is_date = number(day, 2) && one_of(month, &MONTHS) && number(year, 4);
    is_day && is_date && is_time(time) && zone.eq_ignore_ascii_case(b"GMT")
}

fn is_time(text: &[u8]) -> bool {
    let mut parts = text.split(|&b| b == b':');
    let mut two = || parts.next().is_some_and(|part| number(part, 2));
    two() && two() && two() && parts.next().is_none()
}

fn number(text: &[u8], digits: usize) -> bool {
    text.len() == digits && text.iter().all(u8::is_ascii_digit)
}

fn one_of(text: &[u8], names: &[&[u8]]) -> bool {
    names.iter().any(|name| name.eq_ignore_ascii_case(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_gmt_is_a_zone() {
        assert!(is_sip_date(b"Sat, 13 Nov 2010 23:29:00 GMT"));
        for bad in [
            "Fri, 01 Jan 2010 16:00:00 EST",
            "2010-11-13T23:29:00Z",
            "Sat, 13 Nov 2010 GMT",
            "",
            "Sat, 13 Nov 10 23:29:00 GMT",
        ] {
            assert!(!is_sip_date(bad.as_bytes()), "{bad}");
        }
    }
}
