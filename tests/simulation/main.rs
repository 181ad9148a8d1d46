//! The whole switch on virtual time: signalling, calls, programs and media endpoints against the scripted carrier, over a
//! network that loses, doubles and reorders. `SIM_SEED` replays one run, `SIM_CALLS` changes its size.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test fails by panicking, in its helpers too, and says by which seed"
)]

mod bridge;
mod clock;
mod codecs;
mod conferences;
mod fork;
mod hosts;
mod laws;
mod legs;
mod limits;
mod live;
mod nightly;
mod phone;
mod phones;
mod place;
mod programs;
mod trunks;

/// The seed of a run, printed wherever it fails.
fn seed() -> u64 {
    std::env::var("SIM_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_123)
}

fn calls() -> u32 {
    std::env::var("SIM_CALLS").ok().and_then(|calls| calls.parse().ok()).unwrap_or(2_000)
}

#[test]
fn two_thousand_calls_over_a_bad_network_each_end_once_and_leave_nothing() {
    let seed = seed();
    let town = place::run(seed, calls(), hosts::BAD);
    laws::check(&town, seed);
    println!("seed {seed}: {} records, trace {:016x}, {:?}", town.records.len(), town.trace, town.carried);
}

#[test]
fn the_same_seed_gives_the_same_trace_and_another_gives_another() {
    let first = place::run(7, 200, hosts::BAD);
    let second = place::run(7, 200, hosts::BAD);
    assert_eq!(first.trace, second.trace);
    assert_eq!(first.records, second.records);
    assert_ne!(first.trace, place::run(8, 200, hosts::BAD).trace);
}

#[test]
fn on_a_good_network_every_answered_call_is_heard_sample_for_sample() {
    let town = place::run(3, 100, hosts::GOOD);
    laws::check(&town, 3);
    let mut checked = 0;
    // A prompt that begins in the middle of a ringing is not told from it by ear.
    let rung = |report: &&carrier_sim::CallReport| report.heard.iter().any(|heard| heard.prompt == "ringback");
    let odd = |report: &&carrier_sim::CallReport| ["hold", "vanish"].iter().any(|word| report.script.contains(word));
    for report in town.reports.iter().filter(|report| !rung(report) && !odd(report)) {
        let played = laws::prompts_played_whole(&town, &report.call_id);
        let heard = report.heard.iter().filter(|heard| heard.prompt == "words" && heard.exact).count();
        assert!(heard >= played, "{played} were played to their end: {report:#?}");
        checked += played;
    }
    assert!(checked > 20, "only {checked} prompts were played to their end");
}
