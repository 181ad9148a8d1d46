//! Which prompt was heard, and whether it was heard whole: a capture compared, octet by octet, with what the known
//! prompts are once they are compressed.
//!
//! A prompt is looked for by some of its own frames that are not silence (`anchors`); wherever one stands in the
//! capture, the whole prompt is laid beside it. So silence never passes for a prompt, and a prompt with a hole is found by the
//! frames beside the hole.

mod anchors;

use anchors::Anchors;
use media::prompt::{FRAME, SAMPLE_RATE};
use media::{Capture, Codec, Prompt};
use serde::Serialize;
use std::sync::Arc;

/// The most prompts reported of one call, and the most places where one prompt is looked at; later ones are left out.
pub const MAX_HEARD: usize = 64;
/// What overlaps less than this much of a prompt is another prompt that shares some sound with it.
const LEAST_MATCH: usize = 4 * FRAME;

/// A prompt that was heard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Heard {
    /// Which.
    pub prompt: String,
    /// Its first sample, in milliseconds from the first packet heard.
    pub offset_ms: u64,
    /// Its length, in samples at 8 kHz.
    pub samples: usize,
    /// Every sample of it arrived as the codec makes it, without a gap.
    pub exact: bool,
    /// Samples that never arrived.
    pub missing: usize,
    /// Samples that arrived as something else.
    pub altered: usize,
    /// Samples at its end that were not played any more: the sender stopped, or the call ended.
    pub cut: usize,
}

/// What stands in the capture, in order of time. Whoever listens often keeps an [`Ear`].
#[must_use]
pub fn listen(capture: &Capture, known: &[Arc<Prompt>]) -> Vec<Heard> {
    Ear::new(known).listen(capture)
}

/// The known prompts, made ready to be recognised.
#[derive(Debug)]
pub struct Ear {
    pcmu: Known,
    pcma: Known,
}

impl Ear {
    /// An ear for these prompts.
    #[must_use]
    pub fn new(prompts: &[Arc<Prompt>]) -> Self {
        Self { pcmu: Known::new(prompts, Codec::Pcmu), pcma: Known::new(prompts, Codec::Pcma) }
    }

    /// What stands in the capture, in order of time.
    #[must_use]
    pub fn listen(&self, capture: &Capture) -> Vec<Heard> {
        if is_silent(capture) {
            return Vec::new();
        }
        let known = match capture.codec {
            Codec::Pcma => &self.pcma,
            // A capture holds G.711, whatever the stream's codec.
            Codec::Pcmu | Codec::G722 | Codec::Opus => &self.pcmu,
        };
        let mut found = known.places(capture);
        // The best match takes its stretch; what else claims a part of it has only a sound in common with it.
        found.sort_by_key(|place| (std::cmp::Reverse(place.matched), place.at));
        let mut kept: Vec<Place<'_>> = Vec::new();
        for place in found {
            if kept.len() < MAX_HEARD && !kept.iter().any(|other| other.overlaps(&place)) {
                kept.push(place);
            }
        }
        kept.sort_by_key(|place| place.at);
        kept.into_iter().map(Place::heard).collect()
    }
}

fn is_silent(capture: &Capture) -> bool {
    capture.payload.iter().all(|&octet| octet == capture.codec.silence())
}

/// The prompts as one codec makes them.
#[derive(Debug)]
struct Known {
    sounds: Vec<Sound>,
    anchors: Anchors,
}

impl Known {
    fn new(prompts: &[Arc<Prompt>], codec: Codec) -> Self {
        let sounds: Vec<_> = prompts.iter().map(|prompt| Sound { prompt: Arc::clone(prompt), codec }).collect();
        let anchors = Anchors::of(sounds.iter().map(Sound::octets));
        Self { sounds, anchors }
    }

    /// Where each stands in the capture, wholly or in part.
    fn places(&self, capture: &Capture) -> Vec<Place<'_>> {
        let mut found: Vec<Vec<i64>> = vec![Vec::new(); self.sounds.len()];
        let octets = |prompt: usize| self.sounds.get(prompt).map_or(&[][..], Sound::octets);
        self.anchors.find(&capture.payload, octets, |prompt, at| {
            if let Some(places) = found.get_mut(prompt)
                && places.len() < MAX_HEARD
                && !places.contains(&at)
            {
                places.push(at);
            }
        });
        let sounds = self.sounds.iter().zip(found);
        sounds.flat_map(|(sound, places)| places.into_iter().filter_map(|at| sound.beside(capture, at))).collect()
    }
}

