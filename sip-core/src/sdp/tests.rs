//! Offer and answer, as peers write them.

use super::*;
use bytes::Bytes;
use proptest::prelude::*;

fn local() -> LocalAudio {
    LocalAudio {
        addr: "203.0.113.5".parse().unwrap(),
        port: 12_000,
        codecs: vec![AudioCodec::Pcmu, AudioCodec::Pcma],
        telephone_event: Some(101),
        ptime_ms: 20,
        direction: Direction::SendRecv,
        rtcp_mux: false,
        security: crate::sdp::Security::Plain,
        session_id: 77,
        version: 1,
    }
}

fn parse(text: &str) -> SessionDescription {
    SessionDescription::parse(text.as_bytes()).unwrap()
}

fn text(sdp: &Bytes) -> &str {
    std::str::from_utf8(sdp).unwrap()
}

/// A description with one audio stream at 198.51.100.7:4000 and the given lines after its `m=`.
fn audio(m: &str, lines: &str) -> SessionDescription {
    parse(&format!("v=0\r\no=x 1 1 IN IP4 198.51.100.7\r\ns=x\r\nc=IN IP4 198.51.100.7\r\nt=0 0\r\n{m}\r\n{lines}"))
}

/// What a trunk gateway offers for an inbound call (the shape of TWILIO.md's trace, with addresses of our own).
fn trunk_offer(protocol: &str, crypto: &str) -> String {
    format!(
        "v=0\r\no=root 1183 1183 IN IP4 172.18.0.9\r\ns=Media Gateway\r\nc=IN IP4 198.51.100.121\r\nt=0 0\r\n\
         m=audio 12692 {protocol} 0 8 101\r\n{crypto}a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n\
         a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=maxptime:20\r\na=sendrecv\r\n"
    )
}

#[test]
fn writes_an_offer_line_by_line() {
    let local = LocalAudio { rtcp_mux: true, ..local() };
    assert_eq!(
        text(&offer(&local)),
        "v=0\r\no=- 77 1 IN IP4 203.0.113.5\r\ns=-\r\nc=IN IP4 203.0.113.5\r\nt=0 0\r\n\
         m=audio 12000 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n\
         a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=rtcp-mux\r\na=sendrecv\r\n"
    );
}

#[test]
fn writes_ipv6_as_ip6() {
    let sdp = offer(&LocalAudio { addr: "2001:db8::5".parse().unwrap(), ..local() });
    assert!(text(&sdp).contains("c=IN IP6 2001:db8::5\r\n"), "{sdp:?}");
}

#[test]
fn answers_a_trunk_and_agrees_with_it() {
    let answered = answer(&parse(&trunk_offer("RTP/AVP", "")), &local()).unwrap();
    assert_eq!(
        text(&answered.sdp),
        "v=0\r\no=- 77 1 IN IP4 203.0.113.5\r\ns=-\r\nc=IN IP4 203.0.113.5\r\nt=0 0\r\n\
         m=audio 12000 RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n\
         a=fmtp:101 0-16\r\na=ptime:20\r\na=sendrecv\r\n"
    );
    let negotiated = answered.negotiated;
    assert_eq!(negotiated.remote, "198.51.100.121:12692".parse().unwrap(), "the address is c='s, not o='s");
    assert_eq!(negotiated.remote_rtcp, Some("198.51.100.121:12693".parse().unwrap()));
    assert_eq!((negotiated.codec, negotiated.payload_type_out), (AudioCodec::Pcmu, 0));
    assert_eq!((negotiated.telephone_event_out, negotiated.telephone_event_in), (Some(101), Some(101)));
    assert!(negotiated.telephone_events.contains(16) && !negotiated.telephone_events.contains(17));
    assert_eq!((negotiated.ptime_ms, negotiated.direction), (20, Direction::SendRecv));
    assert!(!negotiated.held_by_peer);
}

