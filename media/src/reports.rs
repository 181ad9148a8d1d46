//! RTCP (RFC 3550 §6): sender and receiver reports, CNAME, BYE, and what the far end's reports tell about our stream.
//!
//! Compounds are built with rtcp-types every few seconds, off the packet path. What comes in is walked by its own
//! lengths; a length that lies ends the walk.

use crate::outbound::Outbound;
use crate::quality::FarReport;
use crate::reception::{Block, Reception};
use crate::voip_metrics::{self, VoipMetrics, VoipReport};
use base::{Now, Rng, millis};
use rtcp_types::prelude::*;
use rtcp_types::{Bye, Compound, ReceiverReport, ReportBlock, Sdes, SdesChunk, SdesItem, SenderReport, Xr};

/// Mean time between reports (RFC 3550 §6.2), spread from a half to one and a half of it (§6.3.1).
const INTERVAL_MS: u64 = 5_000;

/// Octets of the largest compound we build: SR, one block, SDES, XR and BYE.
pub(crate) const MAX_COMPOUND: usize = 256;

/// Seconds from 1900, where NTP counts from, to 1970.
const NTP_OFFSET: u64 = 2_208_988_800;

/// Reports of one endpoint.
#[derive(Clone, Debug)]
pub(crate) struct Reports {
    /// RFC 7022 §4.2: random, so that it tells nothing about this host.
    cname: String,
    /// Wall and monotonic time at the start: NTP time is the former moved on by the latter, and never steps.
    start: Now,
    /// When the next report is due, monotonic nanoseconds. `None`: no stream.
    pub due: Option<u64>,
    /// The middle of the far end's last SR timestamp, and when it came.
    last_sr: Option<(u32, u64)>,
    spoken: bool,
    pub far: Option<FarReport>,
    pub far_voip: Option<VoipMetrics>,
    /// The far end sends XR, and is sent it: nobody else is known to read it.
    pub speaks_xr: bool,
    pub rtt_ms: Option<f64>,
    /// Ticks a millisecond of our stream.
    pub per_ms: f64,
}

impl Reports {
    pub(crate) fn new(rng: &mut Rng, now: Now) -> Self {
        Self {
            cname: rng.token(16),
            start: now,
            due: None,
            last_sr: None,
            spoken: false,
            far: None,
            far_voip: None,
            speaks_xr: false,
            rtt_ms: None,
            per_ms: 8.0,
        }
    }

    /// A report was sent: a BYE is owed (RFC 3550 §6.3.7).
    pub(crate) fn has_spoken(&self) -> bool {
        self.spoken
    }

    /// Sets the next report.
    pub(crate) fn schedule(&mut self, rng: &mut Rng, mono: u64) {
        self.due = Some(mono + millis(INTERVAL_MS / 2 + rng.below(INTERVAL_MS)));
    }

    /// NTP time (RFC 3550 §4): seconds since 1900 in the upper half, fractions in the lower.
    fn ntp(&self, mono: u64) -> u64 {
        let nanos = u128::from(self.start.wall) * 1_000_000 + u128::from(mono.saturating_sub(self.start.mono));
        let seconds = (nanos / 1_000_000_000) as u64 + NTP_OFFSET;
        let fraction = ((nanos % 1_000_000_000) << 32) / 1_000_000_000;
        seconds << 32 | fraction as u64
    }

