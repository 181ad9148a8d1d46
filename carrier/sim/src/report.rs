//! What became of a call, told once, at its end.

use crate::listen::Heard;
use base::Now;
use media::{Capture, Quality};
use serde::Serialize;

/// The most complaints kept of one call; further ones are counted and not kept.
pub const MAX_COMPLAINTS: usize = 16;

/// One call.
#[derive(Clone, Debug, Serialize)]
pub struct CallReport {
    /// Its Call-ID.
    pub call_id: String,
    /// `X-Twilio-CallSid`, or the like of it.
    pub call_sid: String,
    /// Who called: the user part of From.
    pub from: String,
    /// Who was called: the user part of the Request-URI.
    pub to: String,
    /// Who placed it.
    pub direction: Direction,
    /// What it met, in a script's words.
    pub script: String,
    /// How it ended.
    pub outcome: Outcome,
    /// The final status of the INVITE, where there was one.
    pub status: Option<u16>,
    /// When what happened.
    pub times: Times,
    /// The prompts that were heard, in order.
    pub heard: Vec<Heard>,
    /// The keys that the peer pressed.
    pub digits: String,
    /// Both directions of the media, where there was any.
    pub quality: Option<Quality>,
    /// What the peer did that a carrier of this kind would not take.
    pub complaints: Vec<String>,
    /// What was heard, where captures are kept.
    #[serde(skip)]
    pub capture: Option<Capture>,
}

/// Who placed a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Direction {
    /// The peer: termination.
    ToCarrier,
    /// The carrier: origination.
    FromCarrier,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Outcome {
    /// It was answered, and the peer hung up.
    EndedByPeer,
    /// It was answered, and the carrier hung up (or vanished, or meant to hang up).
    EndedByCarrier,
    /// It was answered, and then the peer was lost: no ACK, or no answer within the dialog.
    Lost,
    /// It was refused, by whoever was called.
    Refused,
    /// Whoever called gave up.
    Canceled,
    /// The script gave no answer at all, and the peer gave up in its own time.
    Ignored,
    /// It could not be placed, or came to nothing, for this reason.
    Failed(String),
}

impl Outcome {
    /// True where there was a conversation.
    #[must_use]
    pub const fn was_answered(&self) -> bool {
        matches!(self, Self::EndedByPeer | Self::EndedByCarrier | Self::Lost)
    }
}

/// The times of one call, as far as they came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Times {
    /// The INVITE (the one that was not challenged).
    pub invited: Now,
    /// The first 180.
    pub ringing: Option<Now>,
    /// The first provisional with SDP.
    pub early_media: Option<Now>,
    /// The 200.
    pub answered: Option<Now>,
    /// Its ACK.
    pub confirmed: Option<Now>,
    /// The first RTP packet.
    pub first_packet: Option<Now>,
    /// The end.
    pub ended: Now,
}

impl CallReport {
    /// Milliseconds of conversation.
    #[must_use]
    pub fn talked_ms(&self) -> u64 {
        self.times.answered.map_or(0, |answered| self.times.ended.since(answered).as_millis() as u64)
    }

    pub(crate) fn complain(&mut self, complaint: String) {
        if self.complaints.len() < MAX_COMPLAINTS {
            self.complaints.push(complaint);
        }
    }
}