/// A prompt as a codec makes it.
#[derive(Debug)]
struct Sound {
    prompt: Arc<Prompt>,
    codec: Codec,
}

impl Sound {
    /// Without the padding of its last frame.
    fn octets(&self) -> &[u8] {
        let padded: &[u8] = self.prompt.payload(self.codec);
        padded.get(..self.prompt.samples().len()).unwrap_or(padded)
    }

    /// The comparison with the capture from `at` on, which lies before its start where the beginning was not heard.
    fn beside(&self, capture: &Capture, at: i64) -> Option<Place<'_>> {
        let (octets, silence) = (self.octets(), self.codec.silence());
        let arrived = |index: usize| {
            let position = usize::try_from(at + index as i64).ok()?;
            capture.payload.get(position).copied()
        };
        let sounds =
            |index: &usize| octets.get(*index).is_some_and(|&octet| octet != silence && arrived(*index) == Some(octet));
        let last = (0..octets.len()).rev().find(sounds)?;
        let lost = Lost::new(capture, at, octets.len());
        let mut place = Place {
            name: self.prompt.name(),
            at,
            samples: octets.len(),
            end: at + last as i64 + 1,
            ..Place::default()
        };
        for (index, &octet) in octets.iter().enumerate() {
            match arrived(index) {
                _ if lost.contains(index) => place.missing += 1,
                Some(heard) if heard == octet => place.matched += 1,
                Some(heard) if heard == silence && index > last => place.cut += 1,
                Some(_) => place.altered += 1,
                None if index > last => place.cut += 1,
                None => place.missing += 1,
            }
        }
        (place.matched >= LEAST_MATCH.min(octets.len())).then_some(place)
    }
}

/// The capture's gaps as a prompt sees them that begins at `at`.
struct Lost {
    ranges: Vec<(i64, i64)>,
}

impl Lost {
    fn new(capture: &Capture, at: i64, samples: usize) -> Self {
        let range = |gap: &media::Gap| (gap.at as i64 - at, (gap.at + gap.samples) as i64 - at);
        let inside = |range: &(i64, i64)| range.1 > 0 && range.0 < samples as i64;
        Self { ranges: capture.gaps.iter().map(range).filter(inside).collect() }
    }

    fn contains(&self, index: usize) -> bool {
        if self.ranges.is_empty() {
            return false;
        }
        let index = index as i64;
        let after = self.ranges.partition_point(|range| range.1 <= index);
        self.ranges.get(after).is_some_and(|range| range.0 <= index)
    }
}

/// A prompt laid beside the capture.
#[derive(Default)]
struct Place<'a> {
    name: &'a str,
    at: i64,
    /// Behind the last sample that makes a sound and is right.
    end: i64,
    samples: usize,
    matched: usize,
    missing: usize,
    altered: usize,
    cut: usize,
}

