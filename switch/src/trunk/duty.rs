//! What trunks do by themselves: registration (RFC 3261 §10.2) and OPTIONS; and other trunks in place of those that there
//! are.

use super::{Line, Purpose, TrunkState, Trunks, path_failure, seconds};
use crate::desk::{Desk, Timer};
use crate::provision::Provisioned;
use base::Now;
use carrier::registration::{Input as Registering, Output as Register};
use carrier::{Registration, RegistrationState, Rest, Trunk};
use sip_core::endpoint::{Failure, OutOfDialog, RequestId};
use sip_core::header::NameAddr;
use sip_core::message::{Message, Method, Name};

impl Trunks {
    fn registration(&mut self, index: usize) -> Option<&mut Registration> {
        self.lines.get_mut(&index).and_then(|line: &mut Line| line.registration.as_mut())
    }
}

impl Desk {
    /// Begins what trunks do by themselves: registration and OPTIONS.
    pub(crate) fn start_trunks(&mut self, now: Now) {
        for index in self.trunks.order.clone() {
            self.start_trunk(index, now);
        }
    }

    fn start_trunk(&mut self, index: usize, now: Now) {
        self.registering(index, Registering::Start, now);
        let Some(line) = self.trunks.lines.get(&index) else { return };
        if line.trunk.options_interval().is_some() {
            self.timers.set(Timer::Ping(index), now.mono);
        }
    }

    fn stop_trunk(&mut self, index: usize, now: Now) {
        self.registering(index, Registering::Stop, now);
        self.timers.stop(Timer::Ping(index));
        // Whether it answers an OPTIONS is nobody's business any more.
        self.trunks.requests.retain(|_, asking| *asking != (index, Purpose::Ping));
    }

    /// The path to a trunk has failed, and is to be left alone for so many seconds where it said so: it rests, and is asked
    /// by OPTIONS when that is over, until it is known to be well.
    pub(crate) fn trunk_failed(&mut self, index: usize, retry_after: Option<u32>, now: Now) {
        let Some(line) = self.trunks.lines.get_mut(&index) else { return };
        line.rest.failed(retry_after, now);
        line.state = TrunkState::Down;
        tracing::info!(trunk = line.trunk.name().as_str(), retry_after, "the path to a trunk has failed; it rests");
        let is_used = self.trunks.order.contains(&index);
        if let Some(until) = self.trunks.lines.get(&index).and_then(|line| line.rest.until(now)).filter(|_| is_used) {
            self.timers.set(Timer::Ping(index), until);
        }
    }

    /// Ends it: a registration is withdrawn (RFC 3261 §10.2.2).
    pub(crate) fn stop_trunks(&mut self, now: Now) {
        for index in self.trunks.order.clone() {
            self.stop_trunk(index, now);
        }
    }

    /// Other trunks in place of those that there are. Of one name it stays the same trunk, with the permits that are out
    /// and the calls of its last second: nothing of a change lets more calls go than it takes.
    pub(crate) fn replace_trunks(&mut self, provisioned: &Provisioned, now: Now) {
        self.trunks.rate.limit(provisioned.calls_per_second, u32::MAX);
        let before = std::mem::take(&mut self.trunks.order);
        let mut order = Vec::with_capacity(provisioned.trunks.len());
        for trunk in &provisioned.trunks {
            let named = |number: &&usize| self.trunks.name(**number) == trunk.name().as_str();
            let number = match before.iter().find(named).copied() {
                Some(number) => {
                    self.change_trunk(number, trunk, now);
                    number
                }
                None => {
                    let number = self.trunks.add(trunk.clone(), &mut self.rng);
                    // Its carrier may have had calls over one that was taken away, under another name.
                    self.trunks.spend(number, now);
                    self.start_trunk(number, now);
                    number
                }
            };
            order.push(number);
        }
        for gone in before.into_iter().filter(|number| !order.contains(number)) {
            tracing::info!(trunk = self.trunks.name(gone), "a trunk is taken away; its calls go on");
            self.stop_trunk(gone, now);
            self.timers.stop(Timer::Register(gone));
            self.trunks.forget(gone);
        }
        self.trunks.order = order;
        // Not before the new order stands: what is in it is in use.
        let known: Vec<usize> = self.trunks.lines.keys().copied().collect();
        known.into_iter().for_each(|number| self.trunks.forget(number));
    }

