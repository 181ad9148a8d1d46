//! Call programs that ask the world outside, through a running switch: documents from a web server, words spoken, flows
//! from the store, recordings. The carrier and the web server are on loopback.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops where it cannot go on")]

mod common;

use common::callee::Callee;
use common::carrier::Carrier;
use common::http::{Http, is_final};
use common::switch::{CALLED, KEY, OWNED, Setup, Switch, tandem};
use common::{secs, until};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};

/// A request: its first line, its headers in lower case, its body.
type Seen = (String, Vec<String>, String);

/// A web server that answers each path of `pages` with a document, anything else with 204; and what it is asked.
fn web(pages: Vec<(&'static str, String)>) -> (SocketAddr, Receiver<Seen>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let (tell, seen) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            // The test has ended, or the switch: either is no fault of the server's.
            let Some(request) = stream.ok().and_then(|stream| serve(stream, &pages)) else { continue };
            if tell.send(request).is_err() {
                return;
            }
        }
    });
    (addr, seen)
}

fn serve(stream: TcpStream, pages: &[(&'static str, String)]) -> Option<Seen> {
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let first = lines.first()?.clone();
    let headers: Vec<String> = lines.drain(1..).map(|line| line.to_lowercase()).collect();
    let length = headers.iter().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let path = first.split(' ').nth(1)?.split('?').next()?;
    let (status, page) = match pages.iter().find(|(known, _)| *known == path) {
        Some((_, page)) => ("200 OK", page.as_str()),
        None => ("204 No Content", ""),
    };
    let length = if page.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", page.len()) };
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: text/xml\r\n{length}Connection: close\r\n\r\n");
    reader.get_mut().write_all(head.as_bytes()).ok()?;
    reader.get_mut().write_all(page.as_bytes()).ok()?;
    Some((first, headers, String::from_utf8(body).ok()?))
}

/// A switch whose calls are answered by a carrier that speaks, and may ask web servers on loopback.
fn town(allow: &str) -> (Setup, Carrier, Switch) {
    let mut setup = Setup::new();
    let (dir, ports) = setup.room();
    let carrier = Carrier::start(dir, ports, 10, "ring 100ms, answer 200ms, say welcome loop", &[]);
    let setup = setup.trunk("carrier", "twilio", carrier.port, "").replaced(
        "[[trunk]]",
        &format!("[egress]\nallow = [{allow}]\n\n[recordings]\ndir = \"recordings\"\n\n[[trunk]]"),
    );
    let switch = setup.start();
    (setup, carrier, switch)
}

fn call(answer: Value) -> Value {
    json!({ "from": OWNED, "to": CALLED, "answer": answer })
}

fn of_kind<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["type"] == kind).map(|event| &event["data"]).collect()
}

fn can_speak() -> bool {
    let there = std::process::Command::new("espeak-ng").arg("--version").output().is_ok();
    if !there {
        let _ = std::io::stderr().write_all(b"LEFT OUT: no espeak-ng here; tests/peers.sh installs it\n");
    }
    there
}

