//! How a stream fares, as plain numbers (RFC 3550 §6.4, ITU-T G.107).

use crate::bursts::BurstLoss;
use crate::voip_metrics::VoipMetrics;
use serde::{Deserialize, Serialize};

/// Both directions of one endpoint's stream since it was created.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    /// What we sent.
    pub sent: Sent,
    /// What we heard.
    pub received: Received,
    /// Round trip in milliseconds, from the far end's report blocks (RFC 3550 §6.4.1 LSR, DLSR). `None`: none yet.
    pub rtt_ms: Option<f64>,
    /// Packets from sources the latch refuses, RTP and RTCP.
    pub strangers: u64,
    /// Packets that are no RTP or RTCP: too short, wrong version, lengths that lie.
    pub malformed: u64,
    /// SRTP and SRTCP packets that the key did not authenticate.
    pub unauthentic: u64,
    /// SRTP and SRTCP packets that came before, or too late for the replay window (RFC 3711 §3.3.2).
    pub replayed: u64,
}

/// Our direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sent {
    /// RTP packets that left.
    pub packets: u64,
    /// Their payload octets, without headers (RFC 3550 §6.4.1).
    pub octets: u64,
    /// RTP packets the socket refused.
    pub dropped: u64,
    /// Packet times let go because the shard ran too late for them (`MAX_BEHIND`): gaps in our timestamps.
    pub skipped: u64,
    /// Our SSRC.
    pub ssrc: u32,
    /// What the far end reported about our stream. `None`: no report block yet.
    pub far: Option<FarReport>,
    /// What the far end said of it in RTCP XR (RFC 3611 §4.7). `None`: it has not.
    pub far_voip: Option<VoipMetrics>,
    /// MOS at the far end by the far end's report (G.107, G.711 with concealment). `None`: no report block yet.
    pub mos: Option<f64>,
}

/// One RTCP report block about our stream (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FarReport {
    /// Packets lost since its last report, in millionths.
    pub loss_ppm: u32,
    /// Packets lost since it began to listen; negative where duplicates outnumber losses.
    pub lost: i32,
    /// Inter-arrival jitter there, in timestamp units.
    pub jitter: u32,
    /// The same in milliseconds (8 kHz clock).
    pub jitter_ms: f64,
    /// The highest sequence number it saw, with its cycles.
    pub extended_sequence: u32,
}

/// The far end's direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Received {
    /// RTP packets, without duplicates.
    pub packets: u64,
    /// Their payload octets, without headers.
    pub octets: u64,
    /// Packets that the sequence numbers say were sent (RFC 3550 §A.3).
    pub expected: u64,
    /// Expected less arrived.
    pub lost: u64,
    /// `lost` in millionths of `expected`.
    pub loss_ppm: u32,
    /// Mean length of a run of losses against that of random loss: 1 is random, more is bursty (G.107 BurstR).
    pub burst_ratio: f64,
    /// Bursts of loss and the gaps between them (RFC 3611 §4.7.2).
    pub bursts: BurstLoss,
    /// Inter-arrival jitter, in timestamp units (RFC 3550 §6.4.1, §A.8).
    pub jitter: u32,
    /// The same in milliseconds (8 kHz clock).
    pub jitter_ms: f64,
    /// Packets behind one with a higher sequence number.
    pub reordered: u64,
    /// Packets seen before.
    pub duplicates: u64,
    /// Packets more than `LATE_MS` behind the stream's own best: a jitter buffer would have missed them.
    pub late: u64,
    /// Packets of a payload type nobody negotiated: counted in the sequence, never decoded.
    pub unknown_payload: u64,
    /// The far end's SSRC as last accepted.
    pub ssrc: Option<u32>,
    /// How often it changed.
    pub ssrc_changes: u32,
    /// MOS of what arrived (G.107, G.711 with concealment). `None`: nothing arrived.
    pub mos: Option<f64>,
}
