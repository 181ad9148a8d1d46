//! Hard but well-formed messages, section by section after RFC 4475 §3.1.1, §3.3 and §3.4, and RFC 5118: each is read,
//! passes the checks, and yields the right values. The texts are our own.
#![allow(clippy::panic, reason = "a helper of a test fails the test")]

use bytes::Bytes;
use sip_core::message::{
    Contacts, Fault, Message, Method, Name, ResponseBuilder, StatusCode, check_request, check_response,
};
use sip_core::uri::Scheme;

/// A message out of lines.
fn message(lines: &[&str]) -> Message {
    let message = read(&(lines.join("\r\n") + "\r\n\r\n"));
    assert_eq!(check_request(&message), Ok(()));
    message
}

fn read(text: &str) -> Message {
    Message::parse(Bytes::copy_from_slice(text.as_bytes())).unwrap_or_else(|error| panic!("{error} in {text}"))
}

/// A request with the headers that each must have, and some more.
fn request(method: &str, uri: &str, more: &[&str]) -> Message {
    let (start, cseq) = (format!("{method} {uri} SIP/2.0"), format!("CSeq: 17 {method}"));
    let common = [
        start.as_str(),
        "Via: SIP/2.0/UDP pbx.example.org;branch=z9hG4bKtandem1",
        "From: <sip:ada@example.org>;tag=a1",
        "To: <sip:ben@example.net>",
        "Call-ID: c1@pbx.example.org",
        &cseq,
        "Max-Forwards: 70",
    ];
    message(&[&common[..], more].concat())
}

/// §3.1.1.1: white space wherever the grammar has it, folding, compact and long names, an empty header, quotes and
/// backslashes in display names, a Via without the magic cookie.
#[test]
fn reads_a_short_tortuous_invite() {
    let message = message(&[
        "INVITE sip:line9@pbx.example.org;group=night SIP/2.0",
        "tO  :",
        "\t<sip:line9@pbx.example.org> ;   tag    =   8p2z",
        "fROM: \"Night \\\"desk\\\" \\\\\"   <sip:desk@example.org>",
        "  ;",
        " tag  =  77ee",
        "MAX-forwards   :   0042",
        "Call-ID: night.1@192.0.2.77",
        "cseq :  00031",
        "   INVITE",
        "VIA : SIP  / 2.0",
        " / UDP",
        "      192.0.2.77;branch=oldstyle9",
        "S :",
        "Novel-Header  : of two",
        "   lines",
        "Odd: ,;,;;=\"",
        "v: SIP/   2.0 /TCP   hop2.example.org : 5080  ;",
        "  branch  = z9hG4bKhop2 ,",
        " SIP/2.0/UDP 198.51.100.3 ;branch=",
        " z9hG4bKhop3",
        "m : \"Desk, \\\"9\\\"\"  <sip:desk@192.0.2.77>  ;  novel = ",
        "  yes ;q  =  0.7",
        "l  :  0",
    ]);
    assert_eq!(message.request_uri().unwrap().param("group"), Some("night"));
    let (from, to) = (message.from().unwrap(), message.to().unwrap());
    assert_eq!((from.display_name.as_deref(), from.tag()), (Some("Night \"desk\" \\"), Some("77ee")));
    assert_eq!((to.display_name.as_deref(), to.params.get("tag")), (None, Some("8p2z")));
    assert_eq!(message.max_forwards(), Ok(Some(42)));
    assert_eq!(message.cseq().unwrap().to_string(), "31 INVITE");
    let vias: Vec<_> = message.vias().unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(
        vias,
        [
            "SIP/2.0/UDP 192.0.2.77;branch=oldstyle9",
            "SIP/2.0/TCP hop2.example.org:5080;branch=z9hG4bKhop2",
            "SIP/2.0/UDP 198.51.100.3;branch=z9hG4bKhop3"
        ]
    );
    assert!(!message.top_via().unwrap().is_rfc3261());
    assert_eq!(message.header(Name::Subject).as_deref(), Some(&b""[..]));
    assert_eq!(message.header_named("novel-HEADER").as_deref(), Some(&b"of two lines"[..]));
    let contacts = message.contacts().unwrap();
    assert_eq!(contacts[0].display_name.as_deref(), Some("Desk, \"9\""));
    assert_eq!((contacts[0].params.get("novel"), contacts[0].params.get("q")), (Some("yes"), Some("0.7")));
}

