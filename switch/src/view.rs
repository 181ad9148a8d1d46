//! A call as the outside sees it: a fold over its records, and nothing else.

use crate::{CallSid, Cause, Cdr, Direction, Fact, Owed, Record, StatusCallback, Timestamps};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The statuses of the field's de-facto standard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Admitted; waits for a permit, or the INVITE is under way.
    Queued,
    /// The far end rings.
    Ringing,
    /// Answered.
    InProgress,
    /// Was answered and has ended.
    Completed,
    /// The far end was busy or declined.
    Busy,
    /// Could not be completed.
    Failed,
    /// Nobody answered in time.
    NoAnswer,
    /// Ended by the API before it was answered.
    Canceled,
}

impl Status {
    /// True for the statuses that a call keeps.
    #[must_use]
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Queued | Self::Ringing | Self::InProgress)
    }

    /// As in the API: `in-progress`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Ringing => "ringing",
            Self::InProgress => "in-progress",
            Self::Completed => "completed",
            Self::Busy => "busy",
            Self::Failed => "failed",
            Self::NoAnswer => "no-answer",
            Self::Canceled => "canceled",
        }
    }
}

/// What a call is in the middle of: nothing, once it has ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Engaged {
    /// The call that it is joined with.
    pub with: Option<CallSid>,
    /// The conference that it is in, by its sid.
    pub conference: Option<String>,
    /// What it is there.
    #[serde(default)]
    pub member: Option<MemberView>,
    /// The recordings that run, by their sids.
    pub recordings: Vec<String>,
    /// What somebody is owed of those, each by its sid.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owes: Vec<(String, Owed)>,
}

/// A call as a member of its conference.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberView {
    /// The conference's name, within the tenant.
    pub name: String,
    /// Since when, milliseconds since the Unix epoch.
    pub joined_at: u64,
    /// Is not heard.
    pub muted: bool,
    /// Hears nothing.
    pub deaf: bool,
    /// Neither, and hears music.
    pub held: bool,
    /// Is heard by this call only.
    pub coaches: Option<CallSid>,
}

impl Engaged {
    fn apply(&mut self, record: &Record) {
        match &record.fact {
            Fact::Bridged { with } => self.with = Some(*with),
            Fact::Unbridged { with } if self.with == Some(*with) => self.with = None,
            Fact::Joined { conference, name } => {
                self.conference = Some(conference.clone());
                self.member = Some(MemberView { name: name.clone(), joined_at: record.at, ..MemberView::default() });
            }
            Fact::Member { muted, deaf, held, coaches, .. } => {
                if let Some(member) = &mut self.member {
                    (member.muted, member.deaf, member.held) = (*muted, *deaf, *held);
                    member.coaches = *coaches;
                }
            }
            Fact::Left { .. } => (self.conference, self.member) = (None, None),
            Fact::Recording { recording, owes, .. } => {
                self.recordings.push(recording.clone());
                self.owes.extend(owes.iter().map(|owed| (recording.clone(), (**owed).clone())));
            }
            Fact::Recorded { recording, .. } => {
                self.recordings.retain(|other| other != recording);
                self.owes.retain(|(other, _)| other != recording);
            }
            Fact::Ended(_) => *self = Self::default(),
            _ => {}
        }
    }
}

/// A call, as `GET /v1/calls/{sid}` projects it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallView {
    /// The call.
    pub sid: CallSid,
    /// Whose.
    pub tenant: String,
    /// Its status.
    pub status: Status,
    /// The call that this is a leg of.
    #[serde(default)]
    pub parent: Option<CallSid>,
    /// Which way.
    pub direction: Direction,
    /// Caller.
    pub from: String,
    /// Called.
    pub to: String,
    /// The trunk asked for, then the one in use.
    pub trunk: Option<String>,
    /// What runs when it is answered.
    pub answer: Arc<serde_json::Value>,
    /// The client's own words.
    pub metadata: serde_json::Value,
    /// Who is told of what becomes of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_callback: Option<Box<StatusCallback>>,
    /// When what happened.
    pub at: Timestamps,
    /// The codec's RTP name.
    pub codec: Option<String>,
    /// The carrier's own name for the call.
    pub carrier_call_id: Option<String>,
    /// Every Call-ID, in order.
    pub sip_call_ids: Vec<String>,
    /// Why it ended.
    pub cause: Option<Cause>,
    /// Who has answered, where that was found out.
    #[serde(default)]
    pub answered_by: Option<String>,
    /// What it is in the middle of.
    #[serde(default)]
    pub engaged: Engaged,
    /// Its CDR, once it has ended.
    pub cdr: Option<Arc<Cdr>>,
    /// The number of its last record.
    pub last_seq: u32,
}

