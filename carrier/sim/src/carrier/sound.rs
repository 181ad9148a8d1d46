//! The media of one call: its port, its session descriptions, and the stream they agree on.

use super::plant::{CallKey, Plant};
use crate::script::{Digits, PromptName};
use bytes::Bytes;
use media::{Codec, Command, EndpointId, Latch, PlayId, StreamConfig};
use sip_core::sdp::{self, AudioCodec, Direction, LocalAudio, Negotiated, Preference, SdpError, SessionDescription};
use std::time::Duration;

/// How many ports are tried before a call is refused because none can be bound.
const MAX_TRIES: u32 = 4;
/// How long a key is held, and the pause after it, in milliseconds.
const TONE_MS: u16 = 100;
const GAP_MS: u16 = 60;
/// The payload type under which telephone-event is offered (TWILIO.md §1.6).
const TELEPHONE_EVENT: u8 = 101;
/// Twilio ends a call that is silent for so long (TWILIO.md §1.6).
const TWILIO_SILENCE: Duration = Duration::from_secs(60);

/// Below these bits an endpoint's name is its call's, above them it counts the tries for a port: names that count up
/// spread over the shards.
const TRY_BITS: u32 = 48;

/// The name of the endpoint for a call's next try.
fn name(owner: CallKey, tries: u32) -> EndpointId {
    EndpointId(owner.0 | u64::from(tries) << TRY_BITS)
}

/// Whose endpoint it is.
pub(super) const fn owner(id: EndpointId) -> CallKey {
    CallKey(id.0 & ((1 << TRY_BITS) - 1))
}

/// A call's media.
#[derive(Debug, Default)]
pub(super) enum Sound {
    /// None was wanted yet.
    #[default]
    Unopened,
    /// A port is being opened.
    Opening { id: EndpointId, port: u16, tries: u32 },
    /// There is a port.
    Open(Box<Line>),
    /// It is being closed.
    Closing { id: EndpointId, port: u16 },
    /// It is gone, or was never had.
    Gone,
}

/// An open port, and what is agreed on it.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) id: EndpointId,
    port: u16,
    local: LocalAudio,
    /// Our last description, as it was made.
    sent: Option<Bytes>,
    stream: Option<StreamConfig>,
    sends: bool,
    playing: Option<PlayId>,
}

impl Sound {
    /// Asks for a port; false where there is none.
    pub(super) fn open(&mut self, owner: CallKey, plant: &mut Plant) -> bool {
        self.try_port(owner, plant, 0)
    }

    fn try_port(&mut self, owner: CallKey, plant: &mut Plant, tries: u32) -> bool {
        let port = if tries == MAX_TRIES { None } else { plant.ports.take(plant.now) };
        let Some(port) = port else {
            *self = Self::Gone;
            return false;
        };
        let id = name(owner, tries);
        plant.media(Command::Create { id, rtp_port: port });
        *self = Self::Opening { id, port, tries };
        true
    }

    /// The port is open.
    pub(super) fn created(&mut self, plant: &mut Plant, sends: bool) {
        if let Self::Opening { id, port, .. } = *self {
            let local = LocalAudio {
                addr: plant.config.media_ip,
                port,
                codecs: plant.config.codecs.clone(),
                telephone_event: Some(TELEPHONE_EVENT),
                ptime_ms: 20,
                direction: Direction::SendRecv,
                rtcp_mux: false,
                security: sip_core::sdp::Security::Plain,
                session_id: u64::from(plant.rng.u32()),
                version: 1,
            };
            *self = Self::Open(Box::new(Line { id, port, local, sent: None, stream: None, sends, playing: None }));
        }
    }

    /// A command has failed; false where that costs the call its media.
    pub(super) fn failed(&mut self, owner: CallKey, plant: &mut Plant) -> bool {
        match *self {
            Self::Opening { port, tries, .. } => {
                plant.ports.release(port, plant.now);
                self.try_port(owner, plant, tries + 1)
            }
            Self::Closing { port, .. } => {
                plant.ports.release(port, plant.now);
                *self = Self::Gone;
                true
            }
            Self::Unopened | Self::Open(_) | Self::Gone => true,
        }
    }

    /// Gives the port back; `closed` follows.
    pub(super) fn close(&mut self, plant: &mut Plant) {
        let (id, port) = match self {
            Self::Opening { id, port, .. } => (*id, *port),
            Self::Open(line) => (line.id, line.port),
            Self::Closing { .. } => return,
            Self::Unopened | Self::Gone => {
                *self = Self::Gone;
                return;
            }
        };
        plant.media(Command::Close { id });
        *self = Self::Closing { id, port };
    }

    /// The port is given back.
    pub(super) fn closed(&mut self, plant: &mut Plant) {
        let port = match self {
            Self::Opening { port, .. } | Self::Closing { port, .. } => Some(*port),
            Self::Open(line) => Some(line.port),
            Self::Unopened | Self::Gone => None,
        };
        if let Some(port) = port {
            plant.ports.release(port, plant.now);
        }
        *self = Self::Gone;
    }

    pub(super) fn id(&self) -> Option<EndpointId> {
        match self {
            Self::Opening { id, .. } | Self::Closing { id, .. } => Some(*id),
            Self::Open(line) => Some(line.id),
            Self::Unopened | Self::Gone => None,
        }
    }

