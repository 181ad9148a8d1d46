//! Dialogs (RFC 3261 §12): who talks to whom, by which way, and in which order.
//!
//! A [`Dialog`] is a plain value that builds the frame of each request inside it ([`Dialog::request`]) and judges those
//! that come ([`Dialog::receive`]). What an INVITE does to it (early, confirmed, many by forking) is the session's.
//!
//! Its route set is fixed when it is confirmed and never again: a Record-Route in a later message changes nothing
//! (§12.2). Its remote target moves only with a target refresh request or the 2xx to one.

mod route_set;

pub use route_set::RouteSet;

use crate::header::NameAddr;
use crate::message::{Message, ParseError};
use crate::uri::{Scheme, Uri};

/// What names a dialog at one end of it (RFC 3261 §12). A tag that an RFC 2543 peer does not give is empty.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DialogId {
    /// Call-ID.
    pub call_id: Box<str>,
    /// Our tag.
    pub local_tag: Box<str>,
    /// The peer's tag.
    pub remote_tag: Box<str>,
}

impl DialogId {
    /// The dialog that a peer's request is meant for; nothing where To has no tag.
    ///
    /// # Errors
    /// Where From, To or Call-ID cannot be read.
    pub fn of_request(request: &Message) -> Result<Option<Self>, ParseError> {
        let (from, to) = (request.from()?, request.to()?);
        let Some(local_tag) = to.tag() else { return Ok(None) };
        Ok(Some(Self::new(request.call_id()?, local_tag, from.tag().unwrap_or_default())))
    }

    /// The dialog that a response to a request of ours makes or is part of; the remote tag is empty where To has none.
    ///
    /// # Errors
    /// Where From, To or Call-ID cannot be read.
    pub fn of_response(response: &Message) -> Result<Self, ParseError> {
        let (from, to) = (response.from()?, response.to()?);
        Ok(Self::new(response.call_id()?, from.tag().unwrap_or_default(), to.tag().unwrap_or_default()))
    }

    pub(crate) fn new(call_id: &str, local_tag: &str, remote_tag: &str) -> Self {
        Self { call_id: call_id.into(), local_tag: local_tag.into(), remote_tag: remote_tag.into() }
    }
}

/// A request of the dialog's past, or one that has come twice by different ways (RFC 3261 §12.2.2): 500.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("CSeq {got} is not above {last}")]
pub struct OutOfOrder {
    /// The highest number seen before.
    pub last: u32,
    /// The number that came.
    pub got: u32,
}

/// The frame of a request inside a dialog (RFC 3261 §12.2.1.1): all that the dialog has a say in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The Request-URI.
    pub uri: Uri,
    /// The Route header, first hop first.
    pub routes: Vec<NameAddr>,
    /// The URI of the element it is sent to.
    pub next_hop: Uri,
    /// From.
    pub from: NameAddr,
    /// To.
    pub to: NameAddr,
    /// Call-ID.
    pub call_id: String,
    /// CSeq's number.
    pub cseq: u32,
}

/// An INVITE of ours, as far as the dialogs it makes care.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// From, with our tag.
    pub from: NameAddr,
    /// Its Request-URI: the remote target where a sloppy 2xx has no Contact.
    pub uri: Uri,
    /// Its CSeq number.
    pub cseq: u32,
}

/// One peer-to-peer relation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialog {
    id: DialogId,
    local: NameAddr,
    remote: NameAddr,
    local_cseq: u32,
    remote_cseq: Option<u32>,
    target: Uri,
    routes: RouteSet,
}

impl Dialog {
    /// The dialog that a 1xx with a To tag or a 2xx makes at the caller's end (§12.1.2): the route set is Record-Route in
    /// reverse, the remote target its Contact.
    ///
    /// # Errors
    /// Where the response cannot be read.
    pub fn uac(origin: &Origin, response: &Message) -> Result<Self, ParseError> {
        Ok(Self {
            id: DialogId::of_response(response)?,
            local: origin.from.clone(),
            remote: response.to()?.clone(),
            local_cseq: origin.cseq,
            remote_cseq: None,
            target: contact(response)?.unwrap_or_else(|| origin.uri.clone()),
            routes: RouteSet::reversed(response)?,
        })
    }

