//! Speech, as far as it is heard without being understood: a caller who begins to speak stops the prompts of a gather that
//! listens, and one who has spoken has answered it with nothing that could be written down.

use super::Call;
use crate::desk::Desk;
use base::Now;
use ivr::{Input, ListenId, Speech};
use media::detect::voice::VoiceConfig;

/// Milliseconds in a second.
const SECOND_MS: u32 = 1_000;

/// How long nothing is said at the end of an utterance where the gather leaves that to whoever listens, in milliseconds.
const PAUSE_MS: u32 = 1_000;

/// What a program listens for.
#[derive(Debug, Default)]
pub(super) struct Hearing {
    listen: Option<ListenId>,
    barge_in: bool,
    hangover_ms: u32,
    /// That nobody understands it has been said.
    warned: bool,
}

impl Hearing {
    /// What is speech, where somebody listens.
    pub(super) fn voice(&self) -> Option<VoiceConfig> {
        self.listen.map(|_| VoiceConfig { hangover_ms: self.hangover_ms, ..VoiceConfig::default() })
    }
}

impl Call {
    /// The program listens.
    pub(super) fn begin_hearing(&mut self, listen: ListenId, speech: &Speech, desk: &mut Desk, now: Now) {
        let hangover_ms = speech.silence_s.map_or(PAUSE_MS, |seconds| seconds.saturating_mul(SECOND_MS));
        let warned = std::mem::replace(&mut self.hearing.warned, true);
        self.hearing = Hearing { listen: Some(listen), barge_in: speech.barge_in, hangover_ms, warned: true };
        if !warned {
            let why = "speech is heard and not understood in this version: it stops the prompts, and is no input";
            self.warn(0, why.to_owned(), desk, now);
        }
        self.listen(desk);
    }

    /// It no longer does.
    pub(super) fn end_hearing(&mut self, listen: ListenId, desk: &mut Desk) {
        if self.hearing.listen.take_if(|own| *own == listen).is_some() {
            self.listen(desk);
        }
    }

    pub(super) fn on_speech_started(&mut self, desk: &mut Desk, now: Now) {
        if let Some(listen) = self.hearing.listen {
            self.on_program(Input::SpeechStarted { listen }, desk, now);
        }
    }

    pub(super) fn on_speech_ended(&mut self, desk: &mut Desk, now: Now) {
        self.on_greeting_over("machine_end_silence", desk, now);
        let prompts = self.running().is_some_and(|talk| !talk.playing.is_empty());
        if prompts && !self.hearing.barge_in {
            // Said into prompts that it may not stop: it counts for nothing.
            return;
        }
        if let Some(listen) = self.hearing.listen.take() {
            self.listen(desk);
            let input = Input::SpeechResult { listen, text: String::new(), confidence: None };
            self.on_program(input, desk, now);
        }
    }
}
