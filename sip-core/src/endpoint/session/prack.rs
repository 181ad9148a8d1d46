//! Reliable provisionals of a peer's, and our PRACKs (RFC 3262 §4, §5).
//!
//! PRACK goes out by itself, in order, one a fork and number. Where the INVITE had no offer and the provisional carries
//! it, PRACK waits for our user's answer.

use super::super::command::Body;
use super::super::config::LATE_ANSWER_TIMEOUT;
use super::super::core::Core;
use super::super::event::Failure;
use super::super::exchange::{Inside, Purpose};
use super::super::timer::SessionTimer;
use super::calling::Calling;
use super::early::{Early, Order, Prack};
use super::{Agreement, At, InDialog, Session, State};
use crate::dialog::DialogId;
use crate::header::{CSeq, RAck, reliable};
use crate::message::{Message, Method, Name};

impl Calling {
    /// Acknowledges what wants to be; true where the provisional is news for our user.
    pub(super) fn acknowledge_reliable(&mut self, at: &mut At, core: &mut Core, message: &Message) -> bool {
        let Some(rseq) = reliable(message) else { return true };
        let (Ok(id), Ok(cseq)) = (DialogId::of_response(message), message.cseq()) else { return false };
        let is_wanted = self.is_wanted();
        // A fork beyond the bound, or a provisional without To's tag: there is no dialog to acknowledge it in.
        let Some(early) = self.early(&id) else { return false };
        match early.order(rseq) {
            Order::Other => false,
            Order::Copy => {
                if early.prack == Prack::Failed {
                    if early.answer.is_some() {
                        early.agreement = Agreement::Agreed;
                    }
                    send_prack(at, core, early, cseq.clone());
                }
                false
            }
            Order::Next => {
                let has_body = !message.body().is_empty();
                match early.agreement {
                    Agreement::Nothing if has_body && is_wanted => {
                        early.agreement = Agreement::Theirs;
                        early.prack = Prack::Awaited;
                        at.start(core, SessionTimer::LateAnswer, LATE_ANSWER_TIMEOUT);
                        return true;
                    }
                    Agreement::Ours if has_body => early.agreement = Agreement::Agreed,
                    _ => {}
                }
                send_prack(at, core, early, cseq.clone());
                true
            }
        }
    }

    /// Our user's answer to the offer in a reliable provisional.
    pub(super) fn prack_answer(mut self, mut at: At, core: &mut Core, body: Option<Body>) -> Option<Session> {
        let cseq = core.cseq_of(self.exchange());
        let is_wanted = self.is_wanted();
        if let Some(early) = self.forks().find(|early| is_wanted && early.prack == Prack::Awaited) {
            at.stop(core, SessionTimer::LateAnswer);
            early.agreement = Agreement::Agreed;
            at.described.clone_from(&body);
            early.answer = body;
            send_prack(&at, core, early, CSeq { seq: cseq, method: Method::Invite });
        }
        Some(at.session(State::Calling(self)))
    }

    /// A PRACK has its final response, or none: what is not acknowledged is repeated, and then acknowledged again.
    pub(super) fn on_prack_done(&mut self, rseq: u32, result: &Result<Message, Failure>) {
        for early in self.forks().filter(|early| early.rseq() == Some(rseq) && early.prack == Prack::Sent) {
            early.prack = if result.is_ok() { Prack::None } else { Prack::Failed };
            if result.is_err() && early.answer.is_some() {
                // The answer has not got there.
                early.agreement = Agreement::Theirs;
            }
        }
    }
}

fn send_prack(at: &At, core: &mut Core, early: &mut Early, cseq: CSeq) {
    let Some(rseq) = early.rseq() else { return };
    early.prack = Prack::Sent;
    let rack = RAck { rseq, cseq }.to_string();
    let headers = vec![(Name::RAck.as_str().to_owned(), rack)];
    let request = InDialog { headers, body: early.answer.clone(), ..InDialog::new(Method::Prack) };
    at.send_in_dialog(core, &mut early.dialog, Purpose::Inside(at.id, Inside::Prack(rseq)), request);
}
