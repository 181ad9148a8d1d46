//! The same carrier on loopback sockets: two of them call each other, with real RTP.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

mod world;

use base::Rng;
use carrier_sim::net::{Running, Setup};
use carrier_sim::{CallReport, CarrierConfig, Command, Outcome, Told};
use media::PortRange;
use sip_core::endpoint::NextHop;
use sip_core::net::{BindError, Listener};
use sip_core::transport::Transport;
use std::net::SocketAddr;
use std::time::Duration;
use world::prompts;

/// As long as anything here may take.
const DEADLINE: Duration = Duration::from_secs(30);

async fn carrier(script: &str, ports: (u16, u16), transport: Transport, peer: Option<SocketAddr>) -> Running {
    let config = CarrierConfig {
        script: script.parse().unwrap(),
        prompts: prompts(),
        keeps_captures: true,
        originate_to: peer.map(|peer| NextHop::new(peer.ip().to_string(), Some(peer.port()), transport)),
        ..CarrierConfig::new(Vec::new(), [127, 0, 0, 1].into(), PortRange::new(ports.0, ports.1).unwrap())
    };
    let setup = Setup::at(Listener { transport, bind: "127.0.0.1:0".parse().unwrap() });
    Running::start(setup, config, Rng::from_u64(u64::from(ports.0))).await.unwrap()
}

/// Waits until something is so.
async fn until(so: impl Fn() -> bool) {
    let wait = async {
        while !so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(DEADLINE, wait).await.expect("it became so in time");
}

async fn report(carrier: &mut Running) -> CallReport {
    let next = async {
        loop {
            if let Told::Report(report) = carrier.told().await.expect("the carrier runs") {
                return *report;
            }
        }
    };
    tokio::time::timeout(DEADLINE, next).await.expect("a report in time")
}

#[tokio::test]
async fn a_call_between_two_carriers_is_heard_sample_for_sample() {
    for (transport, ports) in [(Transport::Udp, (21_000, 21_199)), (Transport::Tcp, (21_200, 21_399))] {
        let script = "ring 50ms, early ringback, answer 100ms, say welcome, press 42, hangup 300ms";
        let mut called = carrier(script, ports, transport, None).await;
        let peer = called.locals()[0].bound;
        let mut caller = carrier("busy", (ports.0 + 500, ports.1 + 500), transport, Some(peer)).await;
        let call = Command::Call {
            from: "+15552220000".to_owned(),
            to: "+15550001111".to_owned(),
            script: "say hello".parse().unwrap(),
        };
        caller.command(call);
        let (out, into) = (report(&mut caller).await, report(&mut called).await);
        assert_eq!((&out.outcome, &into.outcome), (&Outcome::EndedByPeer, &Outcome::EndedByCarrier));
        assert_eq!((out.status, out.digits.as_str(), &out.call_id), (Some(200), "42", &into.call_id));
        assert!(out.heard.iter().any(|heard| heard.prompt == "welcome" && heard.exact), "{:?}", out.heard);
        assert!(into.heard.iter().any(|heard| heard.prompt == "hello" && heard.exact), "{:?}", into.heard);
        assert!(out.capture.is_some());
        let quality = out.quality.unwrap();
        assert_eq!((quality.received.lost, quality.strangers), (0, 0));
        until(|| called.load().tally.reports == 1).await;
        assert_eq!(called.untold(), 0);
        assert!(called.stop(Duration::from_secs(5)).await.iter().all(|told| matches!(told, Told::Note(_))));
    }
}

#[tokio::test]
async fn stopping_ends_the_calls_that_stand_and_reports_them() {
    let mut called = carrier("answer", (22_000, 22_199), Transport::Udp, None).await;
    let peer = called.locals()[0].bound;
    let mut caller = carrier("busy", (22_500, 22_699), Transport::Udp, Some(peer)).await;
    for n in 0..20 {
        let script = "say hello loop".parse().unwrap();
        caller.command(Command::Call { from: "a".to_owned(), to: format!("n{n}"), script });
    }
    let mut packets = 0;
    while packets < 20 {
        let told = tokio::time::timeout(DEADLINE, called.told()).await.unwrap().unwrap();
        packets +=
            u32::from(matches!(told, Told::Note(note) if matches!(note.what, carrier_sim::What::FirstPacket(_))));
    }
    until(|| called.load().calls == 20 && called.load().ports == 20).await;
    assert!(!called.is_idle());
    let last = called.stop(Duration::from_secs(10)).await;
    let ended =
        last.iter().filter(|told| matches!(told, Told::Report(report) if report.outcome == Outcome::EndedByCarrier));
    assert_eq!(ended.count(), 20);
    for _ in 0..20 {
        assert_eq!(report(&mut caller).await.outcome, Outcome::EndedByPeer);
    }
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let first = carrier("answer", (23_000, 23_099), Transport::Udp, None).await;
    let taken = first.locals()[0].bound;
    let config = CarrierConfig::new(Vec::new(), [127, 0, 0, 1].into(), PortRange::new(23_100, 23_199).unwrap());
    let setup = Setup::at(Listener { transport: Transport::Udp, bind: taken });
    let error = Running::start(setup, config, Rng::from_u64(1)).await.unwrap_err();
    assert!(
        matches!(&error, carrier_sim::net::StartError::Bind(BindError::Address { address, .. }) if *address == taken)
    );
    assert!(error.to_string().contains(&taken.to_string()), "{error}");
}

#[tokio::test]
async fn an_rtp_port_that_is_taken_is_stepped_over() {
    let squatter = std::net::UdpSocket::bind("127.0.0.1:24000").unwrap();
    let mut called = carrier("answer, hangup 300ms", (24_000, 24_005), Transport::Udp, None).await;
    let peer = called.locals()[0].bound;
    let mut caller = carrier("busy", (24_100, 24_199), Transport::Udp, Some(peer)).await;
    caller.command(Command::Call { from: "a".to_owned(), to: "b".to_owned(), script: "wait 1s".parse().unwrap() });
    assert_eq!(report(&mut caller).await.status, Some(200));
    assert_eq!(report(&mut called).await.outcome, Outcome::EndedByCarrier);
    drop(squatter);
}

#[tokio::test]
async fn two_hundred_calls_in_a_few_seconds_leave_no_port_and_no_call() {
    let mut called = carrier("answer, say hello, hangup 200ms", (25_000, 25_999), Transport::Udp, None).await;
    let peer = called.locals()[0].bound;
    let mut caller = carrier("busy", (26_000, 26_999), Transport::Udp, Some(peer)).await;
    for n in 0..200 {
        let script = "say hello".parse().unwrap();
        caller.command(Command::Call { from: "a".to_owned(), to: format!("n{n}"), script });
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for _ in 0..200 {
        assert_eq!(report(&mut caller).await.outcome, Outcome::EndedByPeer);
        assert_eq!(report(&mut called).await.outcome, Outcome::EndedByCarrier);
    }
    for carrier in [&caller, &called] {
        until(|| carrier.load().calls == 0 && carrier.load().ports == 0).await;
        assert_eq!((carrier.untold(), carrier.counters().inbox_full), (0, 0));
    }
}
