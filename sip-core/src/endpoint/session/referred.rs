//! The peer's REFERs, and the subscriptions they make (RFC 3515 §2.4, RFC 4488): asked of our user, accepted, and followed
//! by NOTIFYs, one at a time and in order.

use super::super::SessionId;
use super::super::command::ReferId;
use super::super::compose::Answer;
use super::super::config::{MAX_REFERS, REFER_EXPIRES, REQUEST_TIMEOUT};
use super::super::core::Core;
use super::super::event::Event;
use super::super::exchange::{Inside, Purpose};
use super::super::timer::{SessionTimer, TimerKey};
use super::super::transactions::ServerId;
use super::refer::{SIPFRAG, event_id};
use super::{At, InDialog, Session, not_now};
use crate::header::{NameAddr, Replaces};
use crate::message::{HeaderValue, Message, Method, Name, StatusCode};
use bytes::Bytes;
use std::collections::BTreeMap;

/// Those that are open.
#[derive(Debug, Default)]
pub(super) struct Referred {
    open: BTreeMap<ReferId, Refer>,
    /// One has been accepted before: the NOTIFYs of those after it carry an `id` (§2.4.6).
    has_been: bool,
}

/// A REFER of the peer's.
#[derive(Debug)]
enum Refer {
    /// Our user has been asked.
    Asked(ServerId),
    /// Its sender is told what becomes of it.
    Followed(Subscription),
}

/// The subscription that a REFER makes.
#[derive(Debug)]
struct Subscription {
    /// The REFER's CSeq number.
    cseq: u32,
    /// NOTIFYs name it.
    is_named: bool,
    /// A NOTIFY is on its way: the next one waits, lest they come out of order.
    is_sending: bool,
    /// What is to be told next. Only the last word counts.
    next: Option<Word>,
}

/// What a NOTIFY says.
#[derive(Clone, Debug)]
struct Word {
    status: StatusCode,
    reason: String,
    /// The reason in Subscription-State, where it is the last one.
    terminated: Option<&'static str>,
}

impl Referred {
    /// The end of the session: 487 to those our user has not answered.
    pub(super) fn close(&mut self, core: &mut Core, session: SessionId) {
        for (id, refer) in std::mem::take(&mut self.open) {
            core.timers.stop(TimerKey::Session(session, SessionTimer::Refer(id)));
            if let Refer::Asked(server) = refer {
                core.reply(server, Answer::new(StatusCode::REQUEST_TERMINATED));
            }
        }
    }

    fn subscription(&mut self, id: ReferId) -> Option<&mut Subscription> {
        match self.open.get_mut(&id)? {
            Refer::Followed(subscription) => Some(subscription),
            Refer::Asked(_) => None,
        }
    }
}

impl Session {
    /// A REFER in the session's dialog (§2.4.2).
    pub(super) fn on_refer(mut self, core: &mut Core, server: ServerId, request: Message) -> Option<Self> {
        let Some((refer_to, replaces)) = read(&request) else {
            core.reply(server, Answer::new(StatusCode::BAD_REQUEST));
            return Some(self);
        };
        if !self.is_confirmed() || self.at.referred.open.len() >= MAX_REFERS {
            let answer = not_now(core, StatusCode::SERVER_INTERNAL_ERROR);
            core.reply(server, answer);
            return Some(self);
        }
        let id = ReferId(core.next_id());
        self.at.referred.open.insert(id, Refer::Asked(server));
        self.at.start(core, SessionTimer::Refer(id), REQUEST_TIMEOUT);
        core.event(Event::Refer { session: self.at.id, id, request, refer_to, replaces });
        Some(self)
    }

