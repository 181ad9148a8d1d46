//! The lazy index: where each header line lies in the message, and nothing more (RFC 3261 §7.3).
//!
//! One pass over the header section, no allocation below [`INLINE`] lines. Values are not looked at here.

use super::error::{Fault, ParseError, Part};
use super::{MAX_HEADERS, MAX_LINE_BYTES, Name};
use crate::header::scan::{is_lws, is_token, unfold};
use smallvec::SmallVec;
use std::borrow::Cow;

/// Header lines that are indexed without an allocation; more move the index to the heap. A carrier's INVITE has 15 to 30.
const INLINE: usize = 32;

/// A part of the message. Offsets fit 16 bits because a message is at most [`super::MAX_MESSAGE_BYTES`] long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    start: u16,
    end: u16,
}

impl Span {
    pub(super) const fn new(start: usize, end: usize) -> Self {
        Self { start: start as u16, end: end as u16 }
    }

    pub(super) fn of(self, bytes: &[u8]) -> &[u8] {
        bytes.get(usize::from(self.start)..usize::from(self.end)).unwrap_or_default()
    }
}

/// One header line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    pub(super) name: Name,
    folded: bool,
    text: Span,
    value: Span,
}

impl Line {
    /// The name as it was written.
    pub(super) fn name_text(self, bytes: &[u8]) -> &[u8] {
        self.text.of(bytes)
    }

    /// The value as it was written, without white space around it.
    pub(super) fn raw(self, bytes: &[u8]) -> &[u8] {
        self.value.of(bytes)
    }

    /// The value on one line.
    pub(super) fn value(self, bytes: &[u8]) -> Cow<'_, [u8]> {
        if self.folded { unfold(self.raw(bytes)) } else { Cow::Borrowed(self.raw(bytes)) }
    }
}

/// All header lines, in order.
pub(super) type Index = SmallVec<[Line; INLINE]>;

/// Finds the end of the line that starts at `from`: the offset of its CR.
pub(super) fn line_end(bytes: &[u8], from: usize, part: Part) -> Result<usize, ParseError> {
    let rest = bytes.get(from..).unwrap_or_default();
    let Some(len) = memchr::memchr2(b'\r', b'\n', rest) else {
        return Err(ParseError::new(Part::Message, Fault::NoEndOfHeaders));
    };
    if len > MAX_LINE_BYTES {
        return Err(ParseError::new(part, Fault::LineTooLong));
    }
    match (rest.get(len), rest.get(len + 1)) {
        (Some(b'\r'), Some(b'\n')) => Ok(from + len),
        (Some(b'\r'), None) => Err(ParseError::new(Part::Message, Fault::NoEndOfHeaders)),
        _ => Err(ParseError::new(part, Fault::BareLineBreak)),
    }
}

/// Indexes the header section that starts at `at`; gives the index and the offset of the body.
pub(super) fn index(bytes: &[u8], mut at: usize) -> Result<(Index, usize), ParseError> {
    let mut lines = Index::new();
    loop {
        if bytes.get(at..at + 2) == Some(b"\r\n") {
            return Ok((lines, at + 2));
        }
        if lines.len() == MAX_HEADERS {
            return Err(ParseError::new(Part::Message, Fault::TooManyHeaders));
        }
        let (line, next) = header_line(bytes, at)?;
        lines.push(line);
        at = next;
    }
}

/// Reads one header line with its continuations; gives it and the offset after it.
fn header_line(bytes: &[u8], at: usize) -> Result<(Line, usize), ParseError> {
    let mut end = line_end(bytes, at, Part::Message)?;
    let first = bytes.get(at..end).unwrap_or_default();
    let colon = memchr::memchr(b':', first).ok_or(ParseError::new(Part::Message, Fault::NoColon))?;
    let name_len = first[..colon].iter().rposition(|&b| !matches!(b, b' ' | b'\t')).map_or(0, |last| last + 1);
    let text = &first[..name_len];
    let name = Name::from_bytes(text);
    if name == Name::Other && !is_token(text) {
        return Err(ParseError::new(Part::Message, Fault::BadHeaderName));
    }
    let mut folded = false;
    while matches!(bytes.get(end + 2), Some(b' ' | b'\t')) {
        folded = true;
        end = line_end(bytes, end + 2, Part::Header(name))?;
        if end - at > MAX_LINE_BYTES {
            return Err(ParseError::new(Part::Header(name), Fault::LineTooLong));
        }
    }
    let value = trimmed(bytes, at + colon + 1, end);
    Ok((Line { name, folded, text: Span::new(at, at + name_len), value }, end + 2))
}

/// The span from `start` to `end` without white space at either end.
fn trimmed(bytes: &[u8], mut start: usize, mut end: usize) -> Span {
    while start < end && bytes.get(start).copied().is_some_and(is_lws) {
        start += 1;
    }
    while start < end && bytes.get(end - 1).copied().is_some_and(is_lws) {
        end -= 1;
    }
    Span::new(start, end)
}