    /// Builds SR (where we have sent) or RR, with CNAME, XR for a far end that sends it too, and BYE where the stream
    /// ends; returns its length.
    pub(crate) fn compose(
        &mut self,
        buffer: &mut [u8; MAX_COMPOUND],
        outbound: &Outbound,
        reception: &mut Reception,
        mono: u64,
        voip: Option<VoipMetrics>,
        bye: bool,
    ) -> usize {
        self.spoken = true;
        let block = reception.block();
        let about = block.zip(voip.filter(|_| self.speaks_xr));
        let block = block.map(|block| self.block(block, mono));
        let chunk = SdesChunk::builder(outbound.ssrc).add_item(SdesItem::builder(SdesItem::CNAME, &self.cname));
        let compound = Compound::builder();
        let compound = if outbound.packets > 0 {
            let report = SenderReport::builder(outbound.ssrc)
                .ntp_timestamp(self.ntp(mono))
                .rtp_timestamp(outbound.clock(mono / 1_000_000))
                .packet_count(outbound.packets as u32)
                .octet_count(outbound.octets as u32);
            compound.add_packet(match block {
                Some(block) => report.add_report_block(block),
                None => report,
            })
        } else {
            let report = ReceiverReport::builder(outbound.ssrc);
            compound.add_packet(match block {
                Some(block) => report.add_report_block(block),
                None => report,
            })
        };
        let compound = compound.add_packet(Sdes::builder().add_chunk(chunk));
        let compound = match about {
            Some((Block { ssrc: source, .. }, metrics)) => {
                compound.add_packet(VoipReport { sender: outbound.ssrc, source, metrics })
            }
            None => compound,
        };
        let compound = if bye { compound.add_packet(Bye::builder().add_source(outbound.ssrc)) } else { compound };
        compound.write_into(buffer).unwrap_or(0)
    }

    fn block(&self, block: Block, mono: u64) -> rtcp_types::ReportBlockBuilder {
        let (lsr, dlsr) = self.last_sr.map_or((0, 0), |(middle, at)| (middle, ntp_middle_units(mono - at.min(mono))));
        ReportBlock::builder(block.ssrc)
            .fraction_lost(block.fraction_lost)
            .cumulative_lost(block.cumulative_lost)
            .extended_sequence_number(block.extended_sequence)
            .interarrival_jitter(block.jitter)
            .last_sender_report_timestamp(lsr)
            .delay_since_last_sender_report_timestamp(dlsr)
    }

    /// Reads a compound; false where it is none. Reports about other streams than ours say nothing to us.
    pub(crate) fn hear(&mut self, packet: &[u8], our_ssrc: u32, mono: u64) -> bool {
        let mut rest = packet;
        let mut any = false;
        while let &[first, kind, high, low, ..] = rest {
            let length = (usize::from(u16::from_be_bytes([high, low])) + 1) * 4;
            let Some((one, behind)) = rest.split_at_checked(length) else { return false };
            // A compound begins with a report (RFC 3550 §A.2).
            let begins = any || matches!(kind, SenderReport::PACKET_TYPE | ReceiverReport::PACKET_TYPE);
            if first >> 6 != 2 || !begins || !self.hear_one(kind, one, our_ssrc, mono) {
                return false;
            }
            (any, rest) = (true, behind);
        }
        any && rest.is_empty()
    }

    fn hear_one(&mut self, kind: u8, packet: &[u8], our_ssrc: u32, mono: u64) -> bool {
        match kind {
            SenderReport::PACKET_TYPE => {
                let Ok(report) = SenderReport::parse(packet) else { return false };
                self.last_sr = Some(((report.ntp_timestamp() >> 16) as u32, mono));
                self.hear_blocks(report.report_blocks(), our_ssrc, mono);
                true
            }
            ReceiverReport::PACKET_TYPE => {
                let Ok(report) = ReceiverReport::parse(packet) else { return false };
                self.hear_blocks(report.report_blocks(), our_ssrc, mono);
                true
            }
            Xr::PACKET_TYPE => {
                let Ok(heard) = voip_metrics::hear(packet, our_ssrc) else { return false };
                self.far_voip = heard.or(self.far_voip);
                self.speaks_xr = true;
                true
            }
            // SDES, BYE, APP, feedback: nothing we act on. BYE ends no call; signalling or the media timeout does.
            _ => true,
        }
    }

