//! Facts about calls: what the journal keeps and everything outside projects.

use crate::{CallSid, Cdr};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::sync::Arc;

/// One fact about one call. Facts of a call are numbered from 0 (its admission) without a gap.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The call.
    pub sid: CallSid,
    /// Its number within the call.
    pub seq: u32,
    /// When, in milliseconds since the Unix epoch.
    pub at: u64,
    /// What.
    #[serde(flatten)]
    pub fact: Fact,
}

/// Which way a call goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Direction {
    /// Somebody called us.
    #[serde(rename = "inbound")]
    Inbound,
    /// `POST /v1/calls`.
    #[serde(rename = "outbound-api")]
    OutboundApi,
    /// A call's program called somebody (`bridge`): the second leg of that call, with books of its own.
    #[serde(rename = "outbound-dial")]
    OutboundDial,
}

/// What a call was admitted as.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Admission {
    /// Whose call.
    pub tenant: String,
    /// The call that this is a leg of.
    #[serde(default)]
    pub parent: Option<CallSid>,
    /// Which way.
    pub direction: Direction,
    /// Caller.
    pub from: String,
    /// Called.
    pub to: String,
    /// The trunk that was asked for (outbound) or that it came from (inbound).
    pub trunk: Option<String>,
    /// What runs when it is answered, in its canonical form.
    pub answer: Arc<serde_json::Value>,
    /// The client's own words.
    pub metadata: serde_json::Value,
    /// Who is told of what becomes of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_callback: Option<Box<StatusCallback>>,
    /// The Call-ID of the INVITE that it came with; none where we send that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sip_call_id: Option<String>,
    /// It is a leg that leaves over a trunk: it counts among its tenant's calls a second. Whoever takes the record in
    /// hears it; no book has it.
    #[serde(skip)]
    pub leaves: bool,
}

/// Where a call's events are delivered. The switch only writes it down: the deliveries are made of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusCallback {
    /// An `http` or `https` URL.
    pub url: String,
    /// Kinds of facts: `call.ringing`, `call.ended`; in Twilio's form `ringing`, `completed`.
    pub events: Vec<String>,
    /// In whose form.
    #[serde(default)]
    pub form: CallbackForm,
    /// By GET, and not by POST, as Twilio's form knows both.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub get: bool,
}

/// One request in Twilio's form that somebody is owed. It goes out until it is taken, also after a death of the process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owed {
    /// What it tells: `participant-join`, `recording-completed`, `amd`.
    pub event: String,
    /// An `http` or `https` URL.
    pub url: String,
    /// By GET, and not by POST.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub get: bool,
    /// Names and values, in their order.
    pub params: Vec<(String, String)>,
}

impl Owed {
    /// A request that tells of an event.
    #[must_use]
    pub fn new(event: impl Into<String>, request: &ivr::HttpRequest) -> Self {
        let (url, get) = (request.url.to_string(), request.method == ivr::Method::Get);
        Self { event: event.into(), url, get, params: request.params().to_vec() }
    }
}

/// In whose form a status callback is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallbackForm {
    /// Standard Webhooks.
    #[default]
    Standard,
    /// Twilio's.
    Twilio,
}

/// How a gather ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GatherEnd {
    /// The finish key.
    FinishKey,
    /// As many digits as were wanted.
    MaxDigits,
    /// Some digits, then none.
    Timeout,
    /// No digit at all.
    NoInput,
    /// The caller spoke.
    Speech,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", rename_all = "snake_case")]
