//! What an endpoint knows about its stream: its quality both ways, and the reports that it sends.

use super::{Context, Endpoint};
use crate::io::{Channel, SendResult};
use crate::mos;
use crate::outbound::Outbound;
use crate::quality::{Quality, Received, Sent};
use crate::reports::MAX_COMPOUND;
use crate::srtp::MAX_RTCP_TAG;
use crate::voip_metrics::VoipMetrics;

/// What lies between mouth and ear beside the network, in milliseconds: 20 of packet and 40 of a jitter buffer.
const ASSUMED_DELAY_MS: f64 = 60.0;

/// The jitter buffer of it.
const ASSUMED_BUFFER_MS: u16 = 40;

impl Endpoint {
    /// Both directions so far.
    pub(crate) fn quality(&self) -> Quality {
        let delay = self.reports.rtt_ms.unwrap_or(0.0) / 2.0 + ASSUMED_DELAY_MS;
        Quality {
            sent: self.sent(delay),
            received: self.received(delay),
            rtt_ms: self.reports.rtt_ms,
            strangers: self.strangers,
            malformed: self.malformed,
            unauthentic: self.unauthentic,
            replayed: self.replayed,
        }
    }

    fn sent(&self, delay: f64) -> Sent {
        let Outbound { packets, octets, dropped, skipped, ssrc, .. } = self.outbound;
        let far_mos = |far: crate::quality::FarReport| {
            let loss = f64::from(far.lost.max(0)) / packets.max(1) as f64;
            mos::mos(loss, 1.0, delay)
        };
        let (far, far_voip) = (self.reports.far, self.reports.far_voip);
        Sent { packets, octets, dropped, skipped, ssrc, far, far_voip, mos: far.map(far_mos) }
    }

    /// What we heard, for a far end that reads RTCP XR.
    fn voip_metrics(&self) -> VoipMetrics {
        let Quality { received, rtt_ms, .. } = self.quality();
        let missed = (received.lost + received.late) as f64 / received.expected.max(1) as f64;
        let delay = rtt_ms.unwrap_or(0.0) / 2.0 + ASSUMED_DELAY_MS;
        let ms = |ms: u32| ms.min(u32::from(u16::MAX)) as u16;
        VoipMetrics {
            loss_ppm: received.loss_ppm,
            discard_ppm: (received.late * 1_000_000 / received.expected.max(1)) as u32,
            burst_ppm: received.bursts.burst_ppm,
            gap_ppm: received.bursts.gap_ppm,
            burst_ms: ms(received.bursts.burst_ms),
            gap_ms: ms(received.bursts.gap_ms),
            rtt_ms: rtt_ms.map_or(0, |rtt| rtt.clamp(0.0, 65_535.0) as u16),
            end_system_delay_ms: ASSUMED_DELAY_MS as u16,
            r_factor: Some(mos::rating(missed, received.burst_ratio, delay).clamp(0.0, 100.0) as u8),
            // Listening leaves the delay out (RFC 3611 §4.7.5).
            mos_lq: Some(mos::mos(missed, received.burst_ratio, 0.0)),
            mos_cq: received.mos,
            jitter_buffer_ms: ASSUMED_BUFFER_MS,
        }
    }

    fn received(&self, delay: f64) -> Received {
        let received = self.reception.report();
        let missed = (received.lost + received.late) as f64 / received.expected.max(1) as f64;
        let score = mos::mos(missed, received.burst_ratio, delay);
        Received { mos: (received.packets > 0).then_some(score), ..received }
    }

    /// Sends a report to where the far end's RTCP is.
    pub(super) fn report(&mut self, bye: bool, ctx: &mut Context<'_>) {
        let Some(stream) = self.stream.as_ref().filter(|stream| stream.gate.has_destination()) else { return };
        let mut buffer = [0; MAX_COMPOUND + MAX_RTCP_TAG];
        let Some(clear) = buffer.first_chunk_mut::<MAX_COMPOUND>() else { return };
        let voip = self.reports.speaks_xr.then(|| self.voip_metrics());
        let length = self.reports.compose(clear, &self.outbound, &mut self.reception, ctx.now.mono, voip, bye);
        let length = match self.srtp.as_mut().filter(|_| stream.config.srtp.is_some()) {
            Some(srtp) => srtp.protect_rtcp(&mut buffer, length),
            None => length,
        };
        let channel = if stream.config.rtcp_mux { Channel::Rtp } else { Channel::Rtcp };
        let Some(packet) = buffer.get(..length).filter(|packet| !packet.is_empty()) else { return };
        match ctx.io.send(ctx.leg, channel, stream.gate.rtcp(), packet) {
            SendResult::Sent => ctx.stats.reports_sent += 1,
            SendResult::Blocked => ctx.stats.blocked += 1,
            SendResult::Failed => ctx.stats.refused += 1,
        }
    }
}
