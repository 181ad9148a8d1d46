//! Calls over TCP that is cut anywhere, gathered, pinged and reset (FAULTS rows 3 and 4).

use crate::hosts::{BAD, CARRIER, GOOD, SWITCH, carrier_config, numbers, switch_config, trunk};
use crate::place::{Place, RINGS_ALONE, Town, one_of_many, order, rule};
use carrier_sim::virtual_network::{HostId, Impairment, Segments};
use sip_core::endpoint::{FLOW_IDLE, NextHop};
use sip_core::transport::Transport;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;
use switch::{Fact, Status};

/// What is written within five milliseconds comes at once; one message in ten has a ping ahead of it.
const CUT: Segments = Segments { gather: Duration::from_millis(5), ping: 0.1 };
/// After so many calls every connection breaks.
const RESET_EVERY: u32 = 150;

/// A carrier that is reached over this transport, and calls over it.
fn place(seed: u64, weather: Impairment, transport: Transport, fixed: bool) -> (Place, HostId) {
    let mut config = switch_config(&numbers());
    let over = transport.as_str().to_ascii_lowercase();
    config.provisioning.trunks = vec![trunk("sim", &format!("sip:trunk.example;transport={over}"), &[CARRIER])];
    let mut place = Place::new(seed, weather, &config);
    let mut carrier = carrier_config(CARRIER);
    carrier.originate_to = Some(NextHop::new(IpAddr::from(SWITCH).to_string(), Some(5060), transport));
    if fixed {
        carrier.by_number = FIXED.iter().map(rule).collect();
    }
    let carrier = place.carrier(carrier, CARRIER, "trunk.example");
    (place, carrier)
}

pub fn run(seed: u64, calls: u32) -> Vec<Town> {
    let (mut place, carrier) = place(seed, BAD, Transport::Tcp, false);
    place.network.cut_streams(CUT);
    for n in 0..calls {
        one_of_many(&mut place, carrier, n);
        if n % RESET_EVERY == RESET_EVERY - 1 {
            place.network.reset_streams(carrier);
        }
    }
    // Whom an INVITE has reached over a connection that then broke, rings alone too; and a connection is closed when it
    // has been idle for a while.
    place.wait(RINGS_ALONE + FLOW_IDLE);
    vec![place.finish(Duration::from_secs(10))]
}

/// What a call meets by its number's last digit, so that two runs meet the same.
const FIXED: [(&str, &str); 10] = [
    ("*0", "ring 200ms, answer 300ms, wait 20s"),
    ("*1", "early ringback, answer 700ms, wait 20s"),
    ("*2", "ring 100ms, answer 200ms, say words, press 2 after 300ms, wait 20s"),
    ("*3", "answer 100ms, hangup after 900ms"),
    ("*4", "ring 50ms, busy 200ms"),
    ("*5", "not found"),
    ("*6", "decline 100ms"),
    ("*7", "ring only"),
    ("*8", "answer 200ms, hold after 400ms, resume after 900ms, wait 20s"),
    ("*9", "timeout 300ms"),
];

/// By number: how the call ended.
fn ends(seed: u64, transport: Transport, cut: bool) -> BTreeMap<String, (Status, Option<u16>, bool)> {
    let (mut place, _) = place(seed, GOOD, transport, true);
    if cut {
        place.network.cut_streams(CUT);
    }
    for n in 0..60 {
        let now = place.network.now();
        let order = order(n, &mut place.rng, now);
        place.call(order);
        place.wait(Duration::from_millis(20));
    }
    let town = place.finish(Duration::from_secs(10));
    crate::laws::check(&town, seed);
    let ends = town.records.into_iter().filter_map(|record| match record.fact {
        Fact::Ended(cdr) if cdr.parent.is_none() => {
            Some((cdr.to.clone(), (cdr.status, cdr.cause.sip_status, cdr.at.answered.is_some())))
        }
        _ => None,
    });
    ends.collect()
}

#[test]
fn a_stream_that_is_cut_anywhere_carries_the_same_calls_as_datagrams() {
    let datagrams = ends(1, Transport::Udp, false);
    assert_eq!(datagrams.len(), 60);
    for seed in 1..4 {
        assert_eq!(ends(seed, Transport::Tcp, true), datagrams, "seed {seed}");
    }
}
