//! Reading a header value from left to right: linear white space, tokens, quoted strings (RFC 3261 §25.1).
//!
//! Values come here unfolded. Nothing here looks at a byte twice without bound, so that reading is linear in the value.

use crate::message::ParseError;
use std::borrow::Cow;

/// True for the characters of `token`.
const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~')
}

const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = is_token_byte(byte as u8);
        byte += 1;
    }
    table
};

/// True where `text` is a token: not empty, and nothing but token characters.
#[must_use]
pub fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|&byte| TOKEN[usize::from(byte)])
}

/// How many token characters `text` begins with.
pub(crate) fn token_len(text: &[u8]) -> usize {
    text.iter().position(|&byte| !TOKEN[usize::from(byte)]).unwrap_or(text.len())
}

pub(crate) const fn is_lws(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// `text` without white space at either end.
#[must_use]
pub fn trim(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|&b| !is_lws(b)).unwrap_or(text.len());
    let end = text.iter().rposition(|&b| !is_lws(b)).map_or(start, |last| last + 1);
    text.get(start..end).unwrap_or_default()
}

/// A folded value on one line: each line break with the white space around it becomes one space (RFC 3261 §7.3.1).
#[must_use]
pub fn unfold(value: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr2(b'\r', b'\n', value).is_none() {
        return Cow::Borrowed(value);
    }
    let mut out: Vec<u8> = Vec::with_capacity(value.len());
    for line in value.split(|&b| b == b'\n') {
        let line = trim(line);
        if !out.is_empty() && !line.is_empty() {
            out.push(b' ');
        }
        out.extend_from_slice(line);
    }
    Cow::Owned(out)
}

/// A header value being read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scan<'a> {
    rest: &'a [u8],
}

impl<'a> Scan<'a> {
    pub(crate) const fn new(value: &'a [u8]) -> Self {
        Self { rest: value }
    }

    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// Skips white space; true where there was some.
    pub(crate) fn lws(&mut self) -> bool {
        !self.take_while(is_lws).is_empty()
    }

    /// Takes bytes as long as `fits`.
    pub(crate) fn take_while(&mut self, fits: impl Fn(u8) -> bool) -> &'a [u8] {
        let len = self.rest.iter().position(|&b| !fits(b)).unwrap_or(self.rest.len());
        self.take(len)
    }

    /// Takes `len` bytes, or as many as there are.
    pub(crate) fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(len.min(self.rest.len()));
        self.rest = rest;
        taken
    }

    /// Takes one given byte, where it is next.
    pub(crate) fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        if found {
            self.take(1);
        }
        found
    }

    /// Takes one given byte with white space around it (`SLASH`, `SEMI`, `EQUAL`, … of the grammar).
    pub(crate) fn separator(&mut self, byte: u8) -> bool {
        let before = *self;
        self.lws();
        if self.eat(byte) {
            self.lws();
            return true;
        }
        *self = before;
        false
    }

    /// Takes a token.
    pub(crate) fn token(&mut self, expected: &'static str) -> Result<&'a [u8], ParseError> {
        let token = self.take(token_len(self.rest));
        if token.is_empty() { Err(ParseError::syntax(expected)) } else { Ok(token) }
    }

    /// Takes a quoted string, quotes included.
    pub(crate) fn quoted(&mut self) -> Result<&'a [u8], ParseError> {
        let mut escaped = false;
        let inner = self.rest.get(1..).filter(|_| self.peek() == Some(b'"')).unwrap_or_default();
        for (at, &byte) in inner.iter().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => return Ok(self.take(at + 2)),
                _ => {}
            }
        }
        Err(ParseError::syntax("a closing quote"))
    }

    /// Errs where anything but white space is left.
    pub(crate) fn end(mut self) -> Result<(), ParseError> {
        self.lws();
        if self.is_empty() { Ok(()) } else { Err(ParseError::syntax("the end of the value")) }
    }
}

/// The text of a quoted string without its quotes and backslashes; other text as it is.
#[must_use]
pub fn unquote(text: &str) -> Cow<'_, str> {
    let Some(inner) = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return Cow::Borrowed(text);
    };
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        out.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    Cow::Owned(out)
}

/// `text` as a quoted string. Control characters become spaces: no CR, LF or NUL leaves this function.
#[must_use]
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(if c.is_control() { ' ' } else { c });
    }
    out.push('"');
    out
}

/// The values of a comma-separated list, trimmed, in order. Commas inside quotes, angle brackets and comments do not
/// separate; empty items (`a,,b`) are left out. An unclosed quote takes the rest of the list into one value, which its
/// own parser then refuses.
pub fn split_list(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(list);
    std::iter::from_fn(move || {
        while let Some(list) = rest {
            let end = next_comma(list);
            rest = end.and_then(|at| list.get(at + 1..));
            let value = trim(list.get(..end.unwrap_or(list.len())).unwrap_or_default());
            if !value.is_empty() {
                return Some(value);
            }
        }
        None
    })
}

fn next_comma(list: &[u8]) -> Option<usize> {
    memchr::memchr(b',', list)?;
    let (mut quoted, mut escaped, mut brackets, mut comment) = (false, false, false, 0_u32);
    for (at, &byte) in list.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted || comment > 0 => escaped = true,
            b'"' if comment == 0 && !brackets => quoted = !quoted,
            _ if quoted => {}
            b'(' if !brackets => comment += 1,
            b')' if !brackets => comment = comment.saturating_sub(1),
            b'<' if comment == 0 => brackets = true,
            b'>' => brackets = false,
            b',' if !brackets && comment == 0 => return Some(at),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(list: &str) -> Vec<&str> {
        split_list(list.as_bytes()).map(|v| std::str::from_utf8(v).unwrap()).collect()
    }

    #[test]
    fn a_list_is_split_outside_of_quotes_brackets_and_comments() {
        assert_eq!(split("a, b ,c"), ["a", "b", "c"]);
        assert_eq!(split(r#""x, \"y" <sip:a,b@h>;q=1, <sip:c>"#), [r#""x, \"y" <sip:a,b@h>;q=1"#, "<sip:c>"]);
        assert_eq!(split("one (a, (b, c)), two"), ["one (a, (b, c))", "two"]);
        assert_eq!(split(",, a,,"), ["a"]);
        assert_eq!(split(r#""open, b"#), [r#""open, b"#]);
    }

    #[test]
    fn folding_becomes_one_space() {
        assert_eq!(unfold(b"a\r\n \t b\r\n c").as_ref(), b"a b c");
        assert_eq!(unfold(b"\r\n a").as_ref(), b"a");
        assert!(matches!(unfold(b"plain"), Cow::Borrowed(_)));
    }

    #[test]
    fn quoting_round_trips_and_never_lets_a_control_character_out() {
        assert_eq!(unquote(&quote(r#"a "b" \c"#)), r#"a "b" \c"#);
        assert_eq!(quote("a\r\nb\0"), "\"a  b \"");
    }
}
