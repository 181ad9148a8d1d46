//! The body of the fuzz target `rtp`: any bytes as packets, time and commands for endpoints on two shards.
//!
//! Whatever comes, nothing panics, what is sent is one stream an endpoint, nothing goes to a stranger under a locked
//! gate, and after the last close nothing is left.

use crate::{
    Channel, Codec, Command, Detect, EndpointId, Event, Latch, Leg, MemberOptions, PacketIo, PlayId, Prompt, RecordId,
    RecordOptions, RecordOutput, RecordSource, RoomId, RoomOptions, SendResult, Shard, ShardConfig, SrtpKey, SrtpKeys,
    SrtpSuite, StreamConfig,
};
use base::{Now, Rng, millis};
use rtp_rs::{RtpPacketBuilder, RtpReader};
use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

/// Operations of one run: more would only repeat what fewer found.
const MAX_OPERATIONS: usize = 2_000;

/// One endpoint's stream as it left: its newest packet, and which of the 128 before it were seen.
#[derive(Clone, Copy)]
struct Stream {
    sequence: u16,
    timestamp: u32,
    seen: u128,
}

impl Stream {
    /// A relayed loss is a hole and a late packet fills one; no number is used twice, and audio never steps back.
    fn take(&mut self, rtp: &RtpReader<'_>, joined: bool) {
        let sequence = u16::from(rtp.sequence_number());
        let ahead = sequence.wrapping_sub(self.sequence);
        if ahead as i16 > 0 {
            assert!(ahead == 1 || (joined && ahead <= 64), "a leap of {ahead}");
            let older = (rtp.timestamp().wrapping_sub(self.timestamp) as i32) < 0;
            // A key that is still down repeats the timestamp it began with.
            assert!(!older || (joined && rtp.payload_type() == 101), "the clock stepped back");
            self.seen = self.seen << ahead | 1;
            self.sequence = sequence;
            self.timestamp = if older { self.timestamp } else { rtp.timestamp() };
            return;
        }
        let bit = 1u128.checked_shl(u32::from(ahead.wrapping_neg())).unwrap_or(0);
        assert!(joined && self.seen & bit == 0, "{sequence} was used before");
        self.seen |= bit;
    }
}

/// What left.
#[derive(Default)]
struct Streams {
    of: BTreeMap<EndpointId, Stream>,
    /// They were joined at some time: losses may be passed on.
    joined: bool,
}

