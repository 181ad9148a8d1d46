//! Requests inside a dialog: by which way, in which frame; and the index of dialogs (RFC 3261 §12.2.1, §13.2.2.4).

use super::super::SessionId;
use super::super::command::{Body, Headers, NextHop};
use super::super::compose::{ALLOW, Answer, Draft};
use super::super::config::MAX_FORWARDS;
use super::super::core::{Core, Owner, Target};
use super::super::exchange::{ExchangeId, NewExchange, Purpose, Way, literal, name_of};
use super::super::transactions::{Ack, ClientId, ServerId};
use super::reason;
use crate::dialog::{Dialog, DialogId, Origin};
use crate::message::{Message, Method, Name, StatusCode};
use crate::transport::{FlowId, LocalId, Transport};
use crate::uri::{Scheme, Uri};
use std::net::SocketAddr;

/// How the peer is reached, beside what the dialog says.
#[derive(Clone, Debug)]
pub(in super::super) struct Path {
    /// The stream that the last message came by.
    pub(in super::super) flow: Option<FlowId>,
    /// That stream leads to whoever the dialog's first hop is: the peer itself, or a proxy that has recorded its route.
    /// A peer behind a NAT is reached in no other way.
    pub(in super::super) sticky: bool,
    /// The UDP listener.
    pub(in super::super) local: Option<LocalId>,
    /// Where a device behind a NAT is reached over UDP, whatever address its Contact names.
    pub(in super::super) device: Option<SocketAddr>,
    /// The transport of the first message.
    pub(in super::super) transport: Transport,
    /// The name that the peer's certificate carries, where it is known: kept for hops that are named by address.
    pub(in super::super) server_name: Option<String>,
}

impl Path {
    /// The way to a URI of the dialog (RFC 3263 §4 for what the URI says itself). `is_peer`: the URI is the peer's own, no
    /// proxy's.
    fn way(&self, core: &Core, uri: &Uri, is_peer: bool) -> Way {
        if let Some(device) = self.device.filter(|_| is_peer && self.transport == Transport::Udp) {
            let hop = NextHop::new(device.ip().to_string(), Some(device.port()), Transport::Udp);
            return Way { flow: None, local: self.local, server_name: name_of(&hop.host), hop };
        }
        let host = uri.host().map(ToString::to_string).unwrap_or_default();
        let transport = self.transport_of(core, uri);
        let port = uri.port();
        let ip = literal(&host);
        let leads_there = |flow: &FlowId| {
            let peer = core.flows.get(*flow).filter(|flow| flow.transport == transport).map(|flow| flow.peer);
            let there = ip.map(|ip| SocketAddr::new(ip, port.unwrap_or(transport.default_port())));
            self.sticky || (peer.is_some() && peer == there)
        };
        let server_name = self.server_name.clone().filter(|_| ip.is_some()).unwrap_or_else(|| name_of(&host));
        Way {
            flow: self.flow.filter(leads_there),
            local: self.local,
            server_name,
            hop: NextHop::new(host, port, transport),
        }
    }

    /// The transport a URI asks for: its parameter, TLS for sips, else UDP where we listen on it.
    fn transport_of(&self, core: &Core, uri: &Uri) -> Transport {
        let has_udp = || core.config.locals.iter().any(|local| local.transport == Transport::Udp);
        match uri.transport() {
            // §26.2.2: sips is TLS at every hop.
            Some(Transport::Tcp) if uri.scheme() == Scheme::Sips => Transport::Tls,
            Some(Transport::Ws) if uri.scheme() == Scheme::Sips || self.transport == Transport::Wss => Transport::Wss,
            Some(named) => named,
            None if uri.scheme() == Scheme::Sips => Transport::Tls,
            None if has_udp() => Transport::Udp,
            None => self.transport,
        }
    }
}

/// A request inside a dialog, as far as its sender has a say in it.
pub(super) struct InDialog {
    pub(super) method: Method,
    pub(super) contact: Option<Option<String>>,
    pub(super) headers: Headers,
    pub(super) body: Option<Body>,
    pub(super) authorization: Option<Vec<(Name, String)>>,
}

