//! What a relayed and a played packet cost the engine's thread, held against a bare loop that does nothing but receive
//! and send, with as many sockets and the same wakes, in the same minute.
//!
//! `cargo bench -p media --bench engine [-- relay|play|talk|srtp|memory|conference|raw [CALLS]]`. One shard on the first core, the
//! far ends on the last; three runs of each in turn; the middle one is shown. CPU is the thread's own run time (`schedstat`). Far
//! ends take what is sent: each of their sockets is read. In `talk` they speak while they are played to. `srtp` holds a bridge between SRTP and RTP against one in clear; there the
//! far ends are an engine too.
#![allow(missing_docs, reason = "a program, not a library")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a measurement prints, reads the clock, and stops where it cannot be set up"
)]

mod bare;
mod far;
mod ours;
mod raw;
mod room;
mod talkers;

use far::{Far, Seen};
use media::{Codec, SrtpSuite};
use std::time::Duration;

/// How long a run settles: by then the engine has connected a socket to each far end.
const SETTLES: Duration = Duration::from_secs(2);
/// How long it is measured after that.
const MEASURED: Duration = Duration::from_secs(5);
const RUNS: usize = 3;

/// What is measured: legs with an RTP socket each, on a thread of its own.
trait Subject {
    /// Where each leg hears.
    fn ports(&self) -> Vec<u16>;
    /// CPU its thread used so far, in nanoseconds.
    fn cpu(&self) -> u64;
}

#[derive(Clone, Copy, PartialEq)]
enum Work {
    Relay,
    Play,
    /// Play, and the far ends speak.
    Talk,
}

/// Who does it.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Engine,
    BareLoop,
    RawLoop,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Engine => "engine",
            Self::BareLoop => "bare loop",
            Self::RawLoop => "raw loop",
        }
    }
}

/// One run: CPU microseconds a packet sent by the subject, and what the far ends saw.
fn run(work: Work, legs: usize, subject: Kind) -> (f64, Seen) {
    let far = Far::new(legs);
    let subject: Box<dyn Subject> = match subject {
        Kind::Engine => Box::new(ours::Ours::start(work, &far.addresses(), None)),
        Kind::BareLoop => Box::new(bare::Bare::start(work, &far, false)),
        Kind::RawLoop => Box::new(bare::Bare::start(work, &far, true)),
    };
    let mut running = far.start(subject.ports(), work != Work::Play, work == Work::Relay);
    std::thread::sleep(SETTLES);
    running.begin();
    let before = subject.cpu();
    std::thread::sleep(MEASURED);
    let used = subject.cpu() - before;
    let mut seen = running.end();
    seen.expected = legs as u64 * 50 * MEASURED.as_secs();
    (used as f64 / 1000.0 / seen.received.max(1) as f64, seen)
}

fn median(mut runs: Vec<(f64, Seen)>) -> (f64, Seen) {
    runs.sort_by(|left, right| left.0.total_cmp(&right.0));
    runs.swap_remove(runs.len() / 2)
}

/// `kind` against the bare loop.
fn compare(work: Work, calls: usize, kind: Kind) {
    let legs = if work == Work::Relay { 2 * calls } else { calls };
    let (mut bare, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        bare.push(run(work, legs, Kind::BareLoop));
        ours.push(run(work, legs, kind));
    }
    let (bare, ours) = (median(bare), median(ours));
    let name = match work {
        Work::Relay => "relay",
        Work::Play => "play",
        Work::Talk => "play while the far ends speak",
    };
    println!("{name}, {calls} calls, {legs} sockets");
    for (who, (cost, seen)) in [(Kind::BareLoop.name(), &bare), (kind.name(), &ours)] {
        let a_call = cost * seen.received as f64 / MEASURED.as_secs_f64() / calls as f64 / 1000.0;
        println!("  {who:<10} {cost:6.2} µs a packet, {a_call:.3} ms a second of call; {seen}");
    }
    println!("  {} / bare loop: {:.2}", kind.name(), ours.0 / bare.0);
}

/// Bridges between SRTP of each suite and RTP, against bridges in clear.
fn compare_srtp(calls: usize) {
    println!("relay, {calls} calls, one leg of each under SRTP");
    let mut clear = f64::NAN;
    for suite in [None, Some(SrtpSuite::AesCm128HmacSha1_80), Some(SrtpSuite::AeadAes128Gcm)] {
        let mut costs: Vec<_> = (0..RUNS).map(|_| talkers::run(2 * calls, suite, MEASURED)).collect();
        costs.sort_by(f64::total_cmp);
        let cost = costs[RUNS / 2];
        let name = suite.map_or("none", SrtpSuite::name);
        clear = if suite.is_none() { cost } else { clear };
        println!("  {name:<24} {cost:6.2} µs a packet, {:.2} of clear", cost / clear);
    }
}

/// Conferences of which three members talk.
fn conference(members: usize) {
    println!("conference, {members} members with a socket each, 3 talk");
    for codec in [Codec::Pcmu, Codec::G722, Codec::Opus] {
        let mut runs: Vec<_> = (0..RUNS).map(|_| room::run(codec, members, 3, MEASURED)).collect();
        runs.sort_by(|left, right| left.share.total_cmp(&right.share));
        let room::Shown { share, sent, received } = runs.swap_remove(RUNS / 2);
        println!("  {codec:?}: {share:.1} % of a core; {sent} packets in, {received} out");
    }
}

/// What the process holds for each bridged call, what the kernel holds for its sockets aside, and what is left after.
fn memory(calls: usize) {
    let resident = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
    };
    println!("memory, {calls} bridged calls");
    for round in 1..=RUNS {
        let far = Far::new(2 * calls);
        let before = resident();
        let ours = ours::Ours::start(Work::Relay, &far.addresses(), None);
        let a_call = resident().saturating_sub(before) / calls;
        drop(ours);
        println!("  round {round}: {a_call} octets a call; {} MB after the last", resident() >> 20);
    }
}

fn main() {
    far::raise_limits();
    println!("the subject on core 0, the far ends on core {}", far::last_core());
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let calls = |otherwise: &[usize]| match words.get(1).and_then(|calls| calls.parse().ok()) {
        Some(calls) => vec![calls],
        None => otherwise.to_vec(),
    };
    let wanted = |name: &str| words.first().is_none_or(|word| word == name);
    if wanted("relay") {
        calls(&[500, 1_500]).into_iter().for_each(|calls| compare(Work::Relay, calls, Kind::Engine));
    }
    if wanted("srtp") {
        calls(&[500]).into_iter().for_each(compare_srtp);
    }
    if wanted("memory") {
        calls(&[2_000]).into_iter().for_each(memory);
    }
    if wanted("conference") {
        calls(&[100]).into_iter().for_each(conference);
    }
    if wanted("play") {
        calls(&[3_000]).into_iter().for_each(|calls| compare(Work::Play, calls, Kind::Engine));
    }
    if words.first().is_some_and(|word| word == "raw") {
        calls(&[500, 1_500]).into_iter().for_each(|calls| compare(Work::Relay, calls, Kind::RawLoop));
        calls(&[3_000, 6_000]).into_iter().for_each(|calls| compare(Work::Play, calls, Kind::RawLoop));
    }
    if wanted("talk") {
        calls(&[1_500]).into_iter().for_each(|calls| compare(Work::Talk, calls, Kind::Engine));
    }
}
