//! TLS: the name that was meant is the name that is verified.

use super::*;
use std::io::Write as _;
use tokio::io::AsyncWriteExt as _;

/// A certificate for a name, and the PEM that makes others believe it.
fn certificate(name: &str) -> (Identity, String) {
    let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    let pem = made.cert.pem();
    (Identity::from_pem(pem.as_bytes(), made.signing_key.serialize_pem().as_bytes()).unwrap(), pem)
}

async fn server(name: &str) -> (Rim, String) {
    let (identity, pem) = certificate(name);
    let config = TlsConfig { server: Some(identity), client: None, roots: Roots::Given(vec![]) };
    (Rim::with(&[Transport::Tls], config, Limits::default()).await, pem)
}

async fn client(roots: &str) -> Rim {
    let roots = Roots::from_pem(roots.as_bytes()).unwrap();
    Rim::with(&[Transport::Udp], TlsConfig { roots, ..TlsConfig::default() }, Limits::default()).await
}

#[tokio::test]
async fn the_right_name_is_accepted_and_words_pass_both_ways() {
    let (mut server, pem) = server("trunk.example").await;
    let mut client = client(&pem).await;
    let ours = client.open(2, Transport::Tls, server.bound[0], "Trunk.example.");
    assert!(matches!(client.next().await, Input::Opened { flow, .. } if flow == ours));
    let theirs = server.accepted().await;
    client.write(ours, "question");
    assert_eq!(server.receive(theirs, 8).await, b"question");
    server.write(theirs, "answer");
    assert_eq!(client.receive(ours, 6).await, b"answer");
    server.net.execute(Effect::Close { flow: theirs });
    assert_eq!(client.closed(ours).await, "closed by the peer");
}

#[tokio::test]
async fn a_wrong_name_is_refused_also_where_the_right_one_stands_already() {
    let (mut server, pem) = server("trunk.example").await;
    let mut client = client(&pem).await;
    client.open(2, Transport::Tls, server.bound[0], "trunk.example");
    assert!(matches!(client.next().await, Input::Opened { .. }));
    server.accepted().await;
    for (flow, name) in [(4, "other.example"), (6, "127.0.0.1"), (8, "sub.trunk.example")] {
        let flow = client.open(flow, Transport::Tls, server.bound[0], name);
        let reason = client.closed(flow).await;
        assert!(reason.contains("certificate"), "{name}: {reason}");
    }
    assert_eq!(client.net.counters().handshakes_failed, 3);
    server.until(|counters| counters.handshakes_failed == 3).await;
    assert!(server.inputs.try_recv().is_err(), "the server's core has heard of none of them");
}

#[tokio::test]
async fn an_unknown_authority_is_refused() {
    let (server, _) = server("trunk.example").await;
    let (_, another) = certificate("trunk.example");
    let mut client = client(&another).await;
    let flow = client.open(2, Transport::Tls, server.bound[0], "trunk.example");
    assert!(client.closed(flow).await.contains("certificate"));
}

#[tokio::test]
async fn an_expired_certificate_is_refused() {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["trunk.example".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    let pem = params.self_signed(&key).unwrap().pem();
    let identity = Identity::from_pem(pem.as_bytes(), key.serialize_pem().as_bytes()).unwrap();
    let config = TlsConfig { server: Some(identity), client: None, roots: Roots::Given(vec![]) };
    let server = Rim::with(&[Transport::Tls], config, Limits::default()).await;
    let mut client = client(&pem).await;
    let flow = client.open(2, Transport::Tls, server.bound[0], "trunk.example");
    let reason = client.closed(flow).await;
    assert!(reason.contains("xpired"), "{reason}");
}

#[tokio::test]
async fn an_address_is_a_name_where_the_certificate_says_so() {
    let (server, pem) = server("127.0.0.1").await;
    let mut client = client(&pem).await;
    client.open(2, Transport::Tls, server.bound[0], "127.0.0.1");
    assert!(matches!(client.next().await, Input::Opened { .. }));
    let flow = client.open(4, Transport::Tls, server.bound[0], "no name at all");
    client.closed(flow).await;
}

#[tokio::test]
async fn a_handshake_that_is_not_one_or_takes_too_long_leaves_no_trace() {
    let (identity, _) = certificate("trunk.example");
    let config = TlsConfig { server: Some(identity), client: None, roots: Roots::Given(vec![]) };
    let limits = Limits { handshake: Duration::from_millis(100), ..Limits::default() };
    let mut rim = Rim::with(&[Transport::Tls], config, limits).await;
    let _silent = tokio::net::TcpStream::connect(rim.bound[0]).await.unwrap();
    let mut plain = tokio::net::TcpStream::connect(rim.bound[0]).await.unwrap();
    plain.write_all(b"OPTIONS sip:a SIP/2.0\r\n\r\n").await.unwrap();
    rim.until(|counters| counters.handshakes_failed == 2 && counters.flows == 0).await;
    assert!(rim.inputs.try_recv().is_err());
}

#[tokio::test]
async fn a_listener_without_a_certificate_is_refused_by_its_address() {
    let bound = Net::bind(&[loopback(Transport::Tls)], TlsConfig::default(), |_| Ok(())).await;
    let Err(error) = bound else { panic!("there is no certificate") };
    let text = error.to_string();
    assert!(text.contains("127.0.0.1:0") && text.contains("certificate"), "{text}");
}

#[test]
fn unreadable_pem_says_what_it_should_have_been() {
    let made = rcgen::generate_simple_self_signed(vec!["a".to_owned()]).unwrap();
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let text = |result: Result<Identity, TlsError>| result.unwrap_err().to_string();
    assert!(text(Identity::from_pem(certificate.as_bytes(), b"")).contains("key"));
    assert!(text(Identity::from_pem(key.as_bytes(), key.as_bytes())).contains("certificate"));
    assert!(Roots::from_pem(b"nonsense").is_err());
    let mut shown = Vec::new();
    write!(shown, "{:?}", Identity::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap()).unwrap();
    let secret = key.lines().nth(1).unwrap();
    assert!(!String::from_utf8(shown).unwrap().contains(secret));
}

#[tokio::test]
async fn a_key_of_another_certificate_is_refused_at_start() {
    let one = rcgen::generate_simple_self_signed(vec!["a".to_owned()]).unwrap();
    let other = rcgen::generate_simple_self_signed(vec!["a".to_owned()]).unwrap();
    let identity = Identity::from_pem(one.cert.pem().as_bytes(), other.signing_key.serialize_pem().as_bytes()).unwrap();
    let config = TlsConfig { server: Some(identity), ..TlsConfig::default() };
    let bound = Net::bind(&[loopback(Transport::Tls)], config, |_| Ok(())).await;
    assert!(matches!(bound.err(), Some(BindError::Tls(TlsError::Unusable(..)))));
}