/// §3.1.1.2: every character of a token as a method, every character of a user part, control characters in quoted pairs,
/// UTF-8 in a value.
#[test]
fn reads_the_whole_range_of_characters() {
    let method = "~t'a`n+d_e*m.9%-!";
    let uri = "sip:a-_.!~*'()&=+$,;?/%40:b&=+$,@example.org";
    let message = request(method, uri, &["Novel!%*+-._`'~: Grüße \u{1f4de}", "Subject: \"\\\0\\\x07\\\x7f\""]);
    assert_eq!(message.method(), Method::Other(method.into()));
    let uri = message.request_uri().unwrap();
    assert_eq!((uri.user(), uri.password()), (Some("a-_.!~*'()&=+$,;?/%40"), Some("b&=+$,")));
    assert_eq!(message.header_named("novel!%*+-._`'~").unwrap().as_ref(), "Grüße \u{1f4de}".as_bytes());
    let control = read(
        "OPTIONS sip:h SIP/2.0\r\nVia: SIP/2.0/UDP h\r\nTo: \"NUL:\\\0 BEL:\\\x07\" <sip:b@h>\r\n\
         From: one's two+ ~ <sip:a@h>;x%y=\"тест\";tag=_'`+\r\nCall-ID: <>[]{}?/\\\":;(x\r\nCSeq: 1 OPTIONS\r\n\r\n",
    );
    assert_eq!(check_request(&control), Ok(()));
    assert_eq!(control.to().unwrap().display_name.as_deref(), Some("NUL:\0 BEL:\x07"));
    let from = control.from().unwrap();
    assert_eq!((from.tag(), from.params.get_unquoted("X%Y").unwrap().into_owned()), (Some("_'`+"), "тест".to_owned()));
    assert_eq!(control.call_id(), Ok("<>[]{}?/\\\":;(x"));
    let answer = ResponseBuilder::to_request(&control, StatusCode::OK).build();
    let answer = Message::parse(answer).unwrap();
    assert_eq!(answer.lines(Name::To).next(), control.lines(Name::To).next(), "the peer's own bytes come back to it");
}

/// §3.1.1.3: an escaped user part is one user part, and an escaped `lr` is not `lr`.
#[test]
fn never_reads_an_escaped_uri_as_a_second_one() {
    let message = request(
        "INVITE",
        "sip:tel%3A%2B1555%40evil.example;x@example.net",
        &["Contact:", " <sip:%61da@192.0.2.7;l%72;%66oo=b%61r%2541>"],
    );
    let uri = message.request_uri().unwrap();
    assert_eq!(uri.scheme(), Scheme::Sip);
    assert_eq!(uri.host().unwrap().to_string(), "example.net");
    assert_eq!(uri.user(), Some("tel%3A%2B1555%40evil.example;x"));
    assert_eq!(uri.user_unescaped().unwrap(), "tel:+1555@evil.example;x");
    let contact = &message.contacts().unwrap()[0].uri;
    assert!(!contact.is_lr());
    assert!(contact.equivalent(&"sip:ada@192.0.2.7;foo=bar%2541;lr".parse().unwrap()));
}

/// §3.1.1.4: escaped NULs stay escaped: neither cut off nor merged.
#[test]
fn keeps_escaped_nuls_apart() {
    let message = request("REGISTER", "sip:example.org", &["Contact: <sip:%00@h>", "m:<sip:%00%00@h>", "L:0"]);
    let contacts = message.contacts().unwrap();
    assert_eq!(contacts.iter().map(|c| c.uri.user()).collect::<Vec<_>>(), [Some("%00"), Some("%00%00")]);
    assert!(!contacts[0].uri.equivalent(&contacts[1].uri));
}

