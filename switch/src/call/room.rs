//! A call in a conference: it enters, is heard as its options say, and leaves, or is told that the conference is over.

use super::Call;
use super::minutes::{Closing, Minute, Minutes};
use super::taping::For;
use crate::desk::Desk;
use crate::letter::Letter;
use crate::{CallSid, Fact, MemberChange, RoomOrder};
use base::Now;
use ivr::{Beep, Callback, ConferenceEnd, ConferenceId, ConferenceOptions, Wait};
use media::{MemberOptions, PlayId, RecordOptions, RecordSource, RoomId, RoomOptions};
use std::collections::BTreeMap;

/// The prompt that is heard until a conference begins.
pub const HOLD_MUSIC: &str = "hold-music";
/// The tone by which a member comes and goes.
pub const BEEP: &str = "beep";
/// What it sounds like (Hz and milliseconds), unless a prompt of that name takes its place.
pub const BEEP_TONE: &str = "1000/150";
/// The music of a member on hold: no program numbers its sounds so high.
const MEMBER_HOLD: PlayId = PlayId(u64::MAX - 2);
/// Samples a second at which a conference is mixed at least: nobody hears more of those who have G.711 or G.722.
const LEAST_RATE: u32 = 16_000;
/// Why a conference is over, in Twilio's words: nobody is left, one has gone who takes it along, the API wants it.
const LAST_LEFT: &str = "last-participant-left";
const TAKEN_ALONG: &str = "participant-with-end-conference-on-exit-left";
const BY_API: &str = "conference-ended-via-api";
/// The prefix of a conference's sid.
const PREFIX: &str = "CF";

/// A conference, by its tenant and name.
pub(crate) type RoomKey = (String, String);

/// A conference that is held.
#[derive(Debug)]
pub(crate) struct Held {
    id: RoomId,
    pub(super) sid: String,
    members: Vec<CallSid>,
    /// Samples a second of its mix.
    rate: u32,
    recorded: bool,
    /// Somebody is or was in it whose coming begins it.
    opened: bool,
    /// It has begun: two were in it once it was opened.
    begun: bool,
    /// Who is told of it.
    pub(super) minutes: Option<Minutes>,
    /// Why it is about to end.
    pub(super) closing: Option<Closing>,
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
    /// What it may do, beside being on hold.
    member: MemberOptions,
    /// Whom it coaches.
    coaches: Option<CallSid>,
    held: bool,
    /// What it is called there.
    label: Option<String>,
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
    fn open(&mut self, key: &RoomKey, rate: u32, rng: &mut base::Rng) -> &mut Held {
        let next = self.last + 1;
        self.held.entry(key.clone()).or_insert_with(|| {
            self.last = next;
            let sid = crate::sid::tagged(PREFIX, rng);
            let (members, rate) = (Vec::new(), rate.max(LEAST_RATE));
            Held {
                id: RoomId(next),
                sid,
                members,
                rate,
                recorded: false,
                opened: false,
                begun: false,
                minutes: None,
                closing: None,
            }
        })
    }

    pub(super) fn held_mut(&mut self, key: &RoomKey) -> Option<&mut Held> {
        self.held.get_mut(key)
    }

