//! Messages out of a byte stream (RFC 3261 §7.5, §18.3), and the keep-alives between them (RFC 5626 §4.4.1).
//!
//! Bytes come in cut anywhere; what goes out does not depend on the cuts. Each byte is looked at a constant number of
//! times. Where one message ends and the next begins rests on Content-Length alone, so any doubt about it ends the
//! stream: what follows can no longer be told from a body. This file never guesses a length, and knows no time: that a
//! message does not stay unfinished for ever is the endpoint's to see to, by [`StreamFramer::has_partial`].

mod fuzz;

pub use fuzz::fuzz;

use crate::message::MAX_MESSAGE_BYTES;
use bytes::{Buf as _, Bytes, BytesMut};
use memchr::memmem;
use thiserror::Error;

const END_OF_HEADERS: &[u8] = b"\r\n\r\n";

/// What a stream holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Framed {
    /// One message with its body, to be parsed.
    Message(Bytes),
    /// The second CRLF of a ping: to be answered with a single CRLF (RFC 5626 §4.4.1).
    KeepAlivePing,
    /// A single CRLF between messages: the answer to our ping. The first half of a peer's ping cannot be told from it,
    /// and shows as one; either way the peer is alive.
    Pong,
}

/// Why a stream cannot be read any further. The flow is to be closed, after the answer if there is one.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{fault}")]
pub struct FrameError {
    /// What was wrong.
    pub fault: FrameFault,
    /// What there is of the message: its header section at most. An answer can be made from it if it is a request's.
    pub salvage: Bytes,
}

/// What was wrong with a message on a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FrameFault {
    /// No Content-Length, which a stream must have (RFC 3261 §18.3).
    #[error("no Content-Length on a stream")]
    NoContentLength,
    /// A Content-Length that is no number.
    #[error("Content-Length is not a number")]
    BadContentLength,
    /// Several that differ.
    #[error("more than one Content-Length")]
    ConflictingContentLength,
    /// Headers and Content-Length add up to more than [`MAX_MESSAGE_BYTES`].
    #[error("the message is too large")]
    BodyTooLarge,
    /// [`MAX_MESSAGE_BYTES`] without an end of the headers.
    #[error("the header section is too large")]
    HeadersTooLarge,
}

impl FrameFault {
    /// The status that a request is answered with: 400, 413 or 513 (RFC 3261 §21).
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::NoContentLength | Self::BadContentLength | Self::ConflictingContentLength => 400,
            Self::BodyTooLarge => 413,
            Self::HeadersTooLarge => 513,
        }
    }
}

/// One direction of one stream. Push what has come and take everything before the next push: no more is then held than
/// one unfinished message, [`MAX_MESSAGE_BYTES`] at most.
#[derive(Debug, Default)]
pub struct StreamFramer {
    buffer: BytesMut,
    /// How far the search for the end of the headers has come.
    scanned: usize,
    /// The length of the message at the front, once its headers are complete.
    length: Option<usize>,
    /// The last thing was a CRLF that may be the first of a ping's two.
    half_ping: bool,
    failed: bool,
}

