//! Is it a person or an answering machine? A person says a word or two and waits; a machine talks on, and beeps.
//!
//! A pure machine over speech, silence and beeps: told ten milliseconds at a time it decides once, with the time and the
//! reason. Every threshold is a field of [`MachineConfig`].

use super::beep::{BeepConfig, BeepDetector};
use super::voice::{Change, Voice, VoiceConfig};

/// When what is decided. The defaults are what examples/machine.rs found best on its tuning set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MachineConfig {
    /// What is speech.
    pub voice: VoiceConfig,
    /// What is a beep.
    pub beep: BeepConfig,
    /// Nobody says anything for so long: not decided ([`Reason::Silent`]), in milliseconds.
    pub initial_silence_ms: u32,
    /// Speech that goes on for so long, pauses within it counted, is a machine's greeting.
    pub greeting_ms: u32,
    /// Silence for so long behind a greeting is a person who waits.
    pub after_greeting_ms: u32,
    /// Speech shorter than this is a click or a breath.
    pub word_ms: u32,
    /// So many words one after another are a machine's.
    pub words: u32,
    /// Later than this nothing is decided, in milliseconds.
    pub limit_ms: u32,
}

impl Default for MachineConfig {
    fn default() -> Self {
        Self {
            voice: VoiceConfig { hangover_ms: 120, ..VoiceConfig::default() },
            beep: BeepConfig::default(),
            initial_silence_ms: 4_500,
            greeting_ms: 2_300,
            after_greeting_ms: 800,
            word_ms: 90,
            words: 7,
            limit_ms: 8_000,
        }
    }
}

/// Who answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answerer {
    /// A person.
    Human,
    /// An answering machine.
    Machine,
    /// That cannot be told.
    Unknown,
}

/// Why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A greeting of so many milliseconds, then silence.
    ShortGreeting {
        /// From its first word to its last, in milliseconds.
        greeting_ms: u32,
        /// Of how many words.
        words: u32,
    },
    /// Speech went on.
    LongGreeting {
        /// For how long, in milliseconds.
        greeting_ms: u32,
    },
    /// Too many words for a person.
    ManyWords {
        /// How many.
        words: u32,
    },
    /// A beep.
    Beep {
        /// Its frequency.
        hertz: u32,
    },
    /// Nobody spoke.
    Silent,
    /// Nothing of it in time.
    TimedOut,
}

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Who answered.
    pub answerer: Answerer,
    /// When it was decided, in milliseconds since the detector began.
    pub at_ms: u32,
    /// Why.
    pub reason: Reason,
}

/// The detector of one call.
#[derive(Clone, Debug)]
pub struct MachineDetector {
    config: MachineConfig,
    voice: Voice,
    beep: BeepDetector,
    now_ms: u32,
    /// When the greeting's first word began, and its last ended.
    began: Option<u32>,
    ended: u32,
    word_began: u32,
    words: u32,
    decided: bool,
}

impl MachineDetector {
    /// A detector that begins now: at the answer.
    #[must_use]
    pub fn new(config: MachineConfig) -> Self {
        Self {
            config,
            voice: Voice::new(config.voice),
            beep: BeepDetector::new(config.beep),
            now_ms: 0,
            began: None,
            ended: 0,
            word_began: 0,
            words: 0,
            decided: false,
        }
    }

    /// Takes ten milliseconds at 8 kHz; the decision, once.
    pub fn push(&mut self, frame: &[i16]) -> Option<Decision> {
        self.now_ms += 10;
        let change = self.voice.push(frame);
        self.follow(change);
        let beep = self.beep.push(frame);
        if self.decided {
            return None;
        }
        let (answerer, reason) = self.judge(beep)?;
        self.decided = true;
        Some(Decision { answerer, at_ms: self.now_ms, reason })
    }

    /// It has said what it has to say.
    #[must_use]
    pub fn is_decided(&self) -> bool {
        self.decided
    }

