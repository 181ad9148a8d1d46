//! The load engine on virtual time against the scripted carrier: when calls start, what is counted, and what is left.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

use base::{Now, Rng, millis, secs};
use carrier_sim::load::{Command, Generator, Lap, LoadConfig, Media, Pace, Reason, Remains, Share, Source, Summary};
use carrier_sim::load::{Second, Told as LoadTold};
use carrier_sim::node::{Input, Node, Output};
use carrier_sim::virtual_network::{HostId, Impairment, Network, Site};
use carrier_sim::{CallReport, Carrier, CarrierConfig, Outcome, Told};
use media::{PortRange, Prompt};
use sip_core::auth::Credentials;
use sip_core::endpoint::NextHop;
use sip_core::transport::Transport;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

const TARGET: &str = "192.0.2.10";

/// Whoever stands on the network.
enum Party {
    Target(Box<Carrier>),
    Shard(Box<Generator>),
}

enum PartyTold {
    Target(Told),
    Shard(LoadTold),
}

impl Node for Party {
    type Command = Command;
    type Report = PartyTold;

    fn handle(&mut self, input: Input<Command>, now: Now) {
        match self {
            Self::Shard(shard) => shard.handle(input, now),
            Self::Target(target) => Node::handle(
                &mut **target,
                match input {
                    Input::Sip(input) => Input::Sip(input),
                    Input::Media(event) => Input::Media(event),
                    Input::Command(Command::Stop) => Input::Command(carrier_sim::Command::Stop),
                    Input::Timeout => Input::Timeout,
                },
                now,
            ),
        }
    }

    fn poll(&mut self) -> Output<PartyTold> {
        fn of<R>(output: Output<R>, told: impl FnOnce(R) -> PartyTold) -> Output<PartyTold> {
            match output {
                Output::Sip(effect) => Output::Sip(effect),
                Output::Media(command) => Output::Media(command),
                Output::Report(report) => Output::Report(told(report)),
                Output::Timeout(at) => Output::Timeout(at),
            }
        }
        match self {
            Self::Target(target) => of(Node::poll(&mut **target), PartyTold::Target),
            Self::Shard(shard) => of(shard.poll(), PartyTold::Shard),
        }
    }
}

/// A target that answers so, and the shards of a load.
struct Run {
    network: Network<Party>,
    target: HostId,
    shards: Vec<HostId>,
    summary: Summary,
    told: Vec<Second>,
    finished: usize,
}

fn rate(rate: f64) -> Pace {
    Pace::even(rate).unwrap()
}

fn tone() -> Arc<Prompt> {
    Arc::new(Prompt::new("hello", (0..1_600).map(|n| ((n * 37) % 4_000) as i16 | 64).collect::<Vec<_>>()))
}

impl Run {
    fn new(script: &str, pace: Pace, change: impl Fn(&mut LoadConfig)) -> Self {
        Self::sharded(1, script, pace, |_| {}, change)
    }

    fn sharded(
        of: u64,
        script: &str,
        pace: Pace,
        target: impl FnOnce(&mut CarrierConfig),
        change: impl Fn(&mut LoadConfig),
    ) -> Self {
        let mut rng = Rng::from_u64(7);
        let mut network = Network::new(rng.u64());
        let site = Site::at(TARGET.parse().unwrap());
        let ports = PortRange::new(10_000, 39_999).unwrap();
        let mut config = CarrierConfig::new(site.locals.clone(), site.media_ip, ports);
        config.script = script.parse().unwrap();
        config.prompts = vec![tone()];
        target(&mut config);
        let target = network.join(Party::Target(Box::new(Carrier::new(config, rng.fork()))), site);
        let shard = |shard| {
            let ip: IpAddr = [198, 51, 100, 20 + shard as u8].into();
            let site = Site::at(ip);
            let hop = NextHop::new(TARGET, Some(5060), Transport::Udp);
            let uri = format!("sip:target@{TARGET}").parse().unwrap();
            let mut config = LoadConfig::new(site.locals.clone(), uri, hop, pace.clone(), (ip, 4_000).into());
            config.share = Share { shard, of };
            config.to = Some("+1555%7n".parse().unwrap());
            config.start_at = millis(500);
            change(&mut config);
            network.join(Party::Shard(Box::new(Generator::new(config, rng.fork()))), site)
        };
        let shards: Vec<_> = (0..of).map(shard).collect();
        Self { network, target, summary: Summary::new(shards.len()), shards, told: Vec::new(), finished: 0 }
    }

