//! Answering-machine detection (TWILIO.md §2.2): who has answered, told to the program before it begins, or to a callback
//! while it runs. The media engine decides; here is what is made of it.

use super::Call;
use crate::Fact;
use crate::desk::{Desk, Wake};
use base::Now;
use ivr::{Input, MachineDetection};
use media::Detect;
use media::detect::beep::BeepConfig;
use media::detect::machine::{Answerer, Decision, MachineConfig, Reason};
use media::detect::voice::VoiceConfig;

/// Nanoseconds in a millisecond.
const MILLI: u64 = 1_000_000;

/// One that runs.
#[derive(Debug)]
pub(super) struct Detecting {
    how: MachineDetection,
    /// Monotonic nanoseconds.
    since: u64,
    /// A machine has answered, and the end of its greeting is waited for.
    greeting: bool,
}

impl Call {
    /// The call is answered: listens for who has, where that is wanted. True where the program waits for it.
    pub(super) fn detect_machine(&mut self, how: Option<MachineDetection>, desk: &mut Desk, now: Now) -> bool {
        let Some(how) = how else { return false };
        let waits = how.waits;
        self.alarms.wake(Wake::Machine, how.limit, desk, now);
        self.detecting = Some(Detecting { how, since: now.mono, greeting: false });
        self.listen(desk);
        waits
    }

    /// What the media engine is to listen for now.
    pub(super) fn listen(&self, desk: &mut Desk) {
        let mut detect = Detect { voice: self.hearing.voice(), ..Detect::default() };
        match &self.detecting {
            Some(detecting) if detecting.greeting => {
                let hangover_ms = detecting.how.speech_end_ms;
                detect.voice = Some(VoiceConfig { hangover_ms, ..VoiceConfig::default() });
                detect.beep = Some(BeepConfig::default());
            }
            Some(detecting) => detect.machine = Some(config(&detecting.how)),
            None => {}
        }
        self.with_media(desk, |id| media::Command::Detect { id, detect });
    }

    /// The media engine has decided.
    pub(super) fn on_decision(&mut self, decision: &Decision, desk: &mut Desk, now: Now) {
        let Some(detecting) = self.detecting.as_mut().filter(|detecting| !detecting.greeting) else { return };
        let beeped = matches!(decision.reason, Reason::Beep { .. });
        match decision.answerer {
            Answerer::Machine if detecting.how.until_end && !beeped => {
                detecting.greeting = true;
                self.listen(desk);
            }
            Answerer::Machine if detecting.how.until_end => self.decided("machine_end_beep", desk, now),
            Answerer::Machine => self.decided("machine_start", desk, now),
            Answerer::Human => self.decided("human", desk, now),
            Answerer::Unknown => self.decided("unknown", desk, now),
        }
    }

    /// The machine's greeting is over.
    pub(super) fn on_greeting_over(&mut self, who: &str, desk: &mut Desk, now: Now) {
        if self.detecting.as_ref().is_some_and(|detecting| detecting.greeting) {
            self.decided(who, desk, now);
        }
    }

    /// It has had its time.
    pub(super) fn on_machine_limit(&mut self, desk: &mut Desk, now: Now) {
        let greeting = self.detecting.as_ref().is_some_and(|detecting| detecting.greeting);
        self.decided(if greeting { "machine_end_other" } else { "unknown" }, desk, now);
    }

    fn decided(&mut self, who: &str, desk: &mut Desk, now: Now) {
        let Some(detecting) = self.detecting.take() else { return };
        self.alarms.stop(Wake::Machine, desk);
        self.listen(desk);
        let took_ms = now.mono.saturating_sub(detecting.since) / MILLI;
        self.record(Fact::AnsweredBy { answered_by: who.to_owned(), took_ms }, desk, now);
        self.answered_by = Some(who.to_owned());
        if let Some(program) = self.running().and_then(|talk| talk.program.as_mut()) {
            program.set_answered_by(who);
        }
        if let Some(callback) = &detecting.how.callback {
            let params = ivr::callbacks::machine(&self.context(desk), who, took_ms);
            let request = ivr::callbacks::request(callback, params, 0);
            self.owe("amd", &request, desk, now);
        }
        if detecting.how.waits {
            self.on_program(Input::Start, desk, now);
        }
    }
}

/// As the media engine has it.
fn config(how: &MachineDetection) -> MachineConfig {
    MachineConfig {
        initial_silence_ms: how.silence_ms,
        greeting_ms: how.speech_ms,
        after_greeting_ms: how.after_speech_ms,
        limit_ms: u32::try_from(how.limit.as_millis()).unwrap_or(u32::MAX),
        ..MachineConfig::default()
    }
}