impl StreamFramer {
    /// Takes some bytes; none after an error.
    pub fn push(&mut self, bytes: &[u8]) {
        if !self.failed {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// True where a message has begun and not ended. A flow on which this stays so for long is to be closed.
    #[must_use]
    pub fn has_partial(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// True between messages.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.buffer.is_empty()
    }

    fn keep_alive(&mut self) -> Option<Framed> {
        while self.buffer.first() == Some(&b'\n') {
            self.buffer.advance(1);
        }
        if !self.buffer.starts_with(b"\r\n") {
            return None;
        }
        self.buffer.advance(2);
        self.half_ping = !self.half_ping;
        Some(if self.half_ping { Framed::Pong } else { Framed::KeepAlivePing })
    }

    fn message(&mut self) -> Result<Option<Framed>, FrameFault> {
        let Some(length) = self.message_length()? else { return Ok(None) };
        if self.buffer.len() < length {
            return Ok(None);
        }
        let message = self.buffer.split_to(length).freeze();
        (self.length, self.scanned) = (None, 0);
        Ok(Some(Framed::Message(message)))
    }

    /// The length of the message at the front, where its headers are complete.
    fn message_length(&mut self) -> Result<Option<usize>, FrameFault> {
        if self.length.is_some() {
            return Ok(self.length);
        }
        // The end may have begun in what was seen before.
        let from = self.scanned.saturating_sub(END_OF_HEADERS.len() - 1);
        let unseen = self.buffer.get(from..).unwrap_or_default();
        let Some(found) = memmem::find(unseen, END_OF_HEADERS) else {
            self.scanned = self.buffer.len();
            let is_too_large = self.scanned > MAX_MESSAGE_BYTES;
            return if is_too_large { Err(FrameFault::HeadersTooLarge) } else { Ok(None) };
        };
        let head = from + found + END_OF_HEADERS.len();
        self.scanned = head;
        if head > MAX_MESSAGE_BYTES {
            return Err(FrameFault::HeadersTooLarge);
        }
        let body = content_length(self.buffer.get(..head - 2).unwrap_or_default())?;
        self.length = Some(head.saturating_add(body)).filter(|length| *length <= MAX_MESSAGE_BYTES);
        self.length.map(Some).ok_or(FrameFault::BodyTooLarge)
    }

    fn fail(&mut self, fault: FrameFault) -> FrameError {
        self.failed = true;
        let mut salvage = std::mem::take(&mut self.buffer);
        salvage.truncate(self.scanned.min(MAX_MESSAGE_BYTES));
        FrameError { fault, salvage: salvage.freeze() }
    }
}

/// What is complete, in order; `None` until more bytes have come, and for ever after an error.
impl Iterator for StreamFramer {
    type Item = Result<Framed, FrameError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.scanned == 0
            && let Some(framed) = self.keep_alive()
        {
            return Some(Ok(framed));
        }
        if self.buffer.is_empty() {
            // An idle flow holds no memory.
            self.buffer = BytesMut::new();
            return None;
        }
        if *self.buffer == *b"\r" {
            // It may become a keep-alive or the beginning of a message.
            return None;
        }
        self.half_ping = false;
        match self.message() {
            Ok(framed) => framed.map(Ok),
            Err(fault) => Some(Err(self.fail(fault))),
        }
    }
}

/// The Content-Length of a header section, start line and all, each line with its end.
fn content_length(head: &[u8]) -> Result<usize, FrameFault> {
    let mut found = None;
    let mut lines = head;
    while let Some((line, rest)) = logical_line(lines) {
        lines = rest;
        let Some(value) = content_length_value(line) else { continue };
        let length = number(value)?;
        if found.is_some_and(|other| other != length) {
            return Err(FrameFault::ConflictingContentLength);
        }
        found = Some(length);
    }
    found.ok_or(FrameFault::NoContentLength)
}

/// The first line with its continuations (RFC 3261 §7.3.1), and what follows.
fn logical_line(lines: &[u8]) -> Option<(&[u8], &[u8])> {
    let ends = memmem::find_iter(lines, b"\r\n");
    let end = ends.into_iter().find(|end| !matches!(lines.get(end + 2), Some(b' ' | b'\t')))?;
    Some((lines.get(..end)?, lines.get(end + 2..)?))
}

/// The value of a line that is a Content-Length in any spelling: case, compact form, space before the colon.
fn content_length_value(line: &[u8]) -> Option<&[u8]> {
    let colon = memchr::memchr(b':', line)?;
    let (name, value) = (line.get(..colon)?.trim_ascii_end(), line.get(colon + 1..)?);
    let is_length = name.eq_ignore_ascii_case(b"Content-Length") || name.eq_ignore_ascii_case(b"l");
    is_length.then(|| value.trim_ascii())
}

/// Digits and nothing else. A number beyond any memory is still a number, only too large.
fn number(value: &[u8]) -> Result<usize, FrameFault> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(FrameFault::BadContentLength);
    }
    let add = |sum: usize, digit: &u8| sum.saturating_mul(10).saturating_add(usize::from(digit - b'0'));
    Ok(value.iter().fold(0, add))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(head: &str, body: &str) -> Vec<u8> {
        format!("OPTIONS sip:a SIP/2.0\r\n{head}\r\n\r\n{body}").into_bytes()
    }

    /// All that comes out of a stream that is fed in pieces of the given lengths, over and over.
    fn feed(stream: &[u8], cuts: &[usize]) -> Vec<Result<Framed, FrameError>> {
        let (mut framer, mut out, mut rest) = (StreamFramer::default(), Vec::new(), stream);
        for cut in cuts.iter().cycle() {
            let (now, later) = rest.split_at((*cut).clamp(1, rest.len().max(1)).min(rest.len()));
            framer.push(now);
            out.extend(framer.by_ref());
            rest = later;
            if rest.is_empty() {
                return out;
            }
        }
        out
    }

    fn whole(stream: &[u8]) -> Vec<Result<Framed, FrameError>> {
        feed(stream, &[usize::MAX])
    }

    fn framed(bytes: &[u8]) -> Result<Framed, FrameError> {
        Ok(Framed::Message(Bytes::copy_from_slice(bytes)))
    }

    fn fault(head: &str) -> FrameFault {
        let bytes = message(head, "12345");
        let out = whole(&bytes);
        let [Err(error)] = out.as_slice() else { panic!("{head:?}: {out:?}") };
        let headers = memmem::find(&bytes, END_OF_HEADERS).unwrap() + 4;
        assert_eq!(error.salvage, bytes[..headers], "the headers are there to be answered");
        error.fault
    }

    #[test]
    fn twenty_messages_in_one_piece_and_one_message_in_twenty_pieces_are_the_same() {
        let one = message("Content-Length: 6", "a\r\n\r\nb");
        let expected: Vec<_> = (0..20).map(|_| framed(&one)).collect();
        for cut in [1, 2, 3, 7, one.len() - 1, usize::MAX] {
            assert_eq!(feed(&one.repeat(20), &[cut]), expected, "in pieces of {cut}");
        }
    }

    #[test]
    fn reads_content_length_in_any_legal_spelling() {
        for head in [
            "Content-Length: 5",
            "content-length:5",
            "CONTENT-LENGTH \t :\t 5  ",
            "l: 5",
            "L:00000005",
            "Content-Length:\r\n  5",
            "Content-Length:\r\n\t\r\n 5\r\n ",
            "l: 5\r\nContent-Length: 5",
            "Subject: Content-Length: 9\r\nl: 5",
            "Subject: x\r\n Content-Length: 9\r\nl: 5",
            "X-Content-Length: 9\r\nl: 5\r\nContent-Length-X: 7",
        ] {
            let bytes = message(head, "12345");
            assert_eq!(whole(&bytes), [framed(&bytes)], "{head:?}");
        }
    }

    #[test]
    fn refuses_a_length_that_is_in_doubt() {
        let table = [
            ("Subject: x", FrameFault::NoContentLength),
            ("Subject: Content-Length: 5", FrameFault::NoContentLength),
            ("Content-Length: -1", FrameFault::BadContentLength),
            ("Content-Length: +5", FrameFault::BadContentLength),
            ("Content-Length: ", FrameFault::BadContentLength),
            ("Content-Length: 1 1", FrameFault::BadContentLength),
            ("Content-Length: 1\r\n 1", FrameFault::BadContentLength),
            ("Content-Length: 5, 5", FrameFault::BadContentLength),
            ("Content-Length: 0x5", FrameFault::BadContentLength),
            ("Content-Length: 5\r\nl: 6", FrameFault::ConflictingContentLength),
            ("Content-Length: 65535", FrameFault::BodyTooLarge),
            ("Content-Length: 2147483648", FrameFault::BodyTooLarge),
            ("Content-Length: 4294967296", FrameFault::BodyTooLarge),
            ("Content-Length: 18446744073709551616", FrameFault::BodyTooLarge),
            ("Content-Length: 99999999999999999999999999999999999999999", FrameFault::BodyTooLarge),
        ];
        for (head, expected) in table {
            assert_eq!(fault(head), expected, "{head:?}");
        }
    }

    #[test]
    fn says_nothing_more_after_an_error() {
        let mut framer = StreamFramer::default();
        framer.push(&message("Subject: x", ""));
        assert_eq!(framer.next().unwrap().unwrap_err().fault.status(), 400);
        framer.push(&message("l: 0", ""));
        assert_eq!(framer.next(), None);
        assert!(framer.is_idle(), "and holds nothing");
    }

    #[test]
    fn refuses_headers_without_an_end() {
        for cut in [1, 1000, usize::MAX] {
            let out = feed(&vec![b'x'; 2 * MAX_MESSAGE_BYTES], &[cut]);
            let [Err(error)] = out.as_slice() else { panic!("{out:?}") };
            assert_eq!((error.fault.status(), error.salvage.len()), (513, MAX_MESSAGE_BYTES));
        }
        let late = [vec![b'x'; MAX_MESSAGE_BYTES], b"\r\nl:0\r\n\r\n".to_vec()].concat();
        assert_eq!(whole(&late)[0].as_ref().unwrap_err().fault, FrameFault::HeadersTooLarge);
    }

    #[test]
    fn takes_a_message_of_exactly_the_largest_size() {
        let padding = MAX_MESSAGE_BYTES - message("p:\r\nl: 65000", "").len() - 65_000;
        let bytes = message(&format!("p:{}\r\nl: 65000", "x".repeat(padding)), &"b".repeat(65_000));
        assert_eq!(bytes.len(), MAX_MESSAGE_BYTES);
        assert_eq!(whole(&bytes), [framed(&bytes)]);
    }

    #[test]
    fn never_looks_twice_for_the_end_of_the_headers() {
        let mut framer = StreamFramer::default();
        for byte in [b'x'; 5000] {
            framer.push(&[byte]);
            assert_eq!(framer.next(), None);
            assert_eq!(framer.scanned, framer.buffer.len());
        }
    }

    #[test]
    fn a_double_crlf_is_a_ping_and_a_single_one_a_pong() {
        let one = message("l: 0", "");
        let stream = [b"\r\n".as_slice(), &one, b"\r\n\r\n", &one, b"\n\r\n\r\n\r\n"].concat();
        let (pong, ping) = (Ok(Framed::Pong), Ok(Framed::KeepAlivePing));
        let expected = [pong.clone(), framed(&one), pong.clone(), ping.clone(), framed(&one), pong.clone(), ping, pong];
        for cut in [1, 2, 3, 5, usize::MAX] {
            assert_eq!(feed(&stream, &[cut]), expected, "in pieces of {cut}");
        }
    }

    #[test]
    fn knows_whether_a_message_is_unfinished() {
        let mut framer = StreamFramer::default();
        for (bytes, partial) in
            [("\r\n", false), ("OPTIONS", true), (" sip:a SIP/2.0\r\nl:1\r\n\r\n", true), ("x", false)]
        {
            framer.push(bytes.as_bytes());
            assert_eq!(framer.by_ref().filter_map(Result::err).count(), 0);
            assert_eq!((framer.has_partial(), framer.is_idle()), (partial, !partial), "after {bytes:?}");
        }
    }

    fn element() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            4 => proptest::collection::vec(any::<u8>(), 0..60)
                .prop_map(|body| [message(&format!("l: {}", body.len()), ""), body].concat()),
            2 => Just(b"\r\n".to_vec()),
            2 => Just(b"\r\n\r\n".to_vec()),
            1 => Just(b"\n".to_vec()),
            1 => "[\r\nlL: 0-9a]{0,12}".prop_map(String::into_bytes),
        ]
    }

    proptest! {
        /// What comes out does not depend on where the stream was cut.
        #[test]
        fn cuts_do_not_matter(
            elements in proptest::collection::vec(element(), 0..8),
            cuts in proptest::collection::vec(1usize..40, 1..8),
        ) {
            let stream = elements.concat();
            prop_assert_eq!(feed(&stream, &cuts), whole(&stream));
        }

        #[test]
        fn the_fuzz_target_holds(elements in proptest::collection::vec(element(), 0..8), cut in any::<u8>()) {
            fuzz(&[vec![cut], elements.concat()].concat());
        }

        /// Every message that went in comes out whole.
        #[test]
        fn bodies_of_any_bytes_come_out_whole(
            bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 0..6),
            cuts in proptest::collection::vec(1usize..300, 1..8),
        ) {
            let messages: Vec<_> = bodies.iter()
                .map(|body| [message(&format!("Content-Length: {}", body.len()), ""), body.clone()].concat())
                .collect();
            let expected: Vec<_> = messages.iter().map(|bytes| framed(bytes)).collect();
            prop_assert_eq!(feed(&messages.concat(), &cuts), expected);
        }
    }
}
