//! What a caller does with others: a recording, a bridge, a conference, a referral, each between two inputs.

use super::ends::{BridgeEnd, BridgeStatus, ConferenceEnd, Outcome, Recording, ReferEnd};
use super::io::{BridgeId, ConferenceId, Output, RecordId, ReferId};
use super::outbox::Outbox;
use crate::answer::{Bridge, Conference, Record, Refer, Then};
use crate::limits::SETTLE_S;
use base::Now;
use std::time::Duration;

/// One of them, with what is to be run when it is over.
#[derive(Clone, Debug)]
pub(super) struct Talking {
    kind: Kind,
    pub(super) then: Then,
    /// The time at which it is ended; while it ends, the time at which its end is no longer waited for.
    until: Option<u64>,
    ending: bool,
    /// Since when the caller speaks with somebody.
    since: Option<Now>,
}

#[derive(Clone, Debug)]
enum Kind {
    Record { id: RecordId, record: Box<Record>, key: Option<char>, began_ms: u64 },
    Bridge { id: BridgeId, limit_s: Option<u32>, star: bool },
    Conference { id: ConferenceId, star: bool },
    Refer { id: ReferId },
}

/// What ends one of them.
#[derive(Clone, Debug)]
pub(super) enum End {
    Record(RecordId, Recording),
    Bridge(BridgeId, BridgeEnd),
    Conference(ConferenceId, ConferenceEnd),
    Refer(ReferId, ReferEnd),
}

/// Seconds that a transfer may take: the switch's own timers are shorter.
const REFER_S: u64 = 120;

fn after(now: Now, seconds: u64) -> u64 {
    now.after(Duration::from_secs(seconds))
}

impl Talking {
    pub(super) fn record(record: Box<Record>, now: Now, out: &mut Outbox) -> Self {
        let id = out.record(record.options.clone());
        let until = Some(after(now, u64::from(record.options.max_s) + SETTLE_S));
        let then = record.then.clone();
        let kind = Kind::Record { id, record, key: None, began_ms: now.wall };
        Self { kind, then, until, ending: false, since: Some(now) }
    }

    pub(super) fn bridge(with: Bridge, out: &mut Outbox) -> Self {
        let (limit_s, star, then) = (with.time_limit_s, with.hangup_on_star, with.then.clone());
        let id = out.bridge(with);
        Self { kind: Kind::Bridge { id, limit_s, star }, then, until: None, ending: false, since: None }
    }

    pub(super) fn conference(room: &Conference, now: Now, out: &mut Outbox) -> Self {
        let id = out.conference(room);
        let until = room.time_limit_s.map(|limit| after(now, limit.into()));
        let kind = Kind::Conference { id, star: room.hangup_on_star };
        Self { kind, then: room.then.clone(), until, ending: false, since: Some(now) }
    }

    pub(super) fn refer(refer: Refer, now: Now, out: &mut Outbox) -> Self {
        let id = out.refer(refer.to);
        let until = Some(after(now, REFER_S));
        Self { kind: Kind::Refer { id }, then: refer.then, until, ending: true, since: None }
    }

    pub(super) const fn deadline(&self) -> Option<u64> {
        self.until
    }

    /// The record verb, where this is one.
    pub(super) fn recording(&self) -> Option<&Record> {
        match &self.kind {
            Kind::Record { record, .. } => Some(record),
            _ => None,
        }
    }

    pub(super) fn answered(&mut self, bridge: BridgeId, now: Now) {
        if let Kind::Bridge { id, limit_s, .. } = self.kind
            && id == bridge
            && self.since.is_none()
        {
            self.since = Some(now);
            if !self.ending {
                self.until = limit_s.map(|limit| after(now, limit.into()));
            }
        }
    }

    /// A key of the caller: one that ends a recording, or the `*` that ends a conversation.
    pub(super) fn key(&mut self, pressed: char, now: Now, out: &mut Outbox) {
        match &mut self.kind {
            Kind::Record { record, key, .. } if !self.ending && record.finish_on.contains(pressed) => {
                *key = Some(pressed);
            }
            Kind::Bridge { star: true, .. } | Kind::Conference { star: true, .. }
                if pressed == '*' && self.since.is_some() => {}
            _ => return,
        }
        self.end(now, out);
    }

    /// Asks for its end, once.
    pub(super) fn end(&mut self, now: Now, out: &mut Outbox) {
        if std::mem::replace(&mut self.ending, true) {
            return;
        }
        self.stop(out);
        self.until = Some(after(now, SETTLE_S));
    }

    pub(super) fn stop(&self, out: &mut Outbox) {
        match self.kind {
            Kind::Record { id, .. } => out.push(Output::StopRecord { record: id }),
            Kind::Bridge { id, .. } => out.push(Output::Unbridge { bridge: id }),
            Kind::Conference { id, .. } => out.push(Output::LeaveConference { conference: id }),
            Kind::Refer { .. } => {}
        }
    }

    /// The caller has gone: its end is waited for, not asked for.
    pub(super) fn gone(&mut self, now: Now) {
        self.ending = true;
        self.until = Some(after(now, SETTLE_S));
    }

    /// At its time: ended, and after that no longer waited for.
    pub(super) fn woken(&mut self, now: Now, gone: bool, out: &mut Outbox) -> Option<Outcome> {
        if self.until.is_none_or(|until| now.mono < until) {
            return None;
        }
        if !self.ending {
            self.end(now, out);
            return None;
        }
        Some(self.unreported(now, gone))
    }

    /// What is known of an end that nobody has reported.
    fn unreported(&self, now: Now, gone: bool) -> Outcome {
        let seconds = self.since.map(|since| u32::try_from(now.since(since).as_secs()).unwrap_or(u32::MAX));
        match &self.kind {
            Kind::Record { began_ms, .. } => {
                self.recorded(Recording { started_ms: *began_ms, channels: 1, ..Recording::default() }, gone)
            }
            Kind::Bridge { .. } => {
                let status = match (seconds, gone) {
                    (Some(_), _) => BridgeStatus::Completed,
                    (None, true) => BridgeStatus::Canceled,
                    (None, false) => BridgeStatus::NoAnswer,
                };
                let bridged = seconds.is_some();
                Outcome::Bridged(BridgeEnd { status, duration_s: seconds, bridged, ..BridgeEnd::default() })
            }
            Kind::Conference { .. } => Outcome::Conferenced(ConferenceEnd::default()),
            Kind::Refer { .. } => Outcome::Referred(ReferEnd::default()),
        }
    }

    fn recorded(&self, recording: Recording, gone: bool) -> Outcome {
        let key = match &self.kind {
            Kind::Record { key, .. } => key.map(String::from),
            _ => None,
        };
        let ended_by = if gone { Some("hangup".to_owned()) } else { key };
        Outcome::Recorded { recording, ended_by }
    }

    /// What a report makes of it, where it is about this one.
    pub(super) fn ended(&self, end: End, gone: bool) -> Option<Outcome> {
        match (&self.kind, end) {
            (Kind::Record { id, .. }, End::Record(ended, recording)) if *id == ended => {
                Some(self.recorded(recording, gone))
            }
            (Kind::Bridge { id, .. }, End::Bridge(ended, end)) if *id == ended => Some(Outcome::Bridged(end)),
            (Kind::Conference { id, .. }, End::Conference(ended, end)) if *id == ended => {
                Some(Outcome::Conferenced(end))
            }
            (Kind::Refer { id }, End::Refer(ended, end)) if *id == ended => Some(Outcome::Referred(end)),
            _ => None,
        }
    }
}
