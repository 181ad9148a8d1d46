//! A message written anew with some of its lines changed. What is not changed stays as it was, in its order.

use bytes::Bytes;
use sip_core::message::{Message, Name};

/// What becomes of a header line.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    /// It stays.
    Keep,
    /// It goes.
    Drop,
    /// It gets another value.
    Replace(String),
}

/// A message being changed.
pub struct Rewrite<'a> {
    message: &'a Message,
    start: Vec<u8>,
    first: Vec<(&'static str, String)>,
    lines: Vec<(&'a [u8], Vec<u8>)>,
    last: Vec<(&'static str, String)>,
}

impl<'a> Rewrite<'a> {
    /// The message as it is.
    pub fn of(message: &'a Message) -> Self {
        let raw = message.raw();
        let begin = raw.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or(0);
        let line = raw.get(begin..).unwrap_or_default();
        let end = line.iter().position(|byte| matches!(byte, b'\r' | b'\n')).unwrap_or(line.len());
        let start = line.get(..end).unwrap_or_default().to_vec();
        let lines = message.headers().map(|(name, value)| (name, value.into_owned())).collect();
        Self { message, start, first: Vec::new(), lines, last: Vec::new() }
    }

    /// Another first line.
    pub fn start(&mut self, line: &str) {
        self.start = line.as_bytes().to_vec();
    }

    /// A header line before all others.
    pub fn first(&mut self, name: &'static str, value: &str) {
        self.first.push((name, value.to_owned()));
    }

    /// A header line behind all others.
    pub fn last(&mut self, name: &'static str, value: &str) {
        self.last.push((name, value.to_owned()));
    }

    /// Changes lines.
    pub fn edit(&mut self, mut edit: impl FnMut(Name, &[u8]) -> Line) {
        self.lines.retain_mut(|(name, value)| match edit(Name::from_bytes(name), value) {
            Line::Keep => true,
            Line::Drop => false,
            Line::Replace(other) => {
                *value = other.into_bytes();
                true
            }
        });
    }

    /// The message.
    pub fn build(self) -> Bytes {
        let mut out = Vec::with_capacity(self.message.raw().len() + 256);
        let mut line = |name: &[u8], value: &[u8]| {
            for part in [name, b": ".as_slice(), value, b"\r\n"] {
                out.extend_from_slice(part);
            }
        };
        for (name, value) in &self.first {
            line(name.as_bytes(), value.as_bytes());
        }
        for (name, value) in &self.lines {
            line(name, value);
        }
        for (name, value) in &self.last {
            line(name.as_bytes(), value.as_bytes());
        }
        [&self.start, b"\r\n".as_slice(), &out, b"\r\n", self.message.body()].concat().into()
    }
}
