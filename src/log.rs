//! Logs: structured, on standard error; `TANDEM_LOG` selects (`info` by default), `TANDEM_LOG_FORMAT=json` for machines.
//! Where `log.redact_numbers` says so, telephone numbers are made unreadable but for their last two digits.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use tracing_subscriber::EnvFilter;

/// Whether numbers are made unreadable.
static REDACTS: AtomicBool = AtomicBool::new(false);

/// Starts logging; once a process.
pub fn start(default: &str) {
    let filter = EnvFilter::try_from_env("TANDEM_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| Lines)
        .with_ansi(io::stderr().is_terminal())
        .with_target(false);
    let json = std::env::var("TANDEM_LOG_FORMAT").is_ok_and(|format| format == "json");
    let started = if json { builder.json().try_init() } else { builder.try_init() };
    if let Err(error) = started {
        tracing::debug!(%error, "logging was started before");
    }
}

/// Makes numbers unreadable from now on, or no longer.
pub fn redact_numbers(redacts: bool) {
    REDACTS.store(redacts, Ordering::Relaxed);
}

/// Standard error, a line at a time.
struct Lines;

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if REDACTS.load(Ordering::Relaxed) {
            io::stderr().write_all(&redacted(line))?;
            return Ok(line.len());
        }
        io::stderr().write(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// What stands before a number that could be mistaken for another figure.
const MARKS: [&[u8]; 5] = [b"+", b"%2B", b"%2b", b"sip:", b"tel:"];

/// Digits that are a number behind a mark; a shorter one is an extension, or a port.
const MARKED: std::ops::RangeInclusive<usize> = 5..=18;

/// Digits that are a number by themselves: E.164 without its plus.
const PLAIN: std::ops::RangeInclusive<usize> = 10..=15;

/// Digits at its end that are left of a number.
const LEFT: usize = 2;

fn redacted(line: &[u8]) -> Cow<'_, [u8]> {
    let mut copy = Cow::Borrowed(line);
    let mut at = 0;
    while let Some(found) = line.get(at..).and_then(|rest| rest.iter().position(u8::is_ascii_digit)) {
        let start = at + found;
        let digits = line.iter().skip(start).take_while(|octet| octet.is_ascii_digit()).count();
        at = start + digits;
        if is_number(line, start, digits) {
            copy.to_mut().iter_mut().skip(start).take(digits - LEFT).for_each(|octet| *octet = b'x');
        }
    }
    copy
}

fn is_number(line: &[u8], start: usize, digits: usize) -> bool {
    let before = line.get(..start).unwrap_or_default();
    if MARKS.iter().any(|mark| before.ends_with(mark)) {
        return MARKED.contains(&digits);
    }
    let apart =
        |octet: Option<&u8>| octet.is_none_or(|octet| !octet.is_ascii_alphanumeric() && !b"._-".contains(octet));
    PLAIN.contains(&digits) && apart(before.last()) && apart(line.get(start + digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_unreadable_and_other_figures_are_not() {
        let table = [
            ("to=+18325550100 ended", "to=+xxxxxxxxx00 ended"),
            ("GET /v1/numbers/%2B18325550100", "GET /v1/numbers/%2Bxxxxxxxxx00"),
            ("INVITE sip:18325550100@127.0.0.1:5060", "INVITE sip:xxxxxxxxx00@127.0.0.1:5060"),
            ("{\"to\":\"18325550100\"}", "{\"to\":\"xxxxxxxxx00\"}"),
            (
                "2026-11-28T19:59:22.123456Z  INFO addr=127.0.0.1:40123",
                "2026-11-28T19:59:22.123456Z  INFO addr=127.0.0.1:40123",
            ),
            ("sid=CA0123456789012345678901234567890a", "sid=CA0123456789012345678901234567890a"),
            ("took=0.12345678901 sip:1001@pbx", "took=0.12345678901 sip:1001@pbx"),
        ];
        for (line, expected) in table {
            assert_eq!(String::from_utf8_lossy(&redacted(line.as_bytes())), expected);
        }
    }
}