/// §3.1.1.5: a percent sign means nothing in methods, header names, tokens and display names.
#[test]
fn does_not_unescape_what_is_no_uri() {
    let message = request("%49NVITE", "sip:h", &["C%6Fntact: <sip:x@h>", "Contact: \"%41\" <sip:y@h>"]);
    assert_eq!(message.method(), Method::Other("%49NVITE".into()));
    let contacts = message.contacts().unwrap();
    assert_eq!(contacts.len(), 1);
    assert_eq!(contacts[0].display_name.as_deref(), Some("%41"));
}

/// §3.1.1.6: no white space between display name and bracket.
#[test]
fn reads_a_display_name_that_touches_its_bracket() {
    let message = read(
        "OPTIONS sip:h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: ada<sip:ada@h>;tag=1\r\n\
         To: \"ben\"<sip:ben@h>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n\r\n",
    );
    assert_eq!(message.from().unwrap().display_name.as_deref(), Some("ada"));
    assert_eq!(message.to().unwrap().display_name.as_deref(), Some("ben"));
}

/// §3.1.1.7: long values everywhere, and many Vias in every spelling; the response carries them all, in order.
#[test]
fn reads_long_values_and_copies_many_vias_in_order() {
    let long = "long".repeat(300);
    let spellings = ["Via:", "v:", "V :", "vIA\t:", "via  :  "];
    let vias: Vec<String> = (0..40)
        .map(|n| format!("{} SIP/2.0/TCP hop{n}.example.org;branch=z9hG4bK{long}{n}", spellings[n % 5]))
        .collect();
    let mut lines = vec![format!("INVITE sip:{long}@h;{long}={long} SIP/2.0")];
    lines.extend(vias);
    lines.push(format!("F: \"{long}\" <sip:{long}@h>;tag={long}"));
    lines.push(format!("To: <sip:{long}@h>\r\n{long}: {long}\r\ni: {long}\r\nCSeq: 1 INVITE"));
    let refs: Vec<&str> = lines.iter().map(String::as_str).collect();
    let message = message(&refs);
    assert_eq!(message.from().unwrap().tag(), Some(long.as_str()));
    assert_eq!(message.header_named(&long).as_deref(), Some(long.as_bytes()));
    let answer = Message::parse(ResponseBuilder::to_request(&message, StatusCode::OK).build()).unwrap();
    assert_eq!(answer.vias(), message.vias());
    assert_eq!(answer.vias().unwrap()[39].host.to_string(), "hop39.example.org");
}

/// §3.1.1.8: over UDP, what follows the body is nobody's.
#[test]
fn ignores_a_second_message_in_a_datagram() {
    let first = "OPTIONS sip:h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\n\
                 Call-ID: first\r\nCSeq: 1 OPTIONS\r\nContent-Length: 2\r\n\r\nhi";
    let message = read(&format!("\r\n\r\n{first}\r\n\r\n{}", first.replace("first", "second")));
    assert_eq!(message.call_id(), Ok("first"));
    assert_eq!(message.body().as_ref(), b"hi");
    assert_eq!(message.start_line(), "OPTIONS sip:h SIP/2.0");
}

/// §3.1.1.9: a semicolon in the user part begins no parameter.
#[test]
fn keeps_semicolons_in_the_user_part() {
    let message = request("OPTIONS", "sip:ada;ext=9%40desk@example.org;transport=tcp", &["Accept: a/b,", "  c/d"]);
    let uri = message.request_uri().unwrap();
    assert_eq!((uri.user(), uri.param("ext"), uri.param("transport")), (Some("ada;ext=9%40desk"), None, Some("tcp")));
    assert_eq!(message.tokens(Name::Accept), ["a/b", "c/d"]);
}

/// §3.1.1.10: transports that nobody here speaks come back unchanged.
#[test]
fn echoes_unknown_transports_unchanged() {
    let lower = ["SIP/2.0/SCTP s.example;branch=z9hG4bK2", "SIP/2.0/carrier-pigeon p.example;branch=z9hG4bK3"];
    let message = request("OPTIONS", "sip:h", &[&format!("Via: {}", lower[0]), &format!("v: {}", lower[1])]);
    let answer = Message::parse(ResponseBuilder::to_request(&message, StatusCode::OK).build()).unwrap();
    let vias: Vec<_> = answer.lines(Name::Via).skip(1).map(|v| String::from_utf8(v.into_owned()).unwrap()).collect();
    assert_eq!(vias, lower);
}

