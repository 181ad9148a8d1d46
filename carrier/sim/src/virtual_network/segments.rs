//! What a stream makes of what is written to it: TCP keeps octets in order and knows no messages (RFC 3261 §18.3, FAULTS
//! row 3).

use base::Rng;
use bytes::Bytes;
use std::time::Duration;

/// How a stream gathers what is written to it. What comes out at once is then cut in one of three ways, by chance: not at
/// all, so that many messages come in one segment; into single octets; inside each empty line between head and body.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Segments {
    /// What is written within this time comes out together.
    pub gather: Duration,
    /// How often a message has a keep-alive (CRLF CRLF, RFC 5626 §4.4.1) ahead of it: a probability.
    pub ping: f64,
}

impl Segments {
    /// Whether a ping goes ahead of what is written. Nobody pings ahead of a ping or a pong.
    pub(super) fn pings(&self, bytes: &[u8], rng: &mut Rng) -> bool {
        bytes.len() > 4 && rng.chance(self.ping)
    }
}

/// The segments in which octets come out.
pub(super) fn cut(bytes: &[u8], rng: &mut Rng) -> Vec<Bytes> {
    let whole = Bytes::copy_from_slice(bytes);
    let ends: Vec<usize> = match rng.below(3) {
        0 => vec![bytes.len()],
        1 => (1..=bytes.len()).collect(),
        _ => {
            let lines = bytes.windows(4).enumerate().filter(|(_, four)| four == b"\r\n\r\n").map(|(at, _)| at);
            let cuts: Vec<usize> = lines.map(|at| at + 1 + rng.below(3) as usize).collect();
            cuts.into_iter().filter(|end| *end < bytes.len()).chain([bytes.len()]).collect()
        }
    };
    let mut begin = 0;
    let segment = |end: usize| {
        let segment = whole.slice(begin..end.max(begin));
        begin = end.max(begin);
        segment
    };
    ends.into_iter().map(segment).filter(|segment| !segment.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_come_out_as_they_went_in_whole_one_by_one_and_cut_inside_the_empty_line() {
        let text = b"A b\r\nl: 2\r\n\r\nhi\r\n\r\nC d\r\n\r\n";
        let mut rng = Rng::from_u64(1);
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..100 {
            let segments = cut(text, &mut rng);
            assert_eq!(segments.concat(), text);
            assert!(segments.iter().all(|segment| !segment.is_empty()));
            seen.insert(segments.len());
            if segments.len() == 4 {
                let first = &segments[0];
                assert!(first.ends_with(b"\r") || first.ends_with(b"\r\n"), "{first:?}");
            }
        }
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), [1, 4, text.len()]);
    }

    #[test]
    fn nothing_comes_out_of_nothing_and_nobody_pings_ahead_of_a_pong() {
        let mut rng = Rng::from_u64(1);
        assert!(cut(b"", &mut rng).is_empty());
        let segments = Segments { gather: Duration::ZERO, ping: 1.0 };
        assert!(!segments.pings(b"\r\n", &mut rng) && segments.pings(b"BYE sip:a", &mut rng));
    }
}
