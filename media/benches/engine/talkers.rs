//! Far ends that are an engine themselves, on the last core: they play for ever, and protect what they send.

use super::far::last_core;
use super::ours::{Ours, configure, engine, open, play, tone};
use super::{Subject, Work};
use base::Rng;
use media::{SrtpKey, SrtpKeys, SrtpSuite};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// One run: CPU microseconds a packet that the bridges sent.
pub fn run(legs: usize, suite: Option<SrtpSuite>, measured: Duration) -> f64 {
    let mut rng = Rng::from_u64(1);
    let keys = suite.map(|suite| SrtpKeys {
        send: SrtpKey::generate(suite, &mut rng),
        receive: SrtpKey::generate(suite, &mut rng),
    });
    let (mut talkers, events, _) = engine(last_core());
    let address = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let theirs: Vec<_> = (0..legs).map(|leg| address(open(&mut talkers, &events, leg, 30_000))).collect();
    let prompt = tone();
    let ours = Ours::start(Work::Relay, &theirs, keys);
    for (leg, port) in ours.ports().into_iter().enumerate() {
        let mirrored = keys.map(|keys| SrtpKeys { send: keys.receive, receive: keys.send });
        configure(&mut talkers, leg, address(port), mirrored.filter(|_| leg % 2 == 0));
        play(&mut talkers, leg, prompt.clone());
    }
    std::thread::sleep(super::SETTLES);
    let (sent, cpu) = (ours.sent(), ours.cpu());
    std::thread::sleep(measured);
    let (used, sent) = (ours.cpu() - cpu, ours.sent() - sent);
    used as f64 / 1000.0 / sent.max(1) as f64
}
