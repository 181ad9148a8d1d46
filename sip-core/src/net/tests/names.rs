//! Names to addresses, with a name server of our own on loopback.

use super::*;
use crate::transport::{QueryId, locate};
use hickory_resolver::proto::op::{Message, OpCode, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, AAAA, NAPTR, SRV};
use hickory_resolver::proto::rr::{Name, RData, Record};
use std::net::UdpSocket;

type Zone = Vec<(&'static str, RData)>;

fn srv(priority: u16, weight: u16, port: u16, target: &str) -> RData {
    RData::SRV(SRV::new(priority, weight, port, Name::from_ascii(target).unwrap()))
}

fn a(address: [u8; 4]) -> RData {
    RData::A(A(address.into()))
}

/// Answers from the zone until the test ends, on a thread of its own.
fn name_server(zone: Zone) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    std::thread::Builder::new()
        .spawn(move || {
            let mut buffer = [0; 1500];
            while let Ok((len, from)) = socket.recv_from(&mut buffer) {
                if let Ok(question) = Message::from_vec(&buffer[..len]) {
                    socket.send_to(&answer(&zone, &question).to_vec().unwrap(), from).unwrap();
                }
            }
        })
        .unwrap();
    address
}

fn answer(zone: &Zone, question: &Message) -> Message {
    let query = question.queries[0].clone();
    let mut answer = Message::response(question.metadata.id, OpCode::Query);
    answer.add_query(query.clone());
    let asked = query.name().to_ascii().to_ascii_lowercase();
    for (name, data) in zone.iter().filter(|(name, _)| asked == format!("{name}.")) {
        if data.record_type() == query.query_type() {
            answer.add_answer(Record::from_rdata(Name::from_ascii(format!("{name}.")).unwrap(), 60, data.clone()));
        }
    }
    if !zone.iter().any(|(name, _)| asked == format!("{name}.")) {
        answer.metadata.response_code = ResponseCode::NXDomain;
    }
    answer
}

async fn rim(zone: Zone) -> Rim {
    let dns = Dns::Servers(vec![name_server(zone)]);
    Rim::over(&[Transport::Udp], TlsConfig::default(), Limits::default(), dns).await
}

