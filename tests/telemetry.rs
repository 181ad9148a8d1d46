//! A call's spans at a receiver of OTLP over HTTP, read with OpenTelemetry's own types.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops where it cannot go on")]

mod common;

use common::carrier::Carrier;
use common::switch::{CALLED, OWNED, Setup};
use common::{secs, until};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use serde_json::json;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Who takes spans.
struct Collector {
    url: String,
    spans: Arc<Mutex<Vec<Span>>>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let spans = Arc::<Mutex<Vec<Span>>>::default();
        let own = spans.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let own = own.clone();
                std::thread::spawn(move || serve(&stream, &own));
            }
        });
        Self { url, spans }
    }

    fn spans(&self) -> Vec<Span> {
        self.spans.lock().unwrap().clone()
    }
}

/// Answers the requests of a connection until it ends.
fn serve(stream: &TcpStream, spans: &Mutex<Vec<Span>>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    loop {
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if line.trim().is_empty() {
                break;
            }
            head.push(line.trim().to_ascii_lowercase());
        }
        assert_eq!(head[0], "post /v1/traces http/1.1");
        assert!(head.contains(&"content-type: application/x-protobuf".to_owned()), "{head:?}");
        let length = head.iter().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let request = ExportTraceServiceRequest::decode(&body[..]).unwrap();
        for of in request.resource_spans {
            let service = of.resource.unwrap().attributes.into_iter().find(|named| named.key == "service.name");
            assert!(format!("{service:?}").contains("tandem"), "{service:?}");
            spans.lock().unwrap().extend(of.scope_spans.into_iter().flat_map(|scope| scope.spans));
        }
        write!(&*stream, "HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n")
            .ok()?;
    }
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

#[test]
fn a_request_and_its_call_are_spans_from_the_post_to_the_end_of_the_call() {
    let collector = Collector::start();
    let mut setup = Setup::new();
    let (dir, ports) = setup.room();
    let carrier = Carrier::start(dir, ports, 10, "ring 100ms, answer 200ms", &[]);
    let setup = setup
        .trunk("carrier", "twilio", carrier.port, "")
        .section(&format!("[telemetry]\notlp_url = \"{}\"", collector.url));
    let switch = setup.start();
    let sid = switch.http.place(&json!({ "from": OWNED, "to": CALLED, "answer": { "play": "digit-1" } }));
    assert_eq!(switch.http.ended(&sid, secs(60))["status"], "completed");

    let trace = sid.trim_start_matches("CA").to_owned();
    let of_call = until("the call's spans", secs(60), || {
        let spans: Vec<Span> = collector.spans().into_iter().filter(|span| hex(&span.trace_id) == trace).collect();
        (spans.len() >= 4).then_some(spans)
    });
    let named = |name: &str| of_call.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no {name}"));
    let (call, invite, answered) = (named("call"), named("invite"), named("answered"));
    assert_eq!(of_call.len(), 4, "each once: {of_call:?}");
    assert!(call.parent_span_id.is_empty());
    for part in [named("queued"), invite, answered] {
        assert_eq!(part.parent_span_id, call.span_id);
        assert!(part.start_time_unix_nano >= call.start_time_unix_nano, "{part:?}");
        assert!(part.end_time_unix_nano <= call.end_time_unix_nano, "{part:?}");
    }
    assert_eq!(named("queued").end_time_unix_nano, invite.start_time_unix_nano);
    assert_eq!(invite.end_time_unix_nano, answered.start_time_unix_nano);
    assert!(invite.events.iter().any(|event| event.name == "ringing"), "{invite:?}");
    let said = format!("{:?}", call.attributes);
    for word in [sid.as_str(), "outbound-api", "completed", "carrier", "default"] {
        assert!(said.contains(word), "no {word} in {said}");
    }

    let post = until("the span of the POST", secs(60), || {
        collector.spans().into_iter().find(|span| span.name == "POST /v1/calls")
    });
    assert_eq!(post.links.len(), 1, "{post:?}");
    assert_eq!((hex(&post.links[0].trace_id), &post.links[0].span_id), (trace, &call.span_id));
    assert!(format!("{:?}", post.attributes).contains("201"), "{post:?}");
    for number in [OWNED, CALLED] {
        assert!(!format!("{:?}", collector.spans()).contains(&number[1..]), "a number left");
    }
}

#[test]
fn a_collector_that_is_away_costs_no_call_anything_and_what_it_missed_is_counted() {
    let mut setup = Setup::new();
    let (dir, ports) = setup.room();
    let nobody = ports.port();
    let carrier = Carrier::start(dir, ports, 10, "ring 100ms, answer 200ms", &[]);
    let setup = setup
        .trunk("carrier", "twilio", carrier.port, "")
        .section(&format!("[telemetry]\notlp_url = \"http://127.0.0.1:{nobody}\""));
    let switch = setup.start();
    let sid = switch.http.place(&json!({ "from": OWNED, "to": CALLED, "answer": { "play": "digit-1" } }));
    assert_eq!(switch.http.ended(&sid, secs(60))["status"], "completed");
    until("what was lost is counted", secs(60), || {
        let text = switch.http.get("/metrics").body.as_str().unwrap().to_owned();
        let line = text.lines().find(|line| line.starts_with("tandem_telemetry_dropped_spans "))?;
        (line.rsplit(' ').next()?.parse::<u64>().ok()? >= 4).then_some(())
    });
}