    /// Takes a member out, with whose going the conference may be over: `why` where it is; those who are left.
    fn leave(&mut self, key: &RoomKey, member: CallSid, why: &'static str) -> Vec<CallSid> {
        let Some(held) = self.held.get_mut(key) else { return Vec::new() };
        held.members.retain(|other| *other != member);
        if held.members.is_empty() || why != LAST_LEFT {
            held.closing.get_or_insert(Closing { reason: why, by: member });
        }
        held.members.clone()
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
        let held = desk.rooms.open(&key, self.leg.sample_rate(), &mut desk.rng);
        if held.members.len() >= options.max_members as usize {
            self.warn(0, format!("the conference {} is full: {} members", key.1, options.max_members), desk, now);
            let end = ConferenceEnd { failed: true, ..ConferenceEnd::default() };
            return self.on_program(ivr::Input::ConferenceEnded { conference, end }, desk, now);
        }
        held.members.push(self.sid);
        let begins = held.begins(options.start_on_enter);
        let waits = !held.begun;
        let others = if begins { held.members.clone() } else { Vec::new() };
        let (id, sid, rate) = (held.id, held.sid.clone(), held.rate);
        let coach = options.coach.as_deref().and_then(|sid| desk.media_of(sid));
        let tone = |wanted: bool| desk.prompts.get(BEEP).filter(|_| wanted).cloned();
        let room = RoomOptions {
            join_tone: tone(matches!(options.beep, Beep::Both | Beep::OnEnter)),
            leave_tone: tone(matches!(options.beep, Beep::Both | Beep::OnExit)),
            hold_music: desk.prompts.get(HOLD_MUSIC).filter(|_| options.wait == Wait::Music).cloned(),
            wait_for_moderator: true,
            rate,
        };
        let member = MemberOptions { muted: options.muted, deaf: false, coach, moderator: options.start_on_enter };
        desk.media(media::Command::Join { id: media.id, room: id, options: room, member });
        self.record(Fact::Joined { conference: sid.clone(), name: key.1.clone() }, desk, now);
        let coaches = options.coach.as_deref().filter(|_| coach.is_some()).and_then(|sid| sid.parse().ok());
        let ends_it = options.end_on_exit;
        let stay = Stay { conference, key, sid, ends_it, member, coaches, held: false, label: options.label.clone() };
        desk.rooms.tell_to(&stay.key, options.callback.clone(), self.sid);
        self.minute(&stay, Minute::Join, desk, now);
        if begins {
            desk.minute(&stay.key, Minute::Start, None, now);
        }
        self.stay = Some(stay);
        if member.muted || coaches.is_some() {
            self.tell_member(desk, now);
        }
        desk.letters.extend(others.into_iter().map(|member| (member, Letter::Begins)));
        if let Wait::Document { url, method } = options.wait.clone()
            && waits
        {
            self.begin_waiting(url, method, desk, now);
        }
        if options.record {
            self.record_room(options.recording_callback.clone(), options.trim, desk, now);
        }
    }

    /// Records the conference, where it is not recorded already.
    fn record_room(&mut self, told: Option<Callback>, trim: bool, desk: &mut Desk, now: Now) {
        let Some(stay) = &self.stay else { return };
        let Some(held) = desk.rooms.held.get_mut(&stay.key) else { return };
        if std::mem::replace(&mut held.recorded, true) {
            return;
        }
        let rate = held.rate;
        let tape = |tape: RecordOptions| RecordOptions { source: RecordSource::Room, trim, rate, ..tape };
        self.tape(For::Room(told), tape, desk, now);
    }

    /// Another recording of its conference may begin.
    pub(super) fn room_is_not_recorded(&self, desk: &mut Desk) {
        if let Some(held) = self.stay.as_ref().and_then(|stay| desk.rooms.held.get_mut(&stay.key)) {
            held.recorded = false;
        }
    }

    /// What the API asks of the conference.
    pub(super) fn on_room_order(&mut self, order: RoomOrder, desk: &mut Desk, now: Now) {
        match order {
            RoomOrder::Announce(name) => {
                if let Some(prompt) = desk.prompts.get(&name).cloned() {
                    self.record(Fact::Playing { prompt: name }, desk, now);
                    self.with_media(desk, |id| media::Command::Announce { id, prompt });
                } else {
                    self.not_done("an announcement", "too many prompts are known", desk, now);
                }
            }
            RoomOrder::Record(true) => self.record_room(None, false, desk, now),
            RoomOrder::Record(false) => {
                for record in self.tapes_of_room() {
                    self.with_media(desk, |id| media::Command::StopRecord { id, record });
                }
            }
            RoomOrder::End => {
                if let Some(held) = self.stay.as_ref().and_then(|stay| desk.rooms.held_mut(&stay.key)) {
                    held.closing.get_or_insert(Closing { reason: BY_API, by: self.sid });
                }
                self.leave_room(desk, now);
            }
        }
    }

