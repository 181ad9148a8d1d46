//! Requests and responses put together: what the endpoint itself writes into each (RFC 3261 §8.1.1, §8.2.6, §20).

use super::command::{Body, Headers};
use super::config::{Config, MAX_FORWARDS};
use crate::header::{NameAddr, Via};
use crate::message::{Message, Method, Name, RequestBuilder, ResponseBuilder, StatusCode};
use crate::transport::Transport;
use crate::uri::{Host, Uri};
use base::Rng;
use bytes::Bytes;
use std::net::SocketAddr;

/// The methods that are never answered 405 or 501, inside a dialog or outside (RFC 3261 §20.5). MESSAGE is its user's
/// business, and most take none inside a call.
pub(super) const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, PRACK, UPDATE, INFO, REFER, NOTIFY, SUBSCRIBE";
/// The event packages that there are (RFC 6665 §8.2.2).
pub(super) const ALLOW_EVENTS: &str = "refer";
/// The one body an INVITE may carry.
pub(super) const SDP: &str = "application/sdp";

/// Header fields that are the endpoint's own business, whatever its user hands in: they frame, route or authorise.
const OWN: [Name; 13] = [
    Name::Via,
    Name::From,
    Name::To,
    Name::CallId,
    Name::CSeq,
    Name::Contact,
    Name::Route,
    Name::RecordRoute,
    Name::MaxForwards,
    Name::ContentLength,
    Name::ContentType,
    Name::Authorization,
    Name::ProxyAuthorization,
];

/// Bytes as they go on the wire, with what the ladder says about them.
#[derive(Clone, Debug)]
pub(super) struct Wire {
    pub(super) bytes: Bytes,
    pub(super) cseq: String,
    pub(super) has_body: bool,
}

/// A request before it is known where it goes.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) routes: Vec<NameAddr>,
    pub(super) from: NameAddr,
    pub(super) to: NameAddr,
    pub(super) call_id: String,
    pub(super) cseq: u32,
    pub(super) max_forwards: u8,
    /// Contact's user part, where the request has a Contact.
    pub(super) contact: Option<Option<String>>,
    pub(super) headers: Headers,
}

/// Our side of a hop: what Via and Contact name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Face {
    pub(super) transport: Transport,
    pub(super) addr: SocketAddr,
}

impl Face {
    fn host(self) -> Host {
        Host::from(self.addr.ip().to_canonical())
    }

    /// The Via of one attempt; its branch is new.
    pub(super) fn via(self, rng: &mut Rng) -> Via {
        let branch = format!("{}{}", crate::header::MAGIC_COOKIE, rng.token(22));
        Via::new(self.transport, self.host(), Some(self.addr.port()), &branch)
    }

    /// The Contact by which we are reached (§8.1.1.8).
    pub(super) fn contact(self, user: Option<&str>) -> NameAddr {
        let uri = Uri::sip(user, self.host(), Some(self.addr.port()));
        NameAddr::new(match self.transport.in_uri() {
            None => uri,
            Some(transport) => uri.with_param("transport", Some(transport)),
        })
    }
}

/// Bytes of what a request has besides what its user and its peer name: method, Via with its branch and an IPv6 address,
/// Max-Forwards, Call-ID's and CSeq's names, Contact's address, Content-Type, Content-Length.
const FRAME: usize = 600;

impl Draft {
    /// Bytes that the request does not exceed, whichever hop it takes, credentials apart.
    pub(super) fn at_most(&self, config: &Config, body: Option<&Body>) -> usize {
        let addresses = self.routes.iter().chain([&self.from, &self.to]).map(|address| address.at_most() + 16);
        let headers = self.headers.iter().map(|(name, value)| name.len() + value.len() + 4);
        // An escape triples a character.
        let contact = self.contact.iter().flatten().map(|user| 3 * user.len());
        let body = body.map_or(0, |(content_type, body)| content_type.len() + body.len());
        let own = FRAME + ALLOW.len() + config.user_agent.len() + self.uri.as_str().len() + self.call_id.len();
        own + body + addresses.chain(headers).chain(contact).sum::<usize>()
    }

    /// The request as this hop carries it. `authorization` are the header fields that digest adds.
    pub(super) fn compose(
        &self,
        config: &Config,
        face: Face,
        via: &Via,
        authorization: &[(Name, String)],
        body: Option<&Body>,
    ) -> Wire {
        let mut builder = RequestBuilder::new(&self.method, &self.uri).via(via).max_forwards(self.max_forwards);
        for route in &self.routes {
            builder = builder.route(route);
        }
        builder = builder.from(&self.from).to(&self.to).call_id(&self.call_id).cseq(self.cseq, &self.method);
        if let Some(user) = &self.contact {
            builder = builder.contact(&face.contact(user.as_deref()));
        }
        for (name, value) in authorization {
            builder = builder.text(name.as_str(), value);
        }
        for (name, value) in user_headers(&self.headers) {
            builder = builder.text(name, value);
        }
        if self.method == Method::Invite {
            builder = builder.text(Name::Allow.as_str(), ALLOW);
        }
        if !names(&self.headers, Name::UserAgent) && self.method != Method::Ack {
            builder = builder.text(Name::UserAgent.as_str(), &config.user_agent);
        }
        if let Some((content_type, body)) = body {
            builder = builder.body(content_type, body.clone());
        }
        let bytes = builder.build();
        let credentials: usize = authorization.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
        debug_assert!(bytes.len() <= self.at_most(config, body) + credentials, "a request longer than it can be");
        Wire {
            bytes,
            cseq: format!("{} {}", self.cseq, self.method),
            has_body: body.is_some_and(|(_, body)| !body.is_empty()),
        }
    }

