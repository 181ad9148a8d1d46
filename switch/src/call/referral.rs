//! A referral that a call's program, or the API, asks for: the far end is to call somebody else (RFC 3515), and says what becomes of it.

use super::{Call, Stage};
use crate::desk::Desk;
use crate::ending::Ending;
use crate::{Fact, Origin};
use base::Now;
use ivr::{ReferEnd, ReferId};
use sip_core::endpoint::Failure;
use sip_core::header::NameAddr;
use sip_core::message::Message;

/// One that is under way.
#[derive(Debug)]
pub(super) struct Referring {
    /// The program's name for it; the API's has none.
    refer: Option<ReferId>,
    to: String,
    end: ReferEnd,
}

impl Referring {
    /// What the program is told of its end.
    pub(super) fn over(self) -> Option<ivr::Input> {
        Some(ivr::Input::ReferEnded { refer: self.refer?, end: self.end })
    }

    /// The far end talks to the other one.
    fn has_come_about(&self) -> bool {
        self.end.notify_status.is_some_and(|status| (200..300).contains(&status))
    }
}

impl Call {
    /// The program's `refer`, or the API's, which has no name. One at a time.
    pub(super) fn refer_caller(&mut self, refer: Option<ReferId>, to: String, desk: &mut Desk, now: Now) {
        if self.refers.is_some() {
            let told = Referring { refer, to, end: ReferEnd::default() }.over();
            self.warn(0, "the far end is being referred already".to_owned(), desk, now);
            return told.into_iter().for_each(|input| self.on_program(input, desk, now));
        }
        let target = if to.contains(':') { format!("<{to}>") } else { format!("<tel:{to}>") };
        let asked = match (&self.stage, NameAddr::parse(target.as_bytes())) {
            (Stage::Talking(talk), Ok(target)) => {
                desk.endpoint.refer(talk.session(), &target, Vec::new(), now).map_err(|refused| refused.to_string())
            }
            (_, Ok(_)) => Err("the call is not answered".to_owned()),
            (_, Err(error)) => Err(format!("{to} is no address: {error}")),
        };
        self.refers = Some(Referring { refer, to, end: ReferEnd::default() });
        if let Err(why) = asked {
            self.warn(0, format!("the caller could not be referred: {why}"), desk, now);
            self.refer_over(desk, now);
        }
    }

    /// The final response to our REFER. After a 2xx the NOTIFYs say what becomes of it.
    pub(crate) fn on_refer_done(&mut self, result: &Result<Message, Failure>, desk: &mut Desk, now: Now) {
        let Some(referring) = &mut self.refers else { return };
        let response = match result {
            Ok(response) | Err(Failure::Response(response)) => Some(response),
            Err(_) => None,
        };
        let status = response.and_then(Message::status).map(|status| status.code());
        referring.end.sip_status = status;
        let fact = Fact::Referred { to: referring.to.clone(), sip_status: status };
        self.record(fact, desk, now);
        if result.is_err() {
            self.refer_over(desk, now);
        }
    }

    /// A NOTIFY of the far end's.
    pub(crate) fn on_refer_progress(&mut self, status: u16, terminated: bool, desk: &mut Desk, now: Now) {
        let Some(referring) = &mut self.refers else { return };
        referring.end.notify_status = Some(status);
        if terminated {
            self.refer_over(desk, now);
        }
    }

    fn refer_over(&mut self, desk: &mut Desk, now: Now) {
        let Some(referring) = self.refers.take() else { return };
        if referring.refer.is_none() && referring.has_come_about() {
            // RFC 5589 §6.1: who was referred talks to the other one, and this call is of no more use.
            return self.end(Ending::cleared(Origin::Api, "transferred"), desk, now);
        }
        if let Some(input) = referring.over() {
            self.on_program(input, desk, now);
        }
    }
}