    fn follow(&mut self, change: Option<Change>) {
        match change {
            Some(Change::Started) => self.word_began = self.now_ms.saturating_sub(self.config.voice.onset_ms),
            Some(Change::Ended) => {
                let ended = self.now_ms.saturating_sub(self.config.voice.hangover_ms);
                if ended.saturating_sub(self.word_began) >= self.config.word_ms {
                    self.began.get_or_insert(self.word_began);
                    self.ended = ended;
                    self.words += 1;
                }
            }
            None => {}
        }
    }

    fn judge(&self, beep: Option<u32>) -> Option<(Answerer, Reason)> {
        let Self { config, words, .. } = *self;
        if let Some(hertz) = beep {
            return Some((Answerer::Machine, Reason::Beep { hertz }));
        }
        if words >= config.words {
            return Some((Answerer::Machine, Reason::ManyWords { words }));
        }
        let speaking = self.voice.is_speaking();
        let began = self.began.or(speaking.then_some(self.word_began));
        let greeting_ms = began.map(|began| if speaking { self.now_ms } else { self.ended }.saturating_sub(began));
        if let Some(greeting_ms) = greeting_ms {
            if greeting_ms >= config.greeting_ms {
                return Some((Answerer::Machine, Reason::LongGreeting { greeting_ms }));
            }
            if !speaking && self.began.is_some() && self.now_ms - self.ended >= config.after_greeting_ms {
                return Some((Answerer::Human, Reason::ShortGreeting { greeting_ms, words }));
            }
        }
        if self.began.is_none() && !speaking && self.now_ms >= config.initial_silence_ms {
            return Some((Answerer::Unknown, Reason::Silent));
        }
        (self.now_ms >= config.limit_ms).then_some((Answerer::Unknown, Reason::TimedOut))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Speech of a kind: `(speech ms, silence ms)`, one after another.
    fn line(words: &[(u32, u32)]) -> Vec<i16> {
        let parts: Vec<String> =
            words.iter().map(|(speech, silence)| format!("180+310+530/{speech},0/{silence}")).collect();
        crate::tone(&parts.join(",")).unwrap().samples().to_vec()
    }

    fn decide(samples: &[i16]) -> Option<Decision> {
        let mut detector = MachineDetector::new(MachineConfig::default());
        samples.chunks_exact(80).find_map(|frame| detector.push(frame))
    }

    #[test]
    fn a_word_and_silence_is_a_person() {
        let decision = decide(&line(&[(500, 3_000)])).unwrap();
        assert_eq!(decision.answerer, Answerer::Human, "{decision:?}");
        assert!((1_280..=1_400).contains(&decision.at_ms), "{decision:?}");
    }

    #[test]
    fn talk_that_goes_on_is_a_machine() {
        let decision = decide(&line(&[(900, 300), (900, 300), (900, 300)])).unwrap();
        assert!(matches!(decision.reason, Reason::LongGreeting { .. }), "{decision:?}");
        assert!(decision.at_ms < 2_600);
    }

    #[test]
    fn a_beep_is_a_machine_and_silence_is_nobody() {
        let beep = crate::tone("0/1000,1000/400,0/1000").unwrap();
        let decision = decide(beep.samples()).unwrap();
        assert!(matches!(decision.reason, Reason::Beep { hertz: 960..=1_040 }), "{decision:?}");
        let decision = decide(&vec![0; 80_000]).unwrap();
        assert_eq!((decision.answerer, decision.reason), (Answerer::Unknown, Reason::Silent));
    }

    #[test]
    fn a_click_is_no_greeting_and_it_decides_once() {
        let decision = decide(&line(&[(40, 6_000)])).unwrap();
        assert_eq!(decision.reason, Reason::Silent);
        let mut detector = MachineDetector::new(MachineConfig::default());
        let samples = line(&[(500, 3_000), (500, 3_000), (3_000, 3_000)]);
        assert_eq!(samples.chunks_exact(80).filter_map(|frame| detector.push(frame)).count(), 1);
        assert!(detector.is_decided());
    }
}