#[test]
fn a_document_of_a_web_server_is_spoken_recorded_and_told_of() {
    if !can_speak() {
        return;
    }
    let document = r#"<Response>
        <Say>One, two.</Say>
        <Play>/sound.wav</Play>
        <Record action="/done" maxLength="2" playBeep="false" recordingStatusCallback="/recording"/>
    </Response>"#;
    let pages = vec![("/ivr", document.to_owned()), ("/done", "<Response><Hangup/></Response>".to_owned())];
    let (addr, seen) = web(pages);
    let (setup, _carrier, switch) = town("\"127.0.0.1\"");
    let sid = switch.http.place(&call(json!({ "url": format!("http://{addr}/ivr") })));
    let ended = switch.http.ended(&sid, secs(60));
    assert_eq!(ended["status"], "completed", "{ended:#}");
    let events = switch.http.events(&sid);
    let played = of_kind(&events, "playing");
    assert!(played.iter().any(|data| data["prompt"] == "say: One, two."), "{events:#?}");
    // The server has no such sound, and the caller's call goes on.
    assert!(of_kind(&events, "warning").iter().any(|data| data["message"].as_str().unwrap().contains("answers 204")));
    let recorded = of_kind(&events, "recorded");
    assert_eq!(recorded.len(), 1, "{events:#?}");
    let recording = recorded[0]["recording"].as_str().unwrap();
    let mut requests: Vec<Seen> = Vec::new();
    until("four requests", secs(20), || {
        requests.extend(seen.try_iter());
        (requests.len() >= 4).then_some(())
    });
    let asked = |line: &str| {
        requests.iter().find(|(first, ..)| first.starts_with(line)).unwrap_or_else(|| panic!("{line}: {requests:#?}"))
    };
    let (_, headers, body) = asked("POST /ivr ");
    assert!(headers.iter().any(|line| line == "user-agent: twilioproxy/1.1"), "{headers:?}");
    assert!(body.contains(&format!("CallSid={sid}")) && body.contains("CallStatus=in-progress"), "{body}");
    let (.., done) = asked("POST /done ");
    assert!(done.contains(recording), "{done}");
    let (.., told) = asked("POST /recording ");
    assert!(told.contains("RecordingStatus=completed") && told.contains(recording), "{told}");
    // A fact that nobody waits for reaches the disk, and then the database, some milliseconds later.
    let listed = until("the recording in its list, whole", secs(20), || {
        let listed = switch.http.items(&format!("/v1/recordings?call={sid}"));
        (listed.first()?["status"] == "completed").then_some(listed)
    });
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0]["status"].as_str(), listed[0]["sid"].as_str()), (Some("completed"), Some(recording)));
    let (head, wav) = ask(&setup, "GET", &format!("/v1/recordings/{recording}.wav"), "");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let samples = hound::WavReader::new(wav.as_slice()).unwrap().into_samples::<i16>().map(Result::unwrap);
    let loudest = samples.map(|sample| sample.unsigned_abs()).max();
    assert!(loudest.is_some_and(|loudest| loudest > 1_000), "the recording is silent: {loudest:?}");
}

/// What the API answers, head and body.
fn ask(setup: &Setup, method: &str, path: &str, body: &str) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(("127.0.0.1", setup.http_port)).unwrap();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut all = Vec::new();
    stream.read_to_end(&mut all).unwrap();
    let end = all.windows(4).position(|at| at == b"\r\n\r\n").unwrap();
    let body = all.split_off(end + 4);
    (String::from_utf8(all).unwrap(), body)
}

#[test]
fn a_flow_from_the_store_runs_on_a_call_and_an_unknown_one_is_told() {
    if !can_speak() {
        return;
    }
    let (setup, _carrier, switch) = town("");
    let flow = json!({ "start": "a", "states": {
        "a": { "say": "Hello from the flow.", "next": "b" },
        "b": { "hangup": true },
    }});
    let (head, put) = ask(&setup, "PUT", "/v1/flows/hello", &flow.to_string());
    assert!(head.starts_with("HTTP/1.1 201"), "{head}{}", String::from_utf8_lossy(&put));
    let sid = switch.http.place(&call(json!({ "flow": "hello" })));
    assert_eq!(switch.http.ended(&sid, secs(60))["status"], "completed");
    let events = switch.http.events(&sid);
    assert!(
        of_kind(&events, "playing").iter().any(|data| data["prompt"] == "say: Hello from the flow."),
        "{events:#?}"
    );
    let gone = call(json!([{ "pause": 1 }, { "gather": "welcome", "on": { "1": { "flow": "nobody" } } }]));
    let (head, body) = ask(&setup, "POST", "/v1/calls", &gone.to_string());
    let body = String::from_utf8_lossy(&body);
    assert!(
        head.starts_with("HTTP/1.1 400") && body.contains("unknown_flow") && body.contains("nobody"),
        "{head}{body}"
    );
}

