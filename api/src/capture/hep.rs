//! A message as HEP version 3 has it: chunks of a vendor, a type and a length, which tell a collector who sent what to whom.

use super::Message;
use std::net::IpAddr;

/// `HEP3`, which every packet begins with.
const MAGIC: &[u8; 4] = b"HEP3";

/// The generic chunks' vendor.
const GENERIC: u16 = 0;

/// IP protocol numbers (IANA).
const UDP: u8 = 17;
/// As [`UDP`].
const TCP: u8 = 6;

/// The protocol that is captured: SIP.
const SIP: u8 = 1;

/// Octets of a message at most: what fits into one datagram beside the other chunks.
const MAX_PAYLOAD: usize = 65_000;

/// The whole packet.
pub(super) fn packet(message: &Message, agent: u32) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.bytes.len() + 128);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&[0, 0]);
    let (from, to) = super::pcap::same_family(message.from, message.to);
    chunk(&mut out, 1, &[if from.is_ipv4() { 2 } else { 10 }]);
    chunk(&mut out, 2, &[if message.stream { TCP } else { UDP }]);
    let (sources, targets) = if from.is_ipv4() { (3, 4) } else { (5, 6) };
    chunk(&mut out, sources, &octets(from.ip()));
    chunk(&mut out, targets, &octets(to.ip()));
    chunk(&mut out, 7, &from.port().to_be_bytes());
    chunk(&mut out, 8, &to.port().to_be_bytes());
    let (seconds, micros) = (message.at / 1_000, message.at % 1_000 * 1_000);
    chunk(&mut out, 9, &u32::try_from(seconds).unwrap_or(u32::MAX).to_be_bytes());
    chunk(&mut out, 10, &(micros as u32).to_be_bytes());
    chunk(&mut out, 11, &[SIP]);
    chunk(&mut out, 12, &agent.to_be_bytes());
    chunk(&mut out, 15, message.bytes.get(..MAX_PAYLOAD).unwrap_or(&message.bytes));
    let length = u16::try_from(out.len()).unwrap_or(u16::MAX).to_be_bytes();
    if let Some(place) = out.get_mut(4..6) {
        place.copy_from_slice(&length);
    }
    out
}

fn chunk(out: &mut Vec<u8>, kind: u16, data: &[u8]) {
    let length = u16::try_from(data.len() + 6).unwrap_or(u16::MAX);
    for word in [GENERIC, kind, length] {
        out.extend_from_slice(&word.to_be_bytes());
    }
    out.extend_from_slice(data);
}

fn octets(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}
