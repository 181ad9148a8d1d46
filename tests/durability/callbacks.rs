//! What is owed in Twilio's form of a conference, of a leg and of recordings outlives a `kill -9`: their receiver is down until
//! the switch has died, and hears of everything once it has started again; of a leg or a recording that was live then its end
//! too.

use crate::common::carrier::Carrier;
use crate::common::http::Http;
use crate::common::switch::{CALLED, KEY, OWNED, Setup};
use crate::common::{secs, until};
use crate::scene::start;
use crate::{COMPLETE_WITHIN, alone};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What a request says: its path, and its form.
type Told = (String, BTreeMap<String, String>);

/// A receiver of forms that answers 500 until it is up.
#[derive(Clone, Default)]
struct Receiver {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    up: bool,
    refused: usize,
    told: Vec<Told>,
}

impl Receiver {
    /// One that listens, and its address.
    fn start() -> (Self, String) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (receiver, address) = (Self::default(), listener.local_addr().unwrap());
        let own = receiver.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let own = own.clone();
                std::thread::spawn(move || own.take(&stream));
            }
        });
        (receiver, format!("http://{address}"))
    }

    fn take(&self, stream: &TcpStream) -> Option<()> {
        let (mut reader, mut first, mut length) = (BufReader::new(stream), String::new(), 0);
        reader.read_line(&mut first).ok()?;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            match line.trim().split_once(':') {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value.trim().parse().ok()?;
                }
                None if line.trim().is_empty() => break,
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let path = first.split(' ').nth(1)?.to_owned();
        let mut state = self.state.lock().unwrap();
        let status = if state.up { "204 No Content" } else { "500 Not Now" };
        match state.up {
            true => state.told.push((path, url::form_urlencoded::parse(&body).into_owned().collect())),
            false => state.refused += 1,
        }
        drop(state);
        let mut stream = stream;
        write!(stream, "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").ok()
    }

    /// The values of `name` in what this path was told.
    fn told(&self, path: &str, name: &str) -> Vec<String> {
        let state = self.state.lock().unwrap();
        let of_path = state.told.iter().filter(|(told, _)| told == path);
        of_path.map(|(_, form)| form.get(name).cloned().unwrap_or_default()).collect()
    }
}

#[test]
fn what_is_owed_of_a_conference_and_of_a_leg_is_told_after_a_kill() {
    let _alone = alone();
    let mut setup = Setup::new();
    let (dir, ports) = setup.room();
    let carrier = Carrier::start(dir, ports, 10, "answer 100ms, wait 600s", &[]);
    let setup = setup.trunk("carrier", "generic", carrier.port, "").section("[egress]\nallow = [\"127.0.0.0/8\"]");
    std::fs::write(setup.dir().join("tandem.toml"), setup.text()).unwrap();
    let (http, (receiver, url)) = (Http::new(setup.http_port, KEY), Receiver::start());
    let mut switch = start(&setup, &http);
    let call = |document: String| -> String {
        let answer = json!({ "twiml": format!("<Response><Dial>{document}</Dial></Response>") });
        let reply = http.post("/v1/calls", &json!({ "from": OWNED, "to": CALLED, "answer": answer }));
        assert_eq!(reply.status, 201, "{}", reply.body);
        reply.body["sid"].as_str().unwrap().to_owned()
    };
    let conference = call(format!(
        "<Conference waitUrl=\"\" beep=\"false\" statusCallback=\"{url}/conf\" statusCallbackEvent=\"join\">team</Conference>"
    ));
    let dials = call(format!(
        "<Number statusCallback=\"{url}/leg\" statusCallbackEvent=\"initiated answered completed\">{CALLED}</Number>"
    ));
    let record = |document: &str| -> String {
        let answer = json!({ "twiml": format!("<Response>{document}</Response>") });
        let reply = http.post("/v1/calls", &json!({ "from": OWNED, "to": CALLED, "answer": answer }));
        assert_eq!(reply.status, 201, "{}", reply.body);
        reply.body["sid"].as_str().unwrap().to_owned()
    };
    let message = record(&format!(
        "<Record timeout=\"0\" maxLength=\"600\" playBeep=\"false\" recordingStatusCallback=\"{url}/message\"/>"
    ));
    let talk = record(&format!(
        "<Dial record=\"record-from-answer-dual\" recordingStatusCallback=\"{url}/talk\"><Number>{CALLED}</Number></Dial>"
    ));
    let has = |sid: &str, kind: &str| http.events(sid).iter().any(|event| event["type"] == kind);
    until("both stand", secs(60), || (has(&conference, "callback") && has(&dials, "bridged")).then_some(()));
    until("both record", secs(60), || (has(&message, "recording") && has(&talk, "recording")).then_some(()));
    let recordings = || http.items("/v1/recordings");
    // Two seconds of each are on the disk: a recording tells its length by what its file holds.
    let written = |item: &Value| {
        let file = setup.dir().join("recordings").join(format!("{}.wav", item["sid"].as_str().unwrap()));
        file.metadata().is_ok_and(|file| file.len() > 2 * 2 * 8_000)
    };
    until("two seconds of both", secs(60), || {
        let items = recordings();
        (items.len() == 2 && items.iter().all(written)).then_some(())
    });
    // The receiver is down, and has said so.
    until("a try is refused", secs(60), || (receiver.state.lock().unwrap().refused > 0).then_some(()));
    assert_eq!(switch.ended(), None);
    switch.kill();
    receiver.state.lock().unwrap().up = true;
    let _switch = start(&setup, &http);
    until("all is told", COMPLETE_WITHIN, || {
        let leg = receiver.told("/leg", "CallStatus").len() >= 3;
        let rest = ["/conf", "/message", "/talk"].iter().all(|path| !receiver.told(path, "CallSid").is_empty());
        (leg && rest).then_some(())
    });
    let items = recordings();
    assert_eq!(items.len(), 2, "{items:#?}");
    for (path, call) in [("/message", &message), ("/talk", &talk)] {
        let item = items.iter().find(|item| item["call_sid"] == call.as_str()).unwrap();
        let sid = item["sid"].as_str().unwrap();
        assert_eq!(receiver.told(path, "RecordingStatus"), ["completed"], "{path}");
        assert_eq!(receiver.told(path, "RecordingSid"), [sid], "{path}");
        let seconds = receiver.told(path, "RecordingDuration")[0].parse::<u64>().unwrap();
        assert_eq!(Some(seconds), item["duration_ms"].as_u64().map(|ms| ms / 1_000), "{path}: {item:#}");
        assert!(seconds >= 1, "{path}: {seconds}");
        let (status, wav) = http.octets(&format!("/v1/recordings/{sid}.wav"));
        assert!(status == 200 && wav.len() > 2 * 8_000, "{path}: {status}, {} octets", wav.len());
    }
    assert_eq!(receiver.told("/conf", "StatusCallbackEvent"), ["participant-join"]);
    assert_eq!(receiver.told("/conf", "CallSid"), [conference.as_str()]);
    assert_eq!(receiver.told("/leg", "CallStatus"), ["initiated", "in-progress", "completed"]);
    assert_eq!(receiver.told("/leg", "ParentCallSid"), [dials.as_str(); 3]);
    let ended: Vec<Value> = http.items("/v1/cdrs");
    assert!(
        ended.iter().any(|row| row["sid"] == dials.as_str() && row["cause"]["origin"] == "interrupted"),
        "{ended:#?}"
    );
}