impl InDialog {
    pub(super) const fn new(method: Method) -> Self {
        Self { method, contact: None, headers: Vec::new(), body: None, authorization: None }
    }
}

impl Core {
    /// Sends a request inside a dialog, with this CSeq number.
    pub(super) fn send_in_dialog(
        &mut self,
        (session, owner): (Option<SessionId>, Option<Owner>),
        dialog: &Dialog,
        path: &Path,
        cseq: u32,
        purpose: Purpose,
        request: InDialog,
    ) -> ExchangeId {
        let frame = dialog.request(cseq);
        let way = path.way(self, &frame.next_hop, frame.routes.is_empty());
        let draft = Draft {
            method: request.method,
            uri: frame.uri,
            routes: frame.routes,
            from: frame.from,
            to: frame.to,
            call_id: frame.call_id,
            cseq: frame.cseq,
            max_forwards: MAX_FORWARDS,
            contact: request.contact,
            headers: request.headers,
        };
        let (body, authorization) = (request.body, request.authorization);
        self.start_exchange(NewExchange { purpose, owner, session, draft, body, way, try_timeout: None, authorization })
    }

    /// What the dialogs of an INVITE of ours derive from.
    pub(super) fn origin(&self, client: ClientId) -> Option<Origin> {
        let draft = &self.clients.table.get(&client)?.draft;
        Some(Origin { from: draft.from.clone(), uri: draft.uri.clone(), cseq: draft.cseq })
    }

    /// How the peer of an INVITE of ours is reached from now on.
    pub(super) fn path_of(&self, client: ClientId) -> Option<Path> {
        let tx = self.clients.table.get(&client)?;
        let (transport, _) = self.far_end(tx.target)?;
        let (flow, local, device) = match tx.target {
            Target::Stream(flow) => (Some(flow), None, None),
            Target::Datagram { local, to } => (None, Some(local), tx.is_device.then_some(to)),
        };
        Some(Path { flow, sticky: tx.is_device, local, device, transport, server_name: tx.server_name.clone() })
    }

    /// Notes that the 2xx of this fork has been taken, and will have its ACK: copies of it are copies.
    pub(super) fn expect_ack(&mut self, client: ClientId, dialog: &Dialog) {
        if let Some(tx) = self.clients.table.get_mut(&client) {
            tx.acks.push(Ack { tag: dialog.id().remote_tag.clone(), sent: None });
        }
    }

    /// §13.2.2.4: the ACK of a 2xx is a request of its own, by the dialog's way, with the INVITE's CSeq and credentials.
    /// Its body answers an offer in the 2xx.
    pub(super) fn acknowledge(
        &mut self,
        client: ClientId,
        session: Option<SessionId>,
        dialog: &Dialog,
        path: &Path,
        body: Option<Body>,
    ) {
        let Some(tx) = self.clients.table.get(&client) else { return };
        let tag = dialog.id().remote_tag.clone();
        let cseq = tx.draft.cseq;
        let authorization = Some(tx.authorization.clone());
        let request = InDialog { authorization, body, ..InDialog::new(Method::Ack) };
        let owner = session.map(Owner::Session);
        self.send_in_dialog((session, owner), dialog, path, cseq, Purpose::Ack(client, tag), request);
    }

    /// Whether a 2xx of this fork has had its ACK; None where the INVITE is forgotten.
    pub(in super::super) fn acknowledged(&self, client: ClientId, tag: &str) -> Option<bool> {
        let tx = self.clients.table.get(&client)?;
        Some(tx.acks.iter().any(|ack| *ack.tag == *tag))
    }

    /// How many forks of an INVITE have answered.
    pub(in super::super) fn forks(&self, client: ClientId) -> usize {
        self.clients.table.get(&client).map_or(0, |tx| tx.acks.len())
    }

    /// A copy of a 2xx: the same ACK once more (§13.2.2.4).
    pub(in super::super) fn acknowledge_again(&mut self, client: ClientId, tag: &str) {
        let Some(tx) = self.clients.table.get(&client) else { return };
        let session = tx.session;
        let ack = tx.acks.iter().find(|ack| *ack.tag == *tag).and_then(|ack| ack.sent.clone());
        if let Some((target, wire)) = ack {
            self.transmit(session, target, &wire, true);
        }
    }

