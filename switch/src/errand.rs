//! What a call asks of the world outside: web servers, voices, files. The rim runs the errand and comes back with what it
//! brought ([`Brought`]); it never runs on the signalling thread, and a call that has gone meanwhile does not hear of it.

use crate::CallSid;
use ivr::{FetchFault, FetchId, Flow, HttpRequest, ListenId, PlayId, Response, Say};
use std::sync::Arc;
use url::Url;

/// One errand.
#[derive(Clone, Debug, PartialEq)]
pub struct Errand {
    /// Whose.
    pub sid: CallSid,
    /// The tenant that the call belongs to: whose flows, whose credentials.
    pub tenant: String,
    /// What is asked for.
    pub asked: Asked,
}

/// What is asked for. All but [`Asked::Callback`] are answered, once, by [`Command::Brought`](crate::Command::Brought).
#[derive(Clone, Debug, PartialEq)]
pub enum Asked {
    /// One HTTP exchange, no redirection followed, signed where the tenant has an auth token.
    Fetch {
        /// Named in what is brought.
        fetch: FetchId,
        /// What is sent.
        request: HttpRequest,
    },
    /// The newest version of a flow of the tenant.
    Flow {
        /// Named in what is brought.
        fetch: FetchId,
        /// Its name.
        name: String,
    },
    /// A prompt that a document names, to be made known to the switch.
    Prompt {
        /// Named in what is brought.
        play: PlayId,
        /// Its name.
        name: String,
    },
    /// A sound file from the web, decoded.
    Sound {
        /// Named in what is brought.
        play: PlayId,
        /// Where it is.
        url: Url,
    },
    /// Words, spoken.
    Say {
        /// Named in what is brought.
        play: PlayId,
        /// What, and by whom.
        say: Say,
    },
    /// What a caller has said, to be understood.
    WriteDown {
        /// Named in what is brought.
        listen: ListenId,
        /// What was said.
        utterance: Box<Utterance>,
    },
    /// An HTTP exchange whose response nobody waits for; tried again as the rim sees fit.
    Callback {
        /// What is sent.
        request: HttpRequest,
    },
}

/// What a caller has said, and how it is to be understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Utterance {
    /// A WAV file: 16-bit mono PCM at 8 kHz.
    pub wav: Vec<u8>,
    /// Its language, as a tag such as `en-US`.
    pub language: String,
    /// Words that are likely, separated by commas; may be empty.
    pub hints: String,
}

/// What was understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// The words; empty where there were none.
    pub text: String,
    /// How sure the recogniser is, in thousandths, where it says so.
    pub confidence: Option<u16>,
}

/// What an errand has brought.
#[derive(Clone, Debug)]
pub enum Brought {
    /// By [`Asked::Fetch`].
    Response {
        /// Which.
        fetch: FetchId,
        /// The response, or why there is none.
        result: Result<Response, FetchFault>,
    },
    /// By [`Asked::Flow`].
    Flow {
        /// Which.
        fetch: FetchId,
        /// None where the tenant has no such flow.
        flow: Option<Arc<Flow>>,
    },
    /// By [`Asked::Prompt`].
    Prompt {
        /// Which.
        play: PlayId,
        /// It is known now; or, in words, why not.
        known: Result<(), String>,
    },
    /// By [`Asked::WriteDown`].
    WrittenDown {
        /// Which.
        listen: ListenId,
        /// The words; or, in words of our own, why there are none.
        result: Result<Heard, String>,
    },
    /// By [`Asked::Sound`] and [`Asked::Say`].
    Sound {
        /// Which.
        play: PlayId,
        /// Ready to be played; or, in words, why not.
        sound: Result<Arc<media::Prompt>, String>,
    },
}