    /// Our user's yes: 202, and a NOTIFY that says 100 (§2.4.2, §2.4.4). Where the REFER asks for no subscription there is
    /// none (RFC 4488 §4).
    pub(in super::super) fn refer_accept(mut self, core: &mut Core, id: ReferId) -> Option<Self> {
        let Some(Refer::Asked(server)) = self.at.referred.open.get(&id) else { return Some(self) };
        let server = *server;
        self.at.stop(core, SessionTimer::Refer(id));
        self.at.referred.open.remove(&id);
        let request = core.servers.table.get(&server).and_then(|tx| tx.request.clone());
        let sub = request.as_ref().and_then(|request| request.header(Name::ReferSub));
        let is_silent = sub.is_some_and(|value| value.eq_ignore_ascii_case(b"false"));
        let contact = core.dialog_answer(server, StatusCode::ACCEPTED, self.state.user()).contact;
        let mut answer = Answer { contact, ..Answer::new(StatusCode::ACCEPTED) };
        if is_silent {
            answer = answer.header(Name::ReferSub, "false");
        }
        core.reply(server, answer);
        if let Some(Ok(cseq)) = request.as_ref().map(Message::cseq).filter(|_| !is_silent) {
            let is_named = std::mem::replace(&mut self.at.referred.has_been, true);
            let subscription = Subscription { cseq: cseq.seq, is_named, is_sending: false, next: None };
            self.at.referred.open.insert(id, Refer::Followed(subscription));
            self.at.start(core, SessionTimer::Refer(id), REFER_EXPIRES);
            return self.refer_notify(core, id, StatusCode::TRYING, StatusCode::TRYING.reason(), false);
        }
        Some(self)
    }

    /// Our user's no; a status that is no refusal is sent as 603.
    pub(in super::super) fn refer_reject(mut self, core: &mut Core, id: ReferId, status: StatusCode) -> Option<Self> {
        if let Some(Refer::Asked(server)) = self.at.referred.open.get(&id) {
            let refusal = if status.class() >= 3 { status } else { StatusCode::DECLINE };
            core.reply(*server, Answer::new(refusal));
            self.at.referred.open.remove(&id);
            self.at.stop(core, SessionTimer::Refer(id));
        }
        Some(self)
    }

    /// Our user tells what becomes of it. After the last word there is nothing to tell.
    pub(in super::super) fn refer_notify(
        mut self,
        core: &mut Core,
        id: ReferId,
        status: StatusCode,
        reason: &str,
        terminated: bool,
    ) -> Option<Self> {
        // §2.4.5: once it is known what became of it, there is no more to come.
        let terminated = terminated.then_some("noresource");
        self.tell(core, id, Word { status, reason: reason.to_owned(), terminated });
        Some(self)
    }

    fn tell(&mut self, core: &mut Core, id: ReferId, word: Word) {
        let Some(subscription) = self.at.referred.subscription(id) else { return };
        if subscription.next.as_ref().is_some_and(|next| next.terminated.is_some()) {
            return;
        }
        subscription.next = Some(word);
        self.send_notify(core, id);
    }

    fn send_notify(&mut self, core: &mut Core, id: ReferId) {
        let left = self.at.seconds_left(core, id);
        let Some(subscription) = self.at.referred.subscription(id).filter(|sub| !sub.is_sending) else { return };
        let Some(word) = subscription.next.take() else { return };
        subscription.is_sending = true;
        let name = if subscription.is_named { format!("refer;id={}", subscription.cseq) } else { "refer".to_owned() };
        if word.terminated.is_some() {
            self.at.referred.open.remove(&id);
            self.at.stop(core, SessionTimer::Refer(id));
        }
        let request = notify(self.state.user(), &name, &word, left);
        if let Some(dialog) = self.state.current() {
            self.at.send_in_dialog(core, dialog, Purpose::Inside(self.at.id, Inside::Notify(id)), request);
        }
    }

    /// A NOTIFY has its final response, or none: without a 2xx nobody listens any more (RFC 6665 §4.2.2).
    pub(super) fn on_notify_done(mut self, core: &mut Core, id: ReferId, is_heard: bool) -> Option<Self> {
        if let Some(subscription) = self.at.referred.subscription(id) {
            subscription.is_sending = false;
            if is_heard {
                self.send_notify(core, id);
            } else {
                self.at.referred.open.remove(&id);
                self.at.stop(core, SessionTimer::Refer(id));
            }
        }
        Some(self)
    }

