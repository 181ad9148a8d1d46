//! Thousands of calls between two carriers over a bad network: nobody is left over, and the run can be had again.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

mod world;

use base::Rng;
use carrier_sim::virtual_network::{HostId, Impairment, Network, Site};
use carrier_sim::{CallReport, Carrier, CarrierConfig, Command, Outcome, Script, Told};
use media::PortRange;
use sip_core::endpoint::NextHop;
use sip_core::transport::Transport;
use std::collections::BTreeMap;
use std::time::Duration;
use world::{CARRIER, PHONE, prompts};

/// What the called carrier does, and how often.
const MIX: [(u32, &str); 9] = [
    (60, "ring 100ms, early ringback, answer 1s, say welcome, press 1, hangup 1s"),
    (10, "answer, hangup 4s"),
    (6, "busy"),
    (6, "reject 603 200ms"),
    (4, "ring only"),
    (4, "silent"),
    (4, "ring, late 200 after cancel 20ms"),
    (3, "answer, lost bye 2s"),
    (3, "answer, lost ack, hangup 3s"),
];

struct Run {
    network: Network<Carrier>,
    caller: HostId,
    called: HostId,
}

fn carrier(ip: &str, peer: &str, mix: Vec<(u32, Script)>, rng: Rng) -> (Carrier, Site) {
    let site = Site::at(ip.parse().unwrap());
    let config = CarrierConfig {
        mix,
        prompts: prompts(),
        originate_to: Some(NextHop::new(peer, Some(5060), Transport::Udp)),
        ..CarrierConfig::new(site.locals.clone(), site.media_ip, PortRange::new(10_000, 59_999).unwrap())
    };
    (Carrier::new(config, rng), site)
}

impl Run {
    fn new(seed: u64, rough: Impairment) -> Self {
        let mut rng = Rng::from_u64(seed);
        let mut network = Network::new(rng.u64());
        network.impair_sip(rough);
        network.impair_media(rough);
        Self::with(rng, network, &MIX)
    }

    fn with(mut rng: Rng, mut network: Network<Carrier>, mix: &[(u32, &str)]) -> Self {
        let mix = mix.iter().map(|(weight, script)| (*weight, script.parse().unwrap())).collect();
        let (called, site) = carrier(CARRIER, PHONE, mix, rng.fork());
        let called = network.join(called, site);
        let (caller, site) = carrier(PHONE, CARRIER, Vec::new(), rng.fork());
        let caller = network.join(caller, site);
        Self { network, caller, called }
    }

    /// Places calls, so many a second, and waits until nothing is left of them.
    fn place(&mut self, calls: u32, per_second: u32) {
        for n in 0..calls {
            let script = "say hello, cancel after 6s, hangup after 20s".parse().unwrap();
            let (from, to) = ("+15550000000".to_owned(), format!("+1666{n:07}"));
            self.network.command(self.caller, Command::Call { from, to, script });
            self.network.run_for(Duration::from_secs(1) / per_second);
        }
        self.network.run_for(Duration::from_secs(150));
        assert_eq!(self.network.in_flight(), 0);
    }

    fn reports(&mut self, host: HostId) -> Vec<CallReport> {
        let report = |(_, told)| if let Told::Report(report) = told { Some(*report) } else { None };
        self.network.reports(host).into_iter().filter_map(report).collect()
    }
}

const ROUGH: Impairment = Impairment {
    delay: Duration::from_millis(20),
    jitter: Duration::from_millis(4),
    loss: 0.05,
    duplicate: 0.03,
    reorder: 0.05,
    held_up: Duration::from_millis(40),
};

