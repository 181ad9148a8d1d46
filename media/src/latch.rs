//! Whose packets count (SECURITY.md rows 1-3). A refused packet is counted and teaches nothing.

use crate::command::{Latch, StreamConfig};
use std::net::SocketAddr;

/// The gate of one endpoint.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    policy: Latch,
    signalled: SocketAddr,
    signalled_rtcp: SocketAddr,
    mux: bool,
    /// The source of the first valid packet: it is where we send, and nobody else is heard but the signalled address, which a
    /// stranger who was first gives way to.
    locked: Option<SocketAddr>,
    /// Where RTCP came from, on the host whose RTP is heard.
    rtcp: Option<SocketAddr>,
}

impl Gate {
    pub(crate) fn new(config: &StreamConfig) -> Self {
        let above = SocketAddr::new(config.remote.ip(), config.remote.port().saturating_add(1));
        let signalled_rtcp = if config.rtcp_mux { config.remote } else { config.remote_rtcp.unwrap_or(above) };
        Self {
            policy: config.latch.clone(),
            signalled: config.remote,
            signalled_rtcp,
            mux: config.rtcp_mux,
            locked: None,
            rtcp: None,
        }
    }

    /// A changed stream: the lock holds unless the far end's address or the policy changed, which only signalling can.
    pub(crate) fn reconfigure(&mut self, config: &StreamConfig) {
        let fresh = Self::new(config);
        let same = fresh.signalled == self.signalled && fresh.policy == self.policy;
        let (locked, rtcp) = if same { (self.locked, self.rtcp) } else { (None, None) };
        *self = Self { locked, rtcp, ..fresh };
    }

    /// Whether RTP from there may be heard.
    pub(crate) fn admits(&self, from: SocketAddr) -> bool {
        match self.locked {
            Some(locked) if from == locked => true,
            Some(_) => from == self.signalled && self.may_lock(from),
            None => self.may_lock(from),
        }
    }

    fn may_lock(&self, from: SocketAddr) -> bool {
        match &self.policy {
            Latch::Signalled => from == self.signalled,
            Latch::Ranges(ranges) => ranges.iter().any(|range| range.contains(&from.ip())),
            Latch::FirstPacket => true,
        }
    }

    /// Locks on an admitted source.
    pub(crate) fn lock(&mut self, from: SocketAddr) {
        self.locked = Some(from);
    }

    /// A source is locked.
    pub(crate) fn is_locked(&self) -> bool {
        self.locked.is_some()
    }

    /// Whether RTCP from there may be heard: only from the host whose RTP is, or that was signalled. It never locks.
    pub(crate) fn admits_rtcp(&mut self, from: SocketAddr) -> bool {
        if self.mux {
            return from == self.rtp();
        }
        if from == self.rtcp() {
            return true;
        }
        let heard = self.locked.is_some_and(|locked| locked.ip() == from.ip());
        let learns = heard && !matches!(self.policy, Latch::Signalled);
        if learns && self.rtcp.is_none() {
            self.rtcp = Some(from);
        }
        learns && self.rtcp == Some(from)
    }

    /// Where our RTP goes.
    pub(crate) fn rtp(&self) -> SocketAddr {
        self.locked.unwrap_or(self.signalled)
    }

    /// Where our RTCP goes: to where it came from, else beside the RTP of a source that is not the signalled one.
    pub(crate) fn rtcp(&self) -> SocketAddr {
        match (self.rtcp, self.locked) {
            (Some(rtcp), _) => rtcp,
            (None, Some(locked)) if self.mux => locked,
            (None, Some(locked)) if locked != self.signalled => {
                SocketAddr::new(locked.ip(), locked.port().saturating_add(1))
            }
            _ => self.signalled_rtcp,
        }
    }

