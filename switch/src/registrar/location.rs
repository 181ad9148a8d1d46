//! The bindings of one user, and what a REGISTER does to them (RFC 3261 §10.3 steps 6 and 7): all of it, or nothing.

use super::directory::UserId;
use super::kept::KeptBinding;
use super::target::{Target, target};
use super::wish::{Asked, MAX_FLOW_EXPIRES, MAX_NAT_EXPIRES, What, Wish, is_default, qvalue};
use base::Now;
use serde::Serialize;
use sip_core::endpoint::{Headers, Source, customer_of};
use sip_core::header::{NameAddr, Via};
use sip_core::transport::{FlowId, Local, is_behind_nat};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

/// The most contacts of one user. A REGISTER that would make more is answered 403 and changes nothing.
pub const MAX_BINDINGS: usize = 10;

/// One place where a user is.
#[derive(Clone, Debug)]
pub(super) struct Binding {
    pub(super) contact: NameAddr,
    pub(super) q: u16,
    pub(super) call_id: String,
    pub(super) cseq: u32,
    pub(super) expires_at: u64,
    pub(super) registered: Now,
    pub(super) source: Source,
    pub(super) path: Vec<NameAddr>,
    pub(super) via: Via,
    /// `+sip.instance` and `reg-id` of a phone that speaks RFC 5626: what it is known by in place of its contact.
    pub(super) instance: Option<(String, String)>,
    pub(super) user_agent: String,
}

/// Why nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// An older request than the one that made the binding.
    OutOfOrder,
    /// More than [`MAX_BINDINGS`].
    TooMany,
}

/// A binding, as an administrator sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BindingView {
    /// Whose tenant's.
    pub tenant: String,
    /// Which user's.
    pub user: String,
    /// The contact.
    pub contact: String,
    /// Where it registered from.
    pub source: String,
    /// Over what.
    pub transport: String,
    /// What the phone calls itself.
    pub user_agent: String,
    /// When it registered last (milliseconds since the Unix epoch).
    pub registered_at: u64,
    /// Seconds until it ends.
    pub expires_s: u64,
}

/// See the head of this file.
#[derive(Clone, Debug, Default)]
pub(super) struct Location {
    bindings: Vec<Binding>,
}

impl Location {
    /// What it is after a request; an error where the request is refused as a whole.
    pub(super) fn apply(mut self, wish: Wish, source: &Source, now: Now) -> Result<Self, Refusal> {
        match &wish.what {
            What::RemoveAll => {
                for binding in &self.bindings {
                    binding.check_order(&wish)?;
                }
                self.bindings.clear();
            }
            What::Each(asked) => {
                let mut made = Vec::new();
                for asked in asked {
                    let new = binding(asked, &wish, source, now);
                    // A second contact of the request that means the same place takes the first one's.
                    made.retain(|earlier| !new.is_same(earlier));
                    if let Some(at) = self.bindings.iter().position(|standing| new.is_same(standing)) {
                        self.bindings.remove(at).check_order(&wish)?;
                    }
                    if asked.expires > 0 {
                        made.push(new);
                    }
                }
                self.bindings.extend(made);
            }
        }
        if self.bindings.len() > MAX_BINDINGS { Err(Refusal::TooMany) } else { Ok(self) }
    }

    /// What of it outlasts the process.
    pub(super) fn kept(&self, now: Now) -> Vec<KeptBinding> {
        self.living(now).filter_map(|binding| KeptBinding::of(binding, now)).collect()
    }

    /// What was kept of it, as far as its time is not over.
    pub(super) fn restored(kept: &[KeptBinding], locals: &[Local], now: Now) -> Self {
        Self { bindings: kept.iter().take(MAX_BINDINGS).filter_map(|kept| kept.restored(locals, now)).collect() }
    }

    /// The connections over which it is reached.
    pub(super) fn flows(&self) -> BTreeSet<FlowId> {
        self.bindings.iter().filter_map(Binding::flow).collect()
    }

    /// The customers from whom it has registered.
    pub(super) fn customers(&self) -> BTreeSet<IpAddr> {
        self.bindings.iter().map(|binding| customer_of(binding.source.addr.ip())).collect()
    }

    /// What is left of it without a connection.
    pub(super) fn without_flow(mut self, flow: FlowId) -> Self {
        self.bindings.retain(|binding| binding.flow() != Some(flow));
        self
    }

    /// What is left of it at this time.
    pub(super) fn at(mut self, now: Now) -> Self {
        self.bindings.retain(|binding| binding.expires_at > now.mono);
        self
    }

