//! Requests inside a call that change nothing of it. Keys come by INFO (the field's `application/dtmf-relay`, and
//! `application/dtmf`), from phones that send no telephone-events, whether they offered them or not.

use super::{Call, Stage};
use crate::Fact;
use crate::desk::Desk;
use crate::letter::Letter;
use base::Now;
use sip_core::endpoint::InDialogId;
use sip_core::message::{Message, Method, Name, StatusCode};
use std::collections::VecDeque;

/// Keys a second that a far end may press by INFO: the same as by RTP. More are answered 503 and not heard.
pub(crate) const MAX_KEYS_PER_SECOND: u32 = media::MAX_DIGITS_PER_SECOND;
/// How long a key is held that was pressed for the other leg, and how long nothing follows it, in milliseconds.
const TONE_MS: (u16, u16) = (100, 60);
/// What the field calls a key with its length.
const RELAY: &str = "application/dtmf-relay";
/// Within so many nanoseconds a tone and an INFO of the same key are one press.
const SAME_PRESS: u64 = 3 * SECOND;
/// Keys heard as tones that are remembered until the first INFO; more take the oldest's place.
const MAX_TONES: usize = 32;
/// Nanoseconds in a second.
const SECOND: u64 = 1_000_000_000;

impl Call {
    /// A request inside the dialog that is no other's business.
    pub(crate) fn on_request(&mut self, id: InDialogId, request: &Message, desk: &mut Desk, now: Now) {
        let Some(session) = self.leg.session else { return };
        let status = self.judge(request, desk, now);
        desk.endpoint.answer_request(session, id, status, Vec::new(), None, now);
    }

    fn judge(&mut self, request: &Message, desk: &mut Desk, now: Now) -> StatusCode {
        match request.method() {
            Method::Info => {}
            // The one package that there is, `refer`, is the user agent's own; none at all is no package (RFC 6665 §4.2.3).
            Method::Subscribe | Method::Notify => return StatusCode::BAD_EVENT,
            _ => return StatusCode::METHOD_NOT_ALLOWED,
        }
        let content = request.header_str(Name::ContentType).unwrap_or_default();
        let content = content.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let key = match content.as_str() {
            // RFC 6086 §4.2.2: an INFO without a body is a sign of life, and answered.
            "" => return StatusCode::OK,
            RELAY => relayed(request.body()),
            "application/dtmf" => plain(request.body()),
            _ => return StatusCode::UNSUPPORTED_MEDIA_TYPE,
        };
        let Some((digit, duration_ms)) = key else { return StatusCode::BAD_REQUEST };
        if self.leg.keys.come_as_events() {
            // The same key comes as a telephone-event; twice heard is twice pressed.
            return StatusCode::OK;
        }
        if !self.leg.keys.admits(now) {
            return StatusCode::SERVICE_UNAVAILABLE;
        }
        if self.leg.keys.was_heard(digit, now) {
            // A phone may send its keys by INFO and as tones besides: this one was heard as a tone before it was told of.
            return StatusCode::OK;
        }
        if self.leg.keys_by_rtp {
            // Many phones offer events, and are set to INFO: until an event comes, this is all there is of the key.
            self.leg.keys.tells(digit, now);
        }
        if let Stage::Talking(_) = self.stage {
            self.record(Fact::Digit { digit, duration_ms }, desk, now);
            self.on_program(ivr::Input::Digit(digit), desk, now);
            if let Some(peer) = self.peer {
                desk.letters.push_back((peer, Letter::Key(digit)));
            }
        }
        StatusCode::OK
    }

    /// The other leg's far end has pressed a key that no packet of its carries.
    /// It is pressed for this one's as it takes keys.
    pub(super) fn press(&self, key: char, desk: &mut Desk, now: Now) {
        let (tone_ms, gap_ms) = TONE_MS;
        if self.leg.takes_keys {
            let digits = key.to_string();
            return self.with_media(desk, |id| media::Command::SendDigits { id, digits, tone_ms, gap_ms });
        }
        let Some(session) = self.leg.session else { return };
        let text = format!("Signal={key}\r\nDuration={tone_ms}\r\n");
        let body = Some((RELAY.to_owned(), text.into_bytes().into()));
        if let Err(error) = desk.endpoint.send_request(session, Method::Info, Vec::new(), body, now) {
            tracing::warn!(%error, "a key could not be passed on");
        }
    }
}