    fn run(&mut self, time: Duration) -> &mut Self {
        self.network.run_for(time);
        let mut reports: Vec<_> = self.shards.iter().flat_map(|shard| self.network.reports(*shard)).collect();
        reports.sort_by_key(|(at, _)| at.mono);
        for (_, report) in reports {
            match report {
                PartyTold::Shard(LoadTold::Lap(lap)) => self.told.extend(self.summary.lap(&lap)),
                PartyTold::Shard(LoadTold::Finished) => {
                    self.summary.finished();
                    self.finished += 1;
                }
                PartyTold::Target(_) => {}
            }
        }
        self
    }

    fn whole(&self) -> &Lap {
        self.summary.whole()
    }

    fn target_reports(&mut self) -> Vec<CallReport> {
        let of = |(_, told)| if let PartyTold::Target(Told::Report(report)) = told { Some(*report) } else { None };
        self.network.reports(self.target).into_iter().filter_map(of).collect()
    }

    fn remains(&self) -> Vec<Remains> {
        let of = |host: &HostId| match self.network.node(*host) {
            Party::Shard(shard) => shard.remains(),
            Party::Target(_) => unreachable!("a shard's host"),
        };
        self.shards.iter().map(of).collect()
    }

    /// Every call has ended in exactly one way, and 64·T1 later nothing is left of any.
    #[track_caller]
    fn assert_over(&mut self) {
        self.run(Duration::from_secs(70));
        assert_eq!(self.finished, self.shards.len());
        let counts = *self.summary.counts();
        assert_eq!(counts.due, counts.started + counts.not_started, "{counts:?}");
        assert_eq!(counts.started, counts.answered + counts.failed + counts.given_up, "{counts:?}");
        assert_eq!(counts.answered, counts.hung_up + counts.ended_by_peer + counts.dropped, "{counts:?}");
        for remains in self.remains() {
            assert_eq!(remains, Remains::default());
        }
        for shard in &self.shards {
            assert!(self.network.shard(*shard).is_empty());
        }
    }
}

#[test]
fn five_hundred_calls_are_counted_alike_on_both_sides() {
    let mut run = Run::new("ring, answer 100ms", rate(100.0), |config| config.calls = Some(500));
    run.run(Duration::from_secs(8));
    let reports = run.target_reports();
    assert_eq!(reports.len(), 500);
    assert!(reports.iter().all(|report| report.outcome == Outcome::EndedByPeer));
    let called: BTreeSet<_> = reports.iter().map(|report| report.to.clone()).collect();
    assert_eq!((called.len(), called.first().map(String::as_str)), (500, Some("+15550000000")));
    let counts = *run.summary.counts();
    assert_eq!((counts.answered, counts.hung_up, counts.resent, counts.received_again), (500, 500, 0, 0));
    // INVITE, ACK, BYE; 180 (the carrier leaves 100 out where it answers within 200 ms), 200, 200.
    assert_eq!((counts.sent, counts.received), (1_500, 1_500));
    let stages = &run.whole().stages;
    assert_eq!([&stages.ringing, &stages.answer, &stages.hang_up].map(|stage| stage.count()), [500; 3]);
    assert!(stages.answer.quantile_ms(0.99).unwrap() > 100.0);
    run.assert_over();
}

