//! What a gather listens for: when somebody begins to speak and has spoken, and what was said, which a recogniser of the
//! world outside writes down.
//!
//! While a program listens, what is heard is kept in memory. An utterance is its end: so much of it as has passed since
//! somebody began to speak, with a little before. Of a silence only the last second is kept.

use super::Call;
use crate::desk::{Desk, Wake};
use crate::errand::{Asked, Heard, Utterance};
use base::Now;
use ivr::{Input, ListenId, Speech};
use media::Capture;
use media::detect::voice::VoiceConfig;
use std::time::Duration;

/// Milliseconds in a second.
const SECOND_MS: u32 = 1_000;

/// How long nothing is said at the end of an utterance where the gather leaves that to whoever listens, in milliseconds.
const PAUSE_MS: u32 = 1_000;

/// How much is kept of what was heard before somebody was heard to speak: the ear hears 140 ms late (its buffer, its turn
/// and the onset that it wants), and a word may begin softly.
const LEAD: Duration = Duration::from_millis(500);

/// How long a silence grows in memory before all but its end is forgotten.
const SILENCE: Duration = Duration::from_secs(30);

/// Octets (a sample each, at 8 kHz) that are kept of a silence.
const KEPT: usize = 8_000;

/// Nanoseconds of a sample at 8 kHz.
const SAMPLE: u64 = 125_000;

/// What a program listens for.
#[derive(Debug, Default)]
pub(super) struct Hearing {
    stage: Stage,
    /// The end of what was heard before the take that runs.
    before: Option<Capture>,
    /// Takes that were ended, and those of them that have come back.
    ended: u32,
    come_back: u32,
    /// The last word about a recogniser that failed: it is said once.
    warned: String,
}

#[derive(Debug, Default)]
enum Stage {
    /// Nobody listens.
    #[default]
    Deaf,
    /// Nobody has spoken yet. The silence is taken in pieces; this is the number of one that is on its way.
    Quiet { ear: Ear, piece: Option<u32> },
    /// Somebody speaks, since then (monotonic nanoseconds).
    Speaking { ear: Ear, since: u64, piece: Option<u32> },
    /// It is over, and what was said is on its way: the take of this number, of which so many samples are the utterance.
    Taking { ear: Ear, take: u32, samples: usize },
    /// The recogniser has it.
    Asking(ListenId),
}

/// Who listens, and how.
#[derive(Debug)]
struct Ear {
    listen: ListenId,
    speech: Box<Speech>,
}

impl Hearing {
    /// What is speech, where somebody listens for its beginning or its end.
    pub(super) fn voice(&self) -> Option<VoiceConfig> {
        let (Stage::Quiet { ear, .. } | Stage::Speaking { ear, .. }) = &self.stage else { return None };
        let hangover_ms = ear.speech.silence_s.map_or(PAUSE_MS, |seconds| seconds.saturating_mul(SECOND_MS));
        Some(VoiceConfig { hangover_ms, ..VoiceConfig::default() })
    }

    fn listener(&self) -> Option<ListenId> {
        match &self.stage {
            Stage::Deaf => None,
            Stage::Quiet { ear, .. } | Stage::Speaking { ear, .. } | Stage::Taking { ear, .. } => Some(ear.listen),
            Stage::Asking(listen) => Some(*listen),
        }
    }

    /// The number of the take that is ended now.
    fn end_take(&mut self) -> u32 {
        self.ended = self.ended.wrapping_add(1);
        self.ended
    }
}

impl Call {
    /// The program listens.
    pub(super) fn begin_hearing(&mut self, listen: ListenId, speech: Speech, desk: &mut Desk, now: Now) {
        if let Some(before) = self.hearing.listener() {
            self.end_hearing(before, desk);
        }
        if speech.partial.is_some() {
            let why = "the recogniser hears an utterance when it is over: `partialResultCallback` is not called";
            self.warn(0, why.to_owned(), desk, now);
        }
        self.hearing.before = None;
        self.hearing.stage = Stage::Quiet { ear: Ear { listen, speech: Box::new(speech) }, piece: None };
        self.with_media(desk, |id| media::Command::Capture { id, on: true });
        self.alarms.wake(Wake::Hearing, SILENCE, desk, now);
        self.listen(desk);
    }

    /// It no longer does.
    pub(super) fn end_hearing(&mut self, listen: ListenId, desk: &mut Desk) {
        if self.hearing.listener() != Some(listen) {
            return;
        }
        self.alarms.stop(Wake::Hearing, desk);
        if matches!(std::mem::take(&mut self.hearing.stage), Stage::Quiet { .. } | Stage::Speaking { .. }) {
            self.hearing.end_take();
            self.with_media(desk, |id| media::Command::Capture { id, on: false });
            self.listen(desk);
        }
    }

