//! Recordings of a call: begun by its program or its bridge, written by the media engine's rim, told of when their file is
//! whole. The books stay open until it is.

use super::Call;
use crate::desk::Desk;
use crate::letter::Letter;
use crate::{CallSid, Fact, Owed};
use base::Now;
use ivr::Callback;
use media::{RecordEnd, RecordId, RecordOptions, RecordSource};

/// The prefix of a recording's sid.
const PREFIX: &str = "RE";
/// Milliseconds in a second.
const SECOND_MS: u64 = 1_000;
/// What Twilio's form calls the source of a conference's recording.
const CONFERENCE: &str = "Conference";
/// Twilio's number for a recording that could not be made.
const RECORDING_FAILED: u32 = 16_100;

/// Whose recording it is.
#[derive(Clone, Debug)]
pub(crate) enum For {
    /// The program's `record`, by its number.
    Program(ivr::RecordId),
    /// The bridge's; whoever is told of it, and by which name of the source.
    Others(Option<(Callback, &'static str)>),
    /// The conference's; whoever is told of it. It goes on when this call leaves and others stay.
    Room(Option<Callback>),
    /// The API's.
    Api,
}

/// A recording that runs, or whose file is being finished.
#[derive(Debug)]
pub(crate) struct Taping {
    id: RecordId,
    sid: String,
    whose: For,
    channels: u8,
    started_ms: u64,
}

impl Taping {
    const fn is_of_room(&self) -> bool {
        matches!(self.whose, For::Room(_))
    }

    /// As programs and callbacks are told of it.
    fn recording(&self, duration_ms: u64, error: Option<u32>, desk: &Desk) -> ivr::Recording {
        ivr::Recording {
            sid: self.sid.clone(),
            url: desk.recording_url(&self.sid),
            duration_s: u32::try_from(duration_ms / SECOND_MS).unwrap_or(u32::MAX),
            channels: self.channels,
            started_ms: self.started_ms,
            error,
        }
    }
}

impl Call {
    /// The program's `record`.
    pub(super) fn record_caller(
        &mut self,
        record: ivr::RecordId,
        options: &ivr::RecordOptions,
        desk: &mut Desk,
        now: Now,
    ) {
        let silence = u32::try_from(u64::from(options.silence_s) * SECOND_MS).unwrap_or(u32::MAX);
        let tape = move |options_: RecordOptions| RecordOptions {
            source: RecordSource::Received,
            beep: options.beep,
            max_ms: Some(u64::from(options.max_s) * SECOND_MS),
            silence_ms: (silence > 0).then_some(silence),
            trim: options.trim,
            ..options_
        };
        self.tape(For::Program(record), tape, desk, now);
        let is_it = |tape: &&Taping| matches!(tape.whose, For::Program(id) if id == record);
        if let Some(tape) = self.tapes.iter().find(is_it) {
            let recording = tape.recording(0, None, desk);
            self.on_program(ivr::Input::RecordStarted { record, recording }, desk, now);
        }
    }

    /// Begins a recording of this leg.
    pub(super) fn tape(
        &mut self,
        whose: For,
        how: impl FnOnce(RecordOptions) -> RecordOptions,
        desk: &mut Desk,
        now: Now,
    ) {
        let Some(media) = self.leg.media else { return };
        let sid = crate::sid::tagged(PREFIX, &mut desk.rng);
        let options = RecordOptions::new(desk.recordings.join(format!("{sid}.wav")));
        let options = how(RecordOptions { rate: self.leg.sample_rate(), ..options });
        let channels = u8::try_from(options.channels()).unwrap_or(2);
        let id = desk.open_recording(self.sid);
        let tape = Taping { id, sid: sid.clone(), whose, channels, started_ms: now.wall };
        let owes = self.promised(&tape, desk).map(Box::new);
        self.tapes.push(tape);
        self.recordings.push(sid.clone());
        self.record(Fact::Recording { recording: sid, channels, owes }, desk, now);
        desk.media(media::Command::Record { id: media.id, record: id, options });
    }

    /// What whoever is told of a recording is told once it is whole. Kept with its beginning, it is told of what was written
    /// also where this process does not live to see the end.
    fn promised(&mut self, tape: &Taping, desk: &Desk) -> Option<Owed> {
        let recording = tape.recording(0, None, desk);
        let request = match &tape.whose {
            For::Program(record) => self.program()?.promised(*record, &recording)?,
            For::Others(Some((callback, source))) => self.whole(callback, &recording, source, desk),
            For::Room(Some(callback)) => self.whole(callback, &recording, CONFERENCE, desk),
            For::Others(None) | For::Room(None) | For::Api => return None,
        };
        Some(Owed::new("recording-completed", &request))
    }

    fn whole(&self, callback: &Callback, recording: &ivr::Recording, source: &str, desk: &Desk) -> ivr::HttpRequest {
        let params = ivr::callbacks::recording(&self.context(desk), recording, "completed", source);
        ivr::callbacks::request(callback, params, 0)
    }

    /// The program wants the end of its recording.
    pub(super) fn stop_recording(&mut self, record: ivr::RecordId, desk: &mut Desk) {
        let is_it = |tape: &&Taping| matches!(tape.whose, For::Program(id) if id == record);
        if let (Some(tape), Some(media)) = (self.tapes.iter().find(is_it), self.leg.media) {
            desk.media(media::Command::StopRecord { id: media.id, record: tape.id });
        }
    }

    /// The bridge's, as it begins.
    pub(super) fn recording_of_others(&self, desk: &Desk) -> Option<ivr::Recording> {
        let tape = self.tapes.iter().rev().find(|tape| matches!(tape.whose, For::Others(_)))?;
        Some(tape.recording(0, None, desk))
    }

    /// Those of the bridge, which is over, end with it.
    pub(super) fn stop_recordings_of_others(&mut self, desk: &mut Desk) {
        let Some(media) = self.leg.media else { return };
        for tape in self.tapes.iter().filter(|tape| matches!(tape.whose, For::Others(_))) {
            desk.media(media::Command::StopRecord { id: media.id, record: tape.id });
        }
    }

    /// The recordings of the API that are meant: all of them, or the one of this sid.
    pub(super) fn tapes_of_api(&self, recording: Option<&str>) -> Vec<(RecordId, String)> {
        let own = self.tapes.iter().filter(|tape| matches!(tape.whose, For::Api));
        let meant = own.filter(|tape| recording.is_none_or(|sid| sid == tape.sid));
        meant.map(|tape| (tape.id, tape.sid.clone())).collect()
    }

    /// The recordings of its conference that this call has begun go on as another member's.
    pub(super) fn hand_tapes(&mut self, heir: CallSid, desk: &mut Desk) {
        let (of_room, own) = std::mem::take(&mut self.tapes).into_iter().partition(Taping::is_of_room);
        self.tapes = own;
        let of_room: Vec<Taping> = of_room;
        for tape in of_room {
            desk.by_record.insert(tape.id, heir);
            desk.letters.push_back((heir, Letter::Tape(Box::new(tape))));
        }
    }

    /// A recording of the conference, begun by one who has left it.
    pub(super) fn take_tape(&mut self, tape: Taping) {
        self.recordings.push(tape.sid.clone());
        self.tapes.push(tape);
    }

    /// The recordings of the conference that are this call's.
    pub(super) fn tapes_of_room(&self) -> Vec<RecordId> {
        self.tapes.iter().filter(|tape| tape.is_of_room()).map(|tape| tape.id).collect()
    }

    /// A recording's file is whole.
    pub(crate) fn on_recorded(
        &mut self,
        id: RecordId,
        (duration_ms, octets): (u64, u64),
        reason: &RecordEnd,
        desk: &mut Desk,
        now: Now,
    ) {
        desk.by_record.remove(&id);
        let Some(at) = self.tapes.iter().position(|tape| tape.id == id) else { return };
        let tape = self.tapes.swap_remove(at);
        let lost = matches!(reason, RecordEnd::Disk(_) | RecordEnd::Slow);
        let fact = Fact::Recorded {
            recording: tape.sid.clone(),
            duration_ms,
            octets,
            channels: tape.channels,
            reason: reason_word(reason),
        };
        self.record(fact, desk, now);
        if let RecordEnd::Disk(why) = reason {
            self.warn(RECORDING_FAILED, format!("the recording could not be written: {why}"), desk, now);
        }
        let mut recording = tape.recording(duration_ms, lost.then_some(RECORDING_FAILED), desk);
        recording.url = recording.url.filter(|_| octets > 0);
        match tape.whose {
            For::Program(record) => self.on_program(ivr::Input::RecordEnded { record, recording }, desk, now),
            For::Others(Some((callback, source))) => self.tell_of(&callback, &recording, (source, lost), desk, now),
            For::Room(told) => {
                self.room_is_not_recorded(desk);
                if let Some(callback) = told {
                    self.tell_of(&callback, &recording, (CONFERENCE, lost), desk, now);
                }
            }
            For::Others(None) | For::Api => {}
        }
        self.finish_when_quiet(desk, now);
    }

    fn tell_of(
        &mut self,
        callback: &Callback,
        recording: &ivr::Recording,
        (source, lost): (&str, bool),
        desk: &mut Desk,
        now: Now,
    ) {
        let word = if lost { "absent" } else { "completed" };
        let params = ivr::callbacks::recording(&self.context(desk), recording, word, source);
        self.owe(format!("recording-{word}"), &ivr::callbacks::request(callback, params, 0), desk, now);
    }

    /// True where the end of no recording is waited for.
    pub(super) fn tapes_are_whole(&self) -> bool {
        self.tapes.is_empty()
    }

    /// The rim did not say in time what has become of these.
    pub(super) fn give_up_tapes(&mut self, desk: &mut Desk, now: Now) {
        for tape in std::mem::take(&mut self.tapes) {
            desk.by_record.remove(&tape.id);
            tracing::error!(recording = tape.sid, "nobody said whether the recording is whole");
            let reason = "the end of the file was not told".to_owned();
            let fact =
                Fact::Recorded { recording: tape.sid, duration_ms: 0, octets: 0, channels: tape.channels, reason };
            self.record(fact, desk, now);
        }
    }
}

fn reason_word(reason: &RecordEnd) -> String {
    match reason {
        RecordEnd::Stopped => "stopped".to_owned(),
        RecordEnd::Closed => "hangup".to_owned(),
        RecordEnd::MaxLength => "max_length".to_owned(),
        RecordEnd::Silence => "silence".to_owned(),
        RecordEnd::Key(key) => format!("key {key}"),
        RecordEnd::Disk(_) => "disk".to_owned(),
        RecordEnd::Slow => "slow_disk".to_owned(),
    }
}