#[test]
fn calls_start_when_they_are_due_while_the_target_is_silent() {
    let mut run = Run::new("answer", rate(50.0), |config| config.duration = Some(Duration::from_secs(6)));
    run.run(Duration::from_millis(2_500));
    run.network.unplug(run.target, true);
    run.run(Duration::from_millis(1_900));
    run.network.unplug(run.target, false);
    run.run(Duration::from_secs(40));
    let started: Vec<_> = run.told.iter().map(|second| second.started).take(6).collect();
    assert_eq!(started, [50; 6]);
    assert!(run.told[2].answered == 0 && run.told[3].answered < 20, "{:?}", run.told);
    assert_eq!(run.summary.counts().answered, 300);
    // A third of the calls met the silence, and each says how long it was for it: the first 1.9 s, none is left out.
    let answer = run.summary.answer();
    assert!(answer.quantile_ms(0.99).unwrap() > 1_500.0, "{answer:?}");
    assert!(answer.quantile_ms(0.75).unwrap() > 400.0, "{answer:?}");
    assert_eq!(run.whole().stages.lateness.max_ms(), Some(0.0));
    run.assert_over();
}

#[test]
fn a_generator_that_wakes_late_counts_from_when_calls_were_due_and_says_how_late_it_was() {
    let site = Site::at([198, 51, 100, 20].into());
    let hop = NextHop::new(TARGET, Some(5060), Transport::Udp);
    let uri = format!("sip:x@{TARGET}").parse().unwrap();
    let config = LoadConfig::new(site.locals, uri, hop, rate(100.0), ([198, 51, 100, 20], 4_000).into());
    let mut shard = Generator::new(config, Rng::from_u64(1));
    let mut invites = 0;
    // Nothing is heard for 200 ms: 21 calls are due at once, and each is as late as it is.
    shard.handle(Input::Timeout, Now::new(millis(200), 0));
    while let output @ (Output::Sip(_) | Output::Report(_) | Output::Media(_)) = shard.poll() {
        invites += u32::from(matches!(output, Output::Sip(_)));
    }
    assert_eq!(invites, 21);
    // The rest of the second is slept through. Few are started on a wake, so that answers come between.
    let lap = (0..100).find_map(|_| {
        shard.handle(Input::Timeout, Now::new(secs(1), 0));
        let said = std::iter::from_fn(|| Some(shard.poll()).filter(|output| !matches!(output, Output::Timeout(_))));
        said.filter_map(|output| if let Output::Report(LoadTold::Lap(lap)) = output { Some(lap) } else { None }).last()
    });
    let lateness = &lap.unwrap().stages.lateness;
    assert_eq!((lateness.count(), lateness.max_ms().unwrap().round()), (100, 790.0));
}

#[test]
fn over_a_bad_network_every_call_has_one_end_and_copies_are_counted() {
    let mut run = Run::new("ring 50ms, answer 100ms", rate(100.0), |config| {
        config.calls = Some(1_000);
        config.hold = Some(Duration::from_secs(2));
    });
    let rough = Impairment { loss: 0.1, duplicate: 0.05, jitter: Duration::from_millis(5), ..Impairment::CLEAN };
    run.network.impair_sip(Impairment { delay: Duration::from_millis(10), ..rough });
    run.assert_over();
    let counts = *run.summary.counts();
    assert_eq!(counts.started, 1_000);
    assert!(counts.answered > 995, "{counts:?}");
    assert!(counts.resent > 100 && counts.received_again > 100, "{counts:?}");
    let reports = run.target_reports();
    let answered = reports.iter().filter(|report| report.times.answered.is_some()).count() as u64;
    assert_eq!(answered, counts.answered);
}

#[test]
fn refusals_are_counted_by_code_with_their_latency_and_retry_after() {
    let mut run = Run::new("reject 503 retry 7s 30ms", rate(100.0), |config| config.calls = Some(200));
    run.run(Duration::from_secs(5));
    let refused = &run.whole().failures[&Reason::Status(503)];
    assert_eq!((refused.calls, refused.retry_after, refused.retry_after_max_s), (200, 200, 7));
    let p50 = refused.latency.quantile_ms(0.5).unwrap();
    assert!((30.0..60.0).contains(&p50), "{p50}");
    assert_eq!(refused.detail.as_deref(), Some("SIP/2.0 503 Service Unavailable"));
    assert_eq!((run.summary.bad_calls(), run.summary.bad_share()), (200, 1.0));
    run.assert_over();
}

