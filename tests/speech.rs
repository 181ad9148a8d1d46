//! A gather that listens, with a real phone (baresip), a real voice (espeak-ng) and a real recogniser (pocketsphinx, behind
//! OpenAI's form of one): who speaks stops the prompt, and the application reads what was said.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test stops where it cannot go on, and says what is missing"
)]

mod common;

use common::app::{App, json_lines};
use common::baresip::Baresip;
use common::process::{Process, tcp_port_is_bound};
use common::switch::Setup;
use common::{in_package, secs, until};
use serde_json::json;
use std::path::Path;

/// A word in espeak-ng's voice, at 8 kHz; none where there is no espeak-ng.
fn spoken(word: &str, dir: &Path) -> Option<Vec<i16>> {
    let file = dir.join(format!("{word}.wav"));
    let made = std::process::Command::new("espeak-ng").args(["-s", "140", "-w"]).arg(&file).arg(word).status();
    if !made.is_ok_and(|status| status.success()) {
        eprintln!("espeak-ng is not installed (tests/run does it): left out");
        return None;
    }
    let mut reader = hound::WavReader::open(&file).unwrap();
    let rate = reader.spec().sample_rate as usize;
    let samples: Vec<i16> = reader.samples().map(Result::unwrap).collect();
    // Each sample of ours is the mean of those that fall into it: what folds back is faint.
    let mean = |at: usize| {
        let part = &samples[at * rate / 8_000..((at + 1) * rate / 8_000).min(samples.len())];
        (part.iter().map(|sample| i32::from(*sample)).sum::<i32>() / part.len().max(1) as i32) as i16
    };
    Some((0..samples.len() * 8_000 / rate).map(mean).collect())
}

#[test]
fn a_caller_speaks_into_the_prompt_and_the_application_reads_the_word() {
    let python = in_package("target/peers/pocketsphinx/bin/python");
    if !python.exists() {
        eprintln!("pocketsphinx is not installed (tests/run does it): left out");
        return;
    }
    let mut setup = Setup::new();
    let words = ["yes", "no"];
    let mut phones = Vec::new();
    for word in words {
        let Some(word) = spoken(word, setup.dir()) else { return };
        // Said every six seconds, so that one is heard however long anything takes.
        let mut says = vec![0; 3 * 8_000];
        for _ in 0..8 {
            says.extend(&word);
            says.resize(says.len().next_multiple_of(6 * 8_000) + 3 * 8_000, 0);
        }
        phones.push(says);
    }
    let mut phones: Vec<Baresip> = words
        .iter()
        .zip(&phones)
        .map(|(word, says)| Baresip::start(&format!("says-{word}"), &mut setup, says))
        .collect();
    let (dir, ports) = setup.room();
    let (web, ears) = (ports.port(), ports.port());
    let app = App::start(dir, web, &[("/said", "<Hangup/>")]);
    let script = in_package("tests/peers/recogniser.py");
    let recogniser = Process::start("recogniser", dir, python.to_str().unwrap(), |command| {
        command.arg(&script).arg(ears.to_string());
    });
    until("the recogniser listens", secs(60), || tcp_port_is_bound(ears).then_some(()));
    let document = format!(
        "<Response><Gather input='dtmf speech' hints='yes,no' language='en-US' timeout='30' speechTimeout='auto' \
         action='http://127.0.0.1:{web}/said'><Play loop='0'>prompt:ringback</Play></Gather></Response>"
    );
    let mut setup = setup
        .section("[egress]\nallow = [\"127.0.0.0/8\"]")
        .section(&format!("[speech]\nrecogniser_url = \"http://127.0.0.1:{ears}/v1/audio/transcriptions\""))
        .section(&format!("[[number]]\nnumber = \"ask\"\ntenant = \"default\"\nanswer = {{ twiml = \"{document}\" }}"));
    for (word, phone) in words.iter().zip(&phones) {
        setup = setup.trunk(word, "generic", phone.port, "");
    }
    let switch = setup.start();
    for (nth, word) in words.iter().enumerate() {
        phones[nth].command("dial", &format!("sip:ask@127.0.0.1:{}", switch.sip_port));
        let said = until("the application is asked", secs(120), || app.requests().get(nth).cloned());
        let said = &said["form"];
        assert_eq!(said["SpeechResult"], *word, "{said:#} {:#?}", json_lines(&recogniser));
        assert!(said["Confidence"].as_str().unwrap().parse::<f64>().unwrap() > 0.0, "{said:#}");
        assert_eq!(said.get("Digits"), None, "{said:#}");
        phones[nth].event("CALL_CLOSED", secs(60));
        let ended = switch.http.ended(said["CallSid"].as_str().unwrap(), secs(60));
        assert_eq!(ended["status"], "completed", "{ended:#}");
        let events = switch.http.events(said["CallSid"].as_str().unwrap());
        let played = events.iter().find(|event| event["type"] == "played").unwrap();
        assert_eq!(played["data"]["finished"], false, "the voice has stopped the prompt: {played:#}");
    }
    let asked = json_lines(&recogniser);
    assert!(asked.iter().all(|asked| asked["model"] == "whisper-1" && asked["language"] == json!("en")), "{asked:#?}");
}