impl PacketIo for Streams {
    fn send(&mut self, leg: Leg, channel: Channel, to: SocketAddr, packet: &[u8]) -> SendResult {
        assert_ne!(to, stranger(), "a packet went to a stranger");
        let rtcp = channel == Channel::Rtcp || (200..=204).contains(&packet[1]);
        if !rtcp {
            let Ok(rtp) = RtpReader::new(packet) else { unreachable!("what was built is no RTP: {packet:?}") };
            match self.of.get_mut(&leg.id) {
                Some(stream) => stream.take(&rtp, self.joined),
                None => {
                    let (sequence, timestamp) = (rtp.sequence_number().into(), rtp.timestamp());
                    self.of.insert(leg.id, Stream { sequence, timestamp, seen: 1 });
                }
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

/// Keys that nobody else has.
fn keys() -> SrtpKeys {
    let mut rng = Rng::from_u64(9);
    let suite = SrtpSuite::AeadAes128Gcm;
    SrtpKeys { send: SrtpKey::generate(suite, &mut rng), receive: SrtpKey::generate(suite, &mut rng) }
}

/// Where a far end's stream stands.
#[derive(Default)]
struct Voice {
    sequence: u16,
    timestamp: u32,
}

struct Bench {
    shards: [Shard; 2],
    /// Which shard each endpoint is on.
    home: [usize; 2],
    io: Streams,
    now: Now,
    prompt: Arc<Prompt>,
    voices: [Voice; 2],
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
            voices: Default::default(),
        };
        for id in [EndpointId(0), EndpointId(1)] {
            bench.command(Command::Create { id, rtp_port: 10_000 });
            bench.configure(id, 0, 0);
            bench.command(Command::Capture { id, on: true });
            bench.command(Command::Echo { id, on: true });
        }
        bench
    }

    fn command(&mut self, command: Command) {
        let home = self.home[command.id().0 as usize % 2];
        self.shards[home].command(command, self.now, &mut self.io);
    }

    fn configure(&mut self, id: EndpointId, bits: u8, codec: u8) {
        let config = StreamConfig {
            remote: far(),
            remote_rtcp: None,
            rtcp_mux: bits & 1 == 0,
            codec: match codec % 8 {
                0..=2 if bits & 2 == 0 => Codec::Pcmu,
                0..=3 => Codec::Pcma,
                4 | 5 => Codec::G722,
                _ => Codec::Opus,
            },
            payload_type_out: 0,
            payload_type_in: 0,
            dtmf_out: Some(101),
            dtmf_in: (bits & 4 == 0).then_some(101),
            dtmf_clock: 8_000,
            ptime_ms: u16::from(bits >> 5) * 10,
            send: bits & 8 == 0,
            receive: bits & 16 == 0,
            // In clear and under SRTP by turns; what the tape says is then forged.
            srtp: (bits & 64 != 0).then(keys),
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
            while let Some(output) = shard.poll_record() {
                if let RecordOutput::Samples { block, .. } = output {
                    shard.recycle(block);
                }
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
                let codec = tape.byte()?;
                self.configure(id, bits, codec);
            }
            11 => {
                let (play, repeat) = (PlayId(u64::from(what)), u32::from(tape.byte()? % 4));
                self.command(Command::Play { id, play, prompt: self.prompt.clone(), repeat });
            }
            12 => {
                let digits = tape.bytes().iter().map(|&byte| char::from(byte)).collect();
                self.command(Command::SendDigits { id, digits, tone_ms: u16::from(tape.byte()?) * 50, gap_ms: 0 });
            }
            13 => self.join_or_echo(id, tape.byte()?),
            14 => self.command(Command::Capture { id, on: tape.byte()? % 2 == 0 }),
            _ => self.relocate(id),
        }
        Some(())
    }

    fn join_or_echo(&mut self, id: EndpointId, bits: u8) {
        match bits % 16 {
            // Two on different shards are not joined, as the engine would have brought them together.
            0 if self.home[0] == self.home[1] => {
                self.io.joined = true;
                self.command(Command::Bridge { id, with: EndpointId(1 - id.0) });
            }
            1 => self.command(Command::Unbridge { id }),
            2..=3 => self.command(Command::Echo { id, on: bits.is_multiple_of(2) }),
            4..=6 if self.home[0] == self.home[1] => self.join(id, bits),
            7 => self.command(Command::Leave { id }),
            8..=11 => self.record(id, bits),
            12 => self.command(Command::PauseRecord { id, record: RecordId(u64::from(bits >> 4)), paused: bits > 127 }),
            14 => self.command(Command::Mute { id, inbound: bits > 127, outbound: bits & 16 != 0 }),
            13 => self.command(Command::StopRecord { id, record: RecordId(u64::from(bits >> 4)) }),
            _ => self.detect(id, bits),
        }
    }

    fn join(&mut self, id: EndpointId, bits: u8) {
        let rate = [8_000, 16_000, 48_000][usize::from(bits >> 4) % 3];
        let tone = Some(self.prompt.clone());
        let options = RoomOptions { rate, join_tone: tone.clone(), hold_music: tone, ..RoomOptions::default() };
        let coach = (bits >> 5 & 1 == 1).then_some(EndpointId(1 - id.0));
        let member = MemberOptions { muted: bits >> 6 & 1 == 1, deaf: bits >> 7 == 1, coach, moderator: false };
        self.command(Command::Join { id, room: RoomId(1), options, member });
        self.command(Command::Update { id, member: MemberOptions { muted: false, ..member } });
    }

    fn record(&mut self, id: EndpointId, bits: u8) {
        let sources = [RecordSource::Received, RecordSource::Mixed, RecordSource::Dual, RecordSource::Room];
        let mut options = RecordOptions::new(std::path::Path::new("fuzz.wav"));
        options.source = sources[usize::from(bits) % 4];
        options.rate = [8_000, 16_000, 48_000][usize::from(bits >> 6) % 3];
        (options.beep, options.max_ms) = (bits & 0x20 != 0, Some(u64::from(bits) * 50));
        (options.silence_ms, options.trim) = (Some(u32::from(bits) * 20), true);
        options.finish = "#5".into();
        self.command(Command::Record { id, record: RecordId(u64::from(bits >> 4)), options });
    }

    fn detect(&mut self, id: EndpointId, bits: u8) {
        let voice = (bits & 0x10 != 0).then(Default::default);
        let beep = (bits & 0x20 != 0).then(Default::default);
        let machine = (bits & 0x40 != 0).then(Default::default);
        self.command(Command::Detect { id, detect: Detect { voice, beep, machine } });
    }

    /// A packet of a far end that counts on, mostly.
    fn hear_shaped(&mut self, id: EndpointId, payload_type: u8, tape: &mut Tape<'_>) {
        let (steps, marks) = (tape.byte().unwrap_or(0), tape.byte().unwrap_or(0));
        let voice = &mut self.voices[id.0 as usize % 2];
        voice.sequence = voice.sequence.wrapping_add(match steps >> 4 {
            0..=8 => 1,
            9 => 0,
            10 => 2,
            11 => 65_535,
            12 => 65_533,
            13 => 70,
            14 => 3_000,
            _ => tape.word() as u16,
        });
        voice.timestamp = voice.timestamp.wrapping_add(match steps & 0x0F {
            0..=8 => 160,
            9 | 10 => 0,
            11 => 80,
            12 => 160u32.wrapping_neg(),
            13 => 4_000,
            14 => 4_000u32.wrapping_neg(),
            _ => tape.word(),
        });
        let packet = RtpPacketBuilder::new()
            .payload_type(payload_type)
            .marked(marks & 1 == 1)
            .sequence(voice.sequence.into())
            .timestamp(voice.timestamp)
            .ssrc(u32::from(marks >> 6 == 3))
            .payload(if marks & 2 == 0 { &[7; 160] } else { tape.bytes() })
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
