//! A forking proxy without state: what comes for it goes to all its branches, and what they answer goes back (RFC 3261
//! §16.11, but that it forks). Its branches are to answer; a refusal of one would end the INVITE for all.

use crate::hosts::Told;
use bytes::Bytes;
use carrier_sim::virtual_network::Output;
use sip_core::message::{Message, Name};
use sip_core::transport::{Effect, Input, LocalId};
use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};

/// Each request goes out so often: a proxy without state has no timer to send it again, and whoever sent it has none once
/// one of the branches rings.
const COPIES: u32 = 4;

/// See the head of this file.
pub struct Fork {
    ip: Ipv4Addr,
    branches: Vec<SocketAddr>,
    out: VecDeque<Output<Told>>,
}

impl Fork {
    pub fn new(ip: [u8; 4], branches: &[[u8; 4]]) -> Self {
        let branches = branches.iter().map(|ip| SocketAddr::from((*ip, 5060))).collect();
        Self { ip: ip.into(), branches, out: VecDeque::new() }
    }

    pub fn handle(&mut self, input: Input) {
        let Input::Datagram { bytes, .. } = input else { return };
        let Ok(message) = Message::parse(bytes.clone()) else { return };
        if message.is_request() {
            for (nth, branch) in self.branches.clone().into_iter().enumerate() {
                let forwarded = self.forwarded(&message, &bytes, nth);
                (0..COPIES).for_each(|_| self.send(branch, forwarded.clone()));
            }
        } else if message.status().is_some_and(|status| status.code() > 100) {
            self.back(&message, &bytes);
        }
    }

    pub fn poll(&mut self) -> Output<Told> {
        self.out.pop_front().unwrap_or(Output::Timeout(None))
    }

    fn send(&mut self, to: SocketAddr, bytes: Bytes) {
        self.out.push_back(Output::Sip(Effect::Transmit { local: LocalId(0), to, bytes }));
    }

    /// The request with our Via on top: its branch follows from the one below, so that a CANCEL and an ACK find their
    /// INVITE.
    fn forwarded(&self, message: &Message, bytes: &[u8], nth: usize) -> Bytes {
        let branch = message.top_via().ok().and_then(|via| via.branch().map(str::to_owned)).unwrap_or_default();
        let via = format!("Via: SIP/2.0/UDP {}:5060;branch={branch}.{nth}\r\n", self.ip);
        let line = bytes.iter().position(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        [&bytes[..line], via.as_bytes(), &bytes[line..]].concat().into()
    }

    /// The response without our Via.
    fn back(&mut self, message: &Message, bytes: &[u8]) {
        let Some(below) = message.vias().ok().and_then(|vias| vias.get(1).cloned()) else { return };
        let Ok(ip) = below.host.to_string().parse::<Ipv4Addr>() else { return };
        let text = String::from_utf8_lossy(bytes);
        let ours =
            text.lines().find(|line| Name::from_bytes(line.split(':').next().unwrap_or("").as_bytes()) == Name::Via);
        let Some(ours) = ours else { return };
        let without = text.replacen(&format!("{ours}\r\n"), "", 1);
        self.send(SocketAddr::from((ip, below.port.unwrap_or(5060))), without.into_bytes().into());
    }
}
