//! The body of the fuzz target `rtp`: any bytes as packets, time and commands for endpoints on two shards.
//!
//! Whatever comes, nothing panics, what is sent is one stream an endpoint, nothing goes to a stranger under a locked
//! gate, and after the last close nothing is left.

use crate::{
    Channel, Codec, Command, EndpointId, Event, Latch, Leg, PacketIo, PlayId, Prompt, SendResult, Shard, ShardConfig,
    StreamConfig,
};
use base::{Now, Rng, millis};
use rtp_rs::{RtpPacketBuilder, RtpReader};
use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

/// Operations of one run: more would only repeat what fewer found.
const MAX_OPERATIONS: usize = 2_000;

/// What left, as one stream an endpoint: sequence and timestamp of its last packet.
#[derive(Default)]
struct Streams(BTreeMap<EndpointId, (u16, u32)>);

impl PacketIo for Streams {
    fn send(&mut self, leg: Leg, channel: Channel, to: SocketAddr, packet: &[u8]) -> SendResult {
        assert_ne!(to, stranger(), "a packet went to a stranger");
        let rtcp = channel == Channel::Rtcp || (200..=204).contains(&packet[1]);
        if !rtcp {
            let Ok(rtp) = RtpReader::new(packet) else { unreachable!("what was built is no RTP: {packet:?}") };
            let now = (u16::from(rtp.sequence_number()), rtp.timestamp());
            if let Some((sequence, timestamp)) = self.0.insert(leg.id, now) {
                assert_eq!(now.0, sequence.wrapping_add(1));
                assert!(now.1.wrapping_sub(timestamp) as i32 >= 0, "the clock stepped back");
            }
        }
        SendResult::Sent
    }
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn far() -> SocketAddr {
    address(4000)
}

fn stranger() -> SocketAddr {
    address(666)
}

/// The bytes that are left.
struct Tape<'a>(&'a [u8]);

impl<'a> Tape<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    fn word(&mut self) -> u32 {
        (0..4).fold(0, |word, _| word << 8 | u32::from(self.byte().unwrap_or(0)))
    }

    fn bytes(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte().unwrap_or(0)).min(self.0.len());
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        taken
    }
}

struct Bench {
    shards: [Shard; 2],
    /// Which shard each endpoint is on.
    home: [usize; 2],
    io: Streams,
    now: Now,
    prompt: Arc<Prompt>,
}

impl Bench {
    fn new() -> Self {
        let shard = |seed| Shard::new(ShardConfig::default(), Rng::from_u64(seed));
        let mut bench = Self {
            shards: [shard(1), shard(2)],
            home: [0, 1],
            io: Streams::default(),
            now: Now::new(millis(1000), 1_700_000_000_000),
            prompt: Arc::new(Prompt::new("tone", vec![1000i16; 1000])),
        };
        for id in [EndpointId(0), EndpointId(1)] {
            bench.command(Command::Create { id, rtp_port: 10_000 });
            bench.configure(id, 0);
            bench.command(Command::Capture { id, on: true });
            bench.command(Command::Echo { id, on: true });
        }
        bench
    }

    fn command(&mut self, command: Command) {
        let home = self.home[command.id().0 as usize % 2];
        self.shards[home].command(command, self.now, &mut self.io);
    }

    fn configure(&mut self, id: EndpointId, bits: u8) {
        let config = StreamConfig {
            remote: far(),
            remote_rtcp: None,
            rtcp_mux: bits & 1 == 0,
            codec: if bits & 2 == 0 { Codec::Pcmu } else { Codec::Pcma },
            payload_type_out: 0,
            payload_type_in: 0,
            dtmf_out: Some(101),
            dtmf_in: (bits & 4 == 0).then_some(101),
            ptime_ms: u16::from(bits >> 5) * 10,
            send: bits & 8 == 0,
            receive: bits & 16 == 0,
            latch: Latch::Signalled,
            timeout: Some(Duration::from_secs(3)),
            expects_media: true,
        };
        // A packet time of 0 or 70 is refused; the first configuration must not be.
        let ptime_ms = if bits == 0 { 20 } else { config.ptime_ms };
        self.command(Command::Configure { id, config: StreamConfig { ptime_ms, ..config } });
    }

