//! Who may call: digest, numbers and limits, before an INVITE becomes a call with a port.

use super::Carrier;
use super::call::{Call, Phase};
use super::io::What;
use super::plant::CallKey;
use super::steps::Cursor;
use crate::edge::{Deaf, Rules, Shape};
use crate::report::Direction;
use crate::script::{Before, Finally, OnCancel, Script};
use crate::twilio::{Error, is_e164, parties};
use sip_core::auth::{Verdict, ha1};
use sip_core::endpoint::{Headers, SessionId, Source};
use sip_core::message::{Message, Name, StatusCode};
use std::sync::Arc;

/// An INVITE that is not taken.
enum Refusal {
    /// It is to come again with credentials.
    Challenge(Headers),
    /// It is refused.
    Status(StatusCode, Headers),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Status(error.status(), vec![error.header()])
    }
}

impl From<StatusCode> for Refusal {
    fn from(status: StatusCode) -> Self {
        Self::Status(status, Vec::new())
    }
}

impl Carrier {
    /// A new INVITE.
    pub(super) fn incoming(&mut self, session: SessionId, request: &Message, source: Source) {
        let (from, to) = parties(request);
        let call_id = request.call_id().unwrap_or_default().to_owned();
        let script = self.choice.of(&to, &call_id);
        let call_sid = self.plant.call_sid(&call_id);
        let verdict = self.judge(request, &script, (&from, &to));
        if self.plant.config.twilio && script.finally != Finally::Silent {
            let headers = self.plant.headers(&call_sid);
            self.plant.endpoint.progress(session, StatusCode::TRYING, headers, None, self.plant.now);
        }
        if let Err(Refusal::Challenge(mut headers)) = verdict {
            self.tally.challenged += 1;
            self.plant.note(&call_id, What::Challenged);
            headers.extend(self.plant.headers(&call_sid));
            let status = StatusCode::PROXY_AUTHENTICATION_REQUIRED;
            return self.plant.endpoint.reject(session, status, headers, self.plant.now);
        }
        let key = CallKey(self.plant.next_id());
        let phase = Phase::Offered(Cursor::begin(self.plant.now));
        let mut call = Call::new(key, script, phase, Direction::ToCarrier, &self.plant);
        call.session = Some(session);
        call.offer = Some(request.body().clone()).filter(|offer| !offer.is_empty());
        (call.report.call_id, call.report.call_sid) = (call_id, call_sid);
        (call.report.from, call.report.to) = (from, to);
        self.plant.by_session.insert(session, key);
        self.set_rules(&call, source);
        self.begin(call, verdict.err());
    }

    fn begin(&mut self, mut call: Call, refusal: Option<Refusal>) {
        let plant = &mut self.plant;
        match refusal {
            Some(Refusal::Status(status, headers)) => {
                self.tally.turned_away += 1;
                call.note(plant, What::TurnedAway(status.code()));
                call.refuse(status, headers, plant);
            }
            Some(Refusal::Challenge(_)) | None => {
                self.tally.calls += 1;
                let (from, to) = (call.report.from.clone(), call.report.to.clone());
                call.note(plant, What::Invited { from, to });
                if call.script.finally == Finally::Silent {
                    call.ignore(plant);
                } else if wants_media(&call.script) && !call.sound.open(call.key, plant) {
                    call.refuse(StatusCode::SERVICE_UNAVAILABLE, Vec::new(), plant);
                }
            }
        }
        call.advance(&mut self.plant);
        self.put(call);
    }

    fn set_rules(&mut self, call: &Call, source: Source) {
        let plant = &mut self.plant;
        let listener = plant.config.locals.iter().find(|local| local.id == source.local).map(|local| local.advertised);
        let seed = crate::config::hash(plant.salt, &call.report.call_id);
        let shape = listener
            .filter(|_| plant.config.twilio)
            .map(|listener| Shape::new(source.transport, listener, &call.report.to, seed));
        let rules = Rules {
            deaf: if call.script.lost_ack { Deaf::Acks } else { Deaf::Nothing },
            holds_cancel: matches!(call.script.on_cancel, OnCancel::Answer(_)),
            shape,
            ..Rules::default()
        };
        plant.edge.rule(&call.report.call_id, rules);
        self.by_call_id.insert(call.report.call_id.clone(), call.key);
    }

    /// Whether an INVITE becomes a call. The order is Twilio's as far as it is known: who, which numbers, how many.
    fn judge(&mut self, request: &Message, script: &Script, parties: (&str, &str)) -> Result<(), Refusal> {
        if script.finally == Finally::Silent {
            return Ok(());
        }
        self.check_domain(request)?;
        if script.challenge != Some(false) {
            self.authenticate(request)?;
        }
        self.check_numbers(parties)?;
        self.check_limits()
    }

    fn check_domain(&self, request: &Message) -> Result<(), Refusal> {
        let Some(domain) = &self.plant.config.domain else { return Ok(()) };
        let named = request.request_uri().ok().and_then(|uri| uri.host().map(ToString::to_string));
        match named {
            Some(host) if host.eq_ignore_ascii_case(domain) => Ok(()),
            _ => Err(StatusCode::FORBIDDEN.into()),
        }
    }

    fn authenticate(&mut self, request: &Message) -> Result<(), Refusal> {
        let (Some(auth), Some(known)) = (&mut self.auth, &self.plant.config.credentials) else { return Ok(()) };
        let header = request.header(Name::ProxyAuthorization);
        let uri = String::from_utf8_lossy(request.request_uri_raw()).into_owned();
        let stored = |user: &str, realm: &str, algorithm| {
            (user == known.username).then(|| ha1(algorithm, user, realm, known.password.expose()))
        };
        match auth.verify(header.as_deref(), "INVITE", &uri, stored, self.plant.now) {
            Verdict::Accepted { .. } => Ok(()),
            Verdict::Challenge { headers, .. } => {
                let field = |value| ("Proxy-Authenticate".to_owned(), value);
                Err(Refusal::Challenge(headers.into_iter().map(field).collect()))
            }
            Verdict::Rejected { reason } => {
                Err(StatusCode::new(reason.status()).unwrap_or(StatusCode::FORBIDDEN).into())
            }
        }
    }

    fn check_numbers(&self, (from, to): (&str, &str)) -> Result<(), Refusal> {
        let config = &self.plant.config;
        if config.twilio && !is_e164(to) {
            return Err(Error::BadNumber.into());
        }
        let may_call = config.caller_ids.is_empty() || config.caller_ids.iter().any(|id| id == from);
        if may_call && (!config.twilio || is_e164(from)) { Ok(()) } else { Err(Error::CallerId.into()) }
    }

    fn check_limits(&mut self) -> Result<(), Refusal> {
        if self.calls.len() >= self.plant.config.max_calls {
            return Err(Error::Concurrency.into());
        }
        let Some(max_cps) = self.plant.config.max_cps else { return Ok(()) };
        let second = self.plant.now.mono / base::secs(1);
        if self.this_second.0 != second {
            self.this_second = (second, 0);
        }
        self.this_second.1 += 1;
        if self.this_second.1 > max_cps { Err(Error::CallsPerSecond.into()) } else { Ok(()) }
    }
}

/// Whether the script ever sends a description.
fn wants_media(script: &Arc<Script>) -> bool {
    matches!(script.finally, Finally::Answer(_))
        || matches!(script.on_cancel, OnCancel::Answer(_))
        || script.before.iter().any(|step| matches!(step.act, Before::Early(_)))
}
