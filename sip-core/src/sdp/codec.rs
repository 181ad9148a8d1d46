//! The audio codecs that may be negotiated (RFC 3551 §6, RFC 7587). A new one is a variant and a row of [`AudioCodec::row`].

/// An audio codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AudioCodec {
    /// G.711 μ-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
    /// G.722 at 64 kbit/s: sampled at 16 kHz, on an RTP clock of 8 kHz (RFC 3551 §4.5.2).
    G722,
    /// Opus, mono, on an RTP clock of 48 kHz whatever it samples at (RFC 7587 §4.1).
    Opus,
}

/// What the registry says about one codec.
struct Row {
    name: &'static str,
    clock_rate: u32,
    /// Behind the clock rate in `a=rtpmap`; `None`: one, which need not be written (RFC 8866 §6.6).
    channels: Option<u8>,
    payload_type: u8,
    /// What we say of the format (`a=fmtp`).
    parameters: Option<&'static str>,
}

/// Payload types from here on mean what their `a=rtpmap` says, and nothing without one (RFC 3551 §6).
const FIRST_DYNAMIC: u8 = 96;

impl AudioCodec {
    /// What every carrier takes, and nothing that would be translated behind it.
    pub const G711: [Self; 2] = [Self::Pcmu, Self::Pcma];

    /// Every codec there is.
    pub const ALL: [Self; 4] = [Self::Pcmu, Self::Pcma, Self::G722, Self::Opus];

    const fn row(self) -> Row {
        let g711 = Row { name: "PCMU", clock_rate: 8000, channels: None, payload_type: 0, parameters: None };
        match self {
            Self::Pcmu => g711,
            Self::Pcma => Row { name: "PCMA", payload_type: 8, ..g711 },
            Self::G722 => Row { name: "G722", payload_type: 9, ..g711 },
            // RFC 7587 §7: the channels are always written as 2; that we want and send one is said by the parameters. Of
            // `usedtx` nothing is said, which is 0 (§6.1): a relayed leg would hear our own silence in its peer's pauses.
            Self::Opus => Row {
                name: "opus",
                clock_rate: 48_000,
                channels: Some(2),
                payload_type: 111,
                parameters: Some("useinbandfec=1;stereo=0;sprop-stereo=0"),
            },
        }
    }

    /// The encoding name of its `a=rtpmap`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.row().name
    }

    /// The codec of this name, in any case.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| codec.name().eq_ignore_ascii_case(name))
    }

    /// The RTP clock, in hertz.
    #[must_use]
    pub const fn clock_rate(self) -> u32 {
        self.row().clock_rate
    }

    /// The payload type under which we offer it: the static one (RFC 3551 §6) where it has one.
    #[must_use]
    pub const fn offered_payload_type(self) -> u8 {
        self.row().payload_type
    }

    /// What stands behind the payload type in `a=rtpmap`.
    pub(super) const fn encoding(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU/8000",
            Self::Pcma => "PCMA/8000",
            Self::G722 => "G722/8000",
            Self::Opus => "opus/48000/2",
        }
    }

    /// What stands behind the payload type in `a=fmtp`.
    pub(super) const fn parameters(self) -> Option<&'static str> {
        self.row().parameters
    }

    /// The codec of an `a=rtpmap`'s name (in any case), clock rate and channels. An Opus whose channels were left out is
    /// one all the same: it has but one form (RFC 7587 §7).
    pub(super) fn by_encoding(name: &str, clock_rate: u32, channels: u8) -> Option<Self> {
        let codec = Self::named(name).filter(|codec| codec.clock_rate() == clock_rate)?;
        (channels == 1 || Some(channels) == codec.row().channels).then_some(codec)
    }

    /// The codec of a payload type that came without an `a=rtpmap`.
    pub(super) fn by_static_payload_type(payload_type: u8) -> Option<Self> {
        let known = Self::ALL.into_iter().find(|codec| codec.offered_payload_type() == payload_type);
        known.filter(|_| payload_type < FIRST_DYNAMIC)
    }

    /// The longest packet that holds no more than so many milliseconds, in steps of ten: Opus has no frames of 30 and 50
    /// (RFC 6716 §2.1.4).
    pub(super) const fn packet_time(self, ms: u16) -> u16 {
        match (self, ms / 10 * 10) {
            (Self::Opus, 30) => 20,
            (Self::Opus, 50) => 40,
            (_, ms) => ms,
        }
    }
}