#[test]
fn refuses_a_secure_trunk_with_488_and_says_why() {
    let crypto = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\r\n";
    for protocol in ["RTP/SAVP", "RTP/SAVPF", "UDP/TLS/RTP/SAVPF", "rtp/savp"] {
        let error = answer(&parse(&trunk_offer(protocol, crypto)), &local()).unwrap_err();
        assert_eq!(error, SdpError::SecureRequired(protocol.into()));
        assert_eq!(error.status(), 488);
    }
}

#[test]
fn takes_the_answer_to_its_offer() {
    let answer = audio("m=audio 4000 RTP/AVP 0 101", "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\n");
    let negotiated = accept_answer(&local(), &answer).unwrap();
    assert_eq!(negotiated.remote, "198.51.100.7:4000".parse().unwrap());
    assert_eq!((negotiated.payload_type_out, negotiated.payload_type_in), (0, 0));
    assert_eq!((negotiated.telephone_event_out, negotiated.telephone_event_in), (Some(101), Some(101)));
}

#[test]
fn an_answer_may_number_its_formats_its_own_way() {
    let answer = audio("m=audio 4000 RTP/AVP 97 96", "a=rtpmap:97 pcma/8000\r\na=rtpmap:96 Telephone-Event/8000\r\n");
    let negotiated = accept_answer(&local(), &answer).unwrap();
    assert_eq!(negotiated.codec, AudioCodec::Pcma);
    assert_eq!((negotiated.payload_type_out, negotiated.payload_type_in), (97, 8));
    assert_eq!((negotiated.telephone_event_out, negotiated.telephone_event_in), (Some(96), Some(101)));
    assert_eq!(negotiated.telephone_events, TelephoneEvents::DIGITS);
}

#[test]
fn their_order_decides_unless_ours_is_asked_for() {
    let offered = audio("m=audio 4000 RTP/AVP 18 9 8 0", "");
    assert_eq!(answer(&offered, &local()).unwrap().negotiated.codec, AudioCodec::Pcma);
    let ours = answer_preferring(&offered, &local(), Preference::Ours).unwrap();
    assert_eq!(ours.negotiated.codec, AudioCodec::Pcmu);
}

#[test]
fn keeps_the_offers_payload_types_in_the_answer() {
    let offered =
        audio("m=audio 4000 RTP/AVP 100 110", "a=rtpmap:100 PCMU/8000\r\na=rtpmap:110 telephone-event/8000\r\n");
    let answered = answer(&offered, &local()).unwrap();
    assert!(text(&answered.sdp).contains("m=audio 12000 RTP/AVP 100 110\r\na=rtpmap:100 PCMU/8000\r\n"));
    assert_eq!(answered.negotiated.payload_type_in, 100);
}

#[test]
fn takes_telephone_event_only_on_the_codecs_clock_and_only_where_both_want_it() {
    let lines = "a=rtpmap:102 telephone-event/48000\r\na=rtpmap:101 telephone-event/8000\r\n";
    let offered = audio("m=audio 4000 RTP/AVP 0 102 101", lines);
    assert_eq!(answer(&offered, &local()).unwrap().negotiated.telephone_event_in, Some(101));
    let without = LocalAudio { telephone_event: None, ..local() };
    let answered = answer(&offered, &without).unwrap();
    assert_eq!(answered.negotiated.telephone_event_out, None);
    assert!(!text(&answered.sdp).contains("telephone-event"));
}

fn with_opus() -> LocalAudio {
    LocalAudio { codecs: vec![AudioCodec::Pcmu, AudioCodec::Opus], ..local() }
}

#[test]
fn offers_opus_as_rfc_7587_writes_it_and_keys_on_both_clocks() {
    assert!(text(&offer(&with_opus())).contains(
        "m=audio 12000 RTP/AVP 0 111 101 110\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:111 opus/48000/2\r\n\
         a=fmtp:111 useinbandfec=1;stereo=0;sprop-stereo=0\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\n\
         a=rtpmap:110 telephone-event/48000\r\na=fmtp:110 0-16\r\n"
    ));
}

