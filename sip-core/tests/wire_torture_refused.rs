//! Malformed messages, section by section after RFC 4475 §3.1.2, §3.2 and §3.3, and what else a parser can be fooled with:
//! each gets the right answer, and where it is a response it is discarded. The texts are our own.

use bytes::Bytes;
use sip_core::message::{
    Fault, MAX_HEADERS, MAX_LINE_BYTES, MAX_MESSAGE_BYTES, Message, Name, ParseError, Part, ResponseBuilder, Salvage,
    StatusCode, check_request, check_response,
};

const CALL: &str = "Via: SIP/2.0/UDP pbx.example.org;branch=z9hG4bKt1\r\nFrom: <sip:ada@example.org>;tag=a1\r\n\
                    To: <sip:ben@example.net>\r\nCall-ID: c1@pbx.example.org\r\nCSeq: 17 INVITE\r\n";

fn bytes(text: impl AsRef<[u8]>) -> Bytes {
    Bytes::copy_from_slice(text.as_ref())
}

/// What a server answers, and where it says the fault is; nothing where it goes on.
fn answer(text: &str) -> Option<(u16, String)> {
    let reject = match Message::parse(bytes(text)) {
        Ok(message) => check_request(&message).err().map(|reject| (reject.status, reject.reason)),
        Err(error) => Some((error.status(), error.reason())),
    };
    reject.map(|(status, reason)| (status.code(), reason.into_owned()))
}

fn refused(status: u16, reason: &str, text: &str) {
    assert_eq!(answer(text), Some((status, reason.to_owned())), "{text}");
}

/// An INVITE that is in order but for one header, given anew.
fn with(header: &str) -> String {
    let name = header.split(':').next().unwrap_or_default();
    let kept: String = CALL.split_inclusive("\r\n").filter(|line| !line.starts_with(&format!("{name}:"))).collect();
    format!("INVITE sip:ben@example.net SIP/2.0\r\n{kept}{header}\r\n\r\n")
}

#[test]
fn the_message_these_are_made_of_is_in_order() {
    assert_eq!(answer(&with("Max-Forwards: 70")), None);
    assert_eq!(answer(&with("To: <sip:ben@example.net>")), None);
}

/// §3.1.2.1: separators with nothing between them.
#[test]
fn refuses_empty_parameters() {
    refused(400, "Bad Via", &with("Via: SIP/2.0/UDP 192.0.2.7;;,;,,"));
    refused(400, "Bad Via", &with("Via: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK1;"));
    refused(400, "Bad Contact", &with("Contact: \"Ada\" <sip:ada@h>;;;;"));
    refused(400, "Bad Contact", &with("Contact: <sip:ada@h;;x>"));
}

/// §3.1.2.2, §3.1.2.3, §3.3.9, and what else is done with Content-Length.
#[test]
fn refuses_a_content_length_that_lies() {
    let of = |header: &str, body: &str| with(header) + body;
    refused(400, "Bad Content-Length", &of("Content-Length: 9999", "v=0"));
    refused(400, "Bad Content-Length", &of("Content-Length: 4", "v=0"));
    for number in ["-999", "-1", "+3", "3 3", "3,3", "0x3", "3.0", "", "drei", "3;x"] {
        refused(400, "Bad Content-Length", &of(&format!("l: {number}"), "v=0"));
    }
    for number in ["2147483648", "4294967296", "4294967299", "18446744073709551616", "18446744073709551619"] {
        refused(400, "Bad Content-Length", &of(&format!("Content-Length: {number}"), "v=0"));
    }
    refused(400, "Repeated Content-Length", &of("Content-Length: 3\r\nl: 5", "v=0"));
    assert_eq!(answer(&of("Content-Length: 3\r\nl: 0003", "v=0")), None, "two that agree are one");
    let framed = |header: &str, body: &str| Message::parse_framed(bytes(of(header, body))).map_err(|error| error.fault);
    assert_eq!(framed("Content-Length: 2", "v=0").unwrap_err(), Fault::BodyLength);
    assert_eq!(framed("Subject: x", "v=0").unwrap_err(), Fault::Missing);
    assert!(framed("Content-Length: 3", "v=0").is_ok() && framed("Subject: x", "").is_ok());
}

