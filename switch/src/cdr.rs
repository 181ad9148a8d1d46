//! The call detail record: one immutable value a call, made when it ends.

use crate::{CallSid, Cause, Direction, Status};
use serde::{Deserialize, Serialize};

/// When things happened, in milliseconds since the Unix epoch (UTC). `None`: it did not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timestamps {
    /// Admitted, by the API or from a trunk.
    pub queued: u64,
    /// The first INVITE left.
    pub sent: Option<u64>,
    /// The first 180, or 183 without a session description.
    pub ringing: Option<u64>,
    /// The first provisional response with a session description.
    pub early_media: Option<u64>,
    /// The 200 came (outbound) or left (inbound).
    pub answered: Option<u64>,
    /// The end.
    pub ended: Option<u64>,
}

/// One direction of a call's audio.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StreamQuality {
    /// RTP packets.
    pub packets: u64,
    /// Packets that were sent and did not arrive (RFC 3550 §6.4.1; may be unknown for our own stream until an RR came).
    pub lost: u64,
    /// Share of packets lost, in percent.
    pub loss_percent: f64,
    /// Inter-arrival jitter in milliseconds (RFC 3550 §6.4.1).
    pub jitter_ms: f64,
    /// Estimated listening quality, 1 to 4.5 (ITU-T G.107). `None`: nothing was received to judge.
    pub mos: Option<f64>,
}

/// A call detail record (DESIGN.md §5): all of it known at once, never changed after.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cdr {
    /// The call.
    pub sid: CallSid,
    /// The call this is a leg of.
    pub parent: Option<CallSid>,
    /// Whose call it was.
    pub tenant: String,
    /// The trunk that carried it, or was tried last.
    pub trunk: Option<String>,
    /// Which way it went.
    pub direction: Direction,
    /// Caller.
    pub from: String,
    /// Called.
    pub to: String,
    /// Its last status.
    pub status: Status,
    /// When what happened.
    pub at: Timestamps,
    /// Answer to end, in milliseconds, measured on the monotonic clock.
    pub billable_ms: u64,
    /// Admission to end, in milliseconds, measured on the monotonic clock.
    pub duration_ms: u64,
    /// Post-dial delay: INVITE to the first 180/183/200, in milliseconds.
    pub pdd_ms: Option<u64>,
    /// Why it ended.
    pub cause: Cause,
    /// The codec's RTP name, e.g. `PCMU`.
    pub codec: Option<String>,
    /// What the far end sent and we received.
    pub received: StreamQuality,
    /// What we sent, as the far end reported it.
    pub sent: StreamQuality,
    /// Recordings made of it.
    pub recordings: Vec<String>,
    /// The carrier's own name for the call (`X-Twilio-CallSid`).
    pub carrier_call_id: Option<String>,
    /// The Call-ID of each INVITE, in order.
    pub sip_call_ids: Vec<String>,
    /// What it cost, where a rate is known.
    pub price: Option<f64>,
    /// The client's own words, given back.
    pub metadata: serde_json::Value,
}