#[test]
fn silence_is_a_timeout_after_64_t1() {
    let mut run = Run::new("silent", rate(10.0), |config| config.calls = Some(10));
    run.assert_over();
    let failed = &run.whole().failures[&Reason::Timeout];
    let seconds = failed.latency.quantile_ms(0.5).unwrap() / 1_000.0;
    assert_eq!((failed.calls, (seconds * 10.0).round()), (10, 320.0));
    assert_eq!(run.summary.counts().resent, 60);
}

#[test]
fn ringing_without_an_end_is_given_up_and_no_answer_is_its_reason() {
    let mut run = Run::new("ring only", rate(10.0), |config| {
        config.calls = Some(10);
        config.ring_timeout = Duration::from_secs(3);
    });
    run.assert_over();
    assert_eq!(run.whole().failures[&Reason::NoAnswer].calls, 10);
}

#[test]
fn so_many_calls_are_kept_up_and_replaced_where_they_end() {
    let mut run = Run::new("answer, hangup 3s", rate(40.0), |config| {
        config.held = Some(60);
        config.hold = None;
        config.duration = Some(Duration::from_secs(12));
    });
    run.run(Duration::from_secs(20));
    assert_eq!((run.summary.most_in_flight(), run.summary.most_standing()), (60, 60));
    let counts = *run.summary.counts();
    assert!(counts.ended_by_peer >= 120 && counts.hung_up > 0, "{counts:?}");
    assert_eq!((counts.not_started, counts.failed), (0, 0));
    run.assert_over();
}

#[test]
fn what_is_held_is_hung_up_at_the_end_over_two_seconds() {
    let mut run = Run::new("answer", rate(100.0), |config| {
        config.held = Some(100);
        config.hold = None;
        config.duration = Some(Duration::from_secs(5));
    });
    run.run(Duration::from_millis(6_500));
    let counts = *run.summary.counts();
    assert!((25..75).contains(&counts.hung_up), "{counts:?}");
    run.run(Duration::from_secs(3));
    assert_eq!((run.summary.counts().hung_up, run.finished), (100, 1));
    run.assert_over();
}

#[test]
fn a_call_beyond_the_bound_is_counted_as_not_started() {
    let mut run = Run::new("answer", rate(100.0), |config| {
        config.duration = Some(Duration::from_secs(1));
        config.hold = Some(Duration::from_secs(5));
        config.max_in_flight = 40;
    });
    run.assert_over();
    let counts = *run.summary.counts();
    assert_eq!((counts.due, counts.started, counts.not_started), (100, 40, 60));
    assert_eq!(run.summary.bad_calls(), 60);
}

#[test]
fn a_stop_gives_up_what_rings_and_hangs_up_what_stands() {
    let mut run = Run::new("ring, answer 1s", rate(50.0), |config| config.hold = Some(Duration::from_secs(600)));
    run.run(Duration::from_millis(3_500));
    let shard = run.shards[0];
    run.network.command(shard, Command::Stop);
    run.assert_over();
    let counts = *run.summary.counts();
    assert!((45..=55).contains(&counts.given_up), "{counts:?}");
    assert!((95..=105).contains(&counts.hung_up), "{counts:?}");
    assert_eq!((counts.failed, counts.dropped), (0, 0));
}

#[test]
fn shards_share_the_calls_and_none_is_called_twice() {
    let change = |config: &mut LoadConfig| config.calls = Some(301);
    let mut run = Run::sharded(3, "answer", rate(100.0), |_| {}, change);
    run.run(Duration::from_secs(8));
    let called: BTreeSet<_> = run.target_reports().into_iter().map(|report| report.to).collect();
    assert_eq!((called.len(), run.summary.counts().answered), (301, 301));
    let started: Vec<_> = run.told.iter().map(|second| second.started).take(3).collect();
    assert_eq!(started, [100; 3]);
    run.assert_over();
}