pub enum Fact {
    /// The call exists. Always its first record.
    Admitted(Box<Admission>),
    /// An INVITE left for a trunk, or for the device of a user.
    Dialing {
        /// The trunk; the user.
        trunk: String,
        /// 1 for the first.
        attempt: u32,
        /// Its Call-ID.
        sip_call_id: String,
    },
    /// A provisional response without media.
    Ringing {
        /// 180, 181, 182 or 183.
        sip_status: u16,
    },
    /// A provisional response with media.
    EarlyMedia {
        /// 180 or 183.
        sip_status: u16,
    },
    /// The call was answered.
    Answered {
        /// 200.
        sip_status: u16,
        /// The codec's RTP name; empty where the ACK is to agree on one.
        codec: String,
        /// The carrier's own name for the call.
        carrier_call_id: Option<String>,
    },
    /// The path over a trunk failed: no answer, an overload, a fault of its carrier. Where there is another, it is tried.
    AttemptFailed {
        /// The trunk.
        trunk: String,
        /// Its final status, 408 for silence.
        sip_status: Option<u16>,
        /// In words.
        reason: String,
    },
    /// A prompt began.
    Playing {
        /// Its name.
        prompt: String,
    },
    /// A prompt ended.
    Played {
        /// Its name.
        prompt: String,
        /// False where it was stopped, by a key or by the end.
        finished: bool,
    },
    /// A key was pressed.
    Digit {
        /// `0`–`9`, `*`, `#`, `A`–`D`.
        digit: char,
        /// For how long.
        duration_ms: u32,
    },
    /// A gather ended.
    Gathered {
        /// The digits, without the finish key.
        digits: String,
        /// How.
        reason: GatherEnd,
    },
    /// The program calls these, to join the call with whoever answers.
    Bridging {
        /// As the program names them.
        to: Vec<String>,
    },
    /// The call is joined with another: each hears the other.
    Bridged {
        /// The other.
        with: CallSid,
    },
    /// It is so no longer.
    Unbridged {
        /// The other.
        with: CallSid,
    },
    /// A recording has begun.
    Recording {
        /// Its sid: `RE` and 32 hexadecimal digits.
        recording: String,
        /// 1 or 2.
        channels: u8,
        /// What somebody is told once it is whole, for the case that the process dies before; its length is not in it yet.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        owes: Option<Box<Owed>>,
    },
    /// A recording is over, and its file whole.
    Recorded {
        /// Its sid.
        recording: String,
        /// How long it is.
        duration_ms: u64,
        /// Octets of its WAV file; 0 where there is none.
        octets: u64,
        /// 1 or 2.
        channels: u8,
        /// Why: `stopped`, `hangup`, `max_length`, `silence`, `key #`, `disk`, `slow_disk`.
        reason: String,
    },
    /// The call has entered a conference.
    Joined {
        /// Its sid: `CF` and 32 hexadecimal digits.
        conference: String,
        /// Its name, within the tenant.
        name: String,
    },
    /// What it may do there has changed, or is not what members may from the start.
    Member {
        /// Its sid.
        conference: String,
        /// Is not heard.
        muted: bool,
        /// Hears nothing.
        deaf: bool,
        /// Neither, and hears music.
        held: bool,
        /// Is heard by this call only.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        coaches: Option<CallSid>,
    },
    /// It is in it no more.
    Left {
        /// Its sid.
        conference: String,
    },
    /// What is said is left out of a recording from now on.
    RecordingPaused {
        /// Its sid.
        recording: String,
    },
    /// It is taken in again.
    RecordingResumed {
        /// Its sid.
        recording: String,
    },
    /// Keys are pressed for the far end, by the API or by who made this leg.
    Pressed {
        /// Which, with `w` and `W` for silence.
        digits: String,
    },
    /// Directions are silenced; none where both are false.
    Muted {
        /// Nobody hears the far end.
        inbound: bool,
        /// The far end hears nothing.
        outbound: bool,
    },
    /// We hold the call: the far end is not heard, and hears music at most.
    PutOnHold,
    /// We hold it no longer.
    TakenOffHold,
    /// Who has answered, as far as that can be told.
    AnsweredBy {
        /// `human`, `machine_start`, `machine_end_beep`, `machine_end_silence`, `machine_end_other`, `unknown`.
        answered_by: String,
        /// How long after the answer it was decided.
        took_ms: u64,
    },
    /// The far end was asked to call somebody else (RFC 3515).
    Referred {
        /// Whom.
        to: String,
        /// What it answered; none where it could not be asked.
        sip_status: Option<u16>,
    },
    /// Something that the program asked for is not as it should be; the call goes on.
    Warning {
        /// Twilio's number for it; 0 where it has none.
        code: u32,
        /// In words.
        message: String,
    },
    /// Somebody that a document or the API names is told of a conference, a recording, or who has answered.
    Callback(Box<Owed>),
    /// The far end holds the call: it does not listen (RFC 3264 §8.4).
    Held,
    /// It listens again.
    Resumed,
    /// No RTP from the far end within two seconds.
    NoMedia,
    /// RTP from the far end flows (again).
    MediaResumed,
    /// A SIP message, sent or received: a line of the ladder. Never a header, never a secret.
    Message {
        /// True where we sent it.
        sent: bool,
        /// `UDP`, `TCP`, `TLS`, `WS` or `WSS`.
        transport: Cow<'static, str>,
        /// The peer's address.
        peer: String,
        /// The start line, escaped.
        line: String,
        /// The CSeq.
        cseq: String,
        /// True where it was sent or received before.
        retransmission: bool,
    },
    /// The call is over. Always its last record but for stray [`Fact::Message`]s, and what its program
    /// still owes ([`Fact::Callback`]).
    Ended(Arc<Cdr>),
}
