//! Datagrams through the rim.

use super::*;
use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};

fn peer() -> UdpSocket {
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    peer.set_read_timeout(Some(DEADLINE)).unwrap();
    peer
}

fn transmit(net: &Net, to: SocketAddr, bytes: &'static [u8]) {
    net.execute(Effect::Transmit { local: LocalId(0), to, bytes: Bytes::from_static(bytes) });
}

#[tokio::test]
async fn datagrams_come_in_with_their_source_and_go_out_from_their_listener() {
    let (mut rim, peer) = (Rim::new(&[Transport::Udp]).await, peer());
    peer.send_to(b"hello", rim.bound[0]).unwrap();
    let Input::Datagram { local: LocalId(0), from, bytes } = rim.next().await else { panic!() };
    assert_eq!((from, &*bytes), (peer.local_addr().unwrap(), b"hello".as_slice()));
    transmit(&rim.net, from, b"answer");
    let mut buffer = [0; 100];
    let (len, source) = peer.recv_from(&mut buffer).unwrap();
    assert_eq!((&buffer[..len], source), (b"answer".as_slice(), rim.bound[0]));
}

#[tokio::test]
async fn a_thread_of_its_own_sends_in_order() {
    let (rim, peer) = (Rim::new(&[Transport::Udp]).await, peer());
    let (net, to) = (rim.net.clone(), peer.local_addr().unwrap());
    std::thread::spawn(move || {
        for i in 0..200u8 {
            net.execute(Effect::Transmit { local: LocalId(0), to, bytes: Bytes::copy_from_slice(&[i]) });
        }
    })
    .join()
    .unwrap();
    let mut buffer = [0; 100];
    for i in 0..200 {
        peer.recv_from(&mut buffer).unwrap();
        assert_eq!(buffer[0], i);
    }
}

#[tokio::test]
async fn the_largest_datagram_passes() {
    let (mut rim, peer) = (Rim::new(&[Transport::Udp]).await, peer());
    peer.send_to(&[b'x'; 65_507], rim.bound[0]).unwrap();
    peer.send_to(b"", rim.bound[0]).unwrap();
    peer.send_to(b"end", rim.bound[0]).unwrap();
    assert!(matches!(rim.next().await, Input::Datagram { bytes, .. } if bytes.len() == 65_507));
    assert!(
        matches!(rim.next().await, Input::Datagram { bytes, .. } if &*bytes == b"end"),
        "an empty one says nothing"
    );
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_closed_port_is_reported_as_unreachable_and_only_that_one() {
    let (mut rim, alive) = (Rim::new(&[Transport::Udp]).await, peer());
    let dead = peer().local_addr().unwrap();
    transmit(&rim.net, alive.local_addr().unwrap(), b"before");
    transmit(&rim.net, dead, b"into the void");
    let Input::Unreachable { local: LocalId(0), to } = rim.next().await else { panic!() };
    assert_eq!(to, dead);
    // The socket is as good as before.
    transmit(&rim.net, alive.local_addr().unwrap(), b"after");
    let mut buffer = [0; 100];
    for expected in [b"before".as_slice(), b"after"] {
        let len = alive.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..len], expected);
    }
    alive.send_to(b"still there", rim.bound[0]).unwrap();
    assert!(matches!(rim.next().await, Input::Datagram { .. }));
    assert_eq!(rim.net.counters().unreachable, 1);
}

#[tokio::test]
async fn every_datagram_leaves_although_icmp_keeps_coming() {
    let (rim, alive) = (Rim::new(&[Transport::Udp]).await, peer());
    let (dead, alive_address) = (peer().local_addr().unwrap(), alive.local_addr().unwrap());
    for _ in 0..50 {
        transmit(&rim.net, dead, b"into the void");
        transmit(&rim.net, alive_address, b"x");
    }
    let mut buffer = [0; 10];
    for _ in 0..50 {
        alive.recv(&mut buffer).unwrap();
    }
}

#[tokio::test]
async fn what_cannot_be_sent_is_unreachable_at_once() {
    let mut rim = Rim::new(&[Transport::Udp]).await;
    let other_family: SocketAddr = "[::1]:5060".parse().unwrap();
    transmit(&rim.net, other_family, b"x");
    assert!(matches!(rim.next().await, Input::Unreachable { to, .. } if to == other_family));
    rim.net.execute(Effect::Transmit { local: LocalId(9), to: other_family, bytes: Bytes::new() });
    assert_eq!(rim.net.counters().datagrams_unsent, 2);
}

#[tokio::test]
async fn a_full_inbox_drops_datagrams_and_counts_them() {
    static FULL: AtomicBool = AtomicBool::new(true);
    let (sender, mut inputs) = unbounded_channel();
    let sink = move |input| if FULL.load(Ordering::Relaxed) { Err(Full) } else { sender.send(input).map_err(|_| Full) };
    let listeners = [loopback(Transport::Udp)];
    let (net, bound) = Net::bind(&listeners, TlsConfig::default(), sink).await.unwrap();
    let peer = peer();
    for _ in 0..3 {
        peer.send_to(b"lost", bound[0].2).unwrap();
    }
    let dropped = async {
        while net.counters().datagrams_dropped < 3 {
            tokio::task::yield_now().await;
        }
    };
    timeout(DEADLINE, dropped).await.unwrap();
    FULL.store(false, Ordering::Relaxed);
    peer.send_to(b"taken", bound[0].2).unwrap();
    let input = timeout(DEADLINE, inputs.recv()).await.unwrap();
    assert!(matches!(input, Some(Input::Datagram { bytes, .. }) if &*bytes == b"taken"));
    assert_eq!(net.counters().datagrams_received, 1);
}

#[tokio::test]
async fn a_flood_is_cut_before_the_inbox_and_others_are_read() {
    let slow = crate::endpoint::GateRates { source: 5, strangers: 1_000, known: Vec::new() };
    let strangers = Strangers { datagrams: slow, ..Strangers::but(Vec::new()) };
    let limits = Limits { strangers: Some(strangers), ..Limits::default() };
    let tls = TlsConfig { roots: Roots::Given(vec![]), ..TlsConfig::default() };
    let mut rim = Rim::with(&[Transport::Udp], tls, limits).await;
    let flood = std::net::UdpSocket::bind("127.0.0.9:0").unwrap();
    for _ in 0..100 {
        flood.send_to(b"flood", rim.bound[0]).unwrap();
    }
    rim.until(|counters| counters.datagrams_refused + counters.datagrams_received == 100).await;
    let counters = rim.net.counters();
    assert!((10..20).contains(&counters.datagrams_received), "{counters:?}");
    std::net::UdpSocket::bind("127.0.0.8:0").unwrap().send_to(b"other", rim.bound[0]).unwrap();
    loop {
        match rim.next().await {
            Input::Datagram { bytes, .. } if bytes == "other" => return,
            Input::Datagram { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}
