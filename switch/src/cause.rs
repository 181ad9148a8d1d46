//! Why a call ended: one value, decided once.

use serde::{Deserialize, Serialize};

/// Who or what ended a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The one who called.
    Caller,
    /// The one who was called, or the far end's network on their behalf.
    Callee,
    /// A trunk refused, failed or did not answer before the call reached anyone.
    Carrier,
    /// `POST /v1/calls/{sid}`.
    Api,
    /// The call's own program came to its end.
    Program,
    /// A limit of time: `timeout_s`, `max_duration_s`, or too long in the queue.
    Limit,
    /// No RTP from the far end for `media.timeout_s`.
    MediaTimeout,
    /// This switch: a drain, a full table, a fault of its own.
    Switch,
    /// The process died while the call was live; found at the next start.
    Interrupted,
}

/// Why a call ended. Each call has exactly one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// The final SIP status where there was one: 200 for a call that was answered, 486, 603, 408 (also for silence) …
    pub sip_status: Option<u16>,
    /// Q.850 cause value: 16 normal clearing, 17 user busy, 19 no answer …
    pub q850: u8,
    /// Who ended it.
    pub origin: Origin,
    /// Whether the same call might succeed later or by another trunk.
    pub retry: bool,
    /// A short reason in words: the response's own phrase, X-Twilio-Error's text, or ours.
    pub reason: String,
}
