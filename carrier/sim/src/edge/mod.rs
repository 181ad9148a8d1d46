//! What stands between the carrier's user agent and the wire: the faults, and the manners of Twilio's edge.
//!
//! The user agent is an honest one. A fault is done to its messages on their way: an ACK that never arrives, a BYE that
//! never leaves, a CANCEL that comes too late. In Twilio's manner (TWILIO.md §1.5) the edge also puts two
//! Record-Routes with `r2=on` into what opens a dialog and shows a private Contact, and takes only in-dialog requests
//! that follow both to the letter: an ACK to another Request-URI belongs to no call.
//!
//! Messages are told apart by Call-ID. Nothing here knows a script, keeps time, or answers anything.

mod rewrite;
mod shape;

pub use shape::Shape;

use bytes::Bytes;
use rewrite::{Line, Rewrite};
use sip_core::message::{Message, Method, Name};
use std::collections::{HashMap, VecDeque};

/// How many calls that have vanished are remembered, so that they stay deaf. Beyond it the oldest may be answered 481
/// like any dialog that is gone.
pub const MAX_GHOSTS: usize = 10_000;

/// What is done to the messages of one call.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Which of ours never leave.
    pub mute: Mute,
    /// Which of the peer's never arrive.
    pub deaf: Deaf,
    /// A CANCEL is handed to the carrier and not to the user agent.
    pub holds_cancel: bool,
    /// The routes and the Contact of Twilio's edge.
    pub shape: Option<Shape>,
}

/// Which of the carrier's messages never leave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mute {
    /// None.
    #[default]
    Nothing,
    /// BYE.
    Byes,
    /// ACK.
    Acks,
    /// All.
    Everything,
}

/// Which of the peer's messages never arrive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Deaf {
    /// None.
    #[default]
    Nothing,
    /// ACKs.
    Acks,
    /// All.
    Everything,
}

/// What becomes of a message that came in.
#[derive(Debug, PartialEq, Eq)]
pub enum Inbound {
    /// It goes on, maybe changed.
    Pass(Bytes),
    /// It never arrived.
    Lost,
    /// Twilio's edge would not know what to do with it.
    Unroutable {
        /// Whose it is.
        call_id: String,
        /// What is wrong with it.
        complaint: String,
    },
    /// A CANCEL that is held back.
    Cancel {
        /// Whose it is.
        call_id: String,
    },
}

/// The edge.
#[derive(Debug, Default)]
pub struct Edge {
    twilio: bool,
    calls: HashMap<String, Rules>,
    ghosts: VecDeque<String>,
}

impl Edge {
    /// An edge with Twilio's manners, or a plain one.
    pub fn new(twilio: bool) -> Self {
        Self { twilio, ..Self::default() }
    }

    /// The rules for a call from now on.
    pub fn rule(&mut self, call_id: &str, rules: Rules) {
        self.calls.insert(call_id.to_owned(), rules);
    }

    /// A call's rules, to be changed.
    pub fn rules(&mut self, call_id: &str) -> Option<&mut Rules> {
        self.calls.get_mut(call_id)
    }

    /// The call is over. One that is deaf stays so.
    pub fn forget(&mut self, call_id: &str) {
        match self.calls.get(call_id) {
            Some(rules) if rules.deaf == Deaf::Everything => {
                self.ghosts.push_back(call_id.to_owned());
                if self.ghosts.len() > MAX_GHOSTS
                    && let Some(oldest) = self.ghosts.pop_front()
                {
                    self.calls.remove(&oldest);
                }
            }
            Some(_) => {
                self.calls.remove(call_id);
            }
            None => {}
        }
    }

    fn is_transparent(&self) -> bool {
        self.calls.is_empty() && !self.twilio
    }

    /// A message that came in.
    pub fn inbound(&self, bytes: Bytes) -> Inbound {
        if self.is_transparent() {
            return Inbound::Pass(bytes);
        }
        let Ok(message) = Message::parse(bytes.clone()) else { return Inbound::Pass(bytes) };
        let Some((call_id, rules)) = self.rules_of(&message) else { return Inbound::Pass(bytes) };
        let method = message.is_request().then(|| message.method());
        match (rules.deaf, &method) {
            (Deaf::Everything, _) | (Deaf::Acks, Some(Method::Ack)) => return Inbound::Lost,
            _ => {}
        }
        if rules.holds_cancel && method == Some(Method::Cancel) {
            return Inbound::Cancel { call_id: call_id.to_owned() };
        }
        let Some(shape) = &rules.shape else { return Inbound::Pass(bytes) };
        match shape.inbound(&message) {
            Ok(changed) => Inbound::Pass(changed.unwrap_or(bytes)),
            Err(complaint) => Inbound::Unroutable { call_id: call_id.to_owned(), complaint },
        }
    }

    /// A message that wants to leave; `None` where it never does.
    pub fn outbound(&mut self, bytes: Bytes) -> Option<Bytes> {
        if self.is_transparent() {
            return Some(bytes);
        }
        let Ok(message) = Message::parse(bytes.clone()) else { return Some(bytes) };
        if let Some((_, rules)) = self.rules_of(&message) {
            let method = message.is_request().then(|| message.method());
            match (rules.mute, method) {
                (Mute::Everything, _) | (Mute::Byes, Some(Method::Bye)) | (Mute::Acks, Some(Method::Ack)) => {
                    return None;
                }
                _ => {}
            }
        }
        if !self.twilio {
            return Some(bytes);
        }
        let call_id = message.call_id().unwrap_or_default();
        let shape = self.calls.get_mut(call_id).and_then(|rules| rules.shape.as_mut());
        Some(dress(&message, shape))
    }

    fn rules_of<'m>(&self, message: &'m Message) -> Option<(&'m str, &Rules)> {
        let call_id = message.call_id().ok()?;
        Some((call_id, self.calls.get(call_id)?))
    }
}

/// A message of ours in Twilio's manner.
fn dress(message: &Message, shape: Option<&mut Shape>) -> Bytes {
    let mut rewrite = Rewrite::of(message);
    if let Some(status) = message.status().map(sip_core::message::StatusCode::code) {
        match status {
            100 => {
                rewrite.start("SIP/2.0 100 trying -- your call is important to us");
                rewrite.last("Server", "Twilio Gateway");
            }
            407 => rewrite.start("SIP/2.0 407 Proxy Authentication required"),
            _ => {}
        }
        let speaks_for_itself = message.method() == Method::Options;
        if !speaks_for_itself {
            rewrite.edit(|name, _| if name == Name::Server { Line::Replace("Twilio".to_owned()) } else { Line::Keep });
        }
    }
    if let Some(shape) = shape {
        shape.outbound(message, &mut rewrite);
    }
    rewrite.build()
}