async fn ask(rim: &mut Rim, host: &str, port: Option<u16>, transport: Transport) -> Vec<String> {
    let query = QueryId(7);
    let transport = Some(transport);
    rim.net.execute(Effect::Resolve { query, host: host.into(), port, transport });
    match rim.next().await {
        Input::Located { query: QueryId(7), records } => {
            let found = locate::candidates(host, port, transport, &records, &mut base::Rng::from_u64(1));
            found.iter().map(|(_, address)| address.to_string()).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn without_a_port_srv_decides_by_priority_and_the_transport_names_the_service() {
    let mut rim = rim(vec![
        ("_sip._udp.trunk.example", srv(20, 1, 5070, "b.trunk.example.")),
        ("_sip._udp.trunk.example", srv(10, 1, 5080, "a.trunk.example.")),
        ("_sips._tcp.trunk.example", srv(10, 1, 5091, "b.trunk.example.")),
        ("a.trunk.example", a([192, 0, 2, 1])),
        ("a.trunk.example", a([192, 0, 2, 2])),
        ("b.trunk.example", a([192, 0, 2, 3])),
        ("trunk.example", a([192, 0, 2, 9])),
    ])
    .await;
    let udp = ask(&mut rim, "trunk.example", None, Transport::Udp).await;
    assert_eq!(udp, ["192.0.2.1:5080", "192.0.2.2:5080", "192.0.2.3:5070"]);
    assert_eq!(ask(&mut rim, "Trunk.Example.", None, Transport::Tls).await, ["192.0.2.3:5091"]);
    assert_eq!(ask(&mut rim, "trunk.example", None, Transport::Tcp).await, ["192.0.2.9:5060"], "no SRV, so A");
    assert_eq!(ask(&mut rim, "trunk.example", Some(5099), Transport::Udp).await, ["192.0.2.9:5099"], "a port: no SRV");
}

#[tokio::test]
async fn a_service_that_is_decidedly_not_there_is_not_looked_for_elsewhere() {
    let zone = vec![("_sip._udp.trunk.example", srv(0, 0, 0, ".")), ("trunk.example", a([192, 0, 2, 9]))];
    assert!(ask(&mut rim(zone).await, "trunk.example", None, Transport::Udp).await.is_empty());
}

#[tokio::test]
async fn ipv4_comes_first() {
    let v6 = RData::AAAA(AAAA("2001:db8::1".parse().unwrap()));
    let mut rim = rim(vec![("both.example", v6), ("both.example", a([192, 0, 2, 1]))]).await;
    let tcp = ask(&mut rim, "both.example", Some(5060), Transport::Tcp).await;
    assert_eq!(tcp, ["192.0.2.1:5060", "[2001:db8::1]:5060"]);
}

#[tokio::test]
async fn failures_are_empty_answers() {
    let mut rim = rim(vec![("there.example", a([192, 0, 2, 1]))]).await;
    for host in ["missing.example", "", "not a name", &"x".repeat(300), "a..b"] {
        assert!(ask(&mut rim, host, Some(5060), Transport::Udp).await.is_empty(), "{host:?}");
    }
    let mut nobody = Rim::new(&[Transport::Udp]).await;
    assert!(ask(&mut nobody, "trunk.example", None, Transport::Udp).await.is_empty());
    assert_eq!(nobody.net.counters().unresolved, 1);
}

#[tokio::test]
async fn without_a_transport_naptr_is_asked_and_followed() {
    let naptr = |order, flags: &str, service: &str, replacement: &str| {
        let bytes = |text: &str| text.as_bytes().to_vec().into_boxed_slice();
        let name = Name::from_ascii(replacement).unwrap();
        RData::NAPTR(NAPTR::new(order, 10, bytes(flags), bytes(service), bytes(""), name))
    };
    let mut rim = rim(vec![
        ("trunk.example", naptr(20, "s", "SIP+D2U", "_sip._udp.trunk.example.")),
        ("trunk.example", naptr(10, "S", "SIPS+D2T", "secure.trunk.example.")),
        ("trunk.example", naptr(1, "u", "E2U+sip", "elsewhere.example.")),
        ("secure.trunk.example", srv(1, 1, 5061, "a.trunk.example.")),
        ("_sip._udp.trunk.example", srv(1, 1, 5060, "a.trunk.example.")),
        ("a.trunk.example", a([192, 0, 2, 1])),
    ])
    .await;
    let (query, host) = (QueryId(7), "trunk.example".to_owned());
    rim.net.execute(Effect::Resolve { query, host, port: None, transport: None });
    let Input::Located { records, .. } = rim.next().await else { panic!("no records") };
    assert_eq!(records.naptr.len(), 2);
    let found = locate::candidates("trunk.example", None, None, &records, &mut base::Rng::from_u64(1));
    let found: Vec<_> = found.iter().map(|(transport, address)| format!("{transport} {address}")).collect();
    assert_eq!(found, ["TLS 192.0.2.1:5061", "UDP 192.0.2.1:5060"]);
}

#[tokio::test]
async fn the_system_knows_localhost() {
    let mut rim = Rim::over(&[Transport::Udp], TlsConfig::default(), Limits::default(), Dns::System).await;
    assert_eq!(ask(&mut rim, "localhost", Some(5060), Transport::Udp).await[0], "127.0.0.1:5060");
    assert_eq!(ask(&mut rim, "127.0.0.1", None, Transport::Tls).await, ["127.0.0.1:5061"]);
}

#[tokio::test]
async fn localhost_is_found_at_once_although_no_name_server_answers() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let dns = Dns::Servers(vec![silent.local_addr().unwrap()]);
    let mut rim = Rim::over(&[Transport::Udp], TlsConfig::default(), Limits::default(), dns).await;
    let found = timeout(Duration::from_secs(1), ask(&mut rim, "localhost", None, Transport::Udp)).await;
    assert_eq!(found.expect("at once")[0], "127.0.0.1:5060");
}

#[tokio::test]
async fn a_silent_name_server_is_an_empty_answer_in_time() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let dns = Dns::Servers(vec![silent.local_addr().unwrap()]);
    let mut rim = Rim::over(&[Transport::Udp], TlsConfig::default(), Limits::default(), dns).await;
    let found = timeout(RESOLVE_TIMEOUT * 2, ask(&mut rim, "trunk.example", None, Transport::Udp)).await;
    assert!(found.expect("within the limit").is_empty());
}
