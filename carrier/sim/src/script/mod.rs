//! What one call meets at the carrier: a [`Script`], written in one line of plain words.
//!
//! ```text
//! challenge, ring 200ms, early ringback, answer 500ms, say hello, press 1 after 2s, hangup after 8s
//! ```
//!
//! | before the answer | |
//! |---|---|
//! | `challenge`, `no challenge` | 407 to the first INVITE, or never; unsaid: where the carrier has credentials |
//! | `ring` | 180 (Ringing) |
//! | `early`, `early NAME` | 183 (Session Progress) with SDP, and the prompt NAME on it |
//! | `progress CODE` | any other provisional, without SDP |
//!
//! | the one final answer | |
//! |---|---|
//! | `answer` | 200 (OK) |
//! | `busy`, `not found`, `timeout`, `unavailable`, `overloaded`, `decline` | 486, 404, 408, 480, 503, 603 |
//! | `reject CODE`, `reject CODE retry TIME` | any 4xx, 5xx, 6xx; with Retry-After |
//! | `redirect URI` | 302 (Moved Temporarily) |
//! | `ring only` | 180 and never a final answer |
//! | `trying only` | 100 and never a final answer |
//! | `silent` | nothing at all, not even 100: the requests go into the void |
//!
//! | after the answer | |
//! |---|---|
//! | `say NAME`, `say NAME loop` | plays a prompt; the next step that names no `after` waits for its end |
//! | `press DIGITS` | telephone-events (RFC 4733) |
//! | `wait TIME` | nothing, for so long |
//! | `hold`, `resume` | a re-INVITE that turns the media `sendonly`, and back |
//! | `hangup` | BYE |
//! | `lost bye` | the carrier believes that it has hung up; no BYE ever arrives |
//! | `vanish` | the carrier neither hears nor says anything more, in SIP or RTP |
//!
//! | for the whole call | |
//! |---|---|
//! | `no rtp` | never sends a packet (it hears them all the same) |
//! | `lost ack` | no ACK reaches the carrier (RFC 3261 §13.3.1.4) |
//! | `late 200 after cancel`, `… TIME` | answers a CANCEL by answering the call: the 200 that crosses it (§9.1) |
//! | `cancel` | as the caller: gives up, where nobody has answered by then |
//!
//! A step may end with a time. Plain (`ring 200ms`), it counts from the step before; with `after` (`hangup after 8s`),
//! from the start of the phase: the INVITE, or the answer. `then` may stand for a comma. A call that the carrier
//! itself places skips everything up to the answer, which is the other side's to give.
//!
//! This module may hold no timer and know no call: it is a language and nothing else.

mod parse;
mod words;
mod write;

pub use parse::ScriptError;
pub use words::{Digits, MAX_DIGITS, MAX_NAME, PromptName, Status, parse_time};

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The longest text of a script, in bytes; a longer one is refused unread.
pub const MAX_TEXT: usize = 4_096;
/// The most steps of a script; a longer one is refused.
pub const MAX_STEPS: usize = 64;
/// The longest time a step may name; a longer one is refused (no call of a test lasts a day).
pub const MAX_TIME: Duration = Duration::from_secs(86_400);

/// What one call meets. [`std::str::FromStr`] reads it, [`std::fmt::Display`] writes it back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Script {
    /// Whether an INVITE without credentials is challenged; unsaid, it is where the carrier knows a user. A carrier that
    /// knows none has nobody to challenge.
    pub challenge: Option<bool>,
    /// What comes before the final answer, in order.
    pub before: Vec<Step<Before>>,
    /// The final answer.
    pub finally: Finally,
    /// What a CANCEL meets.
    pub on_cancel: OnCancel,
    /// What happens once the call is answered, in order.
    pub during: Vec<Step<During>>,
    /// As the caller: when it gives up a call that nobody has answered, from the INVITE on.
    pub cancel_after: Option<Duration>,
    /// Whether the carrier sends media at all.
    pub sends_rtp: bool,
    /// Whether every ACK is lost on its way to the carrier.
    pub lost_ack: bool,
}

/// One thing to do, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step<A> {
    /// When.
    pub when: When,
    /// What.
    pub act: A,
}

/// When a step is taken; never before the step that is written ahead of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// So long after the step before was done (a `say`: when it was said).
    Then(Duration),
    /// So long after the phase began: the INVITE's arrival, or the answer.
    After(Duration),
}

impl When {
    /// As soon as the step before is done.
    pub const AT_ONCE: Self = Self::Then(Duration::ZERO);
}

/// A step before the final answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Before {
    /// 180 (Ringing).
    Ring,
    /// 183 (Session Progress) with SDP, and a prompt as early media where one is named.
    Early(Option<PromptName>),
    /// A provisional response without a body.
    Progress(Status),
}

/// How an INVITE ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finally {
    /// 200 (OK).
    Answer(When),
    /// A failure.
    Reject {
        /// When.
        when: When,
        /// 400 to 699.
        status: Status,
        /// Retry-After, whole seconds.
        retry_after: Option<Duration>,
    },
    /// 302 (Moved Temporarily).
    Redirect {
        /// When.
        when: When,
        /// The Contact.
        to: String,
    },
    /// No final answer; the provisionals stand.
    Never,
    /// No answer of any kind, to any request of this call.
    Silent,
}

/// What a CANCEL meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnCancel {
    /// 487 (Request Terminated), as RFC 3261 §9.2 has it.
    Terminate,
    /// A 200 to the INVITE, so long after the CANCEL arrived: the answer that crossed it.
    Answer(Duration),
}

/// A step after the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum During {
    /// Plays a prompt.
    Say {
        /// Which.
        prompt: PromptName,
        /// For ever, where true.
        repeat: bool,
    },
    /// Sends digits.
    Press(Digits),
    /// Does nothing, until its time has come.
    Wait,
    /// A re-INVITE with `sendonly`.
    Hold,
    /// A re-INVITE with `sendrecv`.
    Resume,
    /// BYE.
    Hangup,
    /// A BYE that nobody receives.
    LostBye,
    /// Nothing more, ever.
    Vanish,
}

impl Default for Script {
    /// `ring 200ms, answer 500ms`: a person who picks up, and stays until the other side hangs up.
    fn default() -> Self {
        let ring = Step { when: When::Then(Duration::from_millis(200)), act: Before::Ring };
        Self { before: vec![ring], ..Self::ending(Finally::Answer(When::Then(Duration::from_millis(500)))) }
    }
}

impl Script {
    /// A script with nothing but its final answer.
    #[must_use]
    pub const fn ending(finally: Finally) -> Self {
        Self {
            challenge: None,
            before: Vec::new(),
            finally,
            on_cancel: OnCancel::Terminate,
            during: Vec::new(),
            cancel_after: None,
            sends_rtp: true,
            lost_ack: false,
        }
    }

    /// The prompts it names, in order; each must be known to the carrier that runs it.
    pub fn prompts(&self) -> impl Iterator<Item = &PromptName> {
        let early = self.before.iter().filter_map(|step| match &step.act {
            Before::Early(prompt) => prompt.as_ref(),
            Before::Ring | Before::Progress(_) => None,
        });
        let said = self.during.iter().filter_map(|step| match &step.act {
            During::Say { prompt, .. } => Some(prompt),
            _ => None,
        });
        early.chain(said)
    }
}

#[cfg(test)]
mod tests;