/// §3.1.2.4: numbers beyond their range.
#[test]
fn refuses_numbers_out_of_range() {
    refused(400, "Bad CSeq", &with("CSeq: 2147483648 INVITE"));
    refused(400, "Bad CSeq", &with("CSeq: 18446744073709551617 INVITE"));
    refused(400, "Bad CSeq", &with("CSeq: -1 INVITE"));
    assert_eq!(answer(&with("CSeq: 2147483647 INVITE")), None);
    refused(400, "Bad Max-Forwards", &with("Max-Forwards: 256"));
    refused(400, "Bad Max-Forwards", &with("Max-Forwards: -1"));
    refused(400, "Bad Expires", &with("Expires: soon"));
}

/// §3.1.2.5, §3.1.2.19, §3.3.10 and §8.1.3.3 of RFC 3261: responses are discarded, never answered.
#[test]
fn discards_malformed_responses() {
    let response = |line: &str, call: &str| format!("{line}\r\n{call}\r\n");
    for line in [
        "SIP/2.0 4294967301 wraps to 5",
        "SIP/2.0 99 low",
        "SIP/2.0 700 high",
        "SIP/2.0 20 short",
        "SIP/2.0 2000 long",
        "SIP/2.0  200 OK",
        "SIP/2.0 -20 x",
        "SIP/2.0 2OO letters",
        "SIP/3.0 200 OK",
        "SIP/2.0",
        "SIP/2.0200 OK",
    ] {
        let text = response(line, CALL);
        assert!(Message::parse(bytes(&text)).is_err(), "{line}");
        assert_eq!(Salvage::of(text.as_bytes()), None, "{line}");
    }
    let fault = |call: &str| check_response(&Message::parse(bytes(response("SIP/2.0 503 Gone", call))).unwrap());
    assert_eq!(fault(CALL), Ok(()));
    let big = fault(&CALL.replace("17 INVITE", "9292394834772304023312 OPTIONS"));
    assert_eq!(big, Err(ParseError { part: Part::Header(Name::CSeq), fault: Fault::Range }));
    let two = fault(&CALL.replace("From:", "Via: SIP/2.0/UDP 255.255.255.255;branch=z9hG4bKx\r\nFrom:"));
    assert_eq!(two, Err(ParseError { part: Part::Header(Name::Via), fault: Fault::Repeated }));
    let one_line = fault(&CALL.replace("bKt1", "bKt1, SIP/2.0/UDP h"));
    assert_eq!(one_line.map_err(|error| error.fault), Err(Fault::Repeated));
    for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
        let missing = fault(&CALL.replace(&format!("{name}:"), "X-Other:"));
        assert_eq!(missing.map_err(|error| error.fault), Err(Fault::Missing), "{name}");
    }
}

/// §3.1.2.6, §3.1.2.14, §3.1.2.15, §3.1.2.13: addresses whose end is in doubt.
#[test]
fn refuses_addresses_whose_end_is_in_doubt() {
    refused(400, "Bad To", &with("To: \"Ben <sip:ben@h>"));
    refused(400, "Bad To", &with("To: \"Ben\" < sip:ben@h >"));
    refused(400, "Bad From", &with("From: Lovelace, Ada <sip:ada@h>;tag=1"));
    refused(400, "Bad From", &with("From: <sip:ada@h;tag=1"));
    refused(400, "Bad From", &with("From: ada@h;tag=1"));
    refused(400, "Bad Contact", &with("Contact: sip:ada@h?Route=%3Csip:evil.example%3E"));
    refused(400, "Bad Contact", &with("Contact: *, <sip:ada@h>"));
    refused(400, "Bad Record-Route", &with("Record-Route: sip:"));
    refused(400, "Bad Route", &with("Route: <sip:p;lr> <sip:q>"));
}

/// §3.1.2.7 to §3.1.2.11: the Request-Line has one form.
#[test]
fn refuses_a_request_line_that_is_not_exactly_one() {
    let line = |line: &str| format!("{line}\r\n{CALL}\r\n");
    refused(400, "Bad Request-URI", &line("INVITE <sip:ben@example.net> SIP/2.0"));
    refused(400, "Bad Request-URI", &line("INVITE sip:ben@example.net?Route=%3Csip:evil.example%3E SIP/2.0"));
    refused(400, "Bad Request-URI", &line("INVITE sip: SIP/2.0"));
    refused(400, "Bad Request-URI", &line("INVITE ben SIP/2.0"));
    for bad in [
        "INVITE sip:ben@example.net; lr SIP/2.0",
        "INVITE  sip:ben@example.net SIP/2.0",
        "INVITE sip:ben@example.net  SIP/2.0",
        "INVITE sip:ben@example.net SIP/2.0 ",
        "INVITE\tsip:ben@example.net SIP/2.0",
        "INVITE sip:ben@example.net",
        "INVITE sip:ben@example.net SIP/2",
        "INVITE sip:ben@example.net HTTP/1.1",
        "INVITE SIP/2.0",
        "IN(VITE sip:h SIP/2.0",
        " INVITE sip:h SIP/2.0",
        "GET / HTTP/1.1",
    ] {
        refused(400, "Bad start line", &line(bad));
    }
}