    pub(super) fn line(&mut self) -> Option<&mut Line> {
        match self {
            Self::Open(line) => Some(line),
            _ => None,
        }
    }

    pub(super) const fn is_gone(&self) -> bool {
        matches!(self, Self::Unopened | Self::Gone)
    }
}

impl Line {
    /// Our offer: the first, or one that follows what was said before.
    pub(super) fn offer(&mut self, plant: &Plant) -> Bytes {
        let offer = match &self.sent {
            Some(previous) => sdp::offer_after(previous, &mut self.local),
            None => sdp::offer(&self.local),
        };
        self.say(offer, plant)
    }

    /// Our answer to an offer, which holds from now on.
    pub(super) fn answer(&mut self, offer: &[u8], plant: &mut Plant) -> Result<Bytes, SdpError> {
        let offer = SessionDescription::parse(offer)?;
        let answered = match &self.sent {
            Some(previous) => sdp::answer_after(previous, &offer, &mut self.local, Preference::Theirs)?,
            None => sdp::answer(&offer, &self.local)?,
        };
        self.agree(&answered.negotiated, plant);
        Ok(self.say(answered.sdp, plant))
    }

    /// The peer's answer to our offer.
    pub(super) fn accept(&mut self, answer: &[u8], plant: &mut Plant) -> Result<(), SdpError> {
        let agreed = sdp::accept_answer(&self.local, &SessionDescription::parse(answer)?)?;
        self.agree(&agreed, plant);
        Ok(())
    }

    /// True once both sides have said what they do.
    pub(super) const fn is_agreed(&self) -> bool {
        self.stream.is_some()
    }

    /// What we say from now on about our direction.
    pub(super) const fn hold(&mut self, on: bool) {
        self.local.direction = if on { Direction::SendOnly } else { Direction::SendRecv };
    }

    fn say(&mut self, description: Bytes, plant: &Plant) -> Bytes {
        self.sent = Some(description.clone());
        if plant.config.twilio { in_twilios_words(&description) } else { description }
    }

    fn agree(&mut self, agreed: &Negotiated, plant: &mut Plant) {
        let stream = self.stream_of(agreed, plant.config.twilio);
        if self.stream.as_ref() == Some(&stream) {
            return;
        }
        let first = self.stream.is_none();
        plant.media(Command::Configure { id: self.id, config: stream.clone() });
        if first && plant.config.listens {
            plant.media(Command::Capture { id: self.id, on: true });
        }
        self.stream = Some(stream);
    }

    fn stream_of(&self, agreed: &Negotiated, twilio: bool) -> StreamConfig {
        StreamConfig {
            remote: agreed.remote,
            remote_rtcp: agreed.remote_rtcp,
            rtcp_mux: agreed.rtcp_mux,
            codec: codec(agreed.codec),
            payload_type_out: agreed.payload_type_out,
            payload_type_in: agreed.payload_type_in,
            dtmf_out: agreed.telephone_event_out,
            dtmf_in: agreed.telephone_event_in,
            dtmf_clock: agreed.telephone_event_clock,
            ptime_ms: agreed.ptime_ms,
            send: self.sends && agreed.direction.sends(),
            receive: agreed.direction.receives(),
            // Symmetric RTP is off by default there (TWILIO.md §1.6): media goes where the SDP says.
            srtp: None,
            latch: if twilio { Latch::Signalled } else { Latch::FirstPacket },
            timeout: twilio.then_some(TWILIO_SILENCE),
            expects_media: false,
        }
    }

    /// Plays a prompt, whose end names this playback; `None` where there is no such prompt or nowhere to send it.
    pub(super) fn say_prompt(&mut self, name: &PromptName, repeat: bool, plant: &mut Plant) -> Option<PlayId> {
        let prompt = plant.config.prompt(name.as_str())?.clone();
        self.stream.as_ref()?;
        let play = PlayId(plant.next_id());
        plant.media(Command::Play { id: self.id, play, prompt, repeat: u32::from(!repeat) });
        self.playing = Some(play);
        Some(play)
    }

    /// Stops what plays.
    pub(super) fn hush(&mut self, plant: &mut Plant) {
        if let Some(play) = self.playing.take() {
            plant.media(Command::StopPlay { id: self.id, play });
        }
    }

    /// Presses keys; how long that takes.
    pub(super) fn press(&self, keys: &Digits, plant: &mut Plant) -> Duration {
        let digits = keys.as_str().to_owned();
        let each = Duration::from_millis(u64::from(TONE_MS + GAP_MS));
        let time = each * digits.len() as u32;
        plant.media(Command::SendDigits { id: self.id, digits, tone_ms: TONE_MS, gap_ms: GAP_MS });
        time
    }
}

const fn codec(codec: AudioCodec) -> Codec {
    match codec {
        AudioCodec::Pcmu => Codec::Pcmu,
        AudioCodec::Pcma => Codec::Pcma,
        AudioCodec::G722 => Codec::G722,
        AudioCodec::Opus => Codec::Opus,
    }
}

/// The session name and the packet time as Twilio writes them (TWILIO.md §1.5).
fn in_twilios_words(description: &[u8]) -> Bytes {
    let text = String::from_utf8_lossy(description);
    text.replace("\r\ns=-\r\n", "\r\ns=Twilio Media Gateway\r\n")
        .replace("\r\na=ptime:20\r\n", "\r\na=ptime:20\r\na=maxptime:20\r\n")
        .into()
}