    /// A SUBSCRIBE to a REFER's subscription (§2.4.4): it may be ended, its time is not stretched.
    pub(super) fn on_refer_subscribe(mut self, core: &mut Core, server: ServerId, request: &Message) -> Option<Self> {
        let meant = event_id(request);
        let is_meant = |refer: &Refer| match refer {
            Refer::Followed(subscription) => match meant {
                Some(id) => subscription.cseq == id,
                None => !subscription.is_named,
            },
            Refer::Asked(_) => false,
        };
        let Some(id) = self.at.referred.open.iter().find(|(_, refer)| is_meant(refer)).map(|(id, _)| *id) else {
            core.reply(server, Answer::new(StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST));
            return Some(self);
        };
        let left = self.at.seconds_left(core, id);
        let granted = request.expires().ok().flatten().map_or(left, |asked| asked.min(left));
        let contact = core.dialog_answer(server, StatusCode::OK, self.state.user()).contact;
        let answer = Answer { contact, ..Answer::new(StatusCode::OK) };
        core.reply(server, answer.header(Name::Expires, granted.to_string()));
        // RFC 6665 §4.2.1: each SUBSCRIBE is followed by a NOTIFY.
        let terminated = (granted == 0).then_some("timeout");
        self.tell(core, id, Word { status: StatusCode::TRYING, reason: "Trying".to_owned(), terminated });
        Some(self)
    }

    /// Our user has been silent about a REFER; or its subscription has lasted long enough.
    pub(super) fn refer_timed_out(mut self, core: &mut Core, id: ReferId) -> Option<Self> {
        match self.at.referred.open.get(&id) {
            Some(Refer::Asked(_)) => self.refer_reject(core, id, StatusCode::SERVER_INTERNAL_ERROR),
            Some(Refer::Followed(_)) => {
                let reason = "Trying".to_owned();
                self.tell(core, id, Word { status: StatusCode::TRYING, reason, terminated: Some("timeout") });
                Some(self)
            }
            None => Some(self),
        }
    }
}

impl At {
    fn seconds_left(&self, core: &Core, id: ReferId) -> u32 {
        let at = core.timers.get(TimerKey::Session(self.id, SessionTimer::Refer(id)));
        let left = at.map_or(0, |at| at.saturating_sub(core.now.mono) / 1_000_000_000);
        u32::try_from(left).unwrap_or(u32::MAX)
    }
}

/// Refer-To and what it asks to replace; nothing where there is not exactly one that can be read (§2.4.2).
fn read(request: &Message) -> Option<(NameAddr, Option<Replaces>)> {
    let [refer_to] = <[NameAddr; 1]>::try_from(request.addresses(Name::ReferTo).ok()?).ok()?;
    let replaces = Replaces::of_refer_to(&refer_to.uri).ok()?;
    Some((refer_to, replaces))
}

fn notify(user: Option<&str>, event: &str, word: &Word, seconds_left: u32) -> InDialog {
    let state = match word.terminated {
        Some(reason) => format!("terminated;reason={reason}"),
        None => format!("active;expires={seconds_left}"),
    };
    // The phrase is our user's, or a callee's: it cannot leave its line.
    let reason = String::from_utf8_lossy(HeaderValue::from(word.reason.as_str()).as_bytes()).into_owned();
    let body = format!("SIP/2.0 {} {reason}\r\n", word.status);
    InDialog {
        contact: Some(user.map(str::to_owned)),
        headers: vec![
            (Name::Event.as_str().to_owned(), event.to_owned()),
            (Name::SubscriptionState.as_str().to_owned(), state),
        ],
        body: Some((format!("{SIPFRAG};version=2.0"), Bytes::from(body))),
        ..InDialog::new(Method::Notify)
    }
}