/// A call looks for its flow when it is answered, and keeps what it finds.
#[test]
fn a_flow_deleted_while_the_far_end_rings_is_told_and_one_deleted_while_it_runs_goes_on() {
    let mut setup = Setup::new();
    let (dir, ports) = setup.room();
    let carrier = Carrier::start(dir, ports, 10, "answer 100ms, say welcome loop", &[]);
    let callee = Callee::start();
    let patience = "try_timeout_ms = 30000\n";
    let setup = setup.trunk("carrier", "generic", carrier.port, "").trunk("rings", "generic", callee.port, patience);
    let switch = setup.start();
    let flow = json!({ "start": "a", "states": {
        "a": { "play": "welcome", "next": "b" },
        "b": { "play": "goodbye", "next": "c" },
        "c": { "hangup": true },
    }});
    let store = || {
        let (head, put) = ask(&setup, "PUT", "/v1/flows/brief", &flow.to_string());
        assert!(head.starts_with("HTTP/1.1 20"), "{head}{}", String::from_utf8_lossy(&put));
    };
    let delete = || {
        let (head, _) = ask(&setup, "DELETE", "/v1/flows/brief", "");
        assert!(head.starts_with("HTTP/1.1 204"), "{head}");
    };
    let through = |trunk: &str| {
        let mut call = call(json!({ "flow": "brief" }));
        call["trunk"] = trunk.into();
        switch.http.place(&call)
    };
    let has = |sid: &str, kind: &str| !of_kind(&switch.http.events(sid), kind).is_empty();
    store();
    // On a busy machine the carrier turns some away with 503.
    let inside = until("a call is in its flow", secs(120), || {
        let sid = through("carrier");
        until("it is, or is over", secs(60), || {
            (has(&sid, "playing") || is_final(&switch.http.call(&sid))).then_some(())
        });
        has(&sid, "playing").then_some(sid)
    });
    delete();
    assert_eq!(switch.http.ended(&inside, secs(120))["status"], "completed");
    let events = switch.http.events(&inside);
    assert!(of_kind(&events, "playing").iter().any(|data| data["prompt"] == "goodbye"), "{events:#?}");
    assert!(of_kind(&events, "warning").is_empty(), "{events:#?}");

    store();
    let outside = through("rings");
    until("the far end rings", secs(60), || has(&outside, "ringing").then_some(()));
    delete();
    callee.answer();
    let ended = switch.http.ended(&outside, secs(120));
    assert_eq!((&ended["status"], &ended["cause"]["origin"]), (&json!("completed"), &json!("program")), "{ended:#}");
    let events = switch.http.events(&outside);
    let told = of_kind(&events, "warning");
    let is_told = told.iter().any(|data| data["code"] == 11200 && data["message"] == "there is no flow \"brief\"");
    assert!(is_told, "{events:#?}");
    assert!(!of_kind(&events, "playing").iter().any(|data| data["prompt"] == "welcome"), "{events:#?}");
    let rows = until("both are in the books", secs(60), || {
        let rows = switch.http.items("/v1/cdrs");
        let all = [&inside, &outside].iter().all(|sid| rows.iter().any(|row| row["sid"] == sid.as_str()));
        all.then_some(rows)
    });
    assert!(rows.iter().any(|row| row["sid"] == outside.as_str() && !row["answered_at"].is_null()), "{rows:#?}");
    let (head, body) = ask(&setup, "POST", "/v1/calls", &call(json!({ "flow": "brief" })).to_string());
    let body = String::from_utf8_lossy(&body);
    assert!(head.starts_with("HTTP/1.1 400") && body.contains("unknown_flow"), "{head}{body}");
}

#[test]
fn a_document_inside_our_network_is_not_fetched_where_egress_does_not_name_it() {
    let (addr, seen) = web(vec![("/ivr", "<Response/>".to_owned())]);
    let (_setup, _carrier, switch) = town("\"127.0.0.2\"");
    let sid = switch.http.place(&call(json!({ "url": format!("http://{addr}/ivr") })));
    switch.http.ended(&sid, secs(60));
    let events = switch.http.events(&sid);
    let told = of_kind(&events, "warning");
    assert!(told.iter().any(|data| data["message"].as_str().unwrap().contains("loopback")), "{events:#?}");
    assert!(seen.try_recv().is_err());
}

