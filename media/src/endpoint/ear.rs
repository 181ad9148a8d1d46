//! An endpoint's ear: what the far end says, decoded at 8 kHz for whoever listens to it. Keys in the sound are listened for
//! where the stream has no telephone-event; speech, beeps and machines where a command asks for them.

use super::{Context, Endpoint, Stream};
use crate::codec::Codec;
use crate::command::{Detect, StreamConfig};
use crate::detect::beep::BeepDetector;
use crate::detect::keys::{KeyDetector, Pressed};
use crate::detect::machine::MachineDetector;
use crate::detect::voice::{Change, Voice};
use crate::digits::Heard;
use crate::event::Event;
use crate::playout::Playout;
use base::Now;
use rtp_rs::RtpReader;

/// Samples a second that detectors are told.
const RATE: u32 = 8_000;

/// Ten milliseconds of them.
const FRAME: usize = 80;

/// How long a packet may be late and still be heard, in milliseconds: what an ear adds to a reaction.
const DELAY_MS: u32 = 60;

/// Milliseconds between two turns, and frames of ten milliseconds that one turn makes up for.
const TURN_MS: u64 = 20;
const FRAMES_A_TURN: u32 = 32;

/// What listens.
#[derive(Debug)]
pub(super) struct Ear {
    playout: Option<Box<Playout>>,
    /// The time whose sound is listened to next, in milliseconds.
    next: u64,
    keys: Option<KeyDetector>,
    detect: Detectors,
}

#[derive(Debug, Default)]
struct Detectors {
    voice: Option<Voice>,
    beep: Option<BeepDetector>,
    machine: Option<Box<MachineDetector>>,
}

impl Ear {
    fn new(now_ms: u64) -> Self {
        Self { playout: None, next: now_ms, keys: None, detect: Detectors::default() }
    }

    fn hear(&mut self, codec: Codec, timestamp: u32, leaps: bool, payload: &[u8], now: Now) {
        let playout = self.playout.get_or_insert_with(|| Box::new(Playout::fixed(codec, RATE, DELAY_MS)));
        playout.push(codec, timestamp, leaps, payload, now);
    }

    fn is_idle(&self) -> bool {
        let Detectors { voice, beep, machine } = &self.detect;
        self.keys.is_none() && voice.is_none() && beep.is_none() && machine.is_none()
    }

    /// The next ten milliseconds.
    fn listen(&mut self, wall: u64) -> [i16; FRAME] {
        let mut frame = [0; FRAME];
        let at = Now::new((self.next + u64::from(DELAY_MS)) * 1_000_000, wall);
        self.next += 10;
        if let Some(playout) = &mut self.playout {
            playout.pull(&mut frame, at);
        }
        frame
    }
}

impl Endpoint {
    /// Listens for keys where nobody negotiated telephone-event.
    pub(super) fn take_ear(&mut self, config: &StreamConfig, now_ms: u64) {
        let wanted = config.dtmf_in.is_none() && config.receive;
        if wanted == self.ear().is_some_and(|ear| ear.keys.is_some()) {
            return;
        }
        let ear = self.ear_or_new(now_ms);
        ear.keys = wanted.then(KeyDetector::default);
        self.close_idle_ear();
    }

    /// Listens for what a command asks for, and for nothing else that commands asked for.
    pub(crate) fn detect(&mut self, detect: &Detect, ctx: &Context<'_>) {
        let Detect { voice, beep, machine } = *detect;
        let ear = self.ear_or_new(ctx.ms());
        ear.detect = Detectors {
            voice: voice.map(Voice::new),
            beep: beep.map(BeepDetector::new),
            machine: machine.map(|config| Box::new(MachineDetector::new(config))),
        };
        self.close_idle_ear();
    }

    fn ear(&self) -> Option<&Ear> {
        self.audio.as_ref()?.ear.as_deref()
    }

    fn ear_or_new(&mut self, now_ms: u64) -> &mut Ear {
        let ear = &mut self.audio.get_or_insert_default().ear;
        ear.get_or_insert_with(|| Box::new(Ear::new(now_ms)))
    }

    fn close_idle_ear(&mut self) {
        if let Some(audio) = &mut self.audio {
            audio.ear.take_if(|ear| ear.is_idle());
        }
    }

    pub(super) fn hear_for_ear(&mut self, stream: &Stream, rtp: &RtpReader<'_>, leaps: bool, ctx: &Context<'_>) {
        if let Some(ear) = self.audio.as_mut().and_then(|audio| audio.ear.as_mut()) {
            ear.hear(stream.config.codec, rtp.timestamp(), leaps, rtp.payload(), ctx.now);
        }
    }

    /// When it is to be run, in milliseconds.
    pub(super) fn ear_wake(&self) -> Option<u64> {
        Some(self.ear()?.next + u64::from(DELAY_MS) + TURN_MS)
    }

    /// Listens to what is complete by now.
    #[cold]
    #[inline(never)]
    pub(super) fn run_ear(&mut self, ctx: &mut Context<'_>) {
        if self.ear_wake().is_none_or(|wake| wake > ctx.ms()) {
            return;
        }
        let until = ctx.ms() - u64::from(DELAY_MS);
        let Some(mut ear) = self.audio.as_mut().and_then(|audio| audio.ear.take()) else { return };
        for _ in 0..FRAMES_A_TURN {
            if ear.next + 10 > until {
                break;
            }
            let frame = ear.listen(ctx.now.wall);
            if let Some(Pressed { key, duration_ms }) = ear.keys.as_mut().and_then(|keys| keys.push(&frame)) {
                self.say_digit(Heard { key, duration_ms }, ctx);
            }
            self.tell(&mut ear.detect, &frame, ctx);
        }
        // Longer than that it was not run for: what lies between is over.
        if ear.next + 10 <= until {
            ear.next = until;
        }
        if let Some(audio) = &mut self.audio {
            audio.ear = Some(ear);
        }
    }

    fn tell(&mut self, detect: &mut Detectors, frame: &[i16], ctx: &mut Context<'_>) {
        let id = self.id;
        let event = match detect.voice.as_mut().and_then(|voice| voice.push(frame)) {
            Some(Change::Started) => Some(Event::SpeechStarted { id }),
            Some(Change::Ended) => Some(Event::SpeechEnded { id }),
            None => None,
        };
        let beep = detect.beep.as_mut().and_then(|beep| beep.push(frame));
        for event in event.into_iter().chain(beep.map(|hertz| Event::Beep { id, hertz })) {
            ctx.events.push_reserved(&mut self.reserve, event);
        }
        if let Some(decision) = detect.machine.as_mut().and_then(|machine| machine.push(frame)) {
            ctx.events.push(Event::Answered { id, decision });
            detect.machine = None;
        }
    }
}