#[test]
fn takes_opus_with_keys_on_its_own_clock() {
    let lines = "a=rtpmap:96 opus/48000/2\r\na=fmtp:96 useinbandfec=1; usedtx=1\r\na=rtpmap:97 telephone-event/8000\r\n\
                 a=rtpmap:98 telephone-event/48000\r\n";
    let answered = answer(&audio("m=audio 4000 RTP/AVP 96 0 97 98", lines), &with_opus()).unwrap();
    let agreed = &answered.negotiated;
    assert_eq!((agreed.codec, agreed.payload_type_in, agreed.payload_type_out), (AudioCodec::Opus, 96, 96));
    assert_eq!((agreed.telephone_event_in, agreed.telephone_event_clock), (Some(98), 48_000));
    assert!(text(&answered.sdp).contains("m=audio 12000 RTP/AVP 96 98\r\na=rtpmap:96 opus/48000/2\r\n"));
    assert!(text(&answered.sdp).contains("a=rtpmap:98 telephone-event/48000\r\n"));
}

#[test]
fn keys_on_the_clock_of_telephones_are_taken_beside_opus_where_there_are_no_others() {
    let lines = "a=rtpmap:96 OPUS/48000\r\na=rtpmap:101 telephone-event/8000\r\n";
    let described = audio("m=audio 4000 RTP/AVP 96 101", lines);
    let answered = answer(&described, &with_opus()).unwrap();
    assert_eq!((answered.negotiated.telephone_event_in, answered.negotiated.telephone_event_clock), (Some(101), 8_000));
    assert!(text(&answered.sdp).contains("a=rtpmap:101 telephone-event/8000\r\n"), "{:?}", answered.sdp);
    // The same as an answer: it numbers Opus its own way, we get what our offer numbered.
    let agreed = accept_answer(&with_opus(), &described).unwrap();
    assert_eq!((agreed.codec, agreed.payload_type_out, agreed.payload_type_in), (AudioCodec::Opus, 96, 111));
    assert_eq!((agreed.telephone_event_out, agreed.telephone_event_in), (Some(101), Some(101)));
    assert_eq!(agreed.telephone_event_clock, 8_000);
}

#[test]
fn opus_needs_its_name_and_is_never_sent_in_packets_that_it_has_not() {
    assert_eq!(answer(&audio("m=audio 4000 RTP/AVP 111", ""), &with_opus()).unwrap_err(), SdpError::NoCommonCodec);
    let other = audio("m=audio 4000 RTP/AVP 96", "a=rtpmap:96 opus/48000/6\r\n");
    assert_eq!(answer(&other, &with_opus()).unwrap_err(), SdpError::NoCommonCodec);
    for (asked, sent) in [(10, 10), (20, 20), (30, 20), (40, 40), (50, 40), (60, 60), (120, 60)] {
        let lines = format!("a=rtpmap:96 opus/48000/2\r\na=ptime:{asked}\r\n");
        let agreed = answer(&audio("m=audio 4000 RTP/AVP 96", &lines), &with_opus()).unwrap().negotiated;
        assert_eq!(agreed.ptime_ms, sent, "{asked} ms");
    }
}

#[test]
fn keeps_the_number_and_order_of_media_and_refuses_all_but_one_audio() {
    let offered = audio(
        "m=video 6000 RTP/AVP 96 97\r\na=rtpmap:96 H264/90000\r\nm=audio 4000 RTP/SAVP 0\r\nm=audio 4002 RTP/AVP 0",
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nm=audio 4004 RTP/AVP 8\r\nm=image 5000 udptl t38\r\n",
    );
    let answered = answer(&offered, &local()).unwrap();
    let lines: Vec<_> = text(&answered.sdp).lines().filter(|line| line.starts_with("m=")).collect();
    assert_eq!(
        lines,
        [
            "m=video 0 RTP/AVP 96 97",
            "m=audio 0 RTP/SAVP 0",
            "m=audio 12000 RTP/AVP 0",
            "m=application 0 UDP/DTLS/SCTP webrtc-datachannel",
            "m=audio 0 RTP/AVP 8",
            "m=image 0 udptl t38",
        ]
    );
    assert_eq!(answered.negotiated.remote.port(), 4002);
}

