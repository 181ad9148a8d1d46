//! URIs in tables: what is read of them, what is refused, which are equivalent (RFC 3261 §19.1, RFC 3966), and how they
//! are changed.
#![allow(clippy::panic, reason = "a helper of a test fails the test")]

use sip_core::message::{Fault, ParseError};
use sip_core::transport::Transport;
use sip_core::uri::{Host, Scheme, Uri};
use std::net::{IpAddr, Ipv6Addr};

fn uri(text: &str) -> Uri {
    text.parse().unwrap_or_else(|error: ParseError| panic!("{text}: {error}"))
}

/// Scheme, user, password, host, port, parameters, headers.
type Parts<'a> = (Scheme, Option<&'a str>, Option<&'a str>, Option<String>, Option<u16>, usize, usize);

fn parts(uri: &Uri) -> Parts<'_> {
    let host = uri.host().map(ToString::to_string);
    (uri.scheme(), uri.user(), uri.password(), host, uri.port(), uri.params().count(), uri.headers().count())
}

#[test]
fn every_form_of_a_uri_is_taken_apart() {
    let h = |host: &str| Some(host.to_owned());
    let table: [(&str, Parts<'_>); 19] = [
        ("sip:alice@atlanta.com", (Scheme::Sip, Some("alice"), None, h("atlanta.com"), None, 0, 0)),
        (
            "sip:alice:pw@atlanta.com;transport=tcp",
            (Scheme::Sip, Some("alice"), Some("pw"), h("atlanta.com"), None, 1, 0),
        ),
        ("sips:a@b?subject=x&priority=urgent", (Scheme::Sips, Some("a"), None, h("b"), None, 0, 2)),
        (
            "sip:+1-212-555-1212:1234@gw.com;user=phone",
            (Scheme::Sip, Some("+1-212-555-1212"), Some("1234"), h("gw.com"), None, 1, 0),
        ),
        ("SIP:1212@gw.com:65535", (Scheme::Sip, Some("1212"), None, h("gw.com"), Some(65535), 0, 0)),
        ("sip:192.0.2.4", (Scheme::Sip, None, None, h("192.0.2.4"), None, 0, 0)),
        ("sip:atlanta.com;method=REGISTER?to=a%40b", (Scheme::Sip, None, None, h("atlanta.com"), None, 1, 1)),
        (
            "sip:alice;day=tuesday@atlanta.com",
            (Scheme::Sip, Some("alice;day=tuesday"), None, h("atlanta.com"), None, 0, 0),
        ),
        ("sip:a?b/c@h;lr", (Scheme::Sip, Some("a?b/c"), None, h("h"), None, 1, 0)),
        ("sip:[2001:db8::1]", (Scheme::Sip, None, None, h("[2001:db8::1]"), None, 0, 0)),
        ("sip:u@[::1]:5070;maddr=[::2]", (Scheme::Sip, Some("u"), None, h("[::1]"), Some(5070), 1, 0)),
        ("sip:%61%00@h", (Scheme::Sip, Some("%61%00"), None, h("h"), None, 0, 0)),
        ("sip:h;lr;x=", (Scheme::Sip, None, None, h("h"), None, 2, 0)),
        ("sip:h?", (Scheme::Sip, None, None, h("h"), None, 0, 0)),
        ("sip:u@sbc_1.local.", (Scheme::Sip, Some("u"), None, h("sbc_1.local."), None, 0, 0)),
        ("tel:+1-201-555-0123", (Scheme::Tel, Some("+1-201-555-0123"), None, None, None, 0, 0)),
        ("tel:*67#;phone-context=example.com;isub=12", (Scheme::Tel, Some("*67#"), None, None, None, 2, 0)),
        ("http://user@example.com/?x#y", (Scheme::Other, None, None, None, None, 0, 0)),
        ("urn:service:sos", (Scheme::Other, None, None, None, None, 0, 0)),
    ];
    for (text, expected) in table {
        let uri = uri(text);
        assert_eq!(parts(&uri), expected, "{text}");
        assert_eq!(uri.to_string(), text, "written as it was read");
    }
}

#[test]
fn what_is_no_uri_is_refused() {
    for bad in [
        "",
        "sip",
        "sip:",
        ":a@b",
        "5ip:a@b",
        "s_p:a@b",
        "sip:@h",
        "sip:a@",
        "sip:a@@h",
        "sip:a@b@c",
        "sip::@h",
        "sip:a@h:",
        "sip:a@h:0",
        "sip:a@h:65536",
        "sip:a@h:5060x",
        "sip:a@h:-1",
        "sip:a b@h",
        "sip:a@h ",
        " sip:a@h",
        "<sip:a@h>",
        "sip:a@h\r\n",
        "sip:a\0@h",
        "sip:\"a\"@h",
        "sip:a@h;",
        "sip:a@h;;lr",
        "sip:a@h;=x",
        "sip:a@2001:db8::1",
        "sip:a@[2001:db8::1",
        "sip:a@2001:db8::1]",
        "sip:a@[v1]",
        "sip:a@h%41",
        "sip:a@h/x",
        "sip:[a]@h",
        "sip:a@h#x",
        "sip:a@exämple.com",
        "tel:",
        "tel:+",
        "tel:abc-xyz",
        "tel:+1;;x",
        "tel:+1 2",
        "tel:-",
        "urn:",
        "urn:a b",
    ] {
        assert!(Uri::parse(bad.as_bytes()).is_err(), "{bad:?}");
    }
    for long in ["a".repeat(9000), "é".repeat(2000)] {
        let long = format!("sip:{long}@h");
        assert_eq!(Uri::parse(long.as_bytes()).unwrap_err().fault, Fault::UriTooLong, "also after escaping");
    }
}

#[test]
fn what_devices_send_anyway_is_escaped() {
    let table = [
        ("sip:#31#5551@h", "sip:%2331%235551@h"),
        ("sip:a{b}|c\\d^`@h", "sip:a%7Bb%7D%7Cc%5Cd%5E%60@h"),
        ("sip:zoë@h", "sip:zo%C3%AB@h"),
        ("sip:100%@h", "sip:100%25@h"),
        ("sip:%4@h;x=%zz", "sip:%254@h;x=%25zz"),
        ("urn:ü", "urn:%C3%BC"),
    ];
    for (given, written) in table {
        assert_eq!(uri(given).as_str(), written);
    }
}

#[test]
fn equivalence_is_that_of_rfc_3261() {
    let equal = [
        ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
        ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;newparam=5"),
        (
            "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
            "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
        ),
        (
            "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
            "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
        ),
        ("sip:a@[2001:db8::1]", "sip:a@[2001:DB8:0::1]"),
        ("tel:+1-201-555-0123", "tel:+12015550123"),
        ("tel:+1(201)555.0123;ext=1;x=y", "tel:+12015550123;X=Y;ext=1"),
        ("urn:service:sos", "urn:service:sos"),
        ("sip:h;x=1;x=2", "sip:h;x=1;x=2"),
    ];
    for (one, two) in equal {
        assert!(uri(one).equivalent(&uri(two)) && uri(two).equivalent(&uri(one)), "{one} and {two}");
    }
    let different = [
        ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
        ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
        ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
        ("sip:bob@h", "sips:bob@h"),
        ("sip:bob@h", "sip:bob:@h"),
        ("sip:a%40b@h", "sip:a%2540b@h"),
        ("sip:null-%00-null@h", "sip:null--null@h"),
        ("tel:+12015550123", "tel:+12015550124"),
        ("tel:+12015550123", "tel:12015550123"),
        ("tel:+1", "tel:+1;ext=2"),
        ("tel:+1", "sip:+1@h"),
    ];
    for (one, two) in different {
        assert!(!uri(one).equivalent(&uri(two)) && !uri(two).equivalent(&uri(one)), "{one} and {two}");
    }
}

#[test]
fn parameters_are_found_without_case_and_never_by_their_escapes() {
    let found = uri("sip:h;Transport=TLS;LR;maddr=192.0.2.1;%6Ctr=1");
    assert_eq!(
        (found.transport(), found.is_lr(), found.param("MADDR")),
        (Some(Transport::Tls), true, Some("192.0.2.1"))
    );
    assert_eq!((found.param("ltr"), found.param("%6Ctr"), found.param("x")), (None, Some("1"), None));
    assert_eq!(uri("sip:h;transport=sctp").transport(), None);
    assert_eq!(uri("sip:lr@h;%6C%72").param("lr"), None);
}

#[test]
fn a_built_uri_is_escaped_where_it_must_be() {
    let host: Host = "trunk.example.com".parse().unwrap();
    let table = [
        (Uri::sip(Some("+18325550100"), host.clone(), None), "sip:+18325550100@trunk.example.com"),
        (Uri::sip(Some("a@evil;x=y"), host.clone(), Some(5070)), "sip:a%40evil;x=y@trunk.example.com:5070"),
        (Uri::sip(Some("50%\r\nVia: x"), host.clone(), None), "sip:50%25%0D%0AVia%3A%20x@trunk.example.com"),
        (Uri::sip(Some(""), host.clone(), None), "sip:trunk.example.com"),
        (Uri::sips(None, IpAddr::from(Ipv6Addr::LOCALHOST), Some(5061)), "sips:[::1]:5061"),
        (
            Uri::sip(None, host, None).with_param("transport", Some("tls")).with_param("lr", None),
            "sip:trunk.example.com;transport=tls;lr",
        ),
    ];
    for (built, text) in table {
        assert_eq!(built.as_str(), text);
        assert_eq!(uri(text), built);
        assert_eq!(parts(&uri(text)), parts(&built));
    }
}

#[test]
fn changing_one_part_leaves_the_others() {
    let whole = uri("sips:a%40b:pw@h:5071;transport=tls;x?s=1&t");
    assert_eq!(whole.clone().with_user(Some("ben jr")).as_str(), "sips:ben%20jr@h:5071;transport=tls;x?s=1&t");
    assert_eq!(whole.clone().with_user(None).as_str(), "sips:h:5071;transport=tls;x?s=1&t");
    assert_eq!(
        uri("sip:h;lr").with_user_of(&whole).as_str(),
        "sip:a%40b@h;lr",
        "escapes are kept, the password is not"
    );
    assert_eq!(
        whole.clone().with_param("TRANSPORT", Some("tcp")).as_str(),
        "sips:a%40b:pw@h:5071;x;TRANSPORT=tcp?s=1&t"
    );
    assert_eq!(
        whole.clone().with_param("y", Some("a;b c")).as_str(),
        "sips:a%40b:pw@h:5071;transport=tls;x;y=a%3Bb%20c?s=1&t"
    );
    assert_eq!(whole.clone().without_param("transport").as_str(), "sips:a%40b:pw@h:5071;x?s=1&t");
    let bare = whole.without_headers();
    assert_eq!(bare.as_str(), "sips:a%40b:pw@h:5071;transport=tls;x");
    assert_eq!(parts(&uri(bare.as_str())), parts(&bare));
    assert_eq!(uri("tel:+1;ext=2").with_user(Some("x")).as_str(), "tel:+1;ext=2");
    assert_eq!(uri("urn:x").with_param("lr", None).as_str(), "urn:x");
}
