//! Calls that the carrier places, in Twilio's manner where it is Twilio (TWILIO.md §1.5).

use super::Carrier;
use super::call::{Call, Phase, body};
use super::plant::{CallKey, Plant};
use crate::edge::{Mute, Rules, Shape};
use crate::report::{Direction, Outcome};
use crate::script::Script;
use sip_core::endpoint::{Headers, Invite, MAX_FORWARDS, NextHop};
use sip_core::header::NameAddr;
use sip_core::transport::Transport;
use sip_core::uri::{Host, Uri};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

/// How long the carrier lets a phone ring where its script names no time.
const RING_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(60);

impl Carrier {
    /// Places a call.
    pub(super) fn call(&mut self, from: String, to: String, script: Script) {
        let key = CallKey(self.plant.next_id());
        let call_id = format!("{}@0.0.0.0", self.plant.rng.hex(32));
        let call_sid = self.plant.call_sid(&call_id);
        let plan = plan(&self.plant, &from, &to, &call_sid, &call_id, script.cancel_after);
        let mute = if script.lost_ack { Mute::Acks } else { Mute::Nothing };
        let (phase, number, shape) = match &plan {
            Ok(invite) => {
                let number = invite.uri.user().unwrap_or_default().to_owned();
                let shape = self.shape_toward(invite.next_hop.transport, &from, &call_id);
                (Phase::Opening(Box::new(invite.clone())), number, shape)
            }
            Err(_) => (Phase::Calling, to, None),
        };
        let mut call = Call::new(key, Arc::new(script), phase, Direction::FromCarrier, &self.plant);
        (call.report.call_id, call.report.call_sid) = (call_id.clone(), call_sid);
        (call.report.from, call.report.to) = (from, number);
        self.tally.calls += 1;
        self.plant.edge.rule(&call_id, Rules { mute, shape, ..Rules::default() });
        self.by_call_id.insert(call_id, key);
        match plan {
            Err(reason) => call.over(Outcome::Failed(reason), &mut self.plant),
            Ok(_) if !call.sound.open(key, &mut self.plant) => {
                call.over(Outcome::Failed("no RTP port is free".to_owned()), &mut self.plant);
            }
            Ok(_) => {}
        }
        self.put(call);
    }

    fn shape_toward(&self, transport: Transport, from: &str, call_id: &str) -> Option<Shape> {
        let config = &self.plant.config;
        let local = config.locals.iter().find(|local| local.transport == transport).filter(|_| config.twilio)?;
        let seed = crate::config::hash(self.plant.salt, call_id);
        Some(Shape::new(transport, local.advertised, from, seed))
    }
}

impl Call {
    /// The port of our INVITE is open: out with it.
    pub(super) fn dial(&mut self, plant: &mut Plant) {
        let Phase::Opening(invite) = std::mem::replace(&mut self.phase, Phase::Calling) else { return };
        let Some(line) = self.sound.line() else { return };
        let mut invite = *invite;
        invite.body = Some(body(line.offer(plant)));
        match plant.endpoint.invite(invite, plant.now) {
            Ok(session) => {
                self.session = Some(session);
                plant.by_session.insert(session, self.key);
            }
            Err(refused) => self.over(Outcome::Failed(refused.to_string()), plant),
        }
    }
}

fn plan(
    plant: &Plant,
    from: &str,
    to: &str,
    call_sid: &str,
    call_id: &str,
    cancel_after: Option<std::time::Duration>,
) -> Result<Invite, String> {
    let config = &plant.config;
    let (uri, next_hop) = target(to, config.originate_to.as_ref())?;
    let local = config.locals.iter().find(|local| local.transport == next_hop.transport);
    let own = local.map_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 5060)), |local| local.advertised);
    let trunk = match config.domain.as_deref().map(|domain| Host::parse(domain.as_bytes())) {
        Some(Ok(host)) => host,
        _ => Host::from(own.ip()),
    };
    let caller = |host| NameAddr::new(Uri::sip(Some(from), host, Some(5060)));
    Ok(Invite {
        to: NameAddr::new(uri.clone()),
        from: caller(trunk),
        contact_user: Some(from.to_owned()),
        headers: if config.twilio { headers(plant, &caller(Host::from(own.ip())), &uri, call_sid) } else { Vec::new() },
        call_id: Some(call_id.to_owned()),
        max_forwards: MAX_FORWARDS,
        routes: Vec::new(),
        uri,
        next_hop,
        body: None,
        credentials: None,
        try_timeout: None,
        ring_timeout: Some(cancel_after.unwrap_or(RING_TIMEOUT)),
    })
}

fn target(to: &str, known: Option<&NextHop>) -> Result<(Uri, NextHop), String> {
    let over = |uri: Uri, transport: Transport| match transport {
        Transport::Udp => uri,
        _ => uri.with_param("transport", Some(&transport.as_str().to_ascii_lowercase())),
    };
    if to.starts_with("sip:") || to.starts_with("sips:") {
        let uri = Uri::parse(to.as_bytes()).map_err(|error| format!("`{to}`: {error}"))?;
        let host = uri.host().map(ToString::to_string).ok_or_else(|| format!("`{to}` names no host"))?;
        let transport = uri.transport().unwrap_or(Transport::Udp);
        let port = uri.port();
        return Ok((uri, NextHop::new(host, port, transport)));
    }
    let hop = known.ok_or_else(|| format!("`{to}` is a bare number, and there is nowhere that calls go"))?;
    let host = Host::parse(hop.host.as_bytes()).map_err(|error| format!("`{}`: {error}", hop.host))?;
    Ok((over(Uri::sip(Some(to), host, hop.port), hop.transport), hop.clone()))
}

/// What Twilio adds to an INVITE of its own.
fn headers(plant: &Plant, identity: &NameAddr, uri: &Uri, call_sid: &str) -> Headers {
    let dialled = uri.user().unwrap_or_default();
    let account = format!("AC{0:016x}{0:016x}", crate::config::hash(plant.salt, "account"));
    [
        ("P-Asserted-Identity", identity.to_string()),
        ("Diversion", format!("<sip:{dialled}@twilio.com>;reason=unconditional")),
        ("User-Agent", "Twilio Gateway".to_owned()),
        ("X-Twilio-AccountSid", account),
        ("X-Twilio-CallSid", call_sid.to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}
