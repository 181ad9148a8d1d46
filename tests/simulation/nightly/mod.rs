//! Every fault of SIP in its share (FAULTS rows 1 to 11; what TLS does is shown on real sockets), and every law after it:
//! each INVITE has its one final answer, each call its one CDR, no leg outlives the other, and 64·T1 later nothing is left.
//!
//! ```sh
//! SIM_CALLS=10000 SIM_SEED=1 cargo test --release --test simulation -- nightly     # benches/nightly.sh
//! ```
//! A district is a kind of fault with a share of the calls. Where a law is broken, the line that replays it is printed.
//!
//! | district | rows | what happens there |
//! |---|---|---|
//! | `weather` | 1, 6, 7, 8, 10 | 10 % of SIP lost, 5 % doubled, 20 % overtaken; calls meet a mix of everything |
//! | `storm` | 2 | the same mix, and 30 % lost |
//! | `streams` | 3, 4 | TCP in single octets, many messages at once, cut inside the empty line, pinged, reset |
//! | `routes` | 5 | the first route fails in each way, and the next one is tried; or a user answers, and it is not |
//! | `race` | 6 | CANCEL and 200 cross, in both directions, at a time of its own each |
//! | `silence` | 7, 8 | ACKs and BYEs that never arrive; peers that vanish, with RTP and without |
//! | `changes` | 9, 10, 11 | re-INVITEs of every kind, alone and against each other; forks; lost PRACKs |

mod changes;
mod race;
mod routes;
mod silence;
mod streams;

use crate::hosts::{ROW_1, STORM};
use crate::laws;
use crate::place::{self, Town};

/// Calls of all districts together, where `SIM_CALLS` does not say.
const CALLS: u32 = 700;

/// One kind of fault.
pub struct District {
    name: &'static str,
    /// Its share of all calls, in percent.
    share: u32,
    /// Runs so many calls by this seed.
    run: fn(seed: u64, calls: u32) -> Vec<Town>,
    /// Whether either side's books say how long a call lasted to a second: not where a BYE takes long to arrive.
    punctual: bool,
}

const WEATHER: District =
    District { name: "weather", share: 38, run: |seed, calls| vec![place::run(seed, calls, ROW_1)], punctual: true };
const STORMY: District =
    District { name: "storm", share: 8, run: |seed, calls| vec![place::run(seed, calls, STORM)], punctual: false };
const STREAMS: District = District { name: "streams", share: 14, run: streams::run, punctual: true };
const ROUTES: District = District { name: "routes", share: 10, run: routes::run, punctual: true };
const RACE: District = District { name: "race", share: 14, run: race::run, punctual: true };
const SILENCE: District = District { name: "silence", share: 6, run: silence::run, punctual: false };
const CHANGES: District = District { name: "changes", share: 10, run: changes::run, punctual: true };

const ALL: [&District; 7] = [&WEATHER, &STORMY, &STREAMS, &ROUTES, &RACE, &SILENCE, &CHANGES];

fn all_calls() -> u32 {
    std::env::var("SIM_CALLS").ok().and_then(|calls| calls.parse().ok()).unwrap_or(CALLS)
}

/// Says how to see a failure again, where there was one.
struct Replay(String);

impl Drop for Replay {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("replay: {}", self.0);
        }
    }
}

impl District {
    /// Runs its share, and checks every law.
    fn check(&self) {
        let (seed, calls, all) = (crate::seed(), all_calls() * self.share / 100, all_calls());
        let name = self.name;
        let _replay = Replay(format!(
            "SIM_SEED={seed} SIM_CALLS={all} cargo test --release --test simulation -- nightly::{name}"
        ));
        let (mut placed, mut trace) = (0, 0_u64);
        for town in (self.run)(seed, calls) {
            laws::check(&town, seed);
            if self.punctual {
                laws::durations_agree(&town, seed);
            }
            placed += town.admitted.len() as u32 + town.inbound;
            trace = trace.rotate_left(1) ^ town.trace;
        }
        println!("{name}: {placed} calls by seed {seed}, trace {trace:016x}");
        assert!(placed >= calls, "{placed} of {calls} calls");
    }
}

#[test]
fn weather() {
    WEATHER.check();
}

#[test]
fn storm() {
    STORMY.check();
}

#[test]
fn streams() {
    STREAMS.check();
}

#[test]
fn routes() {
    ROUTES.check();
}

#[test]
fn race() {
    RACE.check();
}

#[test]
fn silence() {
    SILENCE.check();
}

#[test]
fn changes() {
    CHANGES.check();
}

#[test]
fn the_shares_are_the_whole() {
    assert_eq!(ALL.iter().map(|district| district.share).sum::<u32>(), 100);
}

#[test]
fn each_district_replays_byte_for_byte_by_its_seed_and_differs_by_another() {
    for district in ALL {
        let run = |seed| (district.run)(seed, 20);
        let (first, again, other) = (run(7), run(7), run(8));
        let traces = |towns: &[Town]| towns.iter().map(|town| town.trace).collect::<Vec<_>>();
        assert_eq!(traces(&first), traces(&again), "{}", district.name);
        let records = |towns: &[Town]| towns.iter().flat_map(|town| town.records.clone()).collect::<Vec<_>>();
        assert_eq!(records(&first), records(&again), "{}", district.name);
        assert_ne!(traces(&first), traces(&other), "{}", district.name);
    }
}
