//! Two loads on virtual time that call each other and answer: both legs of every call, their keys and their encryption.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

use base::Rng;
use carrier_sim::load::{Generator, LoadConfig, Media, Pace, Remains, Source, Summary, Told};
use carrier_sim::virtual_network::{Network, Site};
use media::{PortRange, Prompt};
use sip_core::endpoint::NextHop;
use sip_core::transport::Transport;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// Two loads that call each other, and answer.
fn facing(change: impl Fn(&mut LoadConfig)) -> [Summary; 2] {
    let mut rng = Rng::from_u64(11);
    let tone = Arc::new(Prompt::new("tone", vec![1_000; 1_600]));
    let mut network = Network::new(rng.u64());
    let sites: [IpAddr; 2] = [[198, 51, 100, 1].into(), [198, 51, 100, 2].into()];
    let hosts = [0, 1].map(|own| {
        let (ip, peer) = (sites[own], sites[1 - own].to_string());
        let site = Site::at(ip);
        let hop = NextHop::new(peer.clone(), Some(5060), Transport::Udp);
        let uri = format!("sip:x@{peer}").parse().unwrap();
        let mut config = LoadConfig::new(site.locals.clone(), uri, hop, Pace::even(10.0).unwrap(), (ip, 4_000).into());
        let ports = PortRange::new(20_000, 20_399).unwrap();
        config.media = Media::Streams { ip, ports, source: Source::Prompt(tone.clone()) };
        (config.calls, config.hold, config.answers) = (Some(20), Some(Duration::from_secs(2)), true);
        change(&mut config);
        network.join(Generator::new(config, rng.fork()), site)
    });
    network.run_for(Duration::from_secs(80));
    hosts.map(|host| {
        assert_eq!(network.node(host).remains(), Remains::default());
        assert!(network.shard(host).is_empty());
        let mut summary = Summary::new(1);
        for (_, told) in network.reports(host) {
            match told {
                Told::Lap(lap) => drop(summary.lap(&lap)),
                Told::Finished => summary.finished(),
            }
        }
        summary
    })
}

#[test]
fn calls_that_come_are_answered_and_heard_as_those_that_go() {
    for summary in facing(|_| {}) {
        let (counts, rtp) = (*summary.counts(), summary.whole().rtp);
        assert_eq!((counts.answered, counts.hung_up, counts.taken, counts.refused), (20, 20, 20, 0), "{counts:?}");
        assert_eq!((rtp.streams, rtp.silent, rtp.lost, rtp.lossy), (40, 0, 0, 0), "{rtp:?}");
    }
}

#[test]
fn calls_that_come_are_refused_where_nobody_asked_for_them() {
    for summary in facing(|config| config.answers = false) {
        let counts = *summary.counts();
        assert_eq!((counts.answered, counts.failed, counts.taken, counts.refused), (0, 20, 0, 20), "{counts:?}");
    }
}

#[test]
fn every_key_that_is_pressed_is_heard_at_the_other_end() {
    for summary in facing(|config| config.digits = Some("12#4".to_owned())) {
        let counts = *summary.counts();
        assert_eq!((counts.digits_sent, counts.digits_heard), (80, 80), "{counts:?}");
    }
}

#[test]
fn calls_with_srtp_are_heard_and_answered_in_kind() {
    for summary in facing(|config| config.srtp = true) {
        let (counts, rtp) = (*summary.counts(), summary.whole().rtp);
        assert_eq!((counts.answered, summary.bad_calls()), (20, 0), "{counts:?}");
        assert_eq!((rtp.streams, rtp.silent, rtp.lost), (40, 0, 0), "{rtp:?}");
    }
}