/// `Signal=5` and `Duration=160`, a line each.
fn relayed(body: &[u8]) -> Option<(char, u32)> {
    let text = std::str::from_utf8(body).ok()?;
    let value = |name: &str| {
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        pairs.filter(|(key, _)| key.trim().eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
    };
    let duration = value("Duration").and_then(|value| value.parse().ok()).unwrap_or(u32::from(TONE_MS.0));
    Some((one_key(value("Signal")?)?, duration.min(10_000)))
}

fn plain(body: &[u8]) -> Option<(char, u32)> {
    let key = one_key(std::str::from_utf8(body).ok()?.trim())?;
    Some((key, u32::from(TONE_MS.0)))
}

/// A key as it is written: itself, or the number of its event (RFC 4733 §3.2: 10 is `*`, 11 is `#`).
fn one_key(text: &str) -> Option<char> {
    match text {
        "10" => Some('*'),
        "11" => Some('#'),
        "12" | "13" | "14" | "15" => text.bytes().last().map(|last| char::from(b'A' + last - b'2')),
        _ => {
            let mut letters = text.chars();
            let key = letters.next()?.to_ascii_uppercase();
            (letters.next().is_none() && matches!(key, '0'..='9' | '*' | '#' | 'A'..='D')).then_some(key)
        }
    }
}

/// The keys of a far end that come by INFO: how many within a second, and those heard as tones before the first of them.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    since: u64,
    count: u32,
    /// One has come: what is heard as a tone from now on says the same again.
    by_info: bool,
    /// A telephone-event has come: what comes by INFO from now on says the same again.
    by_event: bool,
    /// The keys that came by INFO where events were agreed on and none had come, and when (monotonic nanoseconds).
    told: VecDeque<(char, u64)>,
    /// The keys that were heard as tones before, and when (monotonic nanoseconds).
    tones: VecDeque<(char, u64)>,
}

impl Keys {
    /// A key was heard in the sound; whether it counts.
    pub(super) fn hears(&mut self, key: char, now: Now) -> bool {
        if self.by_info {
            return false;
        }
        if self.tones.len() >= MAX_TONES {
            self.tones.pop_front();
        }
        self.tones.push_back((key, now.mono));
        true
    }

    /// A key has come as a telephone-event; whether it counts. One that had come by INFO, before it was known that this far
    /// end sends both, has.
    pub(super) fn hears_event(&mut self, key: char, now: Now) -> bool {
        self.by_event = true;
        self.told.retain(|(_, at)| now.mono.saturating_sub(*at) < SAME_PRESS);
        let found = self.told.iter().position(|(told, _)| *told == key);
        if let Some(at) = found {
            self.told.drain(..=at);
        }
        found.is_none()
    }

    const fn come_as_events(&self) -> bool {
        self.by_event
    }

    /// A key counts that has come by INFO although events were agreed on.
    fn tells(&mut self, key: char, now: Now) {
        if self.told.len() >= MAX_TONES {
            self.told.pop_front();
        }
        self.told.push_back((key, now.mono));
    }

    /// A key has come by INFO; whether it has counted as a tone, as only those can have that came before the first INFO.
    fn was_heard(&mut self, key: char, now: Now) -> bool {
        self.by_info = true;
        self.tones.retain(|(_, at)| now.mono.saturating_sub(*at) < SAME_PRESS);
        let found = self.tones.iter().position(|(tone, _)| *tone == key);
        if let Some(at) = found {
            self.tones.drain(..=at);
        }
        found.is_some()
    }