    /// The dialog that our 1xx or 2xx makes at the callee's end (§12.1.1): the route set is Record-Route as it stands,
    /// the remote target the request's Contact, or From where there is none.
    ///
    /// # Errors
    /// Where the request cannot be read.
    pub fn uas(request: &Message, local_tag: &str) -> Result<Self, ParseError> {
        let (from, to) = (request.from()?, request.to()?);
        Ok(Self {
            id: DialogId::new(request.call_id()?, local_tag, from.tag().unwrap_or_default()),
            local: to.clone().with_tag(local_tag),
            local_cseq: 0,
            remote_cseq: Some(request.cseq()?.seq),
            target: contact(request)?.unwrap_or_else(|| from.uri.clone()),
            routes: RouteSet::as_is(request)?,
            remote: from.clone(),
        })
    }

    /// An early dialog confirmed by its 2xx: route set and remote target are computed once more (§13.2.2.4), our CSeq
    /// stays where it is.
    ///
    /// # Errors
    /// Where the response cannot be read.
    pub fn confirmed(self, origin: &Origin, response: &Message) -> Result<Self, ParseError> {
        let local_cseq = self.local_cseq.max(origin.cseq);
        Ok(Self { local_cseq, remote_cseq: self.remote_cseq, ..Self::uac(origin, response)? })
    }

    /// Its name.
    #[must_use]
    pub const fn id(&self) -> &DialogId {
        &self.id
    }

    /// Where requests inside it are meant for.
    #[must_use]
    pub const fn remote_target(&self) -> &Uri {
        &self.target
    }

    /// By which way.
    #[must_use]
    pub const fn route_set(&self) -> &RouteSet {
        &self.routes
    }

    /// Takes our next CSeq number.
    pub const fn next_cseq(&mut self) -> u32 {
        self.local_cseq += 1;
        self.local_cseq
    }

    /// The frame of a request with this CSeq number: [`Dialog::next_cseq`], or the INVITE's own for its ACK (§13.2.2.4).
    #[must_use]
    pub fn request(&self, cseq: u32) -> Frame {
        let (uri, routes) = self.routes.toward(&self.target);
        Frame {
            uri,
            routes,
            next_hop: self.routes.next_hop(&self.target).clone(),
            from: self.local.clone(),
            to: self.remote.clone(),
            call_id: self.id.call_id.to_string(),
            cseq,
        }
    }

    /// Judges the CSeq number of a request from the peer (§12.2.2); not for ACK and CANCEL, which repeat their INVITE's.
    ///
    /// # Errors
    /// Where it is not above all that came before.
    pub fn receive(&mut self, cseq: u32) -> Result<(), OutOfOrder> {
        match self.remote_cseq {
            Some(last) if cseq <= last => Err(OutOfOrder { last, got: cseq }),
            _ => {
                self.remote_cseq = Some(cseq);
                Ok(())
            }
        }
    }

    /// Moves the remote target to the Contact of a target refresh request (re-INVITE, UPDATE) or of the 2xx to one
    /// (§12.2.1.2, §12.2.2); stays where there is none.
    pub fn refresh_target(&mut self, message: &Message) {
        if let Ok(Some(target)) = contact(message) {
            self.target = target;
        }
    }
}

/// The first address in Contact, as a Request-URI: what it has of header fields is no part of one (§19.1.1). One that is
/// no SIP or SIPS URI leads nowhere (§8.1.1.8).
fn contact(message: &Message) -> Result<Option<Uri>, ParseError> {
    let first = message.contacts()?.first().map(|contact| &contact.uri);
    let first = first.filter(|uri| matches!(uri.scheme(), Scheme::Sip | Scheme::Sips));
    Ok(first.map(|uri| uri.clone().without_headers()))
}

#[cfg(test)]
mod tests;