    pub(super) fn on_speech_started(&mut self, desk: &mut Desk, now: Now) {
        self.hearing.stage = match std::mem::take(&mut self.hearing.stage) {
            Stage::Quiet { ear, piece } => {
                let longest = Duration::from_secs(ear.speech.max_s.into());
                self.alarms.wake(Wake::Hearing, longest, desk, now);
                Stage::Speaking { ear, since: now.mono, piece }
            }
            other => other,
        };
        if let Stage::Speaking { ear, .. } = &self.hearing.stage {
            let listen = ear.listen;
            self.on_program(Input::SpeechStarted { listen }, desk, now);
        }
    }

    pub(super) fn on_speech_ended(&mut self, desk: &mut Desk, now: Now) {
        self.on_greeting_over("machine_end_silence", desk, now);
        self.utterance_over(desk, now);
    }

    /// The time of a silence, or of an utterance, is over.
    pub(super) fn on_hearing_limit(&mut self, desk: &mut Desk, now: Now) {
        match &mut self.hearing.stage {
            Stage::Quiet { piece, .. } => {
                self.hearing.ended = self.hearing.ended.wrapping_add(1);
                *piece = Some(self.hearing.ended);
                for on in [false, true] {
                    self.with_media(desk, |id| media::Command::Capture { id, on });
                }
                self.alarms.wake(Wake::Hearing, SILENCE, desk, now);
            }
            _ => self.utterance_over(desk, now),
        }
    }

    fn utterance_over(&mut self, desk: &mut Desk, now: Now) {
        let prompts = self.running().is_some_and(|talk| !talk.playing.is_empty());
        self.hearing.stage = match std::mem::take(&mut self.hearing.stage) {
            // Said into prompts that it may not stop: it counts for nothing.
            Stage::Speaking { ear, piece, .. } if prompts && !ear.speech.barge_in => {
                self.alarms.wake(Wake::Hearing, SILENCE, desk, now);
                Stage::Quiet { ear, piece }
            }
            Stage::Speaking { ear, since, .. } => {
                self.alarms.stop(Wake::Hearing, desk);
                self.with_media(desk, |id| media::Command::Capture { id, on: false });
                let lasted = now.mono.saturating_sub(since) + LEAD.as_nanos() as u64;
                let samples = usize::try_from(lasted / SAMPLE).unwrap_or(usize::MAX);
                Stage::Taking { ear, take: self.hearing.end_take(), samples }
            }
            other => other,
        };
        self.listen(desk);
    }

    /// A take has come back from the media engine.
    pub(super) fn on_captured(&mut self, capture: Capture, desk: &mut Desk) {
        self.hearing.come_back = self.hearing.come_back.wrapping_add(1);
        let this = self.hearing.come_back;
        match &self.hearing.stage {
            Stage::Quiet { piece: Some(piece), .. } | Stage::Speaking { piece: Some(piece), .. } if *piece == this => {
                self.hearing.before = Some(end_of(capture, KEPT));
            }
            Stage::Taking { take, .. } if *take == this && self.is_live() => self.have_it_written_down(capture, desk),
            // What nobody listens for any more.
            _ => {}
        }
    }

    fn have_it_written_down(&mut self, capture: Capture, desk: &mut Desk) {
        let Stage::Taking { ear, samples, .. } = std::mem::take(&mut self.hearing.stage) else { return };
        let before = self.hearing.before.take().filter(|before| before.codec == capture.codec);
        let whole = match before {
            Some(before) => Capture { payload: [before.payload, capture.payload].concat(), ..capture },
            None => capture,
        };
        let Ear { listen, speech } = ear;
        self.hearing.stage = Stage::Asking(listen);
        let Speech { language, hints, .. } = *speech;
        let utterance = Box::new(Utterance { wav: end_of(whole, samples).to_wav(), language, hints });
        self.errand(Asked::WriteDown { listen, utterance }, desk);
    }

    /// What the recogniser has understood.
    pub(super) fn on_written_down(
        &mut self,
        listen: ListenId,
        result: Result<Heard, String>,
        desk: &mut Desk,
        now: Now,
    ) {
        if !matches!(self.hearing.stage, Stage::Asking(asking) if asking == listen) {
            return;
        }
        self.hearing.stage = Stage::Deaf;
        let Heard { text, confidence } = result.unwrap_or_else(|why| {
            self.say_once(why, desk, now);
            Heard::default()
        });
        self.on_program(Input::SpeechResult { listen, text, confidence }, desk, now);
    }

    /// A recogniser that is not there fails at each question: the record hears of it once.
    fn say_once(&mut self, why: String, desk: &mut Desk, now: Now) {
        if self.hearing.warned != why {
            self.hearing.warned.clone_from(&why);
            self.warn(0, format!("what was said is not understood: {why}"), desk, now);
        }
    }
}

/// The last so many samples of a take.
fn end_of(mut capture: Capture, samples: usize) -> Capture {
    let from = capture.payload.len().saturating_sub(samples);
    capture.payload.drain(..from);
    capture.gaps.clear();
    capture
}