    /// A 2xx that nobody wants: another fork's, or one that comes after its INVITE was given up. ACK, then BYE
    /// (§13.2.2.4, §15).
    pub(in super::super) fn end_surplus(&mut self, client: ClientId, response: &Message) {
        let (Some(origin), Some(path)) = (self.origin(client), self.path_of(client)) else { return };
        let Some(mut dialog) = self.surplus_dialog(client, &origin, response) else { return };
        let session = self.clients.table.get(&client).and_then(|tx| tx.session);
        // RFC 3326 §1: so that the callee of a fork that has lost does not count it as a call missed.
        let is_fork = self.forks(client) > 0;
        let headers = is_fork.then(|| reason(200, "Call completed elsewhere")).into_iter().collect();
        self.expect_ack(client, &dialog);
        self.acknowledge(client, session, &dialog, &path, None);
        let cseq = dialog.next_cseq();
        let owner = session.map(Owner::Session);
        self.send_in_dialog(
            (session, owner),
            &dialog,
            &path,
            cseq,
            Purpose::Surplus(session),
            InDialog { headers, ..InDialog::new(Method::Bye) },
        );
    }

    /// Keeps the early dialog of a fork that has lost: should it answer, its BYE goes on from its last PRACK (§12.2.1.1).
    pub(super) fn remember_early(&mut self, client: ClientId, dialog: Dialog) {
        if let Some(tx) = self.clients.table.get_mut(&client) {
            tx.lost_forks.push(dialog);
        }
    }

    /// The dialog of a 2xx that nobody wants: the early one of its fork confirmed, or a new one.
    fn surplus_dialog(&mut self, client: ClientId, origin: &Origin, response: &Message) -> Option<Dialog> {
        let id = DialogId::of_response(response).ok()?;
        let forks = &mut self.clients.table.get_mut(&client)?.lost_forks;
        match forks.iter().position(|fork| *fork.id() == id) {
            Some(fork) => forks.remove(fork).confirmed(origin, response).ok(),
            None => Dialog::uac(origin, response).ok(),
        }
    }

    /// The CSeq number of a peer's request.
    pub(super) fn cseq_received(&self, server: ServerId) -> Option<u32> {
        self.servers.table.get(&server)?.cseq
    }

    /// The Contact toward the peer of a request.
    fn contact_toward(&self, target: Target, user: Option<&str>) -> Option<crate::header::NameAddr> {
        self.face(target).map(|face| face.contact(user))
    }

    /// What a response that makes or refreshes a dialog carries (§12.1.1, §13.3.1).
    pub(super) fn dialog_answer(&self, server: ServerId, status: StatusCode, user: Option<&str>) -> Answer {
        let target = self.servers.table.get(&server).map(|tx| tx.target);
        let mut answer = Answer::new(status);
        answer.record_route = true;
        answer.contact = target.and_then(|target| self.contact_toward(target, user));
        if status.is_success() { answer.header(Name::Allow, ALLOW) } else { answer }
    }

    /// Enters a dialog in the index of who is meant by a request.
    pub(in super::super) fn register_dialog(&mut self, dialog: &Dialog, session: SessionId, flow: Option<FlowId>) {
        self.dialogs.insert(dialog.id().clone(), (session, flow));
        if let Some(flow) = flow {
            self.flows.pin(flow, true);
        }
    }

    pub(super) fn unregister_dialog(&mut self, dialog: &Dialog) {
        if let Some((_, Some(flow))) = self.dialogs.remove(dialog.id()) {
            self.flows.pin(flow, false);
            self.touch(flow);
        }
    }

    /// The peer has come by another stream.
    pub(super) fn move_dialog(&mut self, dialog: &Dialog, flow: FlowId) {
        if let Some((session, old)) = self.dialogs.get(dialog.id()).copied()
            && old != Some(flow)
        {
            self.unregister_dialog(dialog);
            self.register_dialog(dialog, session, Some(flow));
        }
    }
}