#[test]
fn direction_follows_rfc_3264() {
    use Direction::{Inactive, RecvOnly, SendOnly, SendRecv};
    // (theirs, what we are willing to do, what we do, held)
    let table = [
        (SendRecv, SendRecv, SendRecv, false),
        (SendOnly, SendRecv, RecvOnly, true),
        (RecvOnly, SendRecv, SendOnly, false),
        (Inactive, SendRecv, Inactive, true),
        (SendRecv, SendOnly, SendOnly, false),
        (SendOnly, SendOnly, Inactive, true),
        (RecvOnly, RecvOnly, Inactive, false),
        (SendRecv, Inactive, Inactive, false),
    ];
    for (theirs, willing, ours, held) in table {
        let offered = audio("m=audio 4000 RTP/AVP 0", &format!("a={}\r\n", theirs.as_str()));
        let answered = answer(&offered, &LocalAudio { direction: willing, ..local() }).unwrap();
        assert_eq!(answered.negotiated.direction, ours, "{theirs:?} offered, {willing:?} willing");
        assert_eq!(answered.negotiated.held_by_peer, held, "{theirs:?} offered, {willing:?} willing");
        assert!(text(&answered.sdp).ends_with(&format!("a={}\r\n", ours.as_str())));
    }
}

#[test]
fn the_media_level_direction_wins_over_the_sessions() {
    let offered = parse("v=0\nc=IN IP4 198.51.100.7\na=inactive\nm=audio 4000 RTP/AVP 0\na=SendOnly\n");
    assert_eq!(answer(&offered, &local()).unwrap().negotiated.direction, Direction::RecvOnly);
}

#[test]
fn an_unspecified_address_is_a_hold_and_nothing_is_sent_to_it() {
    let offered = parse("v=0\r\nc=IN IP4 0.0.0.0\r\nm=audio 4000 RTP/AVP 0\r\n");
    let negotiated = answer(&offered, &local()).unwrap().negotiated;
    assert!(negotiated.held_by_peer && !negotiated.direction.sends());
    assert_eq!((negotiated.direction, negotiated.remote_rtcp), (Direction::RecvOnly, None));
}

#[test]
fn our_own_hold_is_not_the_peers() {
    let holding = LocalAudio { direction: Direction::SendOnly, ..local() };
    let negotiated = accept_answer(&holding, &audio("m=audio 4000 RTP/AVP 0", "a=recvonly\r\n")).unwrap();
    assert_eq!((negotiated.direction, negotiated.held_by_peer), (Direction::SendOnly, false));
    let deaf = LocalAudio { direction: Direction::Inactive, ..local() };
    assert!(!accept_answer(&deaf, &audio("m=audio 4000 RTP/AVP 0", "a=inactive\r\n")).unwrap().held_by_peer);
    let held = accept_answer(&local(), &audio("m=audio 4000 RTP/AVP 0", "a=sendonly\r\n")).unwrap();
    assert!(held.held_by_peer && held.direction == Direction::RecvOnly);
}

#[test]
fn an_answer_cannot_widen_what_was_offered() {
    let offered = LocalAudio { direction: Direction::SendOnly, ..local() };
    let negotiated = accept_answer(&offered, &audio("m=audio 4000 RTP/AVP 0", "a=sendrecv\r\n")).unwrap();
    assert_eq!(negotiated.direction, Direction::SendOnly);
}

