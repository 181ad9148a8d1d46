//! What all targets that read bytes share: an input is read as it is, and now and then blown up, so that a reader whose
//! work grows faster than its input is found as a crash is.

use cpu_time::ThreadTime;
use std::time::Duration;

/// An input is blown up to so many bytes: the longest datagram.
const LARGE: usize = 65_535;
/// What reading so many bytes may cost: the work of a linear reader at more than a microsecond a byte, and less than a
/// fiftieth of what n² steps of a nanosecond take.
const PATIENCE: Duration = Duration::from_millis(100);
/// One in so many inputs is blown up; by its own bytes, so that the same input shows the same again.
const ONE_IN: u64 = 16;

/// Reads `data`, and perhaps a large input made of it by repeating a part.
///
/// # Panics
/// Where `read` does, and where the large input takes longer than 100 ms of this thread's time, twice.
pub fn linear(data: &[u8], read: fn(&[u8])) {
    read(data);
    let dice = fnv(data);
    if data.is_empty() || !dice.is_multiple_of(ONE_IN) {
        return;
    }
    let large = blown_up(data, dice / ONE_IN);
    let cost = || {
        let begun = ThreadTime::now();
        read(&large);
        begun.elapsed()
    };
    let first = cost();
    // The machine may have been at fault, once.
    if first > PATIENCE {
        let second = cost();
        let (head, bytes) = (String::from_utf8_lossy(&large[..large.len().min(300)]).into_owned(), large.len());
        assert!(second <= PATIENCE, "{first:?}, then {second:?} for {bytes} bytes that begin {head:?}");
    }
}

/// `data` with one part of it repeated until it is large.
fn blown_up(data: &[u8], dice: u64) -> Vec<u8> {
    let from = (dice % data.len() as u64) as usize;
    let length = 1 + ((dice >> 20) % (data.len() - from).min(64) as u64) as usize;
    let (head, part, tail) = (&data[..from], &data[from..from + length], &data[from + length..]);
    let times = LARGE.saturating_sub(head.len() + tail.len()) / length;
    [head, &part.repeat(times), tail].concat()
}

/// A number that follows from bytes (Fowler, Noll, Vo).
fn fnv(data: &[u8]) -> u64 {
    let mixed = data.iter().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3));
    mixed ^ (mixed >> 31)
}