/// §3.1.2.12: a zone that is not GMT.
#[test]
fn refuses_a_date_in_another_zone() {
    refused(400, "Bad Date", &with("Date: Fri, 13 Nov 2026 16:00:00 CET"));
    assert_eq!(answer(&with("Date: Fri, 13 Nov 2026 16:00:00 GMT")), None);
}

/// §3.1.2.16: another version is 505, and not 400.
#[test]
fn answers_505_to_another_version() {
    for version in ["SIP/7.0", "SIP/2.1", "SIP/20.0", "sip/1.0"] {
        let text = format!("INVITE sip:ben@example.net {version}\r\n{CALL}\r\n");
        refused(505, "Version Not Supported", &text);
        assert!(Salvage::of(text.as_bytes()).is_some());
    }
}

/// §3.1.2.17, §3.1.2.18: CSeq names the method.
#[test]
fn refuses_a_cseq_of_another_method() {
    refused(400, "Bad CSeq", &with("CSeq: 8 OPTIONS"));
    refused(400, "Bad CSeq", &with("CSeq: 8 invite"));
    refused(400, "Bad CSeq", &format!("NOVEL sip:h SIP/2.0\r\n{CALL}\r\n"));
}

/// §3.2.1: the magic cookie and nothing after it names no transaction.
#[test]
fn refuses_the_bare_magic_cookie() {
    refused(400, "Bad Via", &with("Via: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK"));
}

/// §3.3.1, §3.3.8: what must be there, must be there once.
#[test]
fn refuses_missing_and_repeated_headers() {
    for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
        refused(400, &format!("Missing {name}"), &with("X: y").replace(&format!("\r\n{name}:"), "\r\nX-Other:"));
    }
    for header in ["From: <sip:x@h>", "To: <sip:x@h>", "Call-ID: 2", "CSeq: 2 INVITE"] {
        let name = header.split(':').next().unwrap_or_default();
        refused(400, &format!("Repeated {name}"), &with(&format!("X: y\r\n{header}")));
    }
    refused(400, "Repeated Max-Forwards", &with("Max-Forwards: 70\r\nMax-Forwards: 5"));
    refused(400, "Repeated Content-Type", &with("c: a/b\r\nContent-Type: a/b"));
    refused(400, "Bad Call-ID", &with("Call-ID: two words"));
    refused(400, "Bad Call-ID", &with("Call-ID:"));
    refused(400, "Bad To", &with("To:"));
}

/// §3.3.2, §3.3.3: schemes that are not routed.
#[test]
fn answers_416_to_schemes_that_are_not_routed() {
    for uri in ["nobody-knows:this/content", "soap.beep://192.0.2.9:3002", "http://example.net/", "urn:service:sos"] {
        refused(416, "Unsupported URI Scheme", &format!("INVITE {uri} SIP/2.0\r\n{CALL}\r\n"));
    }
    assert_eq!(answer(&format!("INVITE tel:+18325550100 SIP/2.0\r\n{CALL}\r\n")), None);
    assert_eq!(answer(&format!("INVITE SIPS:ben@example.net SIP/2.0\r\n{CALL}\r\n")), None);
}

/// RFC 5118 §4.2: an address without its brackets.
#[test]
fn refuses_ipv6_without_brackets() {
    refused(400, "Bad Request-URI", &format!("INVITE sip:2001:db8::10 SIP/2.0\r\n{CALL}\r\n"));
    refused(400, "Bad Via", &with("Via: SIP/2.0/UDP 2001:db8::10;branch=z9hG4bK1"));
}

