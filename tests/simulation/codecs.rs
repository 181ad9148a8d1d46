//! Which codec each leg of a bridge has, on virtual time: the one that both have, whatever either prefers.

use crate::hosts::{CARRIER, GOOD, carrier_config, switch_config};
use crate::laws;
use crate::place::{Place, Town, rule};
use carrier_sim::CarrierConfig;
use serde_json::json;
use sip_core::sdp::AudioCodec::{self, Opus, Pcma, Pcmu};
use std::time::Duration;
use switch::Fact;

const CALLED: &str = "+15557770001";

/// A call from a carrier with these codecs, bridged back to it over a trunk that is offered those.
fn bridged(theirs: &[AudioCodec], offered: &[AudioCodec], script: &str) -> Town {
    let config =
        CarrierConfig { codecs: theirs.to_vec(), by_number: vec![rule(&(CALLED, script))], ..carrier_config(CARRIER) };
    let mut switch = switch_config(&[("+18325550100", json!({ "bridge": CALLED }))]);
    switch.provisioning.trunks[0].codecs = offered.to_vec();
    let mut place = Place::new(1, GOOD, &switch);
    let carrier = place.carrier(config, CARRIER, "trunk.example");
    place.call_in(carrier, "+16665550001".to_owned(), "+18325550100", "wait 20s");
    let town = place.finish(Duration::from_secs(10));
    laws::check(&town, 1);
    town
}

/// The codecs of the caller's leg and of the other.
fn codecs(town: &Town) -> Vec<String> {
    let ended = town.records.iter().filter_map(|record| match &record.fact {
        Fact::Ended(cdr) => Some((cdr.parent.is_some(), cdr.codec.clone().unwrap_or_default())),
        _ => None,
    });
    let mut ended: Vec<(bool, String)> = ended.collect();
    ended.sort();
    ended.into_iter().map(|(_, codec)| codec).collect()
}

#[test]
fn two_legs_that_share_a_codec_have_it_whatever_each_prefers() {
    let answer = "ring 50ms, answer 200ms, hangup after 2s";
    let early = "early ringback, answer 900ms, hangup after 2s";
    for script in [answer, early] {
        assert_eq!(codecs(&bridged(&[Opus, Pcmu], &[], script)), ["PCMU", "PCMU"], "{script}");
        assert_eq!(codecs(&bridged(&[Pcma, Opus], &[Opus, Pcma], script)), ["PCMA", "PCMA"], "{script}");
        assert_eq!(codecs(&bridged(&[Opus, Pcma], &[Pcma, Opus], script)), ["opus", "opus"], "{script}");
    }
}

#[test]
fn a_trunk_is_offered_and_heard_in_its_own_codecs_only() {
    let town = bridged(&[Opus], &[Pcmu], "answer 200ms, hangup after 2s");
    assert_eq!(town.reports[0].status, Some(488), "{:#?}", town.reports);
}
