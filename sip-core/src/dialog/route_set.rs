//! Route sets (RFC 3261 §12.1, §12.2.1.1).

use crate::header::NameAddr;
use crate::message::{Message, ParseError};
use crate::uri::Uri;

/// The proxies that requests inside a dialog pass, first hop first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteSet(Vec<NameAddr>);

impl RouteSet {
    /// The callee's: Record-Route in order (§12.1.1).
    pub(super) fn as_is(request: &Message) -> Result<Self, ParseError> {
        request.record_routes().map(Self)
    }

    /// The caller's: Record-Route in reverse (§12.1.2).
    pub(super) fn reversed(response: &Message) -> Result<Self, ParseError> {
        let mut routes = response.record_routes()?;
        routes.reverse();
        Ok(Self(routes))
    }

    /// True where requests go straight to the peer.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The URI that requests are sent to: the first hop, or the remote target (§12.2.1.1, §8.1.2).
    #[must_use]
    pub fn next_hop<'a>(&'a self, target: &'a Uri) -> &'a Uri {
        self.0.first().map_or(target, |first| &first.uri)
    }

    /// The Request-URI and Route header of a request (§12.2.1.1). A first hop without `lr` is a strict router: it becomes
    /// the Request-URI, without what must not stand there, and the remote target the last Route.
    #[must_use]
    pub fn toward(&self, target: &Uri) -> (Uri, Vec<NameAddr>) {
        match self.0.split_first() {
            Some((strict, rest)) if !strict.uri.is_lr() => {
                let mut routes = rest.to_vec();
                routes.push(NameAddr::new(target.clone()));
                // §19.1.1, table 1: a Request-URI has neither a method parameter nor headers.
                (strict.uri.clone().without_param("method").without_headers(), routes)
            }
            _ => (target.clone(), self.0.clone()),
        }
    }
}
