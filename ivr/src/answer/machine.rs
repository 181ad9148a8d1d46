//! How it is found out whether a person or a machine has answered (TWILIO.md §2.2).

use super::Callback;
use std::time::Duration;

/// How it is found out who has answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineDetection {
    /// The program begins when it is decided; else at once, and hears of it when it asks for documents afterwards.
    pub waits: bool,
    /// A machine's greeting is waited out.
    pub until_end: bool,
    /// Later than this nothing is decided: 3 to 60 seconds.
    pub limit: Duration,
    /// Speech that goes on for so long is a machine's greeting, in milliseconds.
    pub speech_ms: u32,
    /// Silence for so long behind a short greeting is a person who waits, in milliseconds.
    pub after_speech_ms: u32,
    /// Silence for so long behind a machine's greeting is its end, in milliseconds.
    pub speech_end_ms: u32,
    /// Silence for so long at first: it is not decided, in milliseconds.
    pub silence_ms: u32,
    /// Who is told of it.
    pub callback: Option<Callback>,
}

impl Default for MachineDetection {
    fn default() -> Self {
        Self {
            waits: true,
            until_end: false,
            limit: Duration::from_secs(30),
            speech_ms: 2_400,
            after_speech_ms: 800,
            speech_end_ms: 1_200,
            silence_ms: 5_000,
            callback: None,
        }
    }
}