#[test]
fn one_port_for_rtcp_only_where_both_ask_for_it() {
    let with = audio("m=audio 4000 RTP/AVP 0", "a=rtcp-mux\r\n");
    let without = audio("m=audio 4000 RTP/AVP 0", "");
    let able = LocalAudio { rtcp_mux: true, ..local() };
    for (offered, local, agreed) in [(&with, &able, true), (&with, &local(), false), (&without, &able, false)] {
        let answered = answer(offered, local).unwrap();
        assert_eq!(answered.negotiated.rtcp_mux, agreed);
        assert_eq!(text(&answered.sdp).contains("a=rtcp-mux"), agreed);
        assert_eq!(answered.negotiated.remote_rtcp.is_none(), agreed);
        assert_eq!(accept_answer(local, offered).unwrap().rtcp_mux, agreed);
    }
}

#[test]
fn rtcp_goes_where_the_peer_says() {
    let rtcp = |m: &str, line: &str| answer(&audio(m, line), &local()).unwrap().negotiated.remote_rtcp;
    let usual = "m=audio 4000 RTP/AVP 0";
    assert_eq!(rtcp(usual, "a=rtcp:5555\r\n"), Some("198.51.100.7:5555".parse().unwrap()));
    assert_eq!(rtcp(usual, "a=rtcp:5555 IN IP4 198.51.100.9\r\n"), Some("198.51.100.9:5555".parse().unwrap()));
    assert_eq!(rtcp(usual, "a=rtcp:99999\r\n"), Some("198.51.100.7:4001".parse().unwrap()));
    assert_eq!(rtcp("m=audio 65535 RTP/AVP 0", ""), None);
}

#[test]
fn honours_ptime_within_reason() {
    let ptime = |lines: &str| answer(&audio("m=audio 4000 RTP/AVP 0", lines), &local()).unwrap().negotiated.ptime_ms;
    assert_eq!(ptime(""), 20);
    assert_eq!(ptime("a=ptime:30\r\n"), 30);
    assert_eq!(ptime("a=ptime:30.0\r\n"), 30);
    assert_eq!(ptime("a=ptime:30\r\na=maxptime:20\r\n"), 20);
    assert_eq!(ptime("a=ptime:0\r\n"), 20);
    assert_eq!(ptime("a=ptime:1\r\n"), MIN_PTIME_MS);
    assert_eq!(ptime("a=ptime:25\r\n"), 20);
    assert_eq!(ptime("a=ptime:65535\r\n"), MAX_PTIME_MS);
}

#[test]
fn reads_what_sloppy_peers_write() {
    let sloppy = "\nv=0\no=x 1 1 IN IP4 198.51.100.7\nc=IN IP4 198.51.100.7/127\nb=AS:x:y\ni=\u{FFFD}\nk=\nz\n\
                  m=Audio  4000   rtp/avp 0 96 200 x  \na=RTPMAP:0  pcmu/8000/1\na=ptime: 20\n";
    let negotiated = answer(&parse(sloppy), &local()).unwrap().negotiated;
    assert_eq!((negotiated.codec, negotiated.remote.port()), (AudioCodec::Pcmu, 4000));
    let latin1 = [trunk_offer("RTP/AVP", "").as_bytes(), b"a=label:M\xFCnchen\r\n"].concat();
    assert!(SessionDescription::parse(&latin1).is_ok());
}

#[test]
fn a_codec_of_the_right_name_on_another_clock_is_another_codec() {
    let offered = audio("m=audio 4000 RTP/AVP 0 96", "a=rtpmap:0 PCMU/16000\r\na=rtpmap:96 PCMA/8000/2\r\n");
    assert_eq!(answer(&offered, &local()), Err(SdpError::NoCommonCodec));
}

#[test]
fn refuses_media_to_names_groups_and_nowhere() {
    for address in ["pbx.example.com", "224.2.1.1/127", "255.255.255.255", "ff02::1", "1.2.3"] {
        let offered = parse(&format!("v=0\r\nc=IN IP4 {address}\r\nm=audio 4000 RTP/AVP 0\r\n"));
        assert_eq!(answer(&offered, &local()), Err(SdpError::BadAddress(address.into())));
    }
    let nowhere = parse("v=0\r\nm=audio 4000 RTP/AVP 0\r\n");
    assert_eq!(answer(&nowhere, &local()), Err(SdpError::BadAddress(String::new())));
    let refused = parse("v=0\r\nc=IN IP4 a.example\r\nm=audio 4000 RTP/AVP 0\r\nc=IN IP4 198.51.100.7\r\n");
    assert!(answer(&refused, &local()).is_ok(), "a bad address that no stream uses is no matter");
}

