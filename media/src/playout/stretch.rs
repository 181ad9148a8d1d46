//! Sound made a little shorter or longer without a change of pitch: a stretch that resembles its neighbour is taken out,
//! or played twice, and the seam is blended (waveform similarity overlap-add).

/// Lengths that are tried, in samples at 8 kHz: 2.5 to 10 ms.
const SHORTEST: usize = 20;
const LONGEST: usize = 80;

/// Samples at 8 kHz that are compared, and blended: 5 ms.
const SEAM: usize = 40;

/// The length at which what follows is most like what is there, up to `most` samples.
fn likeness(sound: &[i16], unit: usize, most: usize) -> Option<usize> {
    let longest = LONGEST.min(most / unit);
    let at = |lag: usize| -> f32 {
        let (mut cross, mut power) = (0.0f32, 1.0f32);
        for n in 0..SEAM {
            let here = sound.get(n * unit).map_or(0.0, |&sample| f32::from(sample));
            let there = sound.get((n + lag) * unit).map_or(0.0, |&sample| f32::from(sample));
            cross += here * there;
            power += there * there;
        }
        cross / power.sqrt()
    };
    (SHORTEST..=longest).max_by(|&left, &right| at(left).total_cmp(&at(right))).map(|lag| lag * unit)
}

/// Takes between 2.5 and 10 ms, at most `most` samples, out of the beginning of `length` samples; returns how many.
pub(super) fn shorten(sound: &mut [i16], length: usize, rate: usize, most: usize) -> usize {
    let unit = (rate / 8_000).max(1);
    let seam = SEAM * unit;
    let Some(cut) = likeness(sound.get(..length).unwrap_or_default(), unit, most) else { return 0 };
    if length < cut + seam {
        return 0;
    }
    for n in 0..seam {
        let there = sound.get(n + cut).copied().unwrap_or(0);
        if let Some(here) = sound.get_mut(n) {
            *here = blend(*here, there, n, seam);
        }
    }
    sound.copy_within(seam + cut..length, seam);
    cut
}

/// Plays between 2.5 and 10 ms, at most `most` samples, of the beginning of `length` samples twice; returns how many
/// were added.
pub(super) fn lengthen(sound: &mut [i16], length: usize, rate: usize, most: usize) -> usize {
    let unit = (rate / 8_000).max(1);
    let seam = SEAM * unit;
    let Some(lag) = likeness(sound.get(..length).unwrap_or_default(), unit, most) else { return 0 };
    if length < lag + seam || length + lag > sound.len() {
        return 0;
    }
    // From `lag` on it is played again from the start: the seam leads from what comes next to what came first.
    sound.copy_within(0..length, lag);
    for n in 0..seam {
        let (Some(&again), Some(&next)) = (sound.get(lag + n), sound.get(2 * lag + n)) else { continue };
        if let Some(sample) = sound.get_mut(lag + n) {
            *sample = blend(next, again, n, seam);
        }
    }
    lag
}

/// From one to the other, `n` of `seam` samples on.
pub(super) fn blend(from: i16, to: i16, n: usize, seam: usize) -> i16 {
    let share = (n as f32 + 0.5) / seam as f32;
    (f32::from(from) * (1.0 - share) + f32::from(to) * share) as i16
}
