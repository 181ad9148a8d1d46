//! What the API asks of the switch.

use crate::{Brought, CallSid, Provisioned, Usage};
use carrier::Number;
use ivr::Answer;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A call to be made. Its admission record is on disk already; the switch's first record of it is number 1.
#[derive(Clone, Debug)]
pub struct Originate {
    /// The call.
    pub sid: CallSid,
    /// Whose.
    pub tenant: String,
    /// Caller ID, owned by the tenant.
    pub from: Number,
    /// Whom to call.
    pub to: Number,
    /// What runs when it is answered. Every prompt it names is known to the switch.
    pub answer: Answer,
    /// Only by this trunk.
    pub trunk: Option<String>,
    /// How long it may ring.
    pub timeout: Duration,
    /// How long it may last once answered.
    pub max_duration: Duration,
    /// The client's own words.
    pub metadata: serde_json::Value,
    /// When it was admitted, milliseconds since the Unix epoch.
    pub queued_at: u64,
    /// What else is wanted of it.
    pub wishes: Wishes,
}

/// What is wanted of a call beside its program.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// It is recorded from its answer on; true: each side in a channel of its own.
    pub record: Option<bool>,
    /// Who has answered is to be found out.
    pub machine: Option<ivr::MachineDetection>,
}

/// How a call is to be ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndAs {
    /// `{"status": "completed"}`: hang up, whatever it is doing.
    Completed,
    /// `{"status": "canceled"}`: only while it is not answered.
    Canceled,
}

/// What is done to an answered call while its program runs. One that the call's state forbids when it arrives is a
/// [`Fact::Warning`](crate::Fact::Warning), and nothing else.
#[derive(Clone, Debug)]
pub enum Steer {
    /// Runs these verbs at once, and then goes on ([`ivr::Program::interject`]).
    Interject(Answer),
    /// Stops what is heard ([`ivr::Program::hush`]).
    Stop,
    /// Presses keys for the far end, with `w` and `W` for silence; behind those that are being pressed.
    Digits(String),
    /// Puts the far end on hold by a re-INVITE, or takes it off.
    Hold(bool),
    /// Silences a direction, both, or none.
    Mute {
        /// Nobody hears the far end; its keys still count.
        inbound: bool,
        /// The far end hears nothing.
        outbound: bool,
    },
    /// Records the call, beside whatever its program records.
    Record(RecordOrder),
    /// Changes what the call may do in its conference.
    Member(MemberChange),
    /// Takes the call out of its conference; its program goes on behind it.
    LeaveRoom,
    /// Asks the far end to call somebody else (REFER); the call ends once that has come about.
    Refer(String),
    /// Joins the one that this call is joined with to another live call of the tenant, and ends this one.
    Attend {
        /// That other call.
        with: CallSid,
    },
}

/// What a member of a conference may do from now on; what is not said stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemberChange {
    /// Is not heard.
    pub muted: Option<bool>,
    /// Hears nothing.
    pub deaf: Option<bool>,
    /// Neither is heard nor hears anybody: hears music, where there is some.
    pub held: Option<bool>,
}

/// What is done to a conference as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoomOrder {
    /// Everybody hears this prompt, which the switch knows.
    Announce(String),
    /// It is recorded from now on, or no longer. One recording runs at once.
    Record(bool),
    /// Everybody leaves it.
    End,
}

/// What becomes of the recordings that the API has begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordOrder {
    /// Another one begins.
    Start {
        /// Each side in a channel of its own.
        dual: bool,
        /// The far end hears a tone before it.
        beep: bool,
        /// Ends by itself after so many seconds.
        max_s: Option<u32>,
    },
    /// One ends, or all do.
    Stop(Option<String>),
    /// What is said is left out from now on, of one or of all.
    Pause(Option<String>),
    /// It is taken in again.
    Resume(Option<String>),
}

/// What the API asks of the switch.
#[derive(Clone, Debug)]
pub enum Command {
    /// What tenants had used of the day that began at `since` (milliseconds since the Unix epoch) before this process began,
    /// where that was not known at its birth.
    Used {
        /// The day.
        since: u64,
        /// By tenant.
        used: BTreeMap<String, Usage>,
    },
    /// Where users were, as an earlier process has kept it, where that was not known at this one's birth. Who has registered
    /// since stays where it is.
    Located(Vec<crate::registrar::KeptLocation>),
    /// Make a call.
    Originate(Box<Originate>),
    /// End a call.
    End {
        /// Which.
        sid: CallSid,
        /// How.
        how: EndAs,
    },
    /// Replace what an answered call runs.
    Replace {
        /// Which.
        sid: CallSid,
        /// With what.
        answer: Answer,
    },
    /// Do something to an answered call.
    Steer {
        /// Which.
        sid: CallSid,
        /// What.
        steer: Box<Steer>,
    },
    /// Do something to a conference. One that is over meanwhile is passed over.
    Confer {
        /// Whose.
        tenant: String,
        /// Its sid.
        conference: String,
        /// What.
        order: RoomOrder,
    },
    /// What an errand of a call has brought.
    Brought {
        /// Whose errand it was.
        sid: CallSid,
        /// What it brought.
        brought: Box<Brought>,
    },
    /// Make a prompt known, in place of an earlier one of that name.
    Prompt(Arc<media::Prompt>),
    /// Whether what happens can be written down: while it cannot, nobody's call is taken and no leg begun, since it would
    /// be in no book. (The API asks the journal itself.)
    Admit(bool),
    /// Other tenants, trunks, numbers, users and limits from now on. No live call is touched.
    Provision(Arc<Provisioned>),
    /// Refuse new calls; those that live may go on.
    Drain,
    /// End every call that lives.
    EndAll,
}
