//! Opus packets as RTP carries them (RFC 6716 §3, RFC 7587): how long one lasts, and one that is silent.
//!
//! A sender's pauses (DTX) are understood by whoever decodes; ours has none: `opus-rs` encodes silence as it encodes speech,
//! so that a far end's `usedtx=1` is taken and changes nothing, as RFC 7587 §6.1 allows.

/// Octets of the longest Opus frame (RFC 6716 §3.2.1), and of the longest packet we make.
pub(crate) const MAX_PACKET: usize = 1275;

/// The longest packet, in ticks of 48 kHz: 120 ms (RFC 6716 §3.2.5, R5).
const MAX_TICKS: u64 = 5_760;

/// Ticks of one frame by the configuration in the TOC octet (RFC 6716 §3.1, table 2).
const fn frame_ticks(toc: u8) -> u64 {
    let configuration = toc >> 3;
    let (shortest, size) = match configuration {
        0..=11 => ([480, 960, 1_920, 2_880], configuration & 3),
        12..=15 => ([480, 960, 480, 960], configuration & 3),
        _ => ([120, 240, 480, 960], configuration & 3),
    };
    shortest[size as usize]
}

/// How long a packet lasts, in ticks of 48 kHz. `None`: it is no Opus packet.
pub(crate) fn ticks(packet: &[u8]) -> Option<u64> {
    let (&toc, rest) = packet.split_first()?;
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u64::from(*rest.first()? & 0x3F),
    };
    let ticks = frames * frame_ticks(toc);
    (frames > 0 && ticks <= MAX_TICKS).then_some(ticks)
}

/// The sender heard nobody speak: the flags at the head of the packet's SILK layer are all down (RFC 6716 §4.2.3). False for a
/// packet without that layer, in stereo, or of several frames.
pub(crate) fn is_inactive(packet: &[u8]) -> bool {
    silk_head(packet).is_some_and(|(flags, head)| head >> (8 - flags) == 0)
}

/// It carries the one before it once more, in less detail (in-band FEC, RFC 6716 §2.1.7, the LBRR flag of §4.2.3).
pub(crate) fn carries_fec(packet: &[u8]) -> bool {
    silk_head(packet).is_some_and(|(flags, head)| (head >> (7 - flags)) & 1 == 1)
}

/// Its sender is silent, and may send no other for 400 ms (discontinuous transmission, RFC 7587 §3.1.3): it says that nobody
/// speaks, or nothing is in it but its head.
pub(crate) fn may_pause(packet: &[u8]) -> bool {
    packet.len() <= 2 || is_inactive(packet)
}

/// The flags of a mono packet of one frame that has a SILK layer: how many say that somebody speaks, one for each 20 ms, and
/// the octet that begins with them and goes on with the LBRR flag.
fn silk_head(packet: &[u8]) -> Option<(u8, u8)> {
    let [toc, head, ..] = *packet else { return None };
    let flags = match (toc >> 3, toc >> 3 & 3) {
        (0..=11, 2) => 2,
        (0..=11, 3) => 3,
        (0..=15, _) => 1,
        _ => return None,
    };
    (toc & 7 == 0).then_some((flags, head))
}

/// A packet of silence of that many milliseconds: fullband CELT frames that hold nothing.
pub(crate) fn silence(ms: u16) -> &'static [u8] {
    match ms {
        10 => &[0xF0, 0xFF, 0xFE],
        40 => &[0xF9, 0xFF, 0xFE, 0xFF, 0xFE],
        60 => &[0xFB, 0x03, 0xFF, 0xFE, 0xFF, 0xFE, 0xFF, 0xFE],
        _ => &[0xF8, 0xFF, 0xFE],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_says_whether_its_sender_heard_anybody() {
        // SILK of 20, 40 and 60 ms, a hybrid frame.
        for (toc, up) in [(0x48, 0x80), (0x50, 0x40), (0x58, 0x20), (0x78, 0x80)] {
            assert!(is_inactive(&[toc, up - 1]) && !is_inactive(&[toc, up]), "{toc:#x}");
            assert!(!is_inactive(&[toc | 4, 0]) && !is_inactive(&[toc | 1, 0]), "stereo, two frames");
        }
        assert!(!is_inactive(silence(20)) && !is_inactive(&[0x48]) && !is_inactive(&[]));
        assert!(may_pause(&[0x48]) && may_pause(&[0x48, 0x7F, 1]) && !may_pause(&[0x48, 0x80, 1]));
        // Behind one, two or three flags that say who speaks.
        assert!(carries_fec(&[0x48, 0xC0]) && carries_fec(&[0x50, 0x20]) && carries_fec(&[0x58, 0x10]));
        assert!(!carries_fec(&[0x48, 0x80]) && !carries_fec(silence(20)) && !carries_fec(&[0x48]));
    }

    #[test]
    fn a_packet_lasts_what_its_toc_says() {
        for ms in [10, 20, 40, 60] {
            assert_eq!(ticks(silence(ms)), Some(u64::from(ms) * 48), "{ms} ms");
        }
        // SILK 60 ms twice; CELT 2.5 ms; a hybrid 10 ms.
        assert_eq!([ticks(&[0x19, 0]), ticks(&[0x80, 0]), ticks(&[0x60])], [Some(5_760), Some(120), Some(480)]);
        assert_eq!([ticks(&[]), ticks(&[0x03]), ticks(&[0x03, 0]), ticks(&[0x1B, 3])], [None; 4]);
    }
}
