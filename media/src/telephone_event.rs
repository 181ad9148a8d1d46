//! The telephone-event payload (RFC 4733 §2.3): four octets, an event, its end, volume and duration.

/// Power of a digit's tone as RFC 4733 §2.3.3 writes it: -10 dBm0.
const VOLUME: u8 = 10;

/// Event codes above this one are modem, fax and line signals, not keys (RFC 4733 §3.2, table 3).
const FLASH: u8 = 16;

const KEYS: [char; 17] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '*', '#', 'A', 'B', 'C', 'D', '!'];

/// One report about an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TelephoneEvent {
    /// Which (RFC 4733 §3.2: 0-9, then `*`, `#`, `A`-`D`, 16 hook flash).
    pub event: u8,
    /// It is over.
    pub end: bool,
    /// How long it lasts so far, in timestamp units.
    pub duration: u16,
}

impl TelephoneEvent {
    /// Reads a payload; `None` where it is too short. Octets behind the first four are not ours to judge.
    pub(crate) fn parse(payload: &[u8]) -> Option<Self> {
        let &[event, flags, high, low, ..] = payload else { return None };
        Some(Self { event, end: flags & 0x80 != 0, duration: u16::from_be_bytes([high, low]) })
    }

    pub(crate) fn to_bytes(self) -> [u8; 4] {
        let [high, low] = self.duration.to_be_bytes();
        [self.event, u8::from(self.end) << 7 | VOLUME, high, low]
    }
}

/// The code of a key a caller may ask for; `None` where it is no key. A flash can be heard but not pressed.
pub(crate) fn event_of(key: char) -> Option<u8> {
    let code = KEYS.iter().position(|&known| known == key.to_ascii_uppercase())? as u8;
    (code < FLASH).then_some(code)
}

/// The key of a code; `None` for what is no key.
pub(crate) fn key_of(event: u8) -> Option<char> {
    KEYS.get(usize::from(event)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_and_reads_the_four_octets_of_rfc_4733() {
        let event = TelephoneEvent { event: 11, end: true, duration: 0x0320 };
        assert_eq!(event.to_bytes(), [11, 0x8A, 0x03, 0x20]);
        assert_eq!(TelephoneEvent::parse(&event.to_bytes()), Some(event));
        assert_eq!(TelephoneEvent::parse(&[1, 2, 3]), None);
    }

    #[test]
    fn keys_have_the_codes_of_the_registry() {
        let codes: Vec<_> = "09*#Ad".chars().map(event_of).collect();
        assert_eq!(codes, [Some(0), Some(9), Some(10), Some(11), Some(12), Some(15)]);
        assert_eq!([event_of('!'), event_of('w'), event_of('é')], [None; 3]);
        assert_eq!([key_of(15), key_of(16), key_of(17)], [Some('D'), Some('!'), None]);
    }
}