    /// The ACK for a non-2xx final response (§17.1.1.3), or a CANCEL (§9.1): the Request-URI, top Via, Route, From,
    /// Call-ID and CSeq number are the INVITE's own, and its body, Contact and credentials are not.
    pub(super) fn follow_up(&self, via: &Via) -> Wire {
        let mut builder = RequestBuilder::new(&self.method, &self.uri).via(via).max_forwards(MAX_FORWARDS);
        for route in &self.routes {
            builder = builder.route(route);
        }
        builder = builder.from(&self.from).to(&self.to).call_id(&self.call_id).cseq(self.cseq, &self.method);
        for (name, value) in user_headers(&self.headers) {
            builder = builder.text(name, value);
        }
        Wire { bytes: builder.build(), cseq: format!("{} {}", self.cseq, self.method), has_body: false }
    }
}

/// A response before it is written: [`Answer::wire`] turns it into bytes.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) reason: Option<String>,
    pub(super) tag: Option<String>,
    pub(super) contact: Option<NameAddr>,
    pub(super) record_route: bool,
    /// Contacts among `headers` are the user's: a redirection's (§21.3), a registrar's (§10.3).
    pub(super) contacts: bool,
    /// Without what nobody needs to know: Server.
    pub(super) terse: bool,
    pub(super) headers: Headers,
    pub(super) body: Option<Body>,
}

impl Answer {
    /// Nothing but the status.
    pub(super) const fn new(status: StatusCode) -> Self {
        Self {
            status,
            reason: None,
            tag: None,
            contact: None,
            record_route: false,
            contacts: status.class() == 3,
            terse: false,
            headers: Vec::new(),
            body: None,
        }
    }

    pub(super) fn tag(mut self, tag: &str) -> Self {
        self.tag = Some(tag.to_owned());
        self
    }

    /// As short as it may be.
    pub(super) fn terse(mut self) -> Self {
        self.terse = true;
        self
    }

    pub(super) fn header(mut self, name: Name, value: impl Into<String>) -> Self {
        self.headers.push((name.as_str().to_owned(), value.into()));
        self
    }

    /// The response to this request, marked with where it came from.
    pub(super) fn wire(&self, config: &Config, request: &Message, source: SocketAddr) -> Wire {
        let builder = ResponseBuilder::to_request(request, self.status).received(source);
        let cseq = request.header_str(Name::CSeq).unwrap_or_default().into_owned();
        self.fill(builder, config, cseq)
    }

    /// The response built up from what can be copied of its request.
    pub(super) fn fill(&self, mut builder: ResponseBuilder, config: &Config, cseq: String) -> Wire {
        if let Some(reason) = &self.reason {
            builder = builder.reason(reason);
        }
        // §8.2.6.2: every response but 100 has a tag in To.
        if let Some(tag) = self.tag.as_deref().filter(|_| self.status != StatusCode::TRYING) {
            builder = builder.to_tag(tag);
        }
        if self.record_route {
            builder = builder.record_route();
        }
        if let Some(contact) = &self.contact {
            builder = builder.contact(contact);
        }
        for (name, value) in user_headers(&self.headers) {
            builder = builder.text(name, value);
        }
        for (_, value) in self.headers.iter().filter(|(name, _)| self.contacts && is(name, Name::Contact)) {
            builder = builder.text(Name::Contact.as_str(), value);
        }
        if !names(&self.headers, Name::Server) && self.status != StatusCode::TRYING && !self.terse {
            builder = builder.text(Name::Server.as_str(), &config.user_agent);
        }
        if let Some((content_type, body)) = &self.body {
            builder = builder.body(content_type, body.clone());
        }
        Wire { bytes: builder.build(), cseq, has_body: self.body.as_ref().is_some_and(|(_, body)| !body.is_empty()) }
    }
}

/// Header fields of a session's messages that say what the endpoint does, and that its user has no say in.
const SESSIONS: [Name; 8] = [
    Name::Supported,
    Name::Require,
    Name::RSeq,
    Name::RAck,
    Name::SessionExpires,
    Name::MinSe,
    Name::ReferTo,
    Name::Allow,
];

/// What of a user's header fields goes into a message of a session.
pub(super) fn users(headers: Headers) -> Headers {
    headers.into_iter().filter(|(name, _)| !SESSIONS.contains(&Name::from_bytes(name.as_bytes()))).collect()
}

/// The fields a user may set. The writer leaves out a name that is none.
fn user_headers(headers: &Headers) -> impl Iterator<Item = (&str, &str)> {
    let is_users = |name: &str| !OWN.contains(&Name::from_bytes(name.as_bytes()));
    headers.iter().filter(move |(name, _)| is_users(name)).map(|(name, value)| (&**name, &**value))
}

/// True where a user sets this field.
fn names(headers: &Headers, name: Name) -> bool {
    headers.iter().any(|(given, _)| is(given, name))
}

fn is(given: &str, name: Name) -> bool {
    Name::from_bytes(given.as_bytes()) == name
}
