//! What holds of any bytes: nothing panics, what is written is read as it was meant, and no value breaks out of its line.

use bytes::Bytes;
use proptest::prelude::*;
use sip_core::header::{NameAddr, Params, Via};
use sip_core::message::{
    HeaderName, Message, Method, Name, RequestBuilder, ResponseBuilder, Salvage, StatusCode, check_request,
};
use sip_core::transport::Transport;
use sip_core::uri::{Host, Uri};

/// Lines that, put together at random, come near a message more often than random bytes do.
const PIECES: [&[u8]; 34] = [
    b"INVITE sip:a@b SIP/2.0\r\n",
    b"SIP/2.0 200 OK\r\n",
    b"ACK sip:a@b SIP/2.0\r\n",
    b"Via: SIP/2.0/UDP h;branch=z9hG4bKx",
    b"v: SIP / 2.0 / TCP [::1]:5 ;rport",
    b"From: <sip:a@b>;tag=1",
    b"f: \"a, <b>\" <sip:a@b?x=y>;tag=\"1;2\"",
    b"To: sip:c@d",
    b"t: tel:+1-2;x",
    b"Call-ID: x@y",
    b"CSeq: 1 INVITE",
    b"Contact: *",
    b"m: <sips:a:b@[::1]:9;x=y;lr?h=1>;q=0.1,sip:x@y",
    b"Max-Forwards: 70",
    b"Content-Length: 3",
    b"l: 0",
    b"Date: Sat, 13 Nov 2010 23:29:00 GMT",
    b"Record-Route: <sip:h;lr>, <sip:g;lr>",
    b"Timestamp: 54",
    b"\r\n",
    b"\r\n\r\n",
    b"\r\n ",
    b"\n",
    b"\r",
    b"\0",
    b"\xff\xfe",
    b"%00%zz",
    b"\"",
    b"\\",
    b"<",
    b">",
    b";",
    b",",
    b":",
];

fn noise() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => proptest::sample::select(PIECES.to_vec()).prop_map(<[u8]>::to_vec),
        4 => proptest::sample::select(PIECES.to_vec()).prop_map(|piece| [piece, b"\r\n"].concat()),
        1 => proptest::collection::vec(any::<u8>(), 0..20),
    ];
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

fn host() -> impl Strategy<Value = Host> {
    prop_oneof![
        "[a-z][a-z0-9-]{0,8}(\\.[a-z]{1,5}){0,2}".prop_filter_map("a name", |name| name.parse().ok()),
        any::<std::net::IpAddr>().prop_map(Host::from),
    ]
}

fn uri() -> impl Strategy<Value = Uri> {
    (proptest::option::of("\\PC{1,12}"), host(), proptest::option::of(1..=u16::MAX), any::<bool>()).prop_map(
        |(user, host, port, lr)| {
            let uri = Uri::sip(user.as_deref(), host, port);
            if lr { uri.with_param("lr", None) } else { uri }
        },
    )
}

fn address() -> impl Strategy<Value = NameAddr> {
    (".{0,16}", uri(), "[a-zA-Z0-9]{1,12}")
        .prop_map(|(name, uri, tag)| NameAddr::new(uri).with_display_name(&name).with_tag(&tag))
}

