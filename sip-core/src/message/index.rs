//! The lazy index: where each header line lies in the message, and nothing more (RFC 3261 §7.3).
//!
//! One pass over the header section, no allocation below [`INLINE`] lines. Values are not looked at here.

use super::error::{Fault, ParseError, Part};
use super::{MAX_HEADERS, MAX_LINE_BYTES, Name, lookup};
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
        self.on_one_line(self.raw(bytes))
    }

    /// A part of this line's value, on one line.
    pub(super) fn on_one_line(self, part: &[u8]) -> Cow<'_, [u8]> {
        if self.folded { unfold(part) } else { Cow::Borrowed(part) }
    }
}

/// All header lines, in order.
pub(super) type Index = SmallVec<[Line; INLINE]>;

/// Finds the end of the line that starts at `from`: the offset of its CR.
#[inline]
pub(super) fn line_end(bytes: &[u8], from: usize, part: Part) -> Result<usize, ParseError> {
    let rest = bytes.get(from..).unwrap_or_default();
    match memchr::memchr2(b'\r', b'\n', rest) {
        Some(len) if len <= MAX_LINE_BYTES && rest[len..].starts_with(b"\r\n") => Ok(from + len),
        found => Err(why_no_line(rest, found, part)),
    }
}

/// What is wrong with a line where the first CR or LF was `found`.
#[cold]
fn why_no_line(rest: &[u8], found: Option<usize>, part: Part) -> ParseError {
    match found.map(|len| (len, rest.get(len..))) {
        None | Some((_, Some(b"\r"))) => ParseError::new(Part::Message, Fault::NoEndOfHeaders),
        Some((len, _)) if len > MAX_LINE_BYTES => ParseError::new(part, Fault::LineTooLong),
        Some(_) => ParseError::new(part, Fault::BareLineBreak),
    }
}

/// Indexes the header section that starts at `at` into `lines`; gives the offset of the body.
#[inline]
pub(super) fn index(bytes: &[u8], mut at: usize, lines: &mut Index) -> Result<usize, ParseError> {
    while !bytes.get(at..).unwrap_or_default().starts_with(b"\r\n") {
        if lines.len() == MAX_HEADERS {
            return Err(ParseError::new(Part::Message, Fault::TooManyHeaders));
        }
        at = header_line(bytes, at, lines)?;
    }
    Ok(at + 2)
}

/// Indexes one header line with its continuations; gives the offset after it.
#[inline]
fn header_line(bytes: &[u8], at: usize, lines: &mut Index) -> Result<usize, ParseError> {
    let end = line_end(bytes, at, Part::Message)?;
    let first = &bytes[at..end];
    let near = bytes[at..].first_chunk().and_then(lookup::colon);
    let colon = near.or_else(|| memchr::memchr(b':', first)).filter(|&colon| colon < first.len());
    let colon = colon.ok_or(ParseError::new(Part::Message, Fault::NoColon))?;
    let text = blank_end_trimmed(&first[..colon]);
    let name = Name::at_start_of(&bytes[at..], text.len());
    // A known name is a token by itself.
    if name == Name::Other && !is_token(text) {
        return Err(ParseError::new(Part::Message, Fault::BadHeaderName));
    }
    let folded = matches!(bytes.get(end + 2), Some(b' ' | b'\t'));
    let end = if folded { end_of_continuations(bytes, at, end, name)? } else { end };
    let value = trimmed(bytes, at + colon + 1, end);
    lines.push(Line { name, folded, text: Span::new(at, at + text.len()), value });
    Ok(end + 2)
}

/// The end of a folded value that began at `start` (RFC 3261 §7.3.1).
fn end_of_continuations(bytes: &[u8], start: usize, mut end: usize, name: Name) -> Result<usize, ParseError> {
    while matches!(bytes.get(end + 2), Some(b' ' | b'\t')) {
        end = line_end(bytes, end + 2, Part::Header(name))?;
        if end - start > MAX_LINE_BYTES {
            return Err(ParseError::new(Part::Header(name), Fault::LineTooLong));
        }
    }
    Ok(end)
}

/// A name without the white space before its colon.
fn blank_end_trimmed(mut name: &[u8]) -> &[u8] {
    while let [rest @ .., b' ' | b'\t'] = name {
        name = rest;
    }
    name
}

/// The span from `start` to `end` without white space at either end.
#[inline]
fn trimmed(bytes: &[u8], mut start: usize, end: usize) -> Span {
    let mut value = bytes.get(start..end).unwrap_or_default();
    while let [first, rest @ ..] = value
        && is_lws(*first)
    {
        (value, start) = (rest, start + 1);
    }
    while let [rest @ .., last] = value
        && is_lws(*last)
    {
        value = rest;
    }
    Span::new(start, start + value.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn indexed(lines: usize) -> Index {
        let text = "A: b\r\n".repeat(lines) + "\r\n";
        let mut found = Index::new();
        assert_eq!(index(text.as_bytes(), 0, &mut found), Ok(text.len()));
        found
    }

    #[test]
    fn a_carriers_invite_is_indexed_without_the_heap() {
        assert!(!indexed(INLINE).spilled());
        assert_eq!(indexed(INLINE + 1).len(), INLINE + 1);
    }

    #[test]
    fn a_colon_on_the_next_line_belongs_to_no_name() {
        let mut found = Index::new();
        let error = index(b"no colon\r\nVia: x\r\n\r\n", 0, &mut found);
        assert_eq!(error, Err(ParseError::new(Part::Message, Fault::NoColon)));
    }
}
