//! The audio codecs that may be negotiated (RFC 3551 §6). A new one is a variant and a row of [`AudioCodec::row`].

/// An audio codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AudioCodec {
    /// G.711 μ-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
    /// G.722 at 64 kbit/s: sampled at 16 kHz, on an RTP clock of 8 kHz (RFC 3551 §4.5.2).
    G722,
}

/// What RFC 3551's table says about one codec.
struct Row {
    name: &'static str,
    clock_rate: u32,
    payload_type: u8,
}

impl AudioCodec {
    /// What every carrier takes, and nothing that would be translated behind it.
    pub const G711: [Self; 2] = [Self::Pcmu, Self::Pcma];

    /// Every codec there is.
    pub const ALL: [Self; 3] = [Self::Pcmu, Self::Pcma, Self::G722];

    const fn row(self) -> Row {
        match self {
            Self::Pcmu => Row { name: "PCMU", clock_rate: 8000, payload_type: 0 },
            Self::Pcma => Row { name: "PCMA", clock_rate: 8000, payload_type: 8 },
            Self::G722 => Row { name: "G722", clock_rate: 8000, payload_type: 9 },
        }
    }

    /// The encoding name of its `a=rtpmap`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.row().name
    }

    /// The RTP clock, in hertz.
    #[must_use]
    pub const fn clock_rate(self) -> u32 {
        self.row().clock_rate
    }

    /// The payload type that needs no `a=rtpmap` (RFC 3551 §6), under which we offer it.
    #[must_use]
    pub const fn static_payload_type(self) -> u8 {
        self.row().payload_type
    }

    /// The codec of an `a=rtpmap`'s name (in any case) and clock rate.
    pub(super) fn by_name(name: &str, clock_rate: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| codec.name().eq_ignore_ascii_case(name) && codec.clock_rate() == clock_rate)
    }

    /// The codec of a payload type that came without an `a=rtpmap`.
    pub(super) fn by_static_payload_type(payload_type: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| codec.static_payload_type() == payload_type)
    }
}