    fn hear(&mut self, id: EndpointId, channel: Channel, from: SocketAddr, packet: &[u8]) {
        let home = self.home[id.0 as usize % 2];
        self.shards[home].receive(id, channel, from, packet, self.now, &mut self.io);
    }

    fn pass(&mut self, time: u64) {
        self.now = self.now.plus(Duration::from_millis(time));
        for shard in &mut self.shards {
            shard.tick(self.now, &mut self.io);
            while let Some(event) = shard.poll_event() {
                check(&event);
            }
        }
    }

    /// One operation; `None`: the tape is at its end.
    fn operate(&mut self, tape: &mut Tape<'_>) -> Option<()> {
        let what = tape.byte()?;
        let id = EndpointId(u64::from(what >> 7));
        match what & 0x0F {
            0 => self.hear(id, Channel::Rtp, far(), tape.bytes()),
            1 => self.hear(id, Channel::Rtcp, address(4001), tape.bytes()),
            2 => self.hear(id, Channel::Rtp, stranger(), tape.bytes()),
            3 | 4 => self.hear_shaped(id, 0, tape),
            5 | 6 => self.hear_shaped(id, 101, tape),
            7 | 8 => self.pass(u64::from(tape.byte()?)),
            9 => self.pass(u64::from(tape.byte()?) * 100),
            10 => {
                let bits = tape.byte()?;
                self.configure(id, bits);
            }
            11 => {
                let (play, repeat) = (PlayId(u64::from(what)), u32::from(tape.byte()? % 4));
                self.command(Command::Play { id, play, prompt: self.prompt.clone(), repeat });
            }
            12 => {
                let digits = tape.bytes().iter().map(|&byte| char::from(byte)).collect();
                self.command(Command::SendDigits { id, digits, tone_ms: u16::from(tape.byte()?) * 50, gap_ms: 0 });
            }
            13 => self.command(Command::Echo { id, on: tape.byte()? % 2 == 0 }),
            14 => self.command(Command::Capture { id, on: tape.byte()? % 2 == 0 }),
            _ => self.relocate(id),
        }
        Some(())
    }

    fn hear_shaped(&mut self, id: EndpointId, payload_type: u8, tape: &mut Tape<'_>) {
        let (sequence, timestamp) = (tape.word(), tape.word());
        let packet = RtpPacketBuilder::new()
            .payload_type(payload_type)
            .sequence((sequence as u16).into())
            .timestamp(timestamp)
            .ssrc(sequence >> 30)
            .payload(tape.bytes())
            .build();
        if let Ok(packet) = packet {
            self.hear(id, Channel::Rtp, far(), &packet);
        }
    }

    fn relocate(&mut self, id: EndpointId) {
        let home = &mut self.home[id.0 as usize % 2];
        if let Some(state) = self.shards[*home].take(id) {
            *home = 1 - *home;
            self.shards[*home].adopt(state);
        }
    }

    fn close(mut self) {
        for id in [EndpointId(0), EndpointId(1)] {
            self.command(Command::Close { id });
        }
        for mut shard in self.shards {
            assert!(shard.is_empty() && shard.next_wake().is_none(), "something is left");
            while let Some(event) = shard.poll_event() {
                check(&event);
            }
        }
    }
}

fn check(event: &Event) {
    if let Event::Quality { report, .. } | Event::Closed { report, .. } = event {
        let received = report.received;
        assert!(received.packets <= received.expected && received.loss_ppm <= 1_000_000);
        let scores = [received.mos, report.sent.mos].into_iter().flatten();
        assert!(scores.into_iter().all(|score| (1.0..=4.5).contains(&score)));
    }
}

/// Runs the operations that the bytes spell.
pub fn fuzz(data: &[u8]) {
    let mut bench = Bench::new();
    let mut tape = Tape(data);
    for _ in 0..MAX_OPERATIONS {
        if bench.operate(&mut tape).is_none() {
            break;
        }
    }
    bench.close();
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_are_survived(data in prop::collection::vec(any::<u8>(), 0..2000)) {
            super::fuzz(&data);
        }
    }
}