impl CallView {
    /// The view of a call that has just been admitted; `None` where the record is not an admission.
    #[must_use]
    pub fn admitted(record: &Record) -> Option<Self> {
        let Fact::Admitted(admission) = &record.fact else { return None };
        Some(Self {
            sid: record.sid,
            tenant: admission.tenant.clone(),
            status: Status::Queued,
            parent: admission.parent,
            direction: admission.direction,
            from: admission.from.clone(),
            to: admission.to.clone(),
            trunk: admission.trunk.clone(),
            answer: admission.answer.clone(),
            metadata: admission.metadata.clone(),
            status_callback: admission.status_callback.clone(),
            at: Timestamps { queued: record.at, ..Timestamps::default() },
            codec: None,
            carrier_call_id: None,
            sip_call_ids: admission.sip_call_id.iter().cloned().collect(),
            cause: None,
            answered_by: None,
            engaged: Engaged::default(),
            cdr: None,
            last_seq: record.seq,
        })
    }

    /// Takes in the next fact. A record that was taken in before changes nothing.
    pub fn apply(&mut self, record: &Record) {
        if record.sid != self.sid || record.seq <= self.last_seq {
            return;
        }
        self.last_seq = record.seq;
        let at = record.at;
        self.engaged.apply(record);
        match &record.fact {
            Fact::Dialing { trunk, sip_call_id, .. } => {
                self.trunk = Some(trunk.clone());
                self.sip_call_ids.push(sip_call_id.clone());
                self.at.sent.get_or_insert(at);
            }
            Fact::Ringing { .. } => {
                self.at.ringing.get_or_insert(at);
                self.rings();
            }
            Fact::EarlyMedia { .. } => {
                self.at.early_media.get_or_insert(at);
                self.rings();
            }
            Fact::Answered { codec, carrier_call_id, .. } => {
                self.at.answered.get_or_insert(at);
                self.codec = (!codec.is_empty()).then(|| codec.clone());
                self.carrier_call_id.clone_from(carrier_call_id);
                if !self.status.is_final() {
                    self.status = Status::InProgress;
                }
            }
            Fact::AnsweredBy { answered_by, .. } => self.answered_by = Some(answered_by.clone()),
            Fact::Ended(cdr) => self.ends(cdr),
            Fact::Admitted(_)
            | Fact::AttemptFailed { .. }
            | Fact::Playing { .. }
            | Fact::Played { .. }
            | Fact::Digit { .. }
            | Fact::Gathered { .. }
            | Fact::Bridging { .. }
            | Fact::Bridged { .. }
            | Fact::Unbridged { .. }
            | Fact::Recording { .. }
            | Fact::Recorded { .. }
            | Fact::Joined { .. }
            | Fact::Member { .. }
            | Fact::Left { .. }
            | Fact::RecordingPaused { .. }
            | Fact::RecordingResumed { .. }
            | Fact::Pressed { .. }
            | Fact::Muted { .. }
            | Fact::PutOnHold
            | Fact::TakenOffHold
            | Fact::Referred { .. }
            | Fact::Warning { .. }
            | Fact::Callback(_)
            | Fact::Held
            | Fact::Resumed
            | Fact::NoMedia
            | Fact::MediaResumed
            | Fact::Message { .. } => {}
        }
    }

    fn rings(&mut self) {
        if self.status == Status::Queued {
            self.status = Status::Ringing;
        }
    }

    fn ends(&mut self, cdr: &Arc<Cdr>) {
        self.status = cdr.status;
        self.at = cdr.at;
        self.trunk.clone_from(&cdr.trunk);
        self.codec.clone_from(&cdr.codec);
        self.carrier_call_id.clone_from(&cdr.carrier_call_id);
        self.sip_call_ids.clone_from(&cdr.sip_call_ids);
        self.cause = Some(cdr.cause.clone());
        self.cdr = Some(cdr.clone());
    }
}