#[test]
fn a_shard_without_a_call_finishes_all_the_same() {
    let mut run = Run::sharded(4, "answer", rate(100.0), |_| {}, |config| config.calls = Some(2));
    run.assert_over();
    assert_eq!(run.summary.counts().answered, 2);
}

#[test]
fn challenges_are_answered_and_counted() {
    let known = Credentials { username: "load".to_owned(), password: "a-Secret-9".into(), realm: None };
    let credentials = known.clone();
    let target = |config: &mut CarrierConfig| config.credentials = Some(known);
    let mut run = Run::sharded(1, "answer", rate(50.0), target, |config| {
        config.calls = Some(100);
        config.credentials = Some(credentials.clone());
    });
    run.run(Duration::from_secs(4));
    let counts = *run.summary.counts();
    assert_eq!((counts.challenged, counts.answered), (100, 100));
    run.assert_over();
    let target = |config: &mut CarrierConfig| config.credentials = Some(credentials.clone());
    let mut run = Run::sharded(1, "answer", rate(50.0), target, |config| config.calls = Some(10));
    run.assert_over();
    let failures = &run.whole().failures;
    assert_eq!(failures.get(&Reason::Challenge).map(|failed| failed.calls), Some(10), "{failures:?}");
}

#[test]
fn a_call_the_far_end_loses_is_dropped_and_said_so() {
    let mut run = Run::new("answer, vanish 1s", rate(10.0), |config| {
        config.calls = Some(10);
        config.hold = Some(Duration::from_secs(2));
    });
    run.assert_over();
    assert_eq!(run.summary.counts().dropped, 10);
    assert_eq!(run.whole().failures[&Reason::ByeTimeout].calls, 10);
}

#[test]
fn streams_are_heard_whole_both_ways_and_their_ports_are_given_back() {
    for source in [Source::Prompt(tone()), Source::Echo] {
        let mut run = Run::new("answer, say hello loop", rate(20.0), |config| {
            config.calls = Some(40);
            config.hold = Some(Duration::from_secs(3));
            let Media::Sink(at) = config.media else { panic!("the default") };
            let ports = PortRange::new(20_000, 20_399).unwrap();
            config.media = Media::Streams { ip: at.ip(), ports, source: source.clone() };
        });
        run.assert_over();
        let rtp = run.whole().rtp;
        assert_eq!((rtp.streams, rtp.lost, rtp.silent), (40, 0, 0), "{rtp:?}");
        assert!((40 * 148..=40 * 152).contains(&rtp.received), "{rtp:?}");
        assert!((40 * 148..=40 * 152).contains(&rtp.sent), "{rtp:?}");
        let reports = run.target_reports();
        let heard = reports.iter().filter(|report| report.heard.iter().any(|heard| heard.prompt == "hello"));
        assert_eq!(heard.count(), 40);
    }
}

#[test]
fn without_a_free_port_a_call_fails_by_our_own_fault() {
    let mut run = Run::new("answer", rate(20.0), |config| {
        config.calls = Some(10);
        config.hold = Some(Duration::from_secs(3));
        let Media::Sink(at) = config.media else { panic!("the default") };
        let ports = PortRange::new(20_000, 20_007).unwrap();
        config.media = Media::Streams { ip: at.ip(), ports, source: Source::Echo };
    });
    run.assert_over();
    assert_eq!((run.summary.counts().answered, run.whole().failures[&Reason::NoPort].calls), (4, 6));
}

#[test]
fn a_target_that_speaks_no_srtp_is_not_spoken_to_in_clear() {
    let mut run = Run::new("answer", rate(10.0), |config| {
        let Media::Sink(at) = config.media else { panic!("the default") };
        let ports = PortRange::new(20_000, 20_399).unwrap();
        config.media = Media::Streams { ip: at.ip(), ports, source: Source::Prompt(tone()) };
        (config.calls, config.srtp) = (Some(5), true);
    });
    run.assert_over();
    assert_eq!((run.summary.bad_calls(), run.whole().rtp.sent), (5, 0), "{:?}", run.whole().failures);
}