    pub(super) fn next_expiry(&self) -> Option<u64> {
        self.bindings.iter().map(|binding| binding.expires_at).min()
    }

    /// True where one of its phones speaks RFC 5626.
    pub(super) fn is_outbound(&self) -> bool {
        self.bindings.iter().any(|binding| binding.instance.is_some())
    }

    /// True where it has registered from this address.
    pub(super) fn is_at(&self, ip: IpAddr) -> bool {
        self.bindings.iter().any(|binding| binding.source.addr.ip() == ip)
    }

    fn living(&self, now: Now) -> impl Iterator<Item = &Binding> {
        self.bindings.iter().filter(move |binding| binding.expires_at > now.mono)
    }

    /// The Contact header fields of a 200 (§10.3 step 8).
    pub(super) fn contacts(&self, now: Now) -> Headers {
        let contact = |binding: &Binding| {
            let mut contact = binding.contact.clone();
            if !is_default(binding.q) {
                contact.params.set("q", Some(&qvalue(binding.q)));
            }
            contact.params.set("expires", Some(&binding.left_s(now).to_string()));
            ("Contact".to_owned(), contact.to_string())
        };
        self.living(now).map(contact).collect()
    }

    /// Where to call, in order.
    pub(super) fn targets(&self, now: Now) -> Vec<Target> {
        let mut bindings: Vec<&Binding> = self.living(now).collect();
        bindings.sort_by_key(|binding| (std::cmp::Reverse(binding.q), std::cmp::Reverse(binding.registered.mono)));
        bindings.into_iter().filter_map(target).collect()
    }

    pub(super) fn view(&self, user: &UserId, now: Now) -> Vec<BindingView> {
        let view = |binding: &Binding| BindingView {
            tenant: user.tenant.clone(),
            user: user.name.clone(),
            contact: binding.contact.uri.to_string(),
            source: binding.source.addr.to_string(),
            transport: binding.source.transport.to_string(),
            user_agent: binding.user_agent.clone(),
            registered_at: binding.registered.wall,
            expires_s: binding.left_s(now),
        };
        self.living(now).map(view).collect()
    }
}

impl Binding {
    /// The connection over which it is reached and in no other way: its own, where no proxy is in front.
    pub(super) fn flow(&self) -> Option<FlowId> {
        self.source.flow.filter(|_| self.path.is_empty())
    }

    /// True where both mean the same place: for an RFC 5626 phone its instance and flow (§6 there), else its contact
    /// (§19.1.4).
    fn is_same(&self, other: &Self) -> bool {
        match (&self.instance, &other.instance) {
            (Some(ours), Some(theirs)) => ours == theirs,
            _ => self.contact.uri.equivalent(&other.contact.uri),
        }
    }

    /// §10.3 steps 6 and 7: of one Call-ID only a higher CSeq number may change what stands.
    fn check_order(&self, wish: &Wish) -> Result<(), Refusal> {
        if self.call_id == wish.call_id && wish.cseq <= self.cseq { Err(Refusal::OutOfOrder) } else { Ok(()) }
    }

    fn left_s(&self, now: Now) -> u64 {
        Duration::from_nanos(self.expires_at.saturating_sub(now.mono)).as_secs()
    }
}

/// For how long a contact is bound: as long as it asks, or as long as the way to it holds without a word (§10.3 step 8: a
/// registrar may shorten).
fn lifetime(asked: &Asked, wish: &Wish, source: &Source) -> u32 {
    let holds = match source.flow {
        Some(_) => MAX_FLOW_EXPIRES,
        None if is_behind_nat(&asked.contact.uri, &wish.via, source.addr) => MAX_NAT_EXPIRES,
        None => u32::MAX,
    };
    asked.expires.min(holds)
}

/// The binding that a contact asks for.
fn binding(asked: &Asked, wish: &Wish, source: &Source, now: Now) -> Binding {
    Binding {
        contact: asked.contact.clone(),
        q: asked.q,
        call_id: wish.call_id.clone(),
        cseq: wish.cseq,
        expires_at: now.after(Duration::from_secs(lifetime(asked, wish, source).into())),
        registered: now,
        source: *source,
        path: wish.path.clone(),
        via: wish.via.clone(),
        instance: instance(&asked.contact).filter(|_| wish.outbound),
        user_agent: wish.user_agent.clone(),
    }
}

/// What an RFC 5626 phone is known by: its instance and which of its flows this is.
fn instance(contact: &NameAddr) -> Option<(String, String)> {
    let instance = contact.params.get_unquoted("+sip.instance")?;
    let flow = contact.params.get("reg-id").filter(|id| !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit()))?;
    Some((instance.into_owned(), flow.to_owned()))
}