    /// The API changes what it may do there.
    pub(super) fn change_member(&mut self, change: MemberChange, desk: &mut Desk, now: Now) {
        let Some(stay) = &mut self.stay else {
            return self.not_done("a change in a conference", "the call is in none", desk, now);
        };
        let before = (stay.member.muted, stay.member.deaf, stay.held);
        let (muted, deaf) = (change.muted.unwrap_or(before.0), change.deaf.unwrap_or(before.1));
        let held = change.held.unwrap_or(before.2);
        if (muted, deaf, held) == before {
            return;
        }
        (stay.member.muted, stay.member.deaf, stay.held) = (muted, deaf, held);
        let member = MemberOptions { muted: muted || held, deaf: deaf || held, ..stay.member };
        self.with_media(desk, |id| media::Command::Update { id, member });
        if held != before.2 {
            match desk.prompts.get(HOLD_MUSIC).cloned().filter(|_| held) {
                Some(prompt) => {
                    let play = MEMBER_HOLD;
                    self.with_media(desk, |id| media::Command::Play { id, play, prompt, repeat: 0 });
                }
                None => self.with_media(desk, |id| media::Command::StopPlay { id, play: MEMBER_HOLD }),
            }
        }
        if let Some(stay) = &self.stay {
            let changes = [(muted != before.0, Minute::Muted(muted)), (held != before.2, Minute::Held(held))];
            for (_, minute) in changes.into_iter().filter(|(changed, _)| *changed) {
                self.minute(stay, minute, desk, now);
            }
        }
        self.tell_member(desk, now);
    }

    fn tell_member(&mut self, desk: &mut Desk, now: Now) {
        let Some(stay) = &self.stay else { return };
        let fact = Fact::Member {
            conference: stay.sid.clone(),
            muted: stay.member.muted,
            deaf: stay.member.deaf,
            held: stay.held,
            coaches: stay.coaches,
        };
        self.record(fact, desk, now);
    }

    /// The program, or the end of the conference, takes the caller out.
    pub(super) fn leave_room(&mut self, desk: &mut Desk, now: Now) {
        let Some(stay) = self.vacate(desk, now) else { return };
        self.with_media(desk, |id| media::Command::Leave { id });
        if stay.held {
            self.with_media(desk, |id| media::Command::StopPlay { id, play: MEMBER_HOLD });
        }
        let end = ConferenceEnd::default();
        self.on_program(ivr::Input::ConferenceEnded { conference: stay.conference, end }, desk, now);
    }

    /// The call ends, and its stay with it.
    pub(super) fn vacate(&mut self, desk: &mut Desk, now: Now) -> Option<Stay> {
        let stay = self.stay.take()?;
        self.end_waiting(desk);
        self.minute(&stay, Minute::Leave, desk, now);
        let left = desk.rooms.leave(&stay.key, self.sid, if stay.ends_it { TAKEN_ALONG } else { LAST_LEFT });
        if left.is_empty() {
            desk.minute(&stay.key, Minute::End, None, now);
            desk.rooms.held.remove(&stay.key);
        }
        if let Some(heir) = left.first() {
            self.hand_tapes(*heir, desk);
            desk.rooms.tell_on(&stay.key, self.sid, *heir);
        }
        self.record(Fact::Left { conference: stay.sid.clone() }, desk, now);
        for member in left.into_iter().filter(|_| stay.ends_it) {
            desk.letters.push_back((member, Letter::Closed));
        }
        Some(stay)
    }
}

impl Desk {
    /// What the API asks of a conference: done by its oldest member, or by all of them.
    pub(crate) fn confer(&mut self, tenant: &str, conference: &str, order: RoomOrder) {
        let is_it = |(key, held): &(&RoomKey, &Held)| key.0 == tenant && held.sid == conference;
        let Some((_, held)) = self.rooms.held.iter().find(is_it) else { return };
        let all = matches!(order, RoomOrder::End | RoomOrder::Record(false));
        let members = if all { held.members.len() } else { 1 };
        let letters = held.members.iter().take(members).map(|member| (*member, Letter::Room(order.clone())));
        self.letters.extend(letters);
    }
}

impl Stay {
    pub(super) const fn key(&self) -> &RoomKey {
        &self.key
    }

    /// As the conference's events show it.
    pub(super) fn as_member(&self, sid: CallSid) -> ivr::callbacks::Member {
        ivr::callbacks::Member {
            call_sid: sid.to_string(),
            label: self.label.clone(),
            muted: self.member.muted,
            hold: self.held,
            coaching: self.coaches.is_some(),
            start_on_enter: self.member.moderator,
            end_on_exit: self.ends_it,
        }
    }

    /// What the program is told of its end.
    pub(super) fn over(&self) -> ivr::Input {
        ivr::Input::ConferenceEnded { conference: self.conference, end: ConferenceEnd::default() }
    }
}
