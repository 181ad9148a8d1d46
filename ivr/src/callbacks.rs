//! What others are told of a call, in Twilio's own parameters (TWILIO.md §3.2, §3.5, §3.6): pure functions from what has
//! happened to names and values. Who is told, and when, is the driver's: it makes an
//! [`HttpRequest`] of them with [`request`].

use crate::answer::Callback;
use crate::context::CallContext;
use crate::http::{HttpRequest, Params};
use crate::program::Recording;
use jiff::Timestamp;

/// One event of a call's progress.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallEvent {
    /// Which.
    pub progress: Progress,
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// Its place among the call's events, from 0; those that nobody has asked for count too.
    pub sequence: u32,
    /// What the INVITE was answered with, where that says more than the status: of a failure, at least.
    pub sip_status: Option<u16>,
    /// The recording of the call, of an end.
    pub recording: Option<Recording>,
}

/// How far a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It is being made.
    Initiated,
    /// The far end rings.
    Ringing,
    /// The far end has answered.
    Answered,
    /// It is over.
    Completed {
        /// How.
        status: FinalStatus,
        /// Seconds from its answer; 0 where there was none.
        duration_s: u32,
    },
}

/// How a call has ended (TWILIO.md §2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinalStatus {
    /// It was answered.
    Completed,
    /// The far end was busy.
    Busy,
    /// Nobody answered.
    NoAnswer,
    /// It could not be made.
    Failed,
    /// It was taken back.
    Canceled,
}

impl Progress {
    /// The name under which somebody asks for it: every end is `completed`.
    #[must_use]
    pub const fn event(self) -> &'static str {
        match self {
            Self::Initiated => "initiated",
            Self::Ringing => "ringing",
            Self::Answered => "answered",
            Self::Completed { .. } => "completed",
        }
    }

    /// The CallStatus that it is told with.
    #[must_use]
    pub const fn call_status(self) -> &'static str {
        match self {
            Self::Initiated => "initiated",
            Self::Ringing => "ringing",
            Self::Answered => "in-progress",
            Self::Completed { status, .. } => match status {
                FinalStatus::Completed => "completed",
                FinalStatus::Busy => "busy",
                FinalStatus::NoAnswer => "no-answer",
                FinalStatus::Failed => "failed",
                FinalStatus::Canceled => "canceled",
            },
        }
    }
}

fn pair(name: &str, value: impl Into<String>) -> (String, String) {
    (name.to_owned(), value.into())
}

/// The parameters of a status callback (TWILIO.md §3.2).
#[must_use]
pub fn status(call: &CallContext, event: &CallEvent) -> Params {
    let mut params = call.params(event.progress.call_status());
    if let Progress::Completed { duration_s, .. } = event.progress {
        params.push(pair("CallDuration", duration_s.to_string()));
        params.push(pair("Duration", duration_s.div_ceil(60).to_string()));
    }
    params.push(pair("Timestamp", rfc2822(event.at_ms)));
    params.push(pair("SequenceNumber", event.sequence.to_string()));
    params.push(pair("CallbackSource", "call-progress-events"));
    params.extend(event.sip_status.map(|status| pair("SipResponseCode", status.to_string())));
    if let Some(recording) = &event.recording {
        params.extend(recording.url.as_ref().map(|url| pair("RecordingUrl", url.as_str())));
        params.push(pair("RecordingSid", &recording.sid));
        params.push(pair("RecordingDuration", recording.duration_s.to_string()));
    }
    params
}

/// The parameters that tell who has answered a call (TWILIO.md §2.2): `who` is `human`, `machine_start` and so on.
#[must_use]
pub fn machine(call: &CallContext, who: &str, took_ms: u64) -> Params {
    vec![
        pair("CallSid", &call.call_sid),
        pair("AccountSid", &call.account_sid),
        pair("AnsweredBy", who),
        pair("MachineDetectionDuration", took_ms.to_string()),
    ]
}

/// The parameters of a recording callback (TWILIO.md §3.5): `event` is `in-progress`, `completed` or `absent`, `source`
/// is `RecordVerb`, `DialVerb`, `Conference` and so on.
#[must_use]
pub fn recording(call: &CallContext, recording: &Recording, event: &str, source: &str) -> Params {
    let mut params = vec![
        pair("AccountSid", &call.account_sid),
        pair("CallSid", &call.call_sid),
        pair("RecordingSid", &recording.sid),
    ];
    params.extend(recording.url.as_ref().map(|url| pair("RecordingUrl", url.as_str())));
    params.push(pair("RecordingStatus", event));
    params.push(pair("RecordingDuration", recording.duration_s.to_string()));
    params.push(pair("RecordingChannels", recording.channels.to_string()));
    params.push(pair("RecordingSource", source));
    params.push(pair("RecordingStartTime", rfc2822(recording.started_ms)));
    params.push(pair("RecordingTrack", "both"));
    params.push(pair("ErrorCode", recording.error.unwrap_or(0).to_string()));
    params
}

/// One event of a conference.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConferenceEvent {
    /// As it is sent: `conference-start`, `participant-join`, …
    pub name: String,
    /// `CF` and 32 hexadecimal digits.
    pub conference_sid: String,
    /// The conference's name.
    pub friendly_name: String,
    /// Its place among the conference's events, from 1.
    pub sequence: u32,
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// The member that it is about.
    pub member: Option<Member>,
    /// What else is known, in the order in which it is sent: `ReasonConferenceEnded`, `CallSidEndingConference`.
    pub extra: Params,
}

/// A member of a conference, as its events show it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    /// Its call.
    pub call_sid: String,
    /// What it is called.
    pub label: Option<String>,
    /// Is not heard.
    pub muted: bool,
    /// Is on hold.
    pub hold: bool,
    /// Is heard by one only.
    pub coaching: bool,
    /// Its coming begins the conference.
    pub start_on_enter: bool,
    /// Its going ends it.
    pub end_on_exit: bool,
}

/// The parameters of a conference callback (TWILIO.md §3.6).
#[must_use]
pub fn conference(account_sid: &str, event: &ConferenceEvent) -> Params {
    let mut params = vec![
        pair("ConferenceSid", &event.conference_sid),
        pair("FriendlyName", &event.friendly_name),
        pair("AccountSid", account_sid),
        pair("SequenceNumber", event.sequence.to_string()),
        pair("Timestamp", rfc2822(event.at_ms)),
        pair("StatusCallbackEvent", &event.name),
    ];
    if let Some(member) = &event.member {
        params.push(pair("CallSid", &member.call_sid));
        params.push(pair("Muted", member.muted.to_string()));
        params.push(pair("Hold", member.hold.to_string()));
        params.push(pair("Coaching", member.coaching.to_string()));
        params.push(pair("StartConferenceOnEnter", member.start_on_enter.to_string()));
        params.push(pair("EndConferenceOnExit", member.end_on_exit.to_string()));
        params.extend(member.label.as_ref().map(|label| pair("ParticipantLabel", label)));
    }
    params.extend(event.extra.iter().cloned());
    params
}

/// The request that tells it; `token` is the driver's own number for it, the same in each retry.
#[must_use]
pub fn request(callback: &Callback, params: Params, token: u32) -> HttpRequest {
    HttpRequest::new(callback.url.clone(), callback.method, params, token)
}

/// `Sun, 25 Mar 2018 09:53:19 +0000`
fn rfc2822(ms: u64) -> String {
    let at =
        i64::try_from(ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok()).unwrap_or(Timestamp::UNIX_EPOCH);
    at.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string()
}