    fn admits(&mut self, now: Now) -> bool {
        if now.mono.saturating_sub(self.since) >= SECOND {
            (self.since, self.count) = (now.mono, 0);
        }
        self.count += 1;
        self.count <= MAX_KEYS_PER_SECOND
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_events_were_agreed_on_a_key_counts_once_however_it_comes() {
        let at = |ms| Now::new(base::millis(ms), ms);
        // A phone that offers events and is set to INFO.
        let mut keys = Keys::default();
        assert!(!keys.come_as_events());
        keys.tells('5', at(0));
        assert!(!keys.come_as_events(), "all that there is of its keys");
        // One that sends both, INFO first: the event of the same press is the same key, those after it count and INFO does not.
        assert!(!keys.hears_event('5', at(80)));
        assert!(keys.come_as_events());
        assert!(keys.hears_event('5', at(400)));
        // One that sends both, the event first.
        let mut keys = Keys::default();
        assert!(keys.hears_event('1', at(0)));
        assert!(keys.come_as_events());
        // One that is set to events in the middle of a call.
        let mut keys = Keys::default();
        keys.tells('7', at(0));
        assert!(keys.hears_event('7', at(5_000)), "another press");
    }

    #[test]
    fn reads_a_key_as_phones_write_it() {
        let table = [
            (b"Signal=5\r\nDuration=160\r\n".as_slice(), Some(('5', 160))),
            (b"signal= # \nduration=90", Some(('#', 90))),
            (b"Signal=11", Some(('#', 100))),
            (b"Signal=15", Some(('D', 100))),
            (b"Duration=100", None),
            (b"Signal=55", None),
            (b"\xff", None),
        ];
        for (body, key) in table {
            assert_eq!(relayed(body), key, "{}", body.escape_ascii());
        }
        assert_eq!((plain(b"7\r\n"), plain(b"")), (Some(('7', 100)), None));
    }

    #[test]
    fn a_key_that_comes_as_a_tone_and_by_info_counts_once_whichever_comes_first() {
        let at = |ms: u64| Now::new((5_000 + ms) * 1_000_000, 0);
        let mut tone_first = Keys::default();
        assert!(tone_first.hears('5', at(0)));
        assert!(tone_first.was_heard('5', at(300)));
        // From now on the INFOs count, and no tone does.
        assert!(!tone_first.was_heard('5', at(600)));
        assert!(!tone_first.hears('5', at(700)));
        let mut info_first = Keys::default();
        assert!(!info_first.was_heard('7', at(0)));
        assert!(!info_first.hears('7', at(100)));
        // It comes when the next one is heard already.
        let mut late = Keys::default();
        assert!(late.hears('1', at(0)) && late.hears('2', at(300)));
        assert!(late.was_heard('1', at(400)) && late.was_heard('2', at(700)) && !late.was_heard('3', at(900)));
        let mut another = Keys::default();
        assert!(another.hears('1', at(0)));
        assert!(!another.was_heard('2', at(300)));
    }

    #[test]
    fn ten_thousand_streams_of_keys_that_come_as_tones_and_by_info_count_each_once_and_in_order() {
        for seed in 0..10_000 {
            let mut rng = base::Rng::from_u64(seed);
            let pressed: Vec<char> = (0..12).map(|_| char::from(b"0123456789*#"[rng.below(12) as usize])).collect();
            // Each is heard 60 to 200 ms after it was pressed, and told of 10 to 900; INFOs keep their order (RFC 3261 §12.2).
            let mut happens: Vec<(u64, bool, char)> = Vec::new();
            let (mut at, mut told) = (5_000, 0);
            for key in &pressed {
                at += 250 + rng.below(400);
                told = (at + 10 + rng.below(890)).max(told + 1);
                happens.extend([(at + 60 + rng.below(140), false, *key), (told, true, *key)]);
            }
            happens.sort_unstable();
            let mut keys = Keys::default();
            let counts = |(ms, by_info, key): &(u64, bool, char)| {
                let now = Now::new(ms * 1_000_000, 0);
                let fresh = if *by_info { !keys.was_heard(*key, now) } else { keys.hears(*key, now) };
                fresh.then_some(*key)
            };
            let counted: Vec<char> = happens.iter().filter_map(counts).collect();
            assert_eq!(counted, pressed, "seed {seed}: {happens:?}");
        }
    }

    #[test]
    fn a_flood_of_keys_is_cut_off_and_the_next_second_is_another() {
        let mut keys = Keys::default();
        let now = Now::new(5 * SECOND, 0);
        assert!((0..MAX_KEYS_PER_SECOND).all(|_| keys.admits(now)));
        assert!(!keys.admits(now));
        assert!(keys.admits(now.plus(std::time::Duration::from_secs(1))));
    }
}