/// §3.1.1.11: a body is bytes: NULs and line ends in it end nothing.
#[test]
fn takes_a_binary_body_by_its_length() {
    let head = "MESSAGE sip:h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\n\
                Call-ID: 1\r\nCSeq: 1 MESSAGE\r\nContent-Type: multipart/mixed;boundary=b0\r\nContent-Length: 12\r\n\r\n";
    let body = b"\0\xff\r\n\r\nVia:\0z";
    let bytes = Bytes::from([head.as_bytes(), body, b"!rest"].concat());
    let message = Message::parse(bytes.clone()).unwrap();
    assert_eq!(message.body().as_ref(), body);
    assert_eq!(message.content_type().unwrap().unwrap().params.get("boundary"), Some("b0"));
    assert_eq!(Message::parse_framed(bytes).unwrap_err().fault, Fault::BodyLength);
}

/// §3.1.1.12 and §3.1.1.13: any bytes, or none, as a reason phrase.
#[test]
fn reads_any_reason_phrase_and_none() {
    let rest = "Via: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:b@h>;tag=2\r\nCall-ID: 1\r\n\
                CSeq: 1 INVITE\r\n\r\n";
    for (line, code, phrase) in [
        ("SIP/2.0 200 всё = 100 % хорошо", 200, "всё = 100 % хорошо"),
        ("SIP/2.0 100 ", 100, ""),
        ("SIP/2.0 486", 486, ""),
        ("sip/2.0 699 x", 699, "x"),
    ] {
        let message = read(&format!("{line}\r\n{rest}"));
        assert_eq!(check_response(&message), Ok(()));
        assert_eq!((message.status().unwrap().code(), message.reason_phrase().as_ref()), (code, phrase));
        assert_eq!(message.method(), Method::Invite);
    }
    let bytes = Bytes::from([b"SIP/2.0 200 \xff\x07", format!("\r\n{rest}").as_bytes()].concat());
    assert_eq!(Message::parse(bytes).unwrap().start_line(), "SIP/2.0 200 \u{fffd}\\u{7}");
}

/// §3.3.7, §3.3.11, §3.3.12, §3.3.13, §3.3.14: unknown schemes of authorization, no hops left, parameters of header and
/// of URI, headers in a Contact: all of them are the endpoint's to judge.
#[test]
fn passes_on_what_is_the_endpoints_to_judge() {
    request("REGISTER", "sip:example.org", &["Authorization: NovelScheme x=y"]);
    let parameters = request(
        "REGISTER",
        "sip:example.org",
        &[
            "Contact: sip:+1555@gw.example.org;novel",
            "Contact: <sip:+1556@gw.example.org;novel>",
            "Expires: 99999999999",
        ],
    );
    let contacts = parameters.contacts().unwrap();
    assert_eq!((contacts[0].uri.param("novel"), contacts[0].params.get("novel")), (None, Some("")));
    assert_eq!((contacts[1].uri.param("novel"), contacts[1].params.get("novel")), (Some(""), None));
    assert_eq!(parameters.expires(), Ok(Some(u32::MAX)));
    let escaped = request("REGISTER", "sip:example.org", &["m: <sip:ada@h?Route=%3Csip:evil.example%3E>"]);
    let uri = &escaped.contacts().unwrap()[0].uri;
    assert_eq!(uri.headers().collect::<Vec<_>>(), [("Route", Some("%3Csip:evil.example%3E"))]);
    assert_eq!(uri.clone().without_headers().as_str(), "sip:ada@h");
    assert!(escaped.routes().unwrap().is_empty());
    let all = request("REGISTER", "sip:example.org", &["Contact:  * ", "Expires: 0"]);
    assert_eq!(all.contact(), Ok(Contacts::All));
    assert!(all.contacts().is_err());
}