    fn hear_blocks<'a>(&mut self, blocks: impl Iterator<Item = ReportBlock<'a>>, our_ssrc: u32, mono: u64) {
        for block in blocks.filter(|block| block.ssrc() == our_ssrc) {
            self.far = Some(FarReport {
                loss_ppm: (u64::from(block.fraction_lost()) * 1_000_000 / 256) as u32,
                lost: (block.cumulative_lost() << 8) as i32 >> 8,
                jitter: block.interarrival_jitter(),
                jitter_ms: f64::from(block.interarrival_jitter()) / self.per_ms,
                extended_sequence: block.extended_sequence_number(),
            });
            let (lsr, dlsr) = (block.last_sender_report_timestamp(), block.delay_since_last_sender_report_timestamp());
            let rtt = ((self.ntp(mono) >> 16) as u32).wrapping_sub(lsr).wrapping_sub(dlsr) as i32;
            // Negative or beyond ten seconds is a far end that does not count right; §6.4.1 gives no use for it.
            if lsr != 0 && (0..10 << 16).contains(&rtt) {
                self.rtt_ms = Some(f64::from(rtt) * 1000.0 / 65_536.0);
            }
        }
    }
}

/// Nanoseconds in units of 1/65,536 second.
fn ntp_middle_units(nanos: u64) -> u32 {
    (u128::from(nanos) * 65_536 / 1_000_000_000) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Side {
        reports: Reports,
        outbound: Outbound,
        reception: Reception,
    }

    impl Side {
        fn new(seed: u64, packets: u64) -> Self {
            let mut rng = Rng::from_u64(seed);
            let now = Now::new(0, 1_700_000_000_000);
            let mut outbound = Outbound::new(&mut rng, 0);
            (outbound.packets, outbound.octets) = (packets, packets * 160);
            Self { reports: Reports::new(&mut rng, now), outbound, reception: Reception::default() }
        }

        fn compose(&mut self, ms: u64, bye: bool) -> Vec<u8> {
            let mut buffer = [0; MAX_COMPOUND];
            let length = self.reports.compose(&mut buffer, &self.outbound, &mut self.reception, millis(ms), None, bye);
            buffer[..length].to_vec()
        }
    }

    #[test]
    fn a_round_trip_is_measured_and_loss_is_reported_back() {
        let (mut left, mut right) = (Side::new(1, 100), Side::new(2, 0));
        for sequence in [0, 1, 3] {
            right.reception.sequence(left.outbound.ssrc, sequence, 160, true);
        }
        let report = left.compose(1000, false);
        assert!(right.reports.hear(&report, right.outbound.ssrc, millis(1030)));
        let answer = right.compose(1500, false);
        assert!(left.reports.hear(&answer, left.outbound.ssrc, millis(1550)));
        assert!((left.reports.rtt_ms.unwrap() - 80.0).abs() < 0.1, "30 ms there, 50 back: {:?}", left.reports.rtt_ms);
        assert_eq!(left.reports.far.unwrap().lost, 1);
        assert_eq!(left.reports.far.unwrap().loss_ppm, 250_000);
        assert_eq!(right.reports.far, None, "nobody reported about a stream that was not sent");
    }

    #[test]
    fn a_sender_says_sr_cname_and_at_the_end_bye() {
        let compound = Side::new(1, 5).compose(10, true);
        let kinds: Vec<_> = Compound::parse(&compound).unwrap().map(|packet| packet.unwrap().type_()).collect();
        assert_eq!(kinds, [200, 202, 203]);
        assert_eq!(Side::new(1, 0).compose(10, false)[1], 201);
    }

    #[test]
    fn ntp_time_is_the_wall_clocks() {
        // 2023-11-14T22:13:20Z, half a second on.
        let reports = Side::new(1, 0).reports;
        assert_eq!(reports.ntp(millis(500)), (1_700_000_000 + NTP_OFFSET) << 32 | 1 << 31);
    }

    #[test]
    fn lengths_that_lie_are_refused() {
        let mut side = Side::new(1, 5);
        let good = side.compose(10, true);
        // SR, then SDES with 16 octets of CNAME: a cut between two packets leaves a whole compound.
        let whole = [28, 28 + 8 + 20];
        for cut in 0..good.len() {
            assert_eq!(side.reports.hear(&good[..cut], 1, 0), whole.contains(&cut), "{cut}");
        }
        let mut long = good.clone();
        long[3] = 200;
        assert!(!side.reports.hear(&long, 1, 0));
        let mut short = good;
        short[3] = 2;
        assert!(!side.reports.hear(&short, 1, 0));
        assert!(!side.reports.hear(&[0x80, 200, 0, 0], 1, 0));
    }
}
