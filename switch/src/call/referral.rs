//! A referral that a call's program asks for: the far end is to call somebody else (RFC 3515), and says what becomes of it.

use super::{Call, Stage};
use crate::Fact;
use crate::desk::Desk;
use base::Now;
use ivr::{ReferEnd, ReferId};
use sip_core::endpoint::Failure;
use sip_core::header::NameAddr;
use sip_core::message::Message;

/// One that is under way.
#[derive(Debug)]
pub(super) struct Referring {
    refer: ReferId,
    to: String,
    end: ReferEnd,
}

impl Referring {
    /// What the program is told of its end.
    pub(super) fn over(self) -> ivr::Input {
        ivr::Input::ReferEnded { refer: self.refer, end: self.end }
    }
}

impl Call {
    /// The program's `refer`.
    pub(super) fn refer_caller(&mut self, refer: ReferId, to: String, desk: &mut Desk, now: Now) {
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
        if let Some(referring) = self.refers.take() {
            self.on_program(referring.over(), desk, now);
        }
    }
}
