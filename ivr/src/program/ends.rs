//! How what was asked for has ended, and what a document's owner is told of it (TWILIO.md §4.2).

use super::io::GatherReason;
use crate::http::{FetchFault, Params, Response};
use url::Url;

/// How a bridge has ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BridgeEnd {
    /// In a word.
    pub status: BridgeStatus,
    /// The sid of the last call that was made for it.
    pub sid: Option<String>,
    /// Seconds from the answer of the called; where nobody has counted them, the machine does from
    /// [`Input::BridgeAnswered`](super::Input::BridgeAnswered).
    pub duration_s: Option<u32>,
    /// The called heard the caller: false where a screening was not passed.
    pub bridged: bool,
    /// The recording that was made of it.
    pub recording: Option<Recording>,
    /// The Call-ID of the called.
    pub sip_call_id: Option<String>,
    /// What the INVITE was answered with at last.
    pub sip_status: Option<u16>,
    /// `X-` headers of the final response or the BYE.
    pub sip_headers: Vec<(String, String)>,
}

/// How a bridge has ended, in a word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum BridgeStatus {
    /// Somebody answered, and has gone.
    #[default]
    Completed,
    /// Everyone was busy or declined.
    Busy,
    /// Nobody answered in time.
    NoAnswer,
    /// The call could not be made.
    Failed,
    /// The caller has gone before an answer.
    Canceled,
}

impl BridgeStatus {
    /// The word of TWILIO.md §4.2.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Busy => "busy",
            Self::NoAnswer => "no-answer",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
        }
    }
}

/// A recording that was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recording {
    /// `RE` and 32 hexadecimal digits.
    pub sid: String,
    /// Where it is, without a file's extension; none where there is none: nothing was recorded, or it was lost.
    pub url: Option<Url>,
    /// Whole seconds.
    pub duration_s: u32,
    /// 1 or 2.
    pub channels: u8,
    /// When it began, in milliseconds since the Unix epoch.
    pub started_ms: u64,
    /// Twilio's number of what went wrong with it.
    pub error: Option<u32>,
}

/// How a stay in a conference has ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConferenceEnd {
    /// The recording of the conference, where it has one already.
    pub recording: Option<Recording>,
    /// The caller could not be let in: it is full, or there is no such thing here.
    pub failed: bool,
}

/// What has become of a referral.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReferEnd {
    /// What the REFER was answered with.
    pub sip_status: Option<u16>,
    /// The last status that a NOTIFY told.
    pub notify_status: Option<u16>,
}

/// What a verb has brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nothing worth telling.
    Done,
    Gathered {
        digits: String,
        reason: GatherReason,
        finish: Option<char>,
        speech: Option<(String, Option<u16>)>,
    },
    Recorded {
        recording: Recording,
        ended_by: Option<String>,
    },
    Bridged(BridgeEnd),
    Conferenced(ConferenceEnd),
    Referred(ReferEnd),
    Fetched(Result<Response, FetchFault>),
}

fn pair(name: &str, value: impl Into<String>) -> (String, String) {
    (name.to_owned(), value.into())
}

impl Outcome {
    /// True where the caller has entered nothing.
    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::Gathered { digits, speech: None, .. } if digits.is_empty())
    }

    /// What is told of it beside what is told of the call (TWILIO.md §4.2).
    pub(super) fn params(&self) -> Params {
        match self {
            Self::Done | Self::Fetched(_) => Params::new(),
            Self::Gathered { speech: Some((text, confidence)), .. } => {
                let mut params = vec![pair("SpeechResult", text)];
                let sure = confidence.map(|thousandths| format!("{}.{:03}", thousandths / 1_000, thousandths % 1_000));
                params.extend(sure.map(|sure| pair("Confidence", sure)));
                params
            }
            Self::Gathered { digits, finish, .. } => {
                vec![pair("Digits", digits), pair("FinishedOnKey", finish.map(String::from).unwrap_or_default())]
            }
            Self::Recorded { recording, ended_by } => {
                let mut params = recording_params(recording);
                params.push(pair("Digits", ended_by.clone().unwrap_or_default()));
                params
            }
            Self::Bridged(end) => bridge_params(end),
            Self::Conferenced(end) => {
                let status = if end.failed { "failed" } else { "answered" };
                let mut params = vec![pair("DialCallStatus", status)];
                params.extend(end.recording.iter().flat_map(recording_params));
                params
            }
            Self::Referred(end) => refer_params(end),
        }
    }
}

fn recording_params(recording: &Recording) -> Params {
    let mut params = Params::new();
    params.extend(recording.url.as_ref().map(|url| pair("RecordingUrl", url.as_str())));
    params.push(pair("RecordingSid", &recording.sid));
    params.push(pair("RecordingDuration", recording.duration_s.to_string()));
    params
}

fn bridge_params(end: &BridgeEnd) -> Params {
    let mut params = vec![pair("DialCallStatus", end.status.as_str())];
    params.extend(end.sid.as_ref().map(|sid| pair("DialCallSid", sid)));
    params.extend(end.duration_s.map(|seconds| pair("DialCallDuration", seconds.to_string())));
    params.push(pair("DialBridged", end.bridged.to_string()));
    if let Some(recording) = &end.recording {
        params.extend(recording.url.as_ref().map(|url| pair("RecordingUrl", url.as_str())));
    }
    params.extend(end.sip_call_id.as_ref().map(|id| pair("DialSipCallId", id)));
    params.extend(end.sip_status.map(|status| pair("DialSipResponseCode", status.to_string())));
    params.extend(end.sip_headers.iter().map(|(name, value)| pair(&format!("DialSipHeader_{name}"), value)));
    params
}

/// What ReferCallStatus says is inferred: the end that the transfer's last status stands for (TWILIO.md §2.5).
fn refer_params(end: &ReferEnd) -> Params {
    let status = match end.notify_status.or(end.sip_status) {
        Some(200..=299) => "completed",
        Some(486 | 600) => "busy",
        Some(408 | 480 | 487) => "no-answer",
        _ => "failed",
    };
    let mut params = vec![pair("ReferCallStatus", status)];
    params.extend(end.sip_status.map(|status| pair("ReferSipResponseCode", status.to_string())));
    params.extend(end.notify_status.map(|status| pair("NotifySipResponseCode", status.to_string())));
    params
}