#[test]
fn two_thousand_calls_over_a_bad_network_end_once_each_and_leave_nothing() {
    let mut run = Run::new(7, ROUGH);
    run.place(2_000, 50);
    let (out, into) = (run.reports(run.caller), run.reports(run.called));
    assert_eq!(out.len(), 2_000);
    let by_id: BTreeMap<_, _> = into.iter().map(|report| (report.call_id.as_str(), report)).collect();
    assert_eq!(by_id.len(), into.len(), "a call has two reports");
    // An INVITE whose seven copies were all lost is no call there.
    assert!(into.len() >= 1_995, "{}", into.len());
    for report in &out {
        assert_eq!(report.outcome.was_answered(), report.times.answered.is_some(), "{report:?}");
    }
    let answered = out.iter().filter(|report| report.outcome.was_answered()).count();
    assert!((1_350..1_650).contains(&answered), "{answered}");
    assert!(out.iter().any(|report| report.outcome == Outcome::Refused && report.status == Some(486)));
    for host in [run.caller, run.called] {
        assert!(run.network.node(host).is_idle(), "{:?}", run.network.node(host).load());
        assert!(run.network.shard(host).is_empty());
    }
    let lost: u64 = out.iter().filter_map(|report| report.quality).map(|quality| quality.received.lost).sum();
    let expected: u64 = out.iter().filter_map(|report| report.quality).map(|quality| quality.received.expected).sum();
    let rate = lost as f64 / expected as f64;
    assert!((0.045..0.055).contains(&rate), "{rate}");
}

#[test]
fn the_same_seed_gives_the_same_run_and_another_seed_another() {
    let run = |seed| {
        let mut run = Run::new(seed, ROUGH);
        run.place(60, 20);
        let outcomes: Vec<_> = run.reports(run.caller).into_iter().map(|report| report.outcome).collect();
        (run.network.trace(), outcomes)
    };
    assert_eq!(run(11), run(11));
    assert_ne!(run(11).0, run(12).0);
}

#[test]
fn over_a_clean_network_every_prompt_is_heard_whole_on_both_sides() {
    let mut run = Run::new(3, Impairment::CLEAN);
    run.place(100, 20);
    let (out, into) = (run.reports(run.caller), run.reports(run.called));
    let talked = |report: &&CallReport| report.script.contains("welcome") && report.outcome.was_answered();
    assert!(into.iter().filter(talked).count() > 40);
    for report in into.iter().filter(talked) {
        assert!(report.heard.iter().any(|heard| heard.prompt == "hello" && heard.exact), "{report:?}");
    }
    let heard = out.iter().flat_map(|report| &report.heard).filter(|heard| heard.prompt == "welcome" && heard.exact);
    assert_eq!(heard.count(), into.iter().filter(talked).count());
    assert_eq!(out.iter().filter(|report| report.digits == "1").count(), into.iter().filter(talked).count());
}

#[test]
fn a_thousand_crossings_of_cancel_and_200_leave_no_one_legged_call() {
    let mut rng = Rng::from_u64(5);
    let mut network = Network::new(rng.u64());
    network.impair_sip(Impairment { jitter: Duration::from_millis(15), ..Impairment::CLEAN });
    let mut run = Run::with(rng.fork(), network, &[(1, "ring, answer 1s")]);
    for _ in 0..1_000 {
        // The CANCEL leaves about when the 200 does, or when it arrives: on either side of both.
        let script = format!("cancel after {}us", 985_000 + rng.below(80_000)).parse().unwrap();
        let (from, to) = ("+15550000000".to_owned(), "+15557654321".to_owned());
        run.network.command(run.caller, Command::Call { from, to, script });
        run.network.run_for(Duration::from_millis(20));
    }
    run.network.run_for(Duration::from_secs(60));
    // What was answered in time is ended now.
    run.network.command(run.caller, Command::Stop);
    run.network.run_for(Duration::from_secs(60));
    let (out, into) = (run.reports(run.caller), run.reports(run.called));
    let called: BTreeMap<_, _> = into.iter().map(|report| (report.call_id.as_str(), report)).collect();
    assert_eq!((out.len(), called.len()), (1_000, 1_000));
    let mut seen = BTreeMap::new();
    for report in &out {
        let other = called[report.call_id.as_str()];
        *seen.entry((format!("{:?}", report.outcome), format!("{:?}", other.outcome))).or_insert(0) += 1;
    }
    let pairs: Vec<_> = seen.keys().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    assert_eq!(
        pairs,
        [("Canceled", "Canceled"), ("Canceled", "EndedByPeer"), ("EndedByCarrier", "EndedByPeer")],
        "{seen:?}"
    );
    assert!(seen.values().all(|count| *count > 20), "{seen:?}");
    for host in [run.caller, run.called] {
        assert!(run.network.node(host).is_idle(), "{:?}", run.network.node(host).load());
    }
}