#[test]
fn an_ipv4_address_written_as_ipv6_is_ipv4() {
    let offered = parse("v=0\r\nc=IN IP6 ::ffff:198.51.100.7\r\nm=audio 4000 RTP/AVP 0\r\n");
    assert_eq!(answer(&offered, &local()).unwrap().negotiated.remote, "198.51.100.7:4000".parse().unwrap());
}

#[test]
fn says_what_an_offer_or_answer_lacks() {
    let no_media = parse("v=0\r\nc=IN IP4 198.51.100.7\r\n");
    let port_0 = audio("m=audio 0 RTP/AVP 0", "");
    let video = audio("m=video 4000 RTP/AVP 96", "");
    for description in [&no_media, &port_0, &video] {
        assert_eq!(answer(description, &local()), Err(SdpError::NoAudio));
        assert_eq!(accept_answer(&local(), description), Err(SdpError::AudioRefused));
    }
    let g729 = audio("m=audio 4000 RTP/AVP 18 101", "a=rtpmap:101 telephone-event/8000\r\n");
    assert_eq!(answer(&g729, &local()), Err(SdpError::NoCommonCodec));
    assert_eq!(accept_answer(&local(), &g729), Err(SdpError::NoCommonCodec));
    let secure = audio("m=audio 4000 RTP/SAVP 0", "");
    assert_eq!(accept_answer(&local(), &secure), Err(SdpError::SecureRequired("RTP/SAVP".into())));
}

#[test]
fn further_media_in_an_answer_change_nothing() {
    let answer = audio("m=audio 4000 RTP/AVP 0", "m=audio 6000 RTP/AVP 8\r\nm=video 7000 RTP/AVP 96\r\n");
    assert_eq!(accept_answer(&local(), &answer).unwrap().remote.port(), 4000);
}

#[test]
fn every_error_has_its_status_and_warning() {
    let table = [
        (SdpError::Syntax("x".into()), 400, None),
        (SdpError::TooLarge { what: "bytes", limit: 1 }, 413, None),
        (SdpError::NoAudio, 488, Some(304)),
        (SdpError::AudioRefused, 488, Some(304)),
        (SdpError::NoCommonCodec, 488, Some(305)),
        (SdpError::SecureRequired("RTP/SAVP".into()), 488, Some(302)),
        (SdpError::NoCommonCrypto, 488, Some(302)),
        (SdpError::BadAddress("x".into()), 488, Some(301)),
    ];
    for (error, status, warning) in table {
        assert_eq!((error.status(), error.warning().map(|warning| warning.code())), (status, warning), "{error}");
    }
}

#[test]
fn refuses_what_is_no_description() {
    for bytes in ["", "hello", "v=1\r\n", "o=x\r\nv=0\r\n", "v=0\r\nm=audio\r\n", "v=0\r\nm=audio 99999 RTP/AVP 0\r\n"]
    {
        let error = SessionDescription::parse(bytes.as_bytes()).unwrap_err();
        assert_eq!(error.status(), 400, "{bytes:?}: {error}");
    }
}

#[test]
fn refuses_what_is_too_large_at_once() {
    let head = "v=0\r\nc=IN IP4 198.51.100.7\r\n";
    let attributes = format!("{head}m=audio 4000 RTP/AVP 0\r\n{}", "a=x\r\n".repeat(10_000));
    let media = format!("{head}{}", "m=audio 4000 RTP/AVP 0\r\n".repeat(MAX_MEDIA + 1));
    let formats = format!("{head}m=audio 4000 RTP/AVP {}\r\n", "0 ".repeat(MAX_FORMATS + 1));
    let lines = format!("{head}{}", "a=\r\n".repeat(MAX_LINES));
    for (text, what) in [(attributes, "bytes"), (media, "media"), (formats, "formats"), (lines, "lines")] {
        match SessionDescription::parse(text.as_bytes()) {
            Err(SdpError::TooLarge { what: found, .. }) => assert_eq!(found, what),
            other => panic!("{what}: {other:?}"),
        }
    }
}

