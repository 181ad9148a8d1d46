//! The VoIP metrics report block of RTCP XR (RFC 3611 §4.7): what a receiver heard, beyond what a report block says.

use rtcp_types::prelude::*;
use rtcp_types::{RtcpWriteError, Xr};
use serde::{Deserialize, Serialize};

/// The block's type (RFC 3611 §4.7).
const BLOCK_TYPE: u8 = 7;

/// Its octets, header included.
const BLOCK: usize = 36;

/// A field that nobody could fill (RFC 3611 §4.7.4 to §4.7.5).
const UNAVAILABLE: u8 = 127;

/// Packets in a row without loss that end a burst, as sent.
const GMIN: u8 = crate::bursts::GMIN as u8;

/// One receiver's metrics of one stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct VoipMetrics {
    /// Packets lost since the reception began, in millionths.
    pub loss_ppm: u32,
    /// Packets that came too late for the jitter buffer, in millionths.
    pub discard_ppm: u32,
    /// Lost or late packets within bursts, in millionths.
    pub burst_ppm: u32,
    /// Lost or late packets within gaps, in millionths.
    pub gap_ppm: u32,
    /// Mean duration of a burst, in milliseconds.
    pub burst_ms: u16,
    /// Mean duration of a gap, in milliseconds.
    pub gap_ms: u16,
    /// Round trip, in milliseconds; 0 where it is not known.
    pub rtt_ms: u16,
    /// What the receiver's own end adds, in milliseconds; 0 where it is not known.
    pub end_system_delay_ms: u16,
    /// R of the whole conversation (ITU-T G.107), 0 to 100.
    pub r_factor: Option<u8>,
    /// MOS of listening, 1 to 5.
    pub mos_lq: Option<f64>,
    /// MOS of conversation, 1 to 5.
    pub mos_cq: Option<f64>,
    /// The jitter buffer's nominal delay, in milliseconds.
    pub jitter_buffer_ms: u16,
}

impl VoipMetrics {
    /// Reads a block behind its header; `None` where it is too short. The first is the source that it is about.
    pub(crate) fn parse(block: &[u8]) -> Option<(u32, Self)> {
        let octets = block.first_chunk::<BLOCK>()?;
        let word = |at: usize| u16::from_be_bytes([octets[at], octets[at + 1]]);
        let ppm = |at: usize| (u64::from(octets[at]) * 1_000_000 / 256) as u32;
        let known = |at: usize| Some(octets[at]).filter(|octet| *octet != UNAVAILABLE);
        // §4.7.5: 10 to 50; anything else says nothing.
        let mos = |at: usize| known(at).filter(|mos| (10..=50).contains(mos)).map(|mos| f64::from(mos) / 10.0);
        let metrics = Self {
            loss_ppm: ppm(8),
            discard_ppm: ppm(9),
            burst_ppm: ppm(10),
            gap_ppm: ppm(11),
            burst_ms: word(12),
            gap_ms: word(14),
            rtt_ms: word(16),
            end_system_delay_ms: word(18),
            r_factor: known(24).filter(|r| *r <= 100),
            mos_lq: mos(26),
            mos_cq: mos(27),
            jitter_buffer_ms: word(30),
        };
        Some((u32::from(word(4)) << 16 | u32::from(word(6)), metrics))
    }

    fn to_bytes(self, source: u32) -> [u8; BLOCK] {
        let share = |ppm: u32| (u64::from(ppm) * 256 / 1_000_000).min(255) as u8;
        let mos = |mos: Option<f64>| mos.map_or(UNAVAILABLE, |mos| (mos * 10.0).round() as u8);
        let mut block = [0; BLOCK];
        (block[0], block[3]) = (BLOCK_TYPE, (BLOCK / 4 - 1) as u8);
        block[4..8].copy_from_slice(&source.to_be_bytes());
        block[8..12].copy_from_slice(&[self.loss_ppm, self.discard_ppm, self.burst_ppm, self.gap_ppm].map(share));
        let words = [self.burst_ms, self.gap_ms, self.rtt_ms, self.end_system_delay_ms].map(u16::to_be_bytes);
        block[12..20].copy_from_slice(words.as_flattened());
        let r = self.r_factor.unwrap_or(UNAVAILABLE);
        // Levels of signal and noise and echo return loss are the phone's to know.
        block[20..28].copy_from_slice(&[
            UNAVAILABLE,
            UNAVAILABLE,
            UNAVAILABLE,
            GMIN,
            r,
            UNAVAILABLE,
            mos(self.mos_lq),
            mos(self.mos_cq),
        ]);
        block[30..32].copy_from_slice(&self.jitter_buffer_ms.to_be_bytes());
        block
    }
}