/// §3.4.1: RFC 2543 had no branch, no tag, no Max-Forwards and no Content-Length.
#[test]
fn accepts_an_rfc_2543_invite() {
    let message = read(
        "INVITE sip:ben@example.net SIP/2.0\r\nVia: SIP/2.0/UDP old.example.org\r\nFrom: <sip:ada@old.example.org>\r\n\
         To: sip:ben@example.net;user=phone\r\nCall-ID: 1@old.example.org\r\nCSeq: 1 INVITE\r\n\
         Content-Type: application/sdp\r\n\r\nv=0\r\n\r\n",
    );
    assert_eq!(check_request(&message), Ok(()));
    assert_eq!(message.body().as_ref(), b"v=0\r\n\r\n");
    assert_eq!((message.from().unwrap().tag(), message.top_via().unwrap().branch()), (None, None));
    assert_eq!((message.max_forwards(), message.top_via().unwrap().port_or_default()), (Ok(None), 5060));
}

/// RFC 5118 §4: addresses in brackets everywhere, with ports, zones of ambiguity, and the extra colon.
#[test]
fn reads_ipv6_wherever_a_host_stands() {
    let message = read(
        "INVITE sip:[2001:db8::9]:5070;transport=tcp SIP/2.0\r\n\
         Via: SIP/2.0/UDP [2001:db8::9:1]:5061;received=[2001:db8::9:255];branch=z9hG4bK1\r\n\
         v: SIP/2.0/TCP [2001:db8::9:2];received=2001:db8::9:254;branch=z9hG4bK2\r\n\
         From: <sip:a@[2001:db8::20]>;tag=1\r\nTo: sip:b@[::ffff:192.0.2.9]\r\nCall-ID: 1@[2001:db8::20]\r\n\
         Contact: <sip:a@[2001:db8:::192.0.2.1]:5070>\r\nCSeq: 1 INVITE\r\n\r\n",
    );
    assert_eq!(check_request(&message), Ok(()));
    let uri = message.request_uri().unwrap();
    assert_eq!((uri.host().unwrap().to_string(), uri.port()), ("[2001:db8::9]".into(), Some(5070)));
    let vias = message.vias().unwrap();
    assert_eq!((vias[0].port, vias[0].received()), (Some(5061), "2001:db8::9:255".parse().ok()));
    assert_eq!((vias[1].port, vias[1].received()), (None, "2001:db8::9:254".parse().ok()));
    assert_eq!(message.contacts().unwrap()[0].uri.host().unwrap().ip(), "2001:db8::c000:201".parse().ok());
}

/// Not in RFC 4475, but on every trunk: lists across lines and commas, extension headers by name, bytes that are no text.
#[test]
fn reads_lists_across_lines_and_headers_by_any_name() {
    let message = request(
        "INVITE",
        "tel:+1-832-555-0100;phone-context=x",
        &[
            "Record-Route: <sip:p1;lr>, \"a, b\" <sip:p2;lr>",
            "Supported: timer, 100rel,,",
            "k: path",
            "Record-Route: <sip:p3;lr>",
            "X-Carrier-CallSid: CA1",
            "x-carrier-callsid: CA2",
            "Require: replaces",
        ],
    );
    let routes: Vec<_> = message.record_routes().unwrap().iter().map(|r| r.uri.to_string()).collect();
    assert_eq!(routes, ["sip:p1;lr", "sip:p2;lr", "sip:p3;lr"]);
    assert_eq!(message.supported(), ["timer", "100rel", "path"]);
    assert_eq!(message.require(), ["replaces"]);
    assert!(message.supports("100REL") && message.supports("replaces") && !message.supports("gruu"));
    assert_eq!(message.header_named("X-CARRIER-callsid").as_deref(), Some(&b"CA1"[..]));
    assert_eq!(message.lines_named("X-Carrier-CallSid").count(), 2);
    assert_eq!(message.header_named("supported"), message.header_named("K"));
    assert_eq!(message.header_named("X-Absent"), None);
    assert_eq!(message.request_uri().unwrap().tel_digits().as_deref(), Some("+18325550100"));
    let bytes = Bytes::from_static(b"OPTIONS sip:h SIP/2.0\r\nSubject: \xe9t\xe9\r\n\r\n");
    let latin = Message::parse(bytes).unwrap();
    assert_eq!(latin.header(Name::Subject).as_deref(), Some(&b"\xe9t\xe9"[..]));
    assert_eq!(latin.header_str(Name::Subject).unwrap(), "\u{fffd}t\u{fffd}");
}