    /// Whether there is anywhere to send: 0.0.0.0 is hold (RFC 3264 §8.4), port 0 a refused stream.
    pub(crate) fn has_destination(&self) -> bool {
        let to = self.rtp();
        !to.ip().is_unspecified() && to.port() != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Codec;
    use std::sync::Arc;

    fn config(latch: Latch) -> StreamConfig {
        StreamConfig {
            remote: "10.0.0.1:4000".parse().unwrap(),
            remote_rtcp: None,
            rtcp_mux: false,
            codec: Codec::Pcmu,
            payload_type_out: 0,
            payload_type_in: 0,
            dtmf_out: None,
            dtmf_in: None,
            dtmf_clock: 8_000,
            ptime_ms: 20,
            send: true,
            receive: true,
            srtp: None,
            latch,
            timeout: None,
            expects_media: false,
        }
    }

    fn from(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_signalled_address_means_its_port_too() {
        let gate = Gate::new(&config(Latch::Signalled));
        assert!(gate.admits(from("10.0.0.1:4000")));
        assert!(!gate.admits(from("10.0.0.1:4002")) && !gate.admits(from("10.0.0.2:4000")));
    }

    #[test]
    fn a_range_admits_its_hosts_until_one_is_locked() {
        let ranges: Arc<[_]> = Arc::new(["168.86.128.0/18".parse().unwrap()]);
        let mut gate = Gate::new(&config(Latch::Ranges(ranges)));
        assert!(gate.admits(from("168.86.130.1:9")) && !gate.admits(from("10.0.0.1:4000")));
        gate.lock(from("168.86.130.1:9"));
        assert!(gate.admits(from("168.86.130.1:9")) && !gate.admits(from("168.86.130.1:11")));
        assert_eq!((gate.rtp(), gate.rtcp()), (from("168.86.130.1:9"), from("168.86.130.1:10")));
        assert!(!Gate::new(&config(Latch::Ranges(Arc::new([])))).admits(from("10.0.0.1:4000")));
    }

    #[test]
    fn a_stranger_who_was_first_gives_way_to_the_signalled_address_for_good() {
        let ranges: Arc<[_]> = Arc::new(["10.0.0.0/30".parse().unwrap()]);
        for policy in [Latch::FirstPacket, Latch::Ranges(ranges)] {
            let mut gate = Gate::new(&config(policy));
            gate.lock(from("10.0.0.2:7"));
            assert!(!gate.admits(from("10.0.0.3:7")) && !gate.admits(from("10.0.0.1:4002")));
            assert!(gate.admits(from("10.0.0.1:4000")));
            gate.lock(from("10.0.0.1:4000"));
            assert!(!gate.admits(from("10.0.0.2:7")));
            assert_eq!(gate.rtp(), from("10.0.0.1:4000"));
        }
        let mut gate = Gate::new(&config(Latch::Ranges(Arc::new(["192.0.2.0/24".parse().unwrap()]))));
        gate.lock(from("192.0.2.9:7"));
        assert!(!gate.admits(from("10.0.0.1:4000")), "signalled, and of no range");
    }

    #[test]
    fn only_signalling_opens_the_lock() {
        let mut gate = Gate::new(&config(Latch::FirstPacket));
        gate.lock(from("10.9.9.9:7"));
        let mut changed = config(Latch::FirstPacket);
        changed.send = false;
        gate.reconfigure(&changed);
        assert!(!gate.admits(from("10.0.0.3:4000")));
        changed.remote = from("10.0.0.3:4000");
        gate.reconfigure(&changed);
        assert!(gate.admits(from("10.0.0.3:4000")));
    }

    #[test]
    fn rtcp_is_learned_only_from_the_host_whose_rtp_is_heard() {
        let mut gate = Gate::new(&config(Latch::FirstPacket));
        assert!(gate.admits_rtcp(from("10.0.0.1:4001")) && !gate.admits_rtcp(from("10.9.9.9:8")));
        gate.lock(from("10.9.9.9:7"));
        assert!(gate.admits_rtcp(from("10.9.9.9:30")) && !gate.admits_rtcp(from("10.9.9.9:31")));
        assert_eq!(gate.rtcp(), from("10.9.9.9:30"));
        assert!(!gate.admits_rtcp(from("10.0.0.9:30")));
    }

    #[test]
    fn hold_by_address_zero_has_no_destination() {
        let mut held = config(Latch::Signalled);
        held.remote = from("0.0.0.0:4000");
        assert!(!Gate::new(&held).has_destination());
    }
}