#[test]
fn the_version_goes_up_by_one_exactly_when_something_changes() {
    let mut local = local();
    let first = offer(&local);
    assert_eq!(offer_after(&first, &mut local), first);
    local.direction = Direction::SendOnly;
    let second = offer_after(&first, &mut local);
    assert!(text(&second).contains("o=- 77 2 ") && text(&second).contains("a=sendonly"));
    assert_eq!(offer_after(&second, &mut local), second);

    let refresh = parse(&trunk_offer("RTP/AVP", ""));
    local.direction = Direction::SendRecv;
    let answered = answer_after(&second, &refresh, &mut local, Preference::Theirs).unwrap();
    assert_eq!(local.version, 3);
    assert_eq!(answer_after(&answered.sdp, &refresh, &mut local, Preference::Theirs).unwrap(), answered);
    let version = local.version;
    assert!(
        answer_after(&answered.sdp, &audio("m=audio 4000 RTP/AVP 18", ""), &mut local, Preference::Theirs).is_err()
    );
    assert_eq!(local.version, version, "a refused offer changes nothing");
}

#[test]
fn the_answer_repeats_the_offers_time() {
    let offered = parse("v=0\r\nc=IN IP4 198.51.100.7\r\nt=3034423619 3042462419\r\nm=audio 4000 RTP/AVP 0\r\n");
    assert!(text(&answer(&offered, &local()).unwrap().sdp).contains("\r\nt=3034423619 3042462419\r\n"));
}

#[test]
fn the_session_id_stays_within_63_bits() {
    let sdp = offer(&LocalAudio { session_id: u64::MAX, ..local() });
    let id: i64 = parse(text(&sdp)).session_id().parse().unwrap();
    assert!(id > 0);
}

#[test]
fn both_ends_of_one_exchange_agree() {
    let caller = local();
    let callee = LocalAudio { addr: "198.51.100.7".parse().unwrap(), port: 4000, ..local() };
    let answered = answer(&SessionDescription::parse(&offer(&caller)).unwrap(), &callee).unwrap();
    let accepted = accept_answer(&caller, &SessionDescription::parse(&answered.sdp).unwrap()).unwrap();
    assert_eq!((accepted.remote.ip(), accepted.remote.port()), (callee.addr, callee.port));
    assert_eq!((answered.negotiated.remote.ip(), answered.negotiated.remote.port()), (caller.addr, caller.port));
    assert_eq!(accepted.codec, answered.negotiated.codec);
    assert_eq!(accepted.payload_type_out, answered.negotiated.payload_type_in);
    assert_eq!(accepted.telephone_event_out, answered.negotiated.telephone_event_in);
}

#[test]
fn an_address_of_the_other_family_is_refused_before_anybody_is_answered() {
    for c in ["IN IP6 2001:db8::1", "IN IP4 ::1"] {
        let offer = audio("m=audio 4000 RTP/AVP 0", &format!("c={c}\r\n"));
        let error = answer(&offer, &local()).unwrap_err();
        assert_eq!((error.status(), error.warning().map(|warning| warning.code())), (488, Some(301)), "{c}");
        assert!(accept_answer(&local(), &offer).is_err(), "{c}");
    }
    let six = LocalAudio { addr: "2001:db8::5".parse().unwrap(), ..local() };
    assert!(answer(&audio("m=audio 4000 RTP/AVP 0", "c=IN IP6 2001:db8::1\r\n"), &six).is_ok());
}

