//! A call in a conference: it enters, is heard as its options say, and leaves, or is told that the conference is over.

use super::Call;
use super::taping::For;
use crate::CallSid;
use crate::Fact;
use crate::desk::Desk;
use crate::letter::Letter;
use base::Now;
use ivr::{Beep, ConferenceEnd, ConferenceId, ConferenceOptions, Wait};
use media::{MemberOptions, RecordOptions, RecordSource, RoomId, RoomOptions};
use std::collections::BTreeMap;

/// The prompt that is heard until a conference begins.
pub const HOLD_MUSIC: &str = "hold-music";
/// The tone by which a member comes and goes.
pub const BEEP: &str = "beep";
/// What it sounds like (Hz and milliseconds), unless a prompt of that name takes its place.
pub const BEEP_TONE: &str = "1000/150";
/// The prefix of a conference's sid.
const PREFIX: &str = "CF";

/// A conference, by its tenant and name.
pub(crate) type RoomKey = (String, String);

/// A conference that is held.
#[derive(Debug)]
pub(crate) struct Held {
    id: RoomId,
    sid: String,
    members: Vec<CallSid>,
    recorded: bool,
    /// Somebody is or was in it whose coming begins it.
    opened: bool,
    /// It has begun: two were in it once it was opened.
    begun: bool,
}

/// The conferences that are held.
#[derive(Debug, Default)]
pub(crate) struct Rooms {
    held: BTreeMap<RoomKey, Held>,
    last: u64,
}

/// A call's stay.
#[derive(Debug)]
pub(super) struct Stay {
    conference: ConferenceId,
    key: RoomKey,
    sid: String,
    ends_it: bool,
}

impl Held {
    /// Somebody has come; true where that begins it.
    fn begins(&mut self, opens: bool) -> bool {
        self.opened |= opens;
        let begins = !self.begun && self.opened && self.members.len() > 1;
        self.begun |= begins;
        begins
    }
}

impl Rooms {
    /// The conference of this name, begun where it is not held.
    fn open(&mut self, key: &RoomKey, rng: &mut base::Rng) -> &mut Held {
        let next = self.last + 1;
        self.held.entry(key.clone()).or_insert_with(|| {
            self.last = next;
            let sid = crate::sid::tagged(PREFIX, rng);
            Held { id: RoomId(next), sid, members: Vec::new(), recorded: false, opened: false, begun: false }
        })
    }

    /// Takes a member out; those who are left.
    fn leave(&mut self, key: &RoomKey, member: CallSid) -> Vec<CallSid> {
        let Some(held) = self.held.get_mut(key) else { return Vec::new() };
        held.members.retain(|other| *other != member);
        let left = held.members.clone();
        if left.is_empty() {
            self.held.remove(key);
        }
        left
    }
}

impl Call {
    /// The program's `conference`.
    pub(super) fn enter_room(
        &mut self,
        conference: ConferenceId,
        room: String,
        options: &ConferenceOptions,
        desk: &mut Desk,
        now: Now,
    ) {
        let key = (self.about.tenant.clone(), room);
        let Some(media) = self.leg.media else { return };
        let held = desk.rooms.open(&key, &mut desk.rng);
        if held.members.len() >= options.max_members as usize {
            self.warn(0, format!("the conference {} is full: {} members", key.1, options.max_members), desk, now);
            let end = ConferenceEnd { failed: true, ..ConferenceEnd::default() };
            return self.on_program(ivr::Input::ConferenceEnded { conference, end }, desk, now);
        }
        held.members.push(self.sid);
        let begins = held.begins(options.start_on_enter);
        let waits = !held.begun;
        let others = if begins { held.members.clone() } else { Vec::new() };
        let (id, sid) = (held.id, held.sid.clone());
        let records = options.record && !std::mem::replace(&mut held.recorded, true);
        let coach = options.coach.as_deref().and_then(|sid| desk.media_of(sid));
        let tone = |wanted: bool| desk.prompts.get(BEEP).filter(|_| wanted).cloned();
        let room = RoomOptions {
            join_tone: tone(matches!(options.beep, Beep::Both | Beep::OnEnter)),
            leave_tone: tone(matches!(options.beep, Beep::Both | Beep::OnExit)),
            hold_music: desk.prompts.get(HOLD_MUSIC).filter(|_| options.wait == Wait::Music).cloned(),
            wait_for_moderator: true,
            ..RoomOptions::default()
        };
        let member = MemberOptions { muted: options.muted, deaf: false, coach, moderator: options.start_on_enter };
        desk.media(media::Command::Join { id: media.id, room: id, options: room, member });
        self.record(Fact::Joined { conference: sid.clone(), name: key.1.clone() }, desk, now);
        self.stay = Some(Stay { conference, key, sid, ends_it: options.end_on_exit });
        desk.letters.extend(others.into_iter().map(|member| (member, Letter::Begins)));
        if let Wait::Document { url, method } = options.wait.clone()
            && waits
        {
            self.begin_waiting(url, method, desk, now);
        }
        if records {
            let told = options.recording_callback.clone().map(|callback| (callback, "Conference"));
            let tape = |tape: RecordOptions| RecordOptions {
                source: RecordSource::Room,
                trim: options.trim,
                rate: 16_000,
                ..tape
            };
            self.tape(For::Others(told), tape, desk, now);
        }
    }

    /// The program, or the end of the conference, takes the caller out.
    pub(super) fn leave_room(&mut self, desk: &mut Desk, now: Now) {
        let Some(stay) = self.vacate(desk, now) else { return };
        self.with_media(desk, |id| media::Command::Leave { id });
        let end = ConferenceEnd::default();
        self.on_program(ivr::Input::ConferenceEnded { conference: stay.conference, end }, desk, now);
    }

    /// The call ends, and its stay with it.
    pub(super) fn vacate(&mut self, desk: &mut Desk, now: Now) -> Option<Stay> {
        let stay = self.stay.take()?;
        self.end_waiting(desk);
        let left = desk.rooms.leave(&stay.key, self.sid);
        self.record(Fact::Left { conference: stay.sid.clone() }, desk, now);
        for member in left.into_iter().filter(|_| stay.ends_it) {
            desk.letters.push_back((member, Letter::Closed));
        }
        Some(stay)
    }

    /// The conference is over: the member on whom it depended has gone.
    pub(super) fn on_room_closed(&mut self, desk: &mut Desk, now: Now) {
        self.leave_room(desk, now);
    }
}

impl Stay {
    /// What the program is told of its end.
    pub(super) fn over(&self) -> ivr::Input {
        ivr::Input::ConferenceEnded { conference: self.conference, end: ConferenceEnd::default() }
    }
}
