//! What Twilio's edge makes of a dialog: double Record-Route and a private Contact, on purpose (TWILIO.md §1.5).
//!
//! ```text
//! peer ──── outer (the listener) ── edge ── inner ──── gateway at 172.25.x.y
//! ```
//! The peer reaches the gateway only by both routes, and with the gateway's own Contact as Request-URI.

use super::rewrite::{Line, Rewrite};
use bytes::Bytes;
use sip_core::header::NameAddr;
use sip_core::message::{Message, Method, Name};
use sip_core::transport::Transport;
use sip_core::uri::Uri;
use std::net::SocketAddr;

/// One dialog as its peer sees it.
#[derive(Clone, Debug)]
pub struct Shape {
    /// The route on the peer's side.
    outer: String,
    /// The route on the gateway's side.
    inner: String,
    contact: String,
    gateway: String,
    /// CSeq of our INVITE that opens the dialog, where it is ours.
    opened: Option<u32>,
    /// The peer's INVITE was refused: its ACK goes hop by hop and knows no routes.
    refused: bool,
}

impl Shape {
    /// The shape of a call that comes over this listener, for this number; `seed` tells the gateways apart.
    pub fn new(transport: Transport, listener: SocketAddr, number: &str, seed: u64) -> Self {
        let [_, _, _, _, _, _, x, y] = seed.to_be_bytes();
        let gateway = format!("172.25.{x}.{y}");
        let over = match transport {
            Transport::Udp => "",
            Transport::Tcp => ";transport=tcp",
            Transport::Tls => ";transport=tls",
            Transport::Ws | Transport::Wss => ";transport=ws",
        };
        let user: String = number.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '+').collect();
        let at = if user.is_empty() { String::new() } else { format!("{user}@") };
        Self {
            outer: format!("<sip:{listener}{over};r2=on;lr>"),
            inner: format!("<sip:{listener};r2=on;lr;twnat=sip:{listener}>"),
            contact: format!("sip:{at}{gateway}:5060;transport=udp"),
            gateway,
            opened: None,
            refused: false,
        }
    }

    /// Changes a message of ours.
    pub(super) fn outbound(&mut self, message: &Message, rewrite: &mut Rewrite<'_>) {
        let invites = message.method() == Method::Invite;
        match message.status().map(|status| status.code()) {
            // The peer reverses what a response records (RFC 3261 §12.1.2): outer comes last and is its first hop.
            Some(101..=299) if invites => {
                rewrite.first("Record-Route", &self.inner);
                rewrite.first("Record-Route", &self.outer);
            }
            Some(300..) if invites => self.refused = true,
            None if invites && message.to().is_ok_and(|to| to.tag().is_none()) => {
                self.opened = message.cseq().ok().map(|cseq| cseq.seq);
                rewrite.first("Record-Route", &self.outer);
                rewrite.first("Record-Route", &self.inner);
                self.hide_gateway(message, rewrite);
            }
            _ => {}
        }
        let contact = format!("<{}>", self.contact);
        let redirects = message.status().is_some_and(|status| status.class() == 3);
        rewrite.edit(|name, _| match name {
            Name::Contact if !redirects => Line::Replace(contact.clone()),
            _ => Line::Keep,
        });
    }

    /// The gateway's own Via below the edge's: whoever answers must give back both.
    fn hide_gateway(&self, message: &Message, rewrite: &mut Rewrite<'_>) {
        let top = message.header_str(Name::Via).unwrap_or_default().into_owned();
        let branch = message.top_via().ok().and_then(|via| via.branch().map(str::to_owned)).unwrap_or_default();
        let below = format!("{top}, SIP/2.0/UDP {}:5060;rport=5060;branch={branch}g", self.gateway);
        rewrite.edit(|name, _| if name == Name::Via { Line::Replace(below.clone()) } else { Line::Keep });
    }

    /// What of a peer's message goes on to the gateway; nothing where it goes on as it is.
    pub(super) fn inbound(&self, message: &Message) -> Result<Option<Bytes>, String> {
        if !message.is_request() {
            return self.inbound_response(message);
        }
        let in_dialog = message.to().is_ok_and(|to| to.tag().is_some());
        let hop_by_hop = self.refused && message.method() == Method::Ack;
        if !in_dialog || hop_by_hop {
            return Ok(None);
        }
        self.check_target(message)?;
        self.check_routes(&message.routes().map_err(|error| error.to_string())?, message)?;
        let mut rewrite = Rewrite::of(message);
        rewrite.edit(|name, _| if name == Name::Route { Line::Drop } else { Line::Keep });
        Ok(Some(rewrite.build()))
    }

    /// The gateway sees a response without what was the edge's own.
    fn inbound_response(&self, message: &Message) -> Result<Option<Bytes>, String> {
        let answers = message.cseq().ok().filter(|cseq| cseq.method == Method::Invite).map(|cseq| cseq.seq);
        if answers.is_none() || answers != self.opened {
            return Ok(None);
        }
        let vias = message.vias().map_err(|error| error.to_string())?;
        let own = vias.first().map(ToString::to_string).unwrap_or_default();
        if vias.get(1).is_none_or(|via| via.host.to_string() != self.gateway) {
            return Err(format!("{}: the second Via did not come back", message.start_line()));
        }
        let recorded = message.record_routes().map_err(|error| error.to_string())?;
        let opens = message.status().is_some_and(|status| (101..=299).contains(&status.code()));
        if opens {
            // Copied in their order (RFC 3261 §12.1.1).
            self.check_record(&recorded, message)?;
        }
        let mut rewrite = Rewrite::of(message);
        let mut vias = 0;
        rewrite.edit(|name, _| match name {
            Name::RecordRoute => Line::Drop,
            Name::Via => {
                vias += 1;
                if vias == 1 { Line::Replace(own.clone()) } else { Line::Drop }
            }
            _ => Line::Keep,
        });
        Ok(Some(rewrite.build()))
    }

    fn check_target(&self, message: &Message) -> Result<(), String> {
        let wanted = Uri::parse(self.contact.as_bytes()).map_err(|error| error.to_string())?;
        match message.request_uri() {
            Ok(uri) if uri == wanted => Ok(()),
            _ => Err(format!("{}: the Request-URI is not our Contact, {}", message.start_line(), self.contact)),
        }
    }

    fn check_routes(&self, routes: &[NameAddr], message: &Message) -> Result<(), String> {
        self.compare(routes, [&self.outer, &self.inner], "Route", message)
    }

    fn check_record(&self, recorded: &[NameAddr], message: &Message) -> Result<(), String> {
        self.compare(recorded, [&self.outer, &self.inner], "Record-Route", message)
    }

    fn compare(&self, got: &[NameAddr], wanted: [&String; 2], what: &str, message: &Message) -> Result<(), String> {
        let wanted: Vec<_> = wanted.iter().filter_map(|value| NameAddr::parse(value.as_bytes()).ok()).collect();
        let same = got.len() == wanted.len() && got.iter().zip(&wanted).all(|(a, b)| same_hop(&a.uri, &b.uri));
        if same { Ok(()) } else { Err(format!("{}: its {what} headers are not the two we gave", message.start_line())) }
    }
}

/// The same hop with the same parameters, in whatever order they are written back.
fn same_hop(a: &Uri, b: &Uri) -> bool {
    let params = |uri: &Uri| {
        let mut params: Vec<_> =
            uri.params().map(|(name, value)| (name.to_ascii_lowercase(), value.map(str::to_owned))).collect();
        params.sort();
        params
    };
    a.host() == b.host() && a.port() == b.port() && params(a) == params(b)
}
