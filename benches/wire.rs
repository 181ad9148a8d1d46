//! What reading one INVITE of a carrier costs: our index alone, our index with the typed headers that a user agent server
//! needs, and rsip beside them (`cargo bench --bench wire`).
//!
//! rsip reads into owned strings, so the fair comparison is the middle row; the first row is what a message costs that is
//! only routed to its transaction.

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sip_core::message::{Message, ParseError, ResponseBuilder, StatusCode, check_request};
use std::hint::black_box;

/// An INVITE as a trunk sends it: two Vias, two Record-Routes, the usual extensions and a body.
const INVITE: &str = concat!(
    "INVITE sip:+18325550100@203.0.113.5:5060;transport=udp SIP/2.0\r\n",
    "Record-Route: <sip:198.51.100.4:5060;lr;ftag=31704561_6772d868>\r\n",
    "Record-Route: <sip:10.20.30.40:5060;r2=on;lr>\r\n",
    "Via: SIP/2.0/UDP 198.51.100.4:5060;branch=z9hG4bK7a1c.e6e9b0e1.0;rport\r\n",
    "Via: SIP/2.0/UDP 10.20.30.40:5060;received=10.20.30.40;branch=z9hG4bKc7f0dd23\r\n",
    "From: \"+14155550123\" <sip:+14155550123@gateway.example.com>;tag=31704561_6772d868_2a0c\r\n",
    "To: <sip:+18325550100@203.0.113.5>\r\n",
    "Call-ID: 8e9a1f1c0b6d4d2f9d0f5a7e6b3c2d1a@0.0.0.0\r\n",
    "CSeq: 1 INVITE\r\n",
    "Max-Forwards: 67\r\n",
    "Contact: <sip:+14155550123@10.20.30.40:5060;transport=udp>\r\n",
    "Allow: INVITE,ACK,CANCEL,BYE,REFER,NOTIFY,OPTIONS\r\n",
    "Supported: replaces,timer\r\n",
    "P-Asserted-Identity: <sip:+14155550123@198.51.100.4:5060>\r\n",
    "User-Agent: Carrier Gateway\r\n",
    "X-Carrier-CallSid: CA00000000000000000000000000000000\r\n",
    "Content-Type: application/sdp\r\n",
    "Content-Length: 173\r\n",
    "\r\n",
    "v=0\r\n",
    "o=root 1893661 1893661 IN IP4 198.51.100.9\r\n",
    "s=call\r\n",
    "c=IN IP4 198.51.100.9\r\n",
    "t=0 0\r\n",
    "m=audio 17266 RTP/AVP 0 101\r\n",
    "a=rtpmap:101 telephone-event/8000\r\n",
    "a=ptime:20\r\n",
    "a=sendrecv\r\n",
);

/// Everything a server asks of an INVITE before it rings.
fn for_a_server(bytes: Bytes) -> Result<usize, ParseError> {
    let message = Message::parse(bytes)?;
    let (uri, via, from, to) = (message.request_uri()?, message.top_via()?, message.from()?, message.to()?);
    let (cseq, call_id) = (message.cseq()?, message.call_id()?);
    let (contacts, routes) = (message.contacts()?, message.record_routes()?);
    black_box((&uri, &via, &from, &to, &cseq, call_id, message.max_forwards()?));
    Ok(contacts.len() + routes.len() + message.body().len())
}

fn invite(c: &mut Criterion) {
    let bytes = Bytes::copy_from_slice(INVITE.as_bytes());
    let mut group = c.benchmark_group("INVITE");
    group.throughput(Throughput::Bytes(INVITE.len() as u64));
    group.bench_function("index", |b| b.iter(|| Message::parse(black_box(bytes.clone()))));
    group.bench_function("index and typed headers", |b| b.iter(|| for_a_server(black_box(bytes.clone()))));
    group.bench_function("index and check", |b| {
        b.iter(|| Message::parse(black_box(bytes.clone())).map(|message| check_request(&message).is_ok()))
    });
    group.bench_function("rsip", |b| b.iter(|| rsip::SipMessage::try_from(black_box(INVITE.as_bytes()))));
    group.finish();
    if let Ok(message) = Message::parse(bytes) {
        c.bench_function("response", |b| {
            b.iter(|| ResponseBuilder::to_request(&message, StatusCode::RINGING).to_tag("a6c85cf").build())
        });
    }
}

criterion_group!(benches, invite);
criterion_main!(benches);
