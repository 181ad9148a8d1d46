//! A time in a payload: our own packet is known again wherever it comes back, whatever sequence, timestamp and SSRC it has
//! got on its way.
//!
//! It replaces the first octets of a G.711 frame, which is a click in whatever is sent. Who relays or echoes frames as
//! they are returns it; who decodes them, mixes them or translates them does not.

/// Octets of a stamp.
pub(super) const OCTETS: usize = 16;
/// A stamp that says that a packet was away for longer is none.
const LONGEST: u64 = base::secs(60);

/// Writes when the packet leaves (monotonic nanoseconds) over the head of its payload; a shorter one has no stamp. The key
/// is that of the load: nothing else that comes is likely to begin so.
pub(super) fn write(payload: &mut [u8], key: u64, at: u64) {
    if let Some(head) = payload.first_chunk_mut::<OCTETS>() {
        head[..8].copy_from_slice(&key.to_be_bytes());
        head[8..].copy_from_slice(&at.to_be_bytes());
    }
}

/// How long a packet that arrived at `at` was away, in nanoseconds; `None` where it is none of ours.
pub(super) fn read(payload: &[u8], key: u64, at: u64) -> Option<u64> {
    let (stamped, rest) = payload.split_first_chunk::<8>()?;
    let sent = u64::from_be_bytes(*rest.first_chunk::<8>()?);
    let away = at.checked_sub(sent).filter(|away| *away < LONGEST);
    away.filter(|_| u64::from_be_bytes(*stamped) == key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_stamp_of_this_load_tells_how_long_its_packet_was_away() {
        let mut payload = [0xFF; 160];
        write(&mut payload, 7, 1_000);
        assert_eq!(read(&payload, 7, 1_250), Some(250));
        assert_eq!([read(&payload, 8, 1_250), read(&payload, 7, 999), read(&[0xFF; 160], 7, 1_250)], [None; 3]);
        assert_eq!(read(&payload, 7, 1_000 + LONGEST), None);
        write(&mut payload[..15], 9, 1);
        assert_eq!(read(&payload, 7, 1_250), Some(250));
    }
}
