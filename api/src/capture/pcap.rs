//! Messages as a pcap file: each a UDP packet from and to its true addresses, whatever carried it, so that every tool that
//! reads SIP reads it.

use super::Message;
use etherparse::PacketBuilder;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Packets begin with their IP header (LINKTYPE_RAW).
const RAW: u32 = 101;

/// How a file begins whose times are in microseconds.
const MAGIC: u32 = 0xa1b2_c3d4;

/// The longest packet.
const SNAPLEN: u32 = 65_535;

/// Octets of a message at most: what one UDP packet holds over IPv6 and IPv4. A longer one, which came over a stream, is
/// cut there.
const MAX_PAYLOAD: usize = 65_535 - 20 - 8;

const HOPS: u8 = 64;

/// The whole file.
#[must_use]
pub fn pcap(messages: &[Message]) -> Vec<u8> {
    let mut out = Vec::with_capacity(24 + messages.iter().map(|message| message.bytes.len() + 64).sum::<usize>());
    for word in [MAGIC, 4 << 16 | 2, 0, 0, SNAPLEN, RAW] {
        // Version 2.4, as two little-endian halves.
        out.extend_from_slice(&word.to_le_bytes());
    }
    for message in messages {
        let packet = packet(message);
        let (seconds, micros) = (message.at / 1_000, message.at % 1_000 * 1_000);
        let length = u32::try_from(packet.len()).unwrap_or(SNAPLEN);
        for word in [u32::try_from(seconds).unwrap_or(u32::MAX), micros as u32, length, length] {
            out.extend_from_slice(&word.to_le_bytes());
        }
        out.extend_from_slice(&packet);
    }
    out
}

fn packet(message: &Message) -> Vec<u8> {
    let (from, to) = same_family(message.from, message.to);
    let ip = match (from.ip(), to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => PacketBuilder::ipv4(from.octets(), to.octets(), HOPS),
        (from, to) => PacketBuilder::ipv6(v6(from).octets(), v6(to).octets(), HOPS),
    };
    let payload = message.bytes.get(..MAX_PAYLOAD).unwrap_or(&message.bytes);
    let builder = ip.udp(from.port(), to.port());
    let mut packet = Vec::with_capacity(builder.size(payload.len()));
    // It is short enough, and a vector takes everything.
    let _ = builder.write(&mut packet, payload);
    packet
}

/// Both addresses as IPv4 where both are, and as IPv6 otherwise.
pub(super) fn same_family(from: SocketAddr, to: SocketAddr) -> (SocketAddr, SocketAddr) {
    let plain = |addr: SocketAddr| SocketAddr::new(addr.ip().to_canonical(), addr.port());
    let (from, to) = (plain(from), plain(to));
    if from.is_ipv4() && to.is_ipv4() {
        return (from, to);
    }
    let six = |addr: SocketAddr| SocketAddr::new(v6(addr.ip()).into(), addr.port());
    (six(from), six(to))
}

fn v6(ip: IpAddr) -> Ipv6Addr {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    }
}
