//! Percent escapes (RFC 3261 §19.1.2, §25.1; RFC 2396 §2.4).

use crate::message::ParseError;
use std::borrow::Cow;

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// What a byte may be in a URI: bits of the sets below.
const CLASS: [u8; 256] = classes();
const UNRESERVED: u8 = 1;
const USER: u8 = 2;
const PARAM: u8 = 4;
/// Where a URI ends, or cannot be.
const DOUBT: u8 = 8;
/// Has no place in a SIP URI, or starts an escape: looked at closely.
const CLOSELY: u8 = 16;

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        table[i] = match i as u8 {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => UNRESERVED | USER | PARAM,
            b'-' | b'_' | b'.' | b'!' | b'~' | b'*' | b'\'' | b'(' | b')' => UNRESERVED | USER | PARAM,
            b'&' | b'+' | b'$' | b'/' => USER | PARAM,
            b'=' | b',' | b';' | b'?' => USER,
            b'[' | b']' | b':' => PARAM,
            0..=b' ' | 0x7f | b'"' | b'<' | b'>' => DOUBT,
            b'%' | b'#' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' | 0x80.. => CLOSELY,
            b'@' => 0,
        };
        i += 1;
    }
    table
}

const fn is(byte: u8, class: u8) -> bool {
    CLASS[byte as usize] & class != 0
}

/// `unreserved` of the grammar: what is the same escaped and plain.
const fn is_unreserved(byte: u8) -> bool {
    is(byte, UNRESERVED)
}

/// What stands plain in a user part: `unreserved / user-unreserved`.
pub(super) const fn is_user(byte: u8) -> bool {
    is(byte, USER)
}

/// What stands plain in a parameter's name or value: `unreserved / param-unreserved`.
pub(super) const fn is_param(byte: u8) -> bool {
    is(byte, PARAM)
}

/// A header's value as it stands after `?` in a URI: `unreserved / hnv-unreserved`.
pub(crate) fn escape_header(text: &str) -> Cow<'_, str> {
    escape(text, |byte| is_unreserved(byte) || matches!(byte, b'[' | b']' | b'/' | b'?' | b':' | b'+' | b'$'))
}

/// `text` with every byte escaped that does not fit.
pub(super) fn escape(text: &str, fits: impl Fn(u8) -> bool) -> Cow<'_, str> {
    if text.bytes().all(&fits) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for byte in text.bytes() {
        if fits(byte) { out.push(char::from(byte)) } else { push_escaped(&mut out, byte) }
    }
    Cow::Owned(out)
}

fn push_escaped(out: &mut String, byte: u8) {
    out.push('%');
    out.push(char::from(HEX[usize::from(byte >> 4)]));
    out.push(char::from(HEX[usize::from(byte & 15)]));
}

/// The bytes that `text` stands for. A `%` without two digits after it stands for itself.
pub(crate) fn unescape(text: &str) -> Cow<'_, [u8]> {
    let bytes = text.as_bytes();
    if memchr::memchr(b'%', bytes).is_none() {
        return Cow::Borrowed(bytes);
    }
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let decoded = escaped(bytes, at);
        out.push(decoded.unwrap_or(byte));
        at += if decoded.is_some() { 3 } else { 1 };
    }
    Cow::Owned(out)
}

/// `text` in the one form in which equivalent escapes are equal (RFC 3261 §19.1.4): unreserved characters plain, all
/// others escaped with capital digits where they were escaped.
pub(super) fn normal(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    if memchr::memchr(b'%', bytes).is_none() {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match escaped(bytes, at) {
            Some(plain) if is_unreserved(plain) => out.push(char::from(plain)),
            Some(other) => push_escaped(&mut out, other),
            None => out.push(char::from(byte)),
        }
        at += if escaped(bytes, at).is_some() { 3 } else { 1 };
    }
    Cow::Owned(out)
}

/// The byte that an escape at `at` stands for.
fn escaped(bytes: &[u8], at: usize) -> Option<u8> {
    let [b'%', high, low] = *bytes.get(at..at + 3)? else { return None };
    Some((nibble(high)? << 4) | nibble(low)?)
}

const fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// A URI as it arrived, made fit to be written again. What the grammar has no place for but devices send anyway (`#123`,
/// umlauts, a lone `%`) is escaped, which changes nothing of what it means; `verbatim` ASCII stays as it is.
///
/// # Errors
/// On white space, control characters, quotes and angle brackets: there the URI's own end is in doubt (RFC 4475
/// §3.1.2.6, §3.1.2.7).
pub(super) fn clean(text: &[u8], verbatim: &[u8]) -> Result<String, ParseError> {
    let all = text.iter().fold(0, |all, &byte| all | CLASS[usize::from(byte)]);
    if all & DOUBT != 0 {
        return Err(ParseError::syntax("a URI without spaces, quotes or brackets"));
    }
    let mut out = String::with_capacity(text.len());
    if all & CLOSELY == 0
        && let Ok(text) = std::str::from_utf8(text)
    {
        out.push_str(text);
        return Ok(out);
    }
    for (at, &byte) in text.iter().enumerate() {
        let stays = !is(byte, CLOSELY) || verbatim.contains(&byte) || escaped(text, at).is_some();
        if stays { out.push(char::from(byte)) } else { push_escaped(&mut out, byte) }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_of_unreserved_characters_are_equal_to_them_and_others_are_not() {
        assert_eq!(normal("%6A%6a-%7E"), "jj-~");
        assert_eq!(normal("a%40b%3a"), "a%40b%3A");
        assert_eq!(normal("100%"), "100%");
    }

    #[test]
    fn escaping_round_trips_every_byte_below_128() {
        let all: String = (0..128u8).map(char::from).collect();
        let escaped = escape(&all, is_user);
        assert!(escaped.bytes().all(|b| is_user(b) || b == b'%'));
        assert_eq!(unescape(&escaped).as_ref(), all.as_bytes());
    }

    #[test]
    fn cleaning_escapes_what_devices_send_and_refuses_what_hides_an_end() {
        assert_eq!(clean(b"sip:#1{2}@h", b"").unwrap(), "sip:%231%7B2%7D@h");
        assert_eq!(clean("sip:zoë%@h".as_bytes(), b"").unwrap(), "sip:zo%C3%AB%25@h");
        for bad in ["a b", "a\t", "a\r\n", "<a>", "\"a\"", "a\0"] {
            assert!(clean(bad.as_bytes(), b"").is_err(), "{bad:?}");
        }
    }
}
