//! What every pure core shares: time as a value, seeded randomness, deterministic timers.
//!
//! The cores (`sip-core`, `media`, `ivr`, `carrier`, `switch`) hold no clock and no random source of their own
//! (DESIGN.md §2). They are handed a [`Now`] with each input and one [`Rng`] at birth; whoever drives them, a thread
//! with sockets or a simulation, decides what the time is. Nothing in this crate may read a clock or the operating
//! system's entropy.

mod now;
mod rng;
mod timers;

pub use now::{Now, millis, secs};
pub use rng::Rng;
pub use timers::Timers;