impl Place<'_> {
    fn overlaps(&self, other: &Self) -> bool {
        self.at < other.end && other.at < self.end
    }

    fn heard(self) -> Heard {
        Heard {
            prompt: self.name.to_owned(),
            offset_ms: u64::try_from(self.at).unwrap_or(0) * 1_000 / u64::from(SAMPLE_RATE),
            samples: self.samples,
            exact: self.matched == self.samples,
            missing: self.missing,
            altered: self.altered,
            cut: self.cut,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use media::Gap;

    /// Noise that no other seed makes: like speech, no two frames of it are equal. No sample of it is silence.
    fn prompt(name: &str, seed: u64, samples: usize) -> Arc<Prompt> {
        let mut rng = base::Rng::from_u64(seed);
        Arc::new(Prompt::new(name, (0..samples).map(|_| ((rng.u32() as i16) / 4) | 64).collect::<Vec<_>>()))
    }

    fn captured(codec: Codec, parts: &[&[u8]]) -> Capture {
        Capture { codec, first_timestamp: 0, payload: parts.concat(), gaps: Vec::new(), truncated: false }
    }

    const QUIET: &[u8] = &[0xFF; 480];

    #[test]
    fn hears_each_prompt_exactly_in_either_codec() {
        let (hello, menu) = (prompt("hello", 1, 4_000), prompt("menu", 2, 3_210));
        for codec in [Codec::Pcmu, Codec::Pcma] {
            let quiet = [codec.silence(); 480];
            let capture = captured(codec, &[&quiet, menu.payload(codec), &quiet, hello.payload(codec), &quiet]);
            let heard = listen(&capture, &[hello.clone(), menu.clone()]);
            let facts: Vec<_> = heard.iter().map(|one| (one.prompt.as_str(), one.offset_ms, one.exact)).collect();
            assert_eq!(facts, [("menu", 60, true), ("hello", 60 + 420 + 60, true)]);
        }
    }

    #[test]
    fn silence_is_no_prompt_even_where_a_prompt_is_silence() {
        let silent = Arc::new(Prompt::new("silence", vec![0; 8_000]));
        let click = Arc::new(Prompt::new("click", [vec![0; 400], vec![9_000; 3], vec![0; 400]].concat()));
        let known = [silent, click, prompt("hello", 1, 4_000)];
        assert_eq!(listen(&captured(Codec::Pcmu, &[&[0xFF; 8_000]]), &known), []);
        assert_eq!(listen(&captured(Codec::Pcmu, &[&[0xFF; 400], &[7], &[0xFF; 400]]), &known), []);
        assert_eq!(listen(&captured(Codec::Pcmu, &[]), &known), []);
    }

    #[test]
    fn one_altered_frame_or_sample_is_noticed() {
        let hello = prompt("hello", 1, 4_000);
        for altered in [160, 1] {
            let mut capture = captured(Codec::Pcmu, &[QUIET, hello.payload(Codec::Pcmu)]);
            capture.payload[480 + 320..480 + 320 + altered].iter_mut().for_each(|octet| *octet = !*octet);
            let heard = listen(&capture, std::slice::from_ref(&hello));
            assert_eq!((heard[0].exact, heard[0].altered, heard[0].missing), (false, altered, 0));
        }
    }

    #[test]
    fn one_lost_frame_is_noticed_wherever_it_was() {
        let hello = prompt("hello", 1, 4_000);
        for frame in 0..25 {
            let mut capture = captured(Codec::Pcmu, &[QUIET, hello.payload(Codec::Pcmu), QUIET]);
            let gap = Gap { at: 480 + frame * 160, samples: 160 };
            capture.payload[gap.at..gap.at + 160].fill(0xFF);
            capture.gaps.push(gap);
            let heard = listen(&capture, std::slice::from_ref(&hello));
            assert_eq!(heard.len(), 1, "frame {frame}");
            assert_eq!((heard[0].exact, heard[0].missing, heard[0].altered), (false, 160, 0), "frame {frame}");
        }
    }

    #[test]
    fn a_prompt_that_was_cut_short_says_how_much_was_not_played() {
        let hello = prompt("hello", 1, 4_000);
        let played = &hello.payload(Codec::Pcmu)[..1_600];
        for rest in [&[][..], QUIET, &[0xFF; 8_000][..]] {
            let heard = listen(&captured(Codec::Pcmu, &[played, rest]), std::slice::from_ref(&hello));
            assert_eq!((heard[0].exact, heard[0].cut, heard[0].altered, heard[0].missing), (false, 2_400, 0, 0));
        }
    }

    #[test]
    fn a_prompt_heard_from_its_middle_misses_its_beginning() {
        let hello = prompt("hello", 1, 4_000);
        let heard = listen(&captured(Codec::Pcmu, &[&hello.payload(Codec::Pcmu)[800..]]), std::slice::from_ref(&hello));
        assert_eq!((heard[0].exact, heard[0].offset_ms, heard[0].missing), (false, 0, 800));
    }

    #[test]
    fn a_repeated_prompt_is_heard_as_often_and_a_longer_one_wins_over_its_own_beginning() {
        let long = prompt("long", 1, 4_000);
        let short = Arc::new(Prompt::new("short", long.samples()[..1_600].to_vec()));
        let payload = long.payload(Codec::Pcmu);
        let heard = listen(&captured(Codec::Pcmu, &[payload, payload, QUIET]), &[short, long.clone()]);
        let facts: Vec<_> = heard.iter().map(|one| (one.prompt.as_str(), one.offset_ms, one.exact)).collect();
        assert_eq!(facts, [("long", 0, true), ("long", 500, true)]);
    }
}