#[test]
fn keys_under_the_number_of_the_audio_are_no_keys() {
    let lines = "a=rtpmap:0 PCMU/8000\r\na=rtpmap:0 telephone-event/8000\r\na=fmtp:0 0-15\r\n";
    let answered = answer(&audio("m=audio 4000 RTP/AVP 0 0", lines), &local()).unwrap();
    let Negotiated { codec, telephone_event_in, telephone_event_out, .. } = answered.negotiated;
    assert_eq!((codec, telephone_event_in, telephone_event_out), (AudioCodec::Pcmu, None, None));
}

proptest! {
    #[test]
    fn the_fuzz_target_holds(lines in proptest::collection::vec(line(), 0..20)) {
        fuzz(format!("v=0\r\nc=IN IP4 198.51.100.7\r\n{}", lines.concat()).as_bytes());
    }

    /// Another implementation of the grammar takes the same descriptions, and finds the same media in them.
    #[test]
    fn reads_what_another_reader_reads(lines in proptest::collection::vec(strict_line(), 0..12)) {
        let text = format!("v=0\r\n{}", lines.concat());
        let theirs = sdp_types::Session::parse(text.as_bytes());
        let ours = SessionDescription::parse(text.as_bytes());
        prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "{:?}: {:?}, {:?}", text, ours, theirs);
        let (Ok(ours), Ok(theirs)) = (ours, theirs) else { return Ok(()) };
        prop_assert_eq!(ours.session_id(), theirs.origin.sess_id.as_str());
        prop_assert_eq!(ours.version(), theirs.origin.sess_version);
        let times: Vec<_> = theirs.times.iter().map(|time| (time.start_time, time.stop_time)).collect();
        prop_assert_eq!(&ours.times, &times);
        prop_assert_eq!(ours.media.len(), theirs.medias.len());
        for (ours, media) in ours.media.iter().zip(&theirs.medias) {
            let theirs = media.connections.first().or(theirs.connection.as_ref());
            let address = theirs.map(|theirs| theirs.connection_address.parse::<std::net::IpAddr>());
            prop_assert_eq!((&ours.kind, ours.port), (&media.media, media.port));
            prop_assert_eq!((&ours.protocol, &ours.raw_formats), (&media.proto, &media.fmt));
            prop_assert_eq!(ours.address().ok().map(|found| found.ip()), address.and_then(Result::ok));
        }
    }

    #[test]
    fn reading_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        fuzz(&bytes);
    }
}

fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "m=(audio|video|AUDIO) (0|4000|65535) (RTP/AVP|RTP/SAVP|rtp/avpf)( (0|8|18|96|101|200|x)){1,5}\r\n",
        2 => "a=rtpmap:(0|8|96|101) (PCMU|PCMA|telephone-event|G729)/(8000|16000)(/1)?\r\n",
        1 => "a=fmtp:101 [0-9,-]{0,9}\r\n",
        1 => "a=(sendonly|recvonly|inactive|sendrecv|rtcp-mux|ptime:[0-9]{1,5}|rtcp:[0-9]{1,6})\r\n",
        1 => "[a-z]=[ -~]{0,20}\r?\n",
        1 => "c=IN IP[46] (0.0.0.0|198.51.100.9|::1|x)\r\n",
    ]
}

/// Lines that both readers look at, right ones and wrong ones.
fn strict_line() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "m=(audio|video) (0|4000|65535|65536|x|7/2|7/x) RTP/AVP( (0|8|101|x)){1,3}\r\n",
        1 => "m=audio( 5)?( RTP/AVP)?\r\n",
        2 => "a=[a-z]{1,3}(:[a-z:]{0,3})?\r?\n",
        2 => "o=(-|x) [0-9]{1,2} ([0-9]{1,2}|x) IN IP4( 198.51.100.9)?( x)?\r\n",
        1 => "s=( |-)\r\n",
        1 => "t=(0|5|x) 0( 0)?\r\n",
        2 => "c=I(N|@) {1,2}IP4( 198.51.100.9)?( x)?\r\n",
        1 => "v=[01]\r\n",
        1 => "[aos]\r?\n",
    ]
}
