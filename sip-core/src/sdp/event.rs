//! The `events` parameter of telephone-event (RFC 4733 §2.4.1): `0-15,66,70`.

/// What we can hear, and say so: the sixteen digits and the hook flash, as Twilio and most gateways write it.
pub(super) const OUR_EVENTS: &str = "0-16";

/// The payload type under which we offer telephone-event on a clock of 48 kHz, beside the one that [`LocalAudio`] names for
/// 8 kHz: the one that browsers use.
///
/// [`LocalAudio`]: super::LocalAudio
pub const WIDE_TELEPHONE_EVENT: u8 = 110;

/// The clock of every telephone; its events' too, where the codec's own has none (RFC 4733 §2.1 has it otherwise, phones
/// do not).
pub(super) const NARROW_CLOCK: u32 = 8_000;

/// A set of telephone events (RFC 4733 §3.2), 0 to 255.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TelephoneEvents([u64; 4]);

impl TelephoneEvents {
    /// The sixteen digits: what is meant where the parameter is missing (RFC 4733 §2.4.1).
    pub const DIGITS: Self = Self([0xFFFF, 0, 0, 0]);

    /// No event at all.
    pub const NONE: Self = Self([0; 4]);

    /// True where the event is in the set.
    #[must_use]
    pub fn contains(&self, event: u8) -> bool {
        self.0.get(usize::from(event / 64)).is_some_and(|word| word & (1 << (event % 64)) != 0)
    }

    /// The set that an `a=fmtp` names, with or without `events=`; the digits where it names none that can be read.
    pub(super) fn from_fmtp(parameters: &str) -> Self {
        let list = parameters.trim();
        let list = list.split_once('=').map_or(list, |(_, list)| list);
        let mut set = Self::NONE;
        for range in list.split([',', ';']).filter_map(range) {
            range.for_each(|event| set.insert(event));
        }
        if set == Self::NONE { Self::DIGITS } else { set }
    }

    fn insert(&mut self, event: u8) {
        if let Some(word) = self.0.get_mut(usize::from(event / 64)) {
            *word |= 1 << (event % 64);
        }
    }
}

fn range(text: &str) -> Option<std::ops::RangeInclusive<u8>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    Some(first.trim().parse().ok()?..=last.trim().parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_ranges_single_events_and_the_named_form() {
        let events = TelephoneEvents::from_fmtp(" events=0-11, 66 ,250-255");
        assert!([0, 11, 66, 250, 255].into_iter().all(|event| events.contains(event)));
        assert!([12, 15, 65, 67, 249].into_iter().all(|event| !events.contains(event)));
    }

    #[test]
    fn means_the_digits_where_nothing_can_be_read() {
        for text in ["", "x", "300", "9-3", "vbd=yes"] {
            assert_eq!(TelephoneEvents::from_fmtp(text), TelephoneEvents::DIGITS, "{text:?}");
        }
    }
}