    /// A trunk under the same name that may be another: what it does by itself begins anew where that concerns it.
    fn change_trunk(&mut self, index: usize, trunk: &Trunk, now: Now) {
        let Some(line) = self.trunks.lines.get(&index) else { return };
        if line.trunk.config() == trunk.config() {
            return;
        }
        tracing::info!(trunk = trunk.name().as_str(), "a trunk has changed");
        let registers_anew = !line.trunk.registers_like(trunk);
        if registers_anew {
            self.stop_trunk(index, now);
            self.timers.stop(Timer::Register(index));
            // The answer to the withdrawal is nobody's.
            self.trunks.requests.retain(|_, (asking, _)| *asking != index);
        }
        let registration = registers_anew.then(|| (trunk.registration(self.rng.fork()), self.rng.token(24)));
        let Some(line) = self.trunks.lines.get_mut(&index) else { return };
        if line.trunk.config().uri != trunk.config().uri {
            line.permits.spend(now);
        }
        line.permits.limit(trunk.config().max_cps, trunk.config().max_calls);
        line.trunk = trunk.clone();
        match registration {
            Some((registration, call_id)) => {
                (line.registration, line.register_call_id, line.register_cseq) = (registration, call_id, 0);
                (line.rest, line.state) = (Rest::default(), TrunkState::Unknown);
                self.start_trunk(index, now);
            }
            None if line.trunk.options_interval().is_some() => self.timers.set(Timer::Ping(index), now.mono),
            None => self.timers.stop(Timer::Ping(index)),
        }
    }

    pub(crate) fn on_register_timer(&mut self, index: usize, now: Now) {
        self.registering(index, Registering::Timeout, now);
    }

    /// Asks a trunk whether it is there: at its interval, and where it is down. One that rests is left alone (RFC 3261
    /// §21.5.4), and one that has yet to answer is not asked again.
    pub(crate) fn on_ping_timer(&mut self, index: usize, now: Now) {
        let Some(line) = self.trunks.lines.get(&index) else { return };
        if let Some(until) = line.rest.until(now) {
            return self.timers.set(Timer::Ping(index), until);
        }
        match line.trunk.options_interval() {
            Some(every) => self.timers.set(Timer::Ping(index), now.after(every)),
            None if line.state != TrunkState::Down => return,
            None => {}
        }
        if self.trunks.requests.values().any(|asking| *asking == (index, Purpose::Ping)) {
            return;
        }
        let uri = line.trunk.registrar().clone();
        let us = NameAddr::new(uri.clone());
        self.ask(index, Purpose::Ping, Method::Options, uri, us, Vec::new(), now);
    }

    fn registering(&mut self, index: usize, input: Registering, now: Now) {
        let Some(registration) = self.trunks.registration(index) else { return };
        registration.handle(input, now);
        loop {
            let Some(registration) = self.trunks.registration(index) else { return };
            match registration.poll() {
                Register::SendRegister { expires } => self.send_register(index, expires, now),
                Register::StateChanged(state) => self.registration_changed(index, &state),
                Register::Timeout(at) => {
                    match at {
                        Some(at) => self.timers.set(Timer::Register(index), at),
                        None => self.timers.stop(Timer::Register(index)),
                    }
                    return;
                }
            }
        }
    }

    fn registration_changed(&mut self, index: usize, state: &RegistrationState) {
        tracing::info!(trunk = self.trunks.name(index), %state, "registration");
    }

    fn send_register(&mut self, index: usize, expires: u32, now: Now) {
        let Some(line) = self.trunks.lines.get(&index) else { return };
        let Some(us) = line.trunk.address_of_record() else { return };
        let uri = line.trunk.registrar().clone();
        self.ask(
            index,
            Purpose::Register,
            Method::Register,
            uri,
            us,
            vec![("Expires".to_owned(), expires.to_string())],
            now,
        );
    }

