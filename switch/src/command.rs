//! What the API asks of the switch.

use crate::{Brought, CallSid, Provisioned};
use carrier::Number;
use ivr::Answer;
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
}

/// How a call is to be ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndAs {
    /// `{"status": "completed"}`: hang up, whatever it is doing.
    Completed,
    /// `{"status": "canceled"}`: only while it is not answered.
    Canceled,
}

/// What the API asks of the switch.
#[derive(Clone, Debug)]
pub enum Command {
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
