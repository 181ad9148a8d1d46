//! Credentials, and the peers that may see what is made of them (RFC 3261 §22; a challenge from a stranger must not draw
//! an answer: ES2021-05).

use super::command::Body;
use super::compose::Draft;
use crate::auth::{AuthFailure, Authorization, ClientAuth, Credentials};
use crate::message::{Message, Name};
use base::Rng;
use std::net::IpAddr;

/// One owner's knowledge of challenges, for the addresses of the next hop its credentials are meant for.
#[derive(Debug)]
pub(super) struct Authorizer {
    auth: ClientAuth,
    trusted: Vec<IpAddr>,
}

impl Authorizer {
    pub(super) const fn new(credentials: Option<Credentials>) -> Self {
        Self { auth: ClientAuth::new(credentials), trusted: Vec::new() }
    }

    /// The addresses that the next hop's name stands for: they, and no others, are answered.
    pub(super) fn trust(&mut self, addresses: impl IntoIterator<Item = IpAddr>) {
        for address in addresses {
            let address = address.to_canonical();
            if !self.trusted.contains(&address) {
                self.trusted.push(address);
            }
        }
    }

    pub(super) fn trusts(&self, peer: IpAddr) -> bool {
        self.trusted.contains(&peer.to_canonical())
    }

    /// What a new request carries before it is challenged: answers to the challenges already met.
    pub(super) fn preauthorize(&mut self, draft: &Draft, body: Option<&Body>, rng: &mut Rng) -> Vec<(Name, String)> {
        named(self.auth.authorize(draft.method.as_str(), draft.uri.as_str(), octets(body), rng))
    }

    /// What the request carries when it is sent again after this 401 or 407.
    pub(super) fn answer(
        &mut self,
        response: &Message,
        (draft, body): (&Draft, Option<&Body>),
        rng: &mut Rng,
    ) -> Result<Vec<(Name, String)>, AuthFailure> {
        let status = response.status().map_or(0, |status| status.code());
        let header = if status == 407 { Name::ProxyAuthenticate } else { Name::WwwAuthenticate };
        let challenges: Vec<_> = response.lines(header).collect();
        let (method, uri) = (draft.method.as_str(), draft.uri.as_str());
        self.auth.answer(status, challenges, method, uri, octets(body), rng).map(named)
    }
}

fn octets(body: Option<&Body>) -> &[u8] {
    body.map_or(b"", |(_, body)| body)
}

fn named(headers: Vec<Authorization>) -> Vec<(Name, String)> {
    headers.into_iter().map(|header| (Name::from_bytes(header.name.as_bytes()), header.value)).collect()
}
