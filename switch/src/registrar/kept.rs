//! Bindings that outlast the process: a phone is called after a restart before it registers again. A connection does not
//! outlast it, and what is reached over one alone is not kept.

use super::directory::UserId;
use super::location::{Binding, Location};
use base::Now;
use serde::{Deserialize, Serialize};
use sip_core::endpoint::Source;
use sip_core::header::{NameAddr, Via};
use sip_core::transport::{Local, LocalId};
use std::net::SocketAddr;

const MILLI: u64 = 1_000_000;

/// Where a user is, as it is kept; without bindings there is nothing to keep of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptLocation {
    /// Whose tenant's.
    pub tenant: String,
    /// Which user's.
    pub user: String,
    /// Each place that does not hang on a connection.
    pub bindings: Vec<KeptBinding>,
}

/// One place; header fields as they are written, times in milliseconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptBinding {
    contact: String,
    q: u16,
    call_id: String,
    cseq: u32,
    expires_at: u64,
    registered_at: u64,
    source: SocketAddr,
    transport: String,
    local: u16,
    path: Vec<String>,
    via: String,
    instance: Option<(String, String)>,
    user_agent: String,
}

impl KeptLocation {
    pub(super) fn of(user: &UserId, location: Option<&Location>, now: Now) -> Self {
        let bindings = location.map_or_else(Vec::new, |location| location.kept(now));
        Self { tenant: user.tenant.clone(), user: user.name.clone(), bindings }
    }

    pub(super) fn user(&self) -> UserId {
        UserId { tenant: self.tenant.clone(), name: self.user.clone() }
    }
}

impl KeptBinding {
    /// A binding as it is kept; `None` where it ends with its connection.
    pub(super) fn of(binding: &Binding, now: Now) -> Option<Self> {
        if binding.flow().is_some() {
            return None;
        }
        let left_ms = binding.expires_at.saturating_sub(now.mono) / MILLI;
        Some(Self {
            contact: binding.contact.to_string(),
            q: binding.q,
            call_id: binding.call_id.clone(),
            cseq: binding.cseq,
            expires_at: now.wall.saturating_add(left_ms),
            registered_at: binding.registered.wall,
            source: binding.source.addr,
            transport: binding.source.transport.to_string(),
            local: binding.source.local.0,
            path: binding.path.iter().map(ToString::to_string).collect(),
            via: binding.via.to_string(),
            instance: binding.instance.clone(),
            user_agent: binding.user_agent.clone(),
        })
    }

    /// The binding again; `None` where its time is over, or it came by a transport that is listened on no more.
    pub(super) fn restored(&self, locals: &[Local], now: Now) -> Option<Binding> {
        let left_ms = self.expires_at.checked_sub(now.wall).filter(|left| *left > 0)?;
        let of_its_kind = |local: &&Local| local.transport.as_str() == self.transport;
        let own = locals.iter().filter(of_its_kind).find(|local| local.id == LocalId(self.local));
        let local = own.or_else(|| locals.iter().find(of_its_kind))?;
        let ago_ms = now.wall.saturating_sub(self.registered_at);
        let registered = Now::new(now.mono.saturating_sub(ago_ms.saturating_mul(MILLI)), self.registered_at);
        let path: Result<Vec<_>, _> = self.path.iter().map(|hop| NameAddr::parse(hop.as_bytes())).collect();
        Some(Binding {
            contact: NameAddr::parse(self.contact.as_bytes()).ok()?,
            q: self.q,
            call_id: self.call_id.clone(),
            cseq: self.cseq,
            expires_at: now.mono.saturating_add(left_ms.saturating_mul(MILLI)),
            registered,
            source: Source { local: local.id, transport: local.transport, addr: self.source, flow: None },
            path: path.ok()?,
            via: Via::parse(self.via.as_bytes()).ok()?,
            instance: self.instance.clone(),
            user_agent: self.user_agent.clone(),
        })
    }
}
