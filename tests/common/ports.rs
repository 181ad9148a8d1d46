//! Ports that are free, and stay ours: leased in blocks below Linux's ephemeral range.
//!
//! A port that is found free by binding and releasing it can be taken before the process it is meant for binds it: by
//! any client socket (where it is ephemeral), by another test, by another run of the tests. So a block is leased by
//! holding a TCP listener on its last port, which nobody else is ever given, for as long as the test lives.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};

/// The ports of one unit of a lease; the last is the lease's own.
const UNIT: u16 = 128;
/// Below it, other programs' well-known ports.
const FIRST: u16 = 8_192;
/// From here on, the system's ephemeral ports.
const END: u16 = 32_768;

/// A lease of consecutive ports on 127.0.0.1, given back when dropped.
#[derive(Debug)]
pub struct Ports {
    held: Vec<TcpListener>,
    next: u16,
    end: u16,
}

impl Ports {
    /// Leases a block large enough for most tests: some 125 ports.
    pub fn lease() -> Self {
        Self::lease_units(1)
    }

    /// Leases so many ports in a row, or a few more.
    pub fn lease_at_least(ports: u16) -> Self {
        Self::lease_units(ports.div_ceil(UNIT) + 1)
    }

    fn lease_units(units: u16) -> Self {
        let places = (END - FIRST) / UNIT - units + 1;
        let mut random = [0; 2];
        getrandom::fill(&mut random).unwrap();
        let start = u16::from_ne_bytes(random) % places;
        (0..places)
            .find_map(|step| Self::hold(FIRST + (start + step) % places * UNIT, units))
            .expect("a free stretch of ports below the ephemeral range")
    }

    /// Holds the units that begin at `first`, where all of them are free.
    fn hold(first: u16, units: u16) -> Option<Self> {
        let lease = |unit| TcpListener::bind((Ipv4Addr::LOCALHOST, first + unit * UNIT + UNIT - 1)).ok();
        let held = (0..units).map(lease).collect::<Option<Vec<_>>>()?;
        let end = first + units * UNIT - 1;
        let free = |port: u16| UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
        (first..end).step_by(7).all(free).then_some(Self { held, next: first, end })
    }

    /// One port that is free for UDP and TCP.
    pub fn port(&mut self) -> u16 {
        loop {
            assert!(self.next < self.end, "the lease is used up");
            let port = self.next;
            self.next += 1;
            let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, port));
            let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, port));
            if udp.is_ok() && tcp.is_ok() {
                return port;
            }
        }
    }

    /// An even first port and an odd last one, `count` ports in all, for RTP and RTCP.
    pub fn range(&mut self, count: u16) -> (u16, u16) {
        let first = self.next.next_multiple_of(2);
        let last = first + count - 1;
        assert!(last < self.end, "the lease holds no {count} more ports");
        self.next = last + 1;
        (first, last)
    }
}