    #[expect(clippy::too_many_arguments, reason = "a request is that many things, and this is its one place")]
    fn ask(
        &mut self,
        index: usize,
        purpose: Purpose,
        method: Method,
        uri: sip_core::uri::Uri,
        us: NameAddr,
        headers: Vec<(String, String)>,
        now: Now,
    ) {
        let Some(line) = self.trunks.lines.get_mut(&index) else { return };
        let registers = purpose == Purpose::Register;
        if registers {
            line.register_cseq += 1;
        }
        let asked = OutOfDialog {
            method,
            uri,
            next_hop: line.trunk.next_hop(),
            from: us.clone(),
            to: us,
            call_id: registers.then(|| line.register_call_id.clone()),
            cseq: registers.then_some(line.register_cseq),
            headers,
            body: None,
            credentials: line.trunk.credentials(),
        };
        match self.endpoint.request(asked, now) {
            Ok(request) => {
                self.trunks.requests.insert(request, (index, purpose));
            }
            Err(error) if registers => {
                tracing::warn!(trunk = self.trunks.name(index), %error, "a REGISTER could not be sent");
                self.registering(index, Registering::TransportFailed, now);
            }
            Err(error) => tracing::warn!(trunk = self.trunks.name(index), %error, "an OPTIONS could not be sent"),
        }
    }

    /// The end of a request outside of calls.
    pub(crate) fn on_reply(&mut self, request: RequestId, cseq: u32, result: Result<Message, Failure>, now: Now) {
        let Some((index, purpose)) = self.trunks.requests.remove(&request) else {
            return self.on_message_done(request, &result, now);
        };
        self.note_reply(index, purpose, &result, now);
        if purpose == Purpose::Register {
            if let Some(line) = self.trunks.lines.get_mut(&index) {
                line.register_cseq = line.register_cseq.max(cseq);
            }
            self.registering(index, registered(result), now);
        }
        self.trunks.forget(index);
        if !self.trunks.lines.contains_key(&index) {
            self.timers.stop(Timer::Register(index));
        }
    }
}

impl Desk {
    /// What the end of a request says of its trunk. An answer does not end a rest: who refuses calls may well answer
    /// OPTIONS.
    fn note_reply(&mut self, index: usize, purpose: Purpose, result: &Result<Message, Failure>, now: Now) {
        let broken = match result {
            Ok(response) | Err(Failure::Response(response)) | Err(Failure::Auth(_, Some(response))) => {
                path_failure(response)
            }
            Err(_) => Some(None),
        };
        let Some(line) = self.trunks.lines.get_mut(&index) else { return };
        let is_silence = matches!(result, Err(Failure::Timeout | Failure::TryTimeout));
        let pinged = purpose == Purpose::Ping;
        match broken {
            // It may be one that answers no OPTIONS at all: its rest is over, and the next call shows.
            Some(_) if pinged && is_silence && !line.answers_options && line.trunk.options_interval().is_none() => {
                line.state = TrunkState::Unknown;
            }
            Some(retry_after) => self.trunk_failed(index, retry_after, now),
            None => {
                line.answers_options |= pinged;
                if line.rest.until(now).is_none() {
                    line.state = TrunkState::Up;
                }
            }
        }
    }
}

/// A reply to a REGISTER in the registration's own words.
fn registered(result: Result<Message, Failure>) -> Registering {
    match result {
        Ok(response) | Err(Failure::Response(response)) | Err(Failure::Auth(_, Some(response))) => Registering::Reply {
            status: response.status().map_or(500, |status| status.code()),
            expires: expires(&response),
            min_expires: seconds(&response, Name::MinExpires),
            retry_after: seconds(&response, Name::RetryAfter),
        },
        Err(_) => Registering::TransportFailed,
    }
}

/// For how long the registrar keeps our binding: its Contact's `expires`, or Expires (RFC 3261 §10.2.4).
fn expires(response: &Message) -> Option<u32> {
    let of_contact = response.contacts().ok().and_then(|contacts| {
        contacts.iter().find_map(|contact| contact.params.get("expires").and_then(|value| value.parse().ok()))
    });
    of_contact.or_else(|| response.expires().ok().flatten())
}