#[test]
fn what_was_being_recorded_when_the_switch_was_killed_is_heard_by_http_after_the_next_start() {
    let (setup, _carrier, mut switch) = town("\"127.0.0.1\"");
    let sid = switch.http.place(&call(json!([{ "record": true, "max_s": 600, "timeout_s": 0, "beep": false }])));
    let begun = until("the recording begins", secs(60), || {
        of_kind(&switch.http.events(&sid), "recording").first().map(|data| data["recording"].clone())
    });
    let recording = begun.as_str().unwrap().to_owned();
    let file = setup.dir().join("recordings").join(format!("{recording}.wav"));
    // Two seconds of it are on the disk: whatever comes after the kill has at least those.
    until("two seconds are written", secs(60), || {
        std::fs::metadata(&file).ok().filter(|meta| meta.len() > 44 + 32_000).map(|_| ())
    });
    switch.process.kill();
    drop(switch);
    let switch = setup.start();
    let path = format!("/v1/recordings/{recording}");
    let one = switch.http.get(&path).body;
    assert_eq!(
        (&one["status"], &one["reason"], &one["call_sid"]),
        (&json!("completed"), &json!("interrupted"), &json!(sid))
    );
    let sound = hound::WavReader::open(&file).unwrap();
    let heard_ms = u64::from(sound.duration()) * 1_000 / u64::from(sound.spec().sample_rate);
    assert!(heard_ms >= 2_000, "{heard_ms} ms");
    assert_eq!(
        (one["duration_ms"].as_u64(), one["octets"].as_u64()),
        (Some(heard_ms), Some(file.metadata().unwrap().len()))
    );
    assert_eq!(switch.http.get(&format!("{path}.wav")).status, 200);
    let ended = switch.http.call(&sid);
    assert_eq!(
        (&ended["status"], &ended["cause"]["origin"]),
        (&json!("completed"), &json!("interrupted")),
        "{ended:#}"
    );
    let kinds: Vec<String> =
        switch.http.events(&sid).iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect();
    assert!(kinds.ends_with(&["recorded".to_owned(), "ended".to_owned()]), "{kinds:?}");
    let (head, _) = ask(&setup, "DELETE", &path, "");
    assert!(head.starts_with("HTTP/1.1 204"), "{head}");
    assert!(!file.exists());
}

#[test]
fn no_log_has_a_number_where_they_are_to_be_unreadable() {
    for redacts in [true, false] {
        let mut setup = Setup::new();
        let (dir, ports) = setup.room();
        let carrier = Carrier::start(dir, ports, 10, "ring 100ms, answer 200ms", &[]);
        let setup =
            setup.trunk("carrier", "twilio", carrier.port, "").section(&format!("[log]\nredact_numbers = {redacts}"));
        std::fs::write(setup.dir().join("tandem.toml"), setup.text()).unwrap();
        let process = tandem("tandem", setup.dir(), |command| {
            command.args(["serve", "--config", "tandem.toml"]).env("TANDEM_LOG", "trace");
        });
        let switch = Switch { process, http: Http::new(setup.http_port, KEY), sip_port: setup.sip_port };
        until("it is ready", secs(90), || switch.http.try_get("/readyz").ok().filter(|reply| reply.status == 200));
        let sid = switch.http.place(&call(json!({ "hangup": true })));
        switch.http.ended(&sid, secs(60));
        let numbers = [OWNED, CALLED].map(|number| number.trim_start_matches('+'));
        let said = |output: &str| numbers.iter().any(|number| output.contains(number));
        assert_eq!(switch.http.get(&format!("/v1/numbers/{OWNED}")).status, 200);
        let output = switch.process.output();
        assert!(!redacts || !said(&output), "a number is in the log");
        assert!(redacts || output.contains("a call is admitted"), "{output}");
    }
}
