//! One conference of three kinds of callers: baresip in G.711, linphonec in whatever it likes best, and a caller of the
//! scripted carrier. All three speak, with pauses that do not keep step, and what each of them took of the room is compared,
//! as sound, with what each of the three said.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test stops where it cannot go on, and reports"
)]

mod common;

use carrier_sim::net::{Running, Setup as Line};
use carrier_sim::{CarrierConfig, Told};
use common::baresip::Baresip;
use common::linphone::Linphone;
use common::switch::{CALLED, OWNED, Setup};
use common::{audio, secs, until};
use media::{PortRange, prompt};
use serde_json::json;
use sip_core::net::Listener;
use sip_core::transport::Transport;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Instant;
use tokio::runtime::Runtime;

const PASSWORD: &str = "Correct-Horse-7-Battery";
/// Seconds that each speaks in all; with its pauses that is three quarters of a minute.
const SPEAKS_S: usize = 15;
/// How long all three are in the room together.
const TOGETHER_S: u64 = 15;

/// A second of a voice, then so many milliseconds of nothing, and so on.
fn with_pauses(voice: &[i16], pause_ms: usize) -> Vec<i16> {
    let turn = |second: &[i16]| [second, vec![0; pause_ms * 8].as_slice()].concat();
    voice.chunks(8_000).flat_map(turn).collect()
}

/// A carrier in this process, whose one call keeps what it hears.
struct Caller {
    runtime: Runtime,
    running: Running,
    port: u16,
}

impl Caller {
    /// Its calls say this as soon as they are answered.
    fn start(setup: &mut Setup, says: &[i16]) -> Self {
        let (dir, ports) = setup.room();
        let path = dir.join("caller.wav");
        audio::write(&path, says);
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let (first, last) = ports.range(8);
        let mut config = CarrierConfig::new(Vec::new(), loopback, PortRange::new(first, last).unwrap());
        config.keeps_captures = true;
        config.prompts = vec![Arc::new(prompt::decode("voice", &std::fs::read(path).unwrap(), "wav").unwrap())];
        config.script = "answer 100ms, say voice, wait 120s".parse().unwrap();
        let runtime = Runtime::new().unwrap();
        let line = Line::at(Listener { transport: Transport::Udp, bind: (loopback, 0).into() });
        let running = runtime.block_on(Running::start(line, config, base::Rng::from_u64(1))).unwrap();
        let port = running.locals()[0].bound.port();
        Self { runtime, running, port }
    }

    /// What its call, which is over, has heard.
    fn heard(mut self) -> Vec<i16> {
        let told = async {
            loop {
                if let Told::Report(report) = self.running.told().await.unwrap() {
                    return report.capture.unwrap().pcm();
                }
            }
        };
        self.runtime.block_on(async { tokio::time::timeout(secs(30), told).await.unwrap() })
    }
}

#[test]
fn two_phones_and_a_caller_confer_and_each_hears_the_others_and_not_itself() {
    let mut setup = Setup::new();
    let [of_alice, of_bob, of_caller] = [1, 2, 3].map(|seed| audio::babble(seed, SPEAKS_S));
    let mut alice = Baresip::start("alice", &mut setup, &with_pauses(&of_alice, 2_000));
    let caller = Caller::start(&mut setup, &with_pauses(&of_caller, 2_700));
    let mut setup =
        setup.trunk("alice", "generic", alice.port, "").trunk("sim", "generic", caller.port, "").section(&format!(
            "[[user]]\nname = \"bob\"\ntenant = \"default\"\npassword = \"{PASSWORD}\"\n\n\
             [[number]]\nnumber = \"team\"\ntenant = \"default\"\n\
             answer = {{ conference = \"team\", beep = false, wait = \"silence\" }}"
        ));
    let switch = setup.start();
    let mut bob = Linphone::registered("bob", PASSWORD, &mut setup);
    let mut says = with_pauses(&of_bob, 2_300);
    says.resize(120 * 8_000, 0);
    let taken = bob.with_files(&says);
    let team = format!("sip:team@127.0.0.1:{}", switch.sip_port);
    let participants = |wanted: usize| {
        until(&format!("{wanted} in the conference"), secs(30), || {
            let held = switch.http.items("/v1/conferences");
            (held.first()?["participants"] == wanted).then(|| held[0]["sid"].as_str().unwrap().to_owned())
        })
    };
    let called = switch.http.post(
        "/v1/calls",
        &json!({ "from": OWNED, "to": CALLED, "trunk": "sim",
                 "answer": { "conference": "team", "beep": false, "wait": "silence" } }),
    );
    assert_eq!(called.status, 201, "{}", called.body);
    bob.command(&format!("call {team}"));
    alice.command("dial", &team);
    alice.event("CALL_ESTABLISHED", secs(20));
    let conference = participants(3);
    let began = Instant::now();
    until("all have been heard", secs(60), || (began.elapsed() > secs(TOGETHER_S)).then_some(()));
    let ended = switch.http.post(&format!("/v1/conferences/{conference}"), &json!({ "status": "completed" }));
    assert_eq!(ended.status, 200, "{}", ended.body);
    alice.event("CALL_CLOSED", secs(20));
    let calls = until("all calls are over", secs(20), || {
        let calls = switch.http.items("/v1/cdrs");
        (calls.len() == 3).then_some(calls)
    });
    assert!(calls.iter().all(|call| call["status"] == "completed"), "{calls:#?}");
    let of_linphone = until("linphonec's recording, closed", secs(20), || audio::closed_wav(&taken));
    let voices = [("baresip", &of_alice), ("linphonec", &of_bob), ("the caller", &of_caller)];
    for (who, heard) in [("baresip", alice.recording()), ("linphonec", of_linphone), ("the caller", caller.heard())] {
        for (whose, voice) in voices {
            let (share, parts) = audio::share_of(voice, &heard);
            println!("{who} hears {whose}: {share:.2} of {parts} parts");
            assert!(parts >= 30, "{who} hears something: {parts} parts");
            match who == whose {
                true => assert!(share <= 0.03, "{who} does not hear itself: {share:.2} of {parts} parts"),
                false => assert!(share >= 0.15, "{who} hears {whose}: {share:.2} of {parts} parts"),
            }
        }
    }
}
