//! Who is told of a conference, in Twilio's form (TWILIO.md §3.6): by the first member who names somebody, until the
//! conference is over.

use super::Call;
use super::room::{RoomKey, Rooms, Stay};
use crate::desk::Desk;
use crate::letter::Letter;
use crate::{CallSid, Owed};
use base::Now;
use ivr::Callback;
use ivr::callbacks::{self, ConferenceEvent, Member};

/// What is told of a conference, and in whose books.
#[derive(Debug)]
pub(super) struct Minutes {
    callback: Callback,
    /// The member in whose books it stands who is told of what, so that it arrives in its order: the one that has named
    /// it, and when that has gone another.
    teller: CallSid,
    /// Events so far, those that nobody has asked for included.
    sequence: u32,
}

/// One event, and the word by which it is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Minute {
    Start,
    End,
    Join,
    Leave,
    Muted(bool),
    Held(bool),
}

/// Why a conference is over, as its last event says it, and with whose going.
#[derive(Clone, Copy, Debug)]
pub(super) struct Closing {
    pub(super) reason: &'static str,
    pub(super) by: CallSid,
}

impl Minute {
    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Start => ("conference-start", "start"),
            Self::End => ("conference-end", "end"),
            Self::Join => ("participant-join", "join"),
            Self::Leave => ("participant-leave", "leave"),
            Self::Muted(true) => ("participant-mute", "mute"),
            Self::Muted(false) => ("participant-unmute", "mute"),
            Self::Held(true) => ("participant-hold", "hold"),
            Self::Held(false) => ("participant-unhold", "hold"),
        }
    }
}

impl Minutes {
    pub(super) const fn new(callback: Callback, teller: CallSid) -> Self {
        Self { callback, teller, sequence: 0 }
    }

    /// What is owed of it, where somebody wants to hear of it.
    fn owed(
        &mut self,
        minute: Minute,
        (account, conference_sid, name): (&str, &str, &str),
        member: Option<Member>,
        closing: Option<Closing>,
        now: Now,
    ) -> Option<Owed> {
        self.sequence += 1;
        let (event, word) = minute.words();
        if !self.callback.events.iter().any(|wanted| wanted == word) {
            return None;
        }
        let pair = |name: &str, value: String| (name.to_owned(), value);
        let extra = closing.map(|Closing { reason, by }| {
            [pair("ReasonConferenceEnded", reason.to_owned()), pair("CallSidEndingConference", by.to_string())]
        });
        let event = ConferenceEvent {
            name: event.to_owned(),
            conference_sid: conference_sid.to_owned(),
            friendly_name: name.to_owned(),
            sequence: self.sequence,
            at_ms: now.wall,
            member,
            extra: extra.into_iter().flatten().collect(),
        };
        let params = callbacks::conference(account, &event);
        Some(Owed::new(event.name, &callbacks::request(&self.callback, params, 0)))
    }
}

impl Rooms {
    /// Whoever a member names is told from now on, where nobody is yet.
    pub(super) fn tell_to(&mut self, key: &RoomKey, callback: Option<Callback>, teller: CallSid) {
        if let (Some(held), Some(callback)) = (self.held_mut(key), callback) {
            held.minutes.get_or_insert_with(|| Minutes::new(callback, teller));
        }
    }

    /// A member has gone; if it was the one that tells, its heir goes on.
    pub(super) fn tell_on(&mut self, key: &RoomKey, gone: CallSid, heir: CallSid) {
        let minutes = self.held_mut(key).and_then(|held| held.minutes.as_mut());
        if let Some(minutes) = minutes.filter(|minutes| minutes.teller == gone) {
            minutes.teller = heir;
        }
    }
}

impl Desk {
    /// Tells of an event of a conference that is held, about a member of it where it has one.
    pub(super) fn minute(&mut self, key: &RoomKey, minute: Minute, member: Option<Member>, now: Now) {
        let account = self.account_of(&key.0);
        let Some(held) = self.rooms.held_mut(key) else { return };
        let Some(minutes) = &mut held.minutes else { return };
        let sid = minutes.teller;
        let closing = held.closing.filter(|_| matches!(minute, Minute::End));
        if let Some(owed) = minutes.owed(minute, (&account, &held.sid, &key.1), member, closing, now) {
            self.letters.push_back((sid, Letter::Owes(Box::new(owed))));
        }
    }
}

impl Call {
    /// Tells of an event of the conference that this call is in, about this call.
    pub(super) fn minute(&self, stay: &Stay, minute: Minute, desk: &mut Desk, now: Now) {
        desk.minute(stay.key(), minute, Some(stay.as_member(self.sid)), now);
    }
}