/// An XR packet with one such block, to be added to a compound.
#[derive(Clone, Copy, Debug)]
pub(crate) struct VoipReport {
    /// Who reports.
    pub sender: u32,
    /// About whom.
    pub source: u32,
    pub metrics: VoipMetrics,
}

impl RtcpPacketWriter for VoipReport {
    fn calculate_size(&self) -> Result<usize, RtcpWriteError> {
        Ok(8 + BLOCK)
    }

    fn write_into_unchecked(&self, buffer: &mut [u8]) -> usize {
        let Some(packet) = buffer.first_chunk_mut::<{ 8 + BLOCK }>() else { return 0 };
        packet[..4].copy_from_slice(&[0x80, Xr::PACKET_TYPE, 0, ((8 + BLOCK) / 4 - 1) as u8]);
        packet[4..8].copy_from_slice(&self.sender.to_be_bytes());
        packet[8..].copy_from_slice(&self.metrics.to_bytes(self.source));
        packet.len()
    }

    fn get_padding(&self) -> Option<u8> {
        None
    }
}

/// Reads an XR packet: the metrics about `ours`, if it has them. `Err`: a length in it lies.
pub(crate) fn hear(packet: &[u8], ours: u32) -> Result<Option<VoipMetrics>, ()> {
    let mut rest = packet.get(8..).ok_or(())?;
    let mut heard = None;
    while let &[kind, _, high, low, ..] = rest {
        let length = (usize::from(u16::from_be_bytes([high, low])) + 1) * 4;
        let (block, behind) = rest.split_at_checked(length).ok_or(())?;
        if kind == BLOCK_TYPE {
            let (source, metrics) = VoipMetrics::parse(block).ok_or(())?;
            heard = (source == ours).then_some(metrics).or(heard);
        }
        rest = behind;
    }
    if rest.is_empty() { Ok(heard) } else { Err(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics() -> VoipMetrics {
        VoipMetrics {
            loss_ppm: 31_250,
            discard_ppm: 62_500,
            burst_ppm: 500_000,
            gap_ppm: 15_625,
            burst_ms: 340,
            gap_ms: 3600,
            rtt_ms: 80,
            end_system_delay_ms: 60,
            r_factor: Some(77),
            mos_lq: Some(4.1),
            mos_cq: None,
            jitter_buffer_ms: 40,
        }
    }

    fn packet() -> Vec<u8> {
        let mut packet = vec![0; 44];
        VoipReport { sender: 1, source: 2, metrics: metrics() }.write_into(&mut packet).unwrap();
        packet
    }

    #[test]
    fn what_is_written_is_read_by_us_and_by_rtcp_types() {
        assert_eq!(hear(&packet(), 2), Ok(Some(metrics())));
        assert_eq!(hear(&packet(), 3), Ok(None), "it is about somebody else");
        assert_eq!(Xr::parse(&packet()).unwrap().block_iter().count(), 1);
    }

    #[test]
    fn lengths_that_lie_and_values_that_say_nothing_are_refused() {
        for cut in [0, 7, 9, 20, 43] {
            assert!(hear(&packet()[..cut], 2).is_err(), "{cut}");
        }
        for words in [0u8, 7, 9, 255] {
            let mut lying = packet();
            lying[11] = words;
            assert!(hear(&lying, 2).is_err(), "{words}");
        }
        let mut odd = packet();
        (odd[32], odd[34]) = (200, 51);
        let heard = hear(&odd, 2).unwrap().unwrap();
        assert_eq!((heard.r_factor, heard.mos_lq), (None, None));
    }
}