/// Display names lose their control characters when they are written, and nothing else.
fn written(name: &Option<String>) -> Option<String> {
    let clean = |name: &String| name.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    name.as_ref().map(clean).filter(|name: &String| !name.is_empty())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_bytes_are_read_without_a_panic(data in proptest::collection::vec(any::<u8>(), 0..400)) {
        sip_core::message::fuzz(&data);
        sip_core::uri::fuzz(&data);
    }

    #[test]
    fn bytes_that_come_near_a_message_are_read_without_a_panic(data in noise()) {
        sip_core::message::fuzz(&data);
    }

    #[test]
    fn text_that_comes_near_a_uri_is_read_without_a_panic(
        data in "(sip|sips|tel|urn|SIP):[a-c0-9%@:;?=&,#+\\[\\]*{<é\\-.]{0,40}",
    ) {
        sip_core::uri::fuzz(data.as_bytes());
        sip_core::message::fuzz(format!("\"x\" <{data}>;tag=1").as_bytes());
    }

    #[test]
    fn what_is_built_is_read_as_it_was_meant(
        target in uri(), from in address(), to in address(), seq in 0..1_u32 << 31, hops: u8,
        call_id in "[!-9;-~]{1,20}", sent_by in host(), body in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let via = Via::new(Transport::Tcp, sent_by, Some(5060), "z9hG4bKabc");
        let bytes = RequestBuilder::new(&Method::Invite, &target)
            .via(&via).max_forwards(hops).from(&from).to(&to).call_id(&call_id).cseq(seq, &Method::Invite)
            .contact(&from).body("application/sdp", Bytes::from(body.clone())).build();
        let message = Message::parse_framed(bytes).unwrap();
        prop_assert_eq!(check_request(&message), Ok(()));
        prop_assert_eq!(message.request_uri(), Ok(target));
        prop_assert_eq!(message.top_via(), Ok(&via));
        prop_assert_eq!(message.call_id(), Ok(&*call_id));
        prop_assert_eq!(message.cseq().map(|cseq| cseq.seq), Ok(seq));
        prop_assert_eq!(message.max_forwards(), Ok(Some(hops)));
        prop_assert_eq!(message.body(), &body);
        let read = message.from().unwrap();
        prop_assert_eq!((&read.uri, read.tag()), (&from.uri, from.tag()));
        prop_assert_eq!(read.display_name.clone(), written(&from.display_name));
        prop_assert_eq!(&message.to().unwrap().uri, &to.uri);
    }

    #[test]
    fn no_value_breaks_out_of_its_line(evil in "(.|\r|\n|\0){0,40}", bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
        let uri = Uri::sip(Some(&evil), "h".parse::<Host>().unwrap(), None).with_param(&evil, Some(&evil));
        let address = NameAddr::new(uri.clone()).with_display_name(&evil).with_tag(&evil).with_param(&evil, Some(&evil));
        let mut via = Via::new(Transport::Udp, "h".parse().unwrap(), None, &evil);
        via.transport.clone_from(&evil);
        let request = RequestBuilder::new(&Method::Other(evil.clone()), &uri)
            .via(&via).from(&address).to(&address).call_id(&evil).cseq(1, &Method::Other(evil.clone()))
            .header(Name::Subject, &*evil).header("X-Bytes", &*bytes).header(Name::ContentLength, "9")
            .body(&*evil, Bytes::new()).build();
        prop_assert_eq!(lines(&request), 12, "{}", String::from_utf8_lossy(&request));
        prop_assert!(memchr::memchr(0, &request).is_none());
        let plain = Message::parse(Bytes::from_static(b"OPTIONS sip:a@b SIP/2.0\r\nTo: <sip:a@b>\r\n\r\n")).unwrap();
        let response = ResponseBuilder::to_request(&plain, StatusCode::OK)
            .reason(&*evil).to_tag(&evil).header(Name::Server, &*evil).contact(&address).build();
        prop_assert_eq!(lines(&response), 6, "{}", String::from_utf8_lossy(&response));
        prop_assert!(memchr::memchr(0, &response).is_none());
    }

    #[test]
    fn a_header_name_from_outside_is_a_token_or_nothing(name in "(.|\r|\n){0,10}") {
        let token = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&b));
        prop_assert_eq!(HeaderName::parse(&name).is_ok(), token);
    }

    #[test]
    fn parameters_are_read_as_they_were_set(value in "\\PC{1,20}") {
        let params = Params::new().with("x", Some("1")).with("v", Some(&value)).with("y", None);
        let read = Params::parse(params.to_string().as_bytes()).unwrap();
        prop_assert_eq!(read.get_unquoted("v").unwrap_or_default(), value);
        prop_assert_eq!((read.get("x"), read.get("y")), (Some("1"), Some("")));
    }
}

/// How many lines a message without a body has, the empty one included; -1 where CR and LF do not stand together.
fn lines(message: &[u8]) -> i32 {
    let pairs = message.windows(2).filter(|two| two == b"\r\n").count();
    let count = |byte| message.iter().filter(|b| **b == byte).count();
    if pairs == count(b'\r') && pairs == count(b'\n') { pairs as i32 } else { -1 }
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "what is measured here is the real time that an attacker's message takes"
)]
fn reading_is_linear_in_the_longest_message() {
    let head = b"INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h\r\nCall-ID: x\r\n".to_vec();
    for filler in ["\"", "(", "\\", ";a", ",", "<", "%", "a,", "\r\n ", "a:\r\n", ";;", "\"\\"] {
        let mut message = [&head[..], b"Contact: "].concat();
        while message.len() + filler.len() < 65_000 {
            message.extend_from_slice(filler.as_bytes());
        }
        message.extend_from_slice(b"\r\n\r\n");
        let start = std::time::Instant::now();
        sip_core::message::fuzz(&message);
        assert!(start.elapsed().as_secs() < 2, "{filler:?} took {:?}", start.elapsed());
        assert!(Salvage::of(&message).is_some());
    }
}

proptest! {
    /// The headers of sessions: what is read is written, and read as the same.
    #[test]
    fn session_headers_are_written_as_they_are_read(
        call_id in "[!-~]{1,12}", tag in "[ -~]{0,10}", other in "[!-~]{0,10}", number: u32, escaped in "(%[0-9a-f]{2}|[ -~]){0,30}",
    ) {
        for value in [
            format!("{call_id};to-tag={tag};from-tag={other};early-only"),
            format!("{number} {number} {call_id}"),
            format!("{number};refresher={tag}"),
        ] {
            sip_core::message::fuzz(value.as_bytes());
        }
        let request = format!(
            "REFER sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nMax-Forwards: 70\r\nFrom: <sip:a@b>;tag=1\r\n\
             To: <sip:c@d>\r\nCall-ID: x\r\nCSeq: 1 REFER\r\nRefer-To: <sip:e@f?Replaces={escaped}%3Bto-tag%3D1%3Bfrom-tag%3D2>\r\n\r\n"
        );
        sip_core::message::fuzz(request.as_bytes());
    }
}