/// Where two elements could read two different messages, none is read (CVE-2020-28361 and its kind).
#[test]
fn refuses_what_others_might_read_differently() {
    let line = |line: &str| with("Subject: x").replace("Subject: x", line);
    refused(400, "Bad message", &line("Subject: a\nP-Asserted-Identity: <sip:evil@h>"));
    refused(400, "Bad message", &line("Subject: a\rP-Asserted-Identity: <sip:evil@h>"));
    refused(400, "Bad message", &line("P Asserted: x"));
    refused(400, "Bad message", &line(": x"));
    refused(400, "Bad message", &line("no colon here"));
    refused(400, "Bad message", &line("X\0: y"));
    refused(400, "Bad message", &format!("INVITE sip:ben@example.net SIP/2.0\r\n{CALL}"));
    refused(400, "Bad message", &format!("INVITE sip:ben@example.net SIP/2.0\r\n{CALL}\r"));
    refused(400, "Bad message", &format!("INVITE sip:ben@example.net SIP/2.0\r\n Folded: x\r\n{CALL}\r\n"));
    let spaced = Message::parse(bytes(line("p-asserted-IDENTITY \t : <sip:evil@h>,\r\n <sip:two@h>"))).unwrap();
    assert_eq!(
        spaced.addresses(Name::PAssertedIdentity).unwrap().len(),
        2,
        "white space before the colon hides nothing"
    );
}

/// Every bound has an answer.
#[test]
fn answers_at_every_bound() {
    let many = |n: usize| with("Note: y\r\n".repeat(n - 5).trim_end());
    assert_eq!(answer(&many(MAX_HEADERS)), None);
    refused(400, "Bad message", &many(MAX_HEADERS + 1));
    assert_eq!(answer(&with(&format!("Note: {}", "y".repeat(MAX_LINE_BYTES - 6)))), None);
    refused(400, "Bad message", &with(&format!("Note: {}", "y".repeat(MAX_LINE_BYTES))));
    refused(400, "Bad (extension header)", &with(&format!("Note: {}", "y\r\n ".repeat(MAX_LINE_BYTES / 4))));
    refused(413, "Request Entity Too Large", &(with("X: y") + &"z".repeat(MAX_MESSAGE_BYTES)));
    let uri = format!("sip:{}@h", "u".repeat(sip_core::uri::MAX_URI_BYTES));
    refused(414, "Request-URI Too Long", &format!("INVITE {uri} SIP/2.0\r\n{CALL}\r\n"));
    refused(400, "Bad Contact", &with(&format!("Contact: <sip:h{}>", ";x".repeat(65))));
}

/// A request that cannot be parsed is still answered, with what of it can be copied.
#[test]
fn answers_a_request_that_cannot_be_parsed() {
    let text = "INVITE  sip:ben@example.net SIP/2.0\r\nv: SIP/2.0/UDP pbx.example.org;branch=z9hG4bKa;rport,\r\n SIP/2.0/UDP b\r\n\
                f: <sip:ada@h>;tag=1\r\nTo : <sip:ben@h>\r\nnonsense\r\nCall-ID:\r\n c1\r\nCSeq: 1 INVITE";
    let error = Message::parse(bytes(text)).unwrap_err();
    let builder = ResponseBuilder::to_salvage(Salvage::of(text.as_bytes()).unwrap(), error.status());
    let answer = builder.reason(error.reason()).to_tag("us").received(([198, 51, 100, 7], 4000).into()).build();
    assert_eq!(
        std::str::from_utf8(&answer).unwrap(),
        "SIP/2.0 400 Bad start line\r\n\
         Via: SIP/2.0/UDP pbx.example.org;branch=z9hG4bKa;rport=4000;received=198.51.100.7\r\nVia: SIP/2.0/UDP b\r\n\
         From: <sip:ada@h>;tag=1\r\nTo: <sip:ben@h>;tag=us\r\nCall-ID: c1\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
    );
}

/// What must not be answered: responses, ACKs, keep-alives, noise, and what nobody could match the answer to.
#[test]
fn does_not_answer_what_is_no_request() {
    let without = |name: &str| with("X: y").replace(&format!("{name}:"), "X-Other:");
    for silent in [
        "SIP/2.0 wrong\r\nVia: SIP/2.0/UDP h\r\nCall-ID: 1\r\n\r\n".to_owned(),
        "ACK  sip:h SIP/2.0\r\nVia: SIP/2.0/UDP h\r\nCall-ID: 1\r\n\r\n".to_owned(),
        without("Via"),
        without("Call-ID"),
        "\0\0\0\0".to_owned(),
        "\r\n\r\n".to_owned(),
        "jaK".to_owned(),
        String::new(),
    ] {
        assert_eq!(Salvage::of(silent.as_bytes()), None, "{silent:?}");
    }
    assert_eq!(Message::parse(bytes("\r\n\r\n")).unwrap_err().fault, Fault::Empty);
    assert_eq!(Message::parse(bytes("")).unwrap_err().fault, Fault::Empty);
    assert_eq!(Message::parse(bytes("\r\n\r\n")).unwrap_err().status(), StatusCode::BAD_REQUEST);
}
