//! TCP through the rim: who gets in, what passes, and how it ends.

use super::*;
use crate::net::flow::READ_CHUNK;
use crate::transport::framing::{Framed, StreamFramer};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

#[tokio::test]
async fn a_peer_connects_speaks_hears_and_leaves() {
    let mut rim = Rim::new(&[Transport::Udp, Transport::Tcp]).await;
    let mut client = TcpStream::connect(rim.bound[1]).await.unwrap();
    let Input::Accepted { flow, local, peer } = rim.next().await else { panic!() };
    assert_eq!((flow.0 % 2, local, peer), (1, LocalId(1), client.local_addr().unwrap()));
    client.write_all(b"question").await.unwrap();
    assert_eq!(rim.receive(flow, 8).await, b"question");
    rim.write(flow, "ans");
    rim.write(flow, "wer");
    let mut answer = [0; 6];
    timeout(DEADLINE, client.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(&answer, b"answer");
    drop(client);
    rim.closed(flow).await;
    rim.write(flow, "into nothing");
    rim.until(|counters| counters.flows == 0).await;
}

#[tokio::test]
async fn one_byte_a_segment_frames_like_one_piece() {
    let mut rim = Rim::new(&[Transport::Tcp]).await;
    let mut client = TcpStream::connect(rim.bound[0]).await.unwrap();
    client.set_nodelay(true).unwrap();
    let message = b"OPTIONS sip:a SIP/2.0\r\nl: 4\r\n\r\nbody";
    let stream = [message.as_slice(), b"\r\n\r\n", message].concat();
    for byte in &stream {
        client.write_all(std::slice::from_ref(byte)).await.unwrap();
    }
    let flow = rim.accepted().await;
    let (mut framer, mut framed) = (StreamFramer::default(), Vec::new());
    framer.push(&rim.receive(flow, stream.len()).await);
    framed.extend(framer.by_ref().map(Result::unwrap));
    let message = Framed::Message(Bytes::from_static(message));
    assert_eq!(framed, [message.clone(), Framed::Pong, Framed::KeepAlivePing, message]);
}

#[tokio::test]
async fn a_flow_that_is_asked_for_opens_and_its_last_words_leave_before_it_closes() {
    let mut rim = Rim::new(&[Transport::Tcp]).await;
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let flow = rim.open(2, Transport::Tcp, server.local_addr().unwrap(), "");
    let (mut stream, peer) = timeout(DEADLINE, server.accept()).await.unwrap().unwrap();
    assert!(matches!(rim.next().await, Input::Opened { flow: FlowId(2), local_addr } if local_addr == peer));
    let long = vec![b'x'; 200_000];
    rim.write(flow, long.clone());
    rim.write(flow, "end");
    rim.net.execute(Effect::Close { flow });
    let mut heard = Vec::new();
    timeout(DEADLINE, stream.read_to_end(&mut heard)).await.unwrap().unwrap();
    assert_eq!(heard, [long.as_slice(), b"end"].concat());
    assert_eq!(rim.closed(flow).await, "closed by us");
}

#[tokio::test]
async fn what_cannot_be_opened_is_closed_with_a_reason() {
    let mut rim = Rim::new(&[Transport::Tcp]).await;
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let flow = rim.open(2, Transport::Tcp, nobody, "");
    let reason = rim.closed(flow).await;
    assert!(reason.contains(&nobody.to_string()) && reason.contains("refused"), "{reason}");
    assert_eq!(rim.net.counters().open_failed, 1);
}

#[tokio::test]
async fn opening_one_too_many_fails_at_once() {
    let limits = Limits { opened: 1, ..Limits::default() };
    let mut rim = Rim::with(&[Transport::Tcp], TlsConfig::default(), limits).await;
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let _accepted_ones_do_not_count = TcpStream::connect(rim.bound[0]).await.unwrap();
    rim.accepted().await;
    rim.open(2, Transport::Tcp, server.local_addr().unwrap(), "");
    assert!(matches!(rim.next().await, Input::Opened { .. }));
    let second = rim.open(4, Transport::Tcp, server.local_addr().unwrap(), "");
    assert_eq!(rim.closed(second).await, "too many connections");
    rim.net.execute(Effect::Close { flow: FlowId(2) });
    rim.closed(FlowId(2)).await;
    rim.open(6, Transport::Tcp, server.local_addr().unwrap(), "");
    assert!(matches!(rim.next().await, Input::Opened { flow: FlowId(6), .. }));
}

#[tokio::test]
async fn a_peer_that_never_speaks_is_closed() {
    let limits = Limits { first_bytes: Duration::from_millis(50), ..Limits::default() };
    let mut rim = Rim::with(&[Transport::Tcp], TlsConfig::default(), limits).await;
    let mut client = TcpStream::connect(rim.bound[0]).await.unwrap();
    let flow = rim.accepted().await;
    rim.closed(flow).await;
    assert_eq!(timeout(DEADLINE, client.read(&mut [0; 1])).await.unwrap().unwrap(), 0);
}

#[tokio::test]
async fn a_peer_that_falls_silent_is_closed_later() {
    let limits = Limits { idle: Duration::from_millis(50), ..Limits::default() };
    let mut rim = Rim::with(&[Transport::Tcp], TlsConfig::default(), limits).await;
    let mut client = TcpStream::connect(rim.bound[0]).await.unwrap();
    let flow = rim.accepted().await;
    client.write_all(b"x").await.unwrap();
    rim.receive(flow, 1).await;
    rim.closed(flow).await;
}

#[tokio::test]
async fn a_newcomer_takes_the_place_of_the_oldest_that_never_spoke() {
    let limits = Limits { accepted_per_source: 2, ..Limits::default() };
    let mut rim = Rim::with(&[Transport::Tcp], TlsConfig::default(), limits).await;
    let mut speaker = TcpStream::connect(rim.bound[0]).await.unwrap();
    let speaking = rim.accepted().await;
    speaker.write_all(b"x").await.unwrap();
    rim.receive(speaking, 1).await;
    let _silent = TcpStream::connect(rim.bound[0]).await.unwrap();
    let silent = rim.accepted().await;

    let mut newcomer = TcpStream::connect(rim.bound[0]).await.unwrap();
    let (one, other) = (rim.next().await, rim.next().await);
    let (closed, accepted) = if matches!(one, Input::Closed { .. }) { (one, other) } else { (other, one) };
    assert!(matches!(closed, Input::Closed { flow, .. } if flow == silent), "{closed:?}");
    let Input::Accepted { flow: new, .. } = accepted else { panic!("{accepted:?}") };
    newcomer.write_all(b"y").await.unwrap();
    rim.receive(new, 1).await;

    // Now all of them have spoken, so there is no place left, until one leaves.
    let mut refused = TcpStream::connect(rim.bound[0]).await.unwrap();
    let end = timeout(DEADLINE, refused.read(&mut [0; 1])).await.unwrap();
    assert!(matches!(end, Ok(0) | Err(_)));
    assert_eq!(rim.net.counters().refused, 2);
    drop(speaker);
    rim.closed(speaking).await;
    rim.until(|counters| counters.flows == 1).await;
    let _admitted = TcpStream::connect(rim.bound[0]).await.unwrap();
    rim.accepted().await;
}

#[tokio::test]
async fn a_flood_of_silent_connections_keeps_nobody_out() {
    let limits = Limits { accepted: 8, ..Limits::default() };
    let mut rim = Rim::with(&[Transport::Tcp], TlsConfig::default(), limits).await;
    let mut flood = Vec::new();
    for _ in 0..50 {
        flood.push(TcpStream::connect(rim.bound[0]).await.unwrap());
    }
    let mut client = TcpStream::connect(rim.bound[0]).await.unwrap();
    client.write_all(b"OPTIONS").await.unwrap();
    let heard = async { while !matches!(rim.next().await, Input::Received { .. }) {} };
    timeout(DEADLINE, heard).await.expect("the one that speaks is heard");
    assert!(rim.net.counters().flows <= 8);
}

#[tokio::test]
async fn a_peer_that_does_not_read_is_closed() {
    let mut rim = Rim::new(&[Transport::Tcp]).await;
    let mut client = TcpStream::connect(rim.bound[0]).await.unwrap();
    let flow = rim.accepted().await;
    client.write_all(b"x").await.unwrap();
    rim.receive(flow, 1).await;
    let chunk = Bytes::from(vec![0; 64 * 1024]);
    while rim.net.counters().overflowed == 0 {
        rim.write(flow, chunk.clone());
    }
    assert_eq!(rim.closed(flow).await, "the peer does not read");
}

#[tokio::test]
async fn a_stream_waits_for_a_full_inbox_and_loses_nothing() {
    static REFUSALS: AtomicU64 = AtomicU64::new(5);
    let (sender, inputs) = unbounded_channel();
    let refuse = || REFUSALS.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
    let sink = move |input| if refuse() { Err(Full) } else { sender.send(input).map_err(|_| Full) };
    let listeners = [loopback(Transport::Tcp)];
    let (net, bound) = Net::bind(&listeners, TlsConfig::default(), sink).await.unwrap();
    let mut rim = Rim { net, bound: vec![bound[0].2], inputs };
    let mut client = TcpStream::connect(rim.bound[0]).await.unwrap();
    let flow = rim.accepted().await;
    REFUSALS.store(5, Ordering::Relaxed);
    client.write_all(b"all of it").await.unwrap();
    assert_eq!(rim.receive(flow, 9).await, b"all of it");
    assert_eq!(rim.net.counters().inbox_full, 10);
}

#[tokio::test]
async fn a_stranger_who_says_too_much_is_left_unread_and_others_are_read() {
    let slow = crate::endpoint::GateRates { source: 1, strangers: 1_000, known: Vec::new() };
    let strangers = Strangers { datagrams: slow, ..Strangers::but(Vec::new()) };
    let limits = Limits { strangers: Some(strangers), ..Limits::default() };
    let mut rim = Rim::with(&[Transport::Tcp], TlsConfig::default(), limits).await;
    let begun = Instant::now();
    let mut flood = TcpStream::connect(rim.bound[0]).await.unwrap();
    let flooded = rim.accepted().await;
    let flooding = tokio::spawn(async move { flood.write_all(&vec![b'x'; 32 << 20]).await });
    rim.until(|counters| counters.streams_paced > 0).await;
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.8:0".parse().unwrap()).unwrap();
    let mut other = socket.connect(rim.bound[0]).await.unwrap();
    other.write_all(b"other").await.unwrap();
    let mut said = 0;
    loop {
        match rim.next().await {
            Input::Received { flow, bytes } if flow == flooded => said += bytes.len(),
            Input::Received { bytes, .. } if bytes == "other" => break,
            Input::Accepted { .. } => {}
            input => panic!("{input:?}"),
        }
    }
    // Two seconds' worth at once, then a stretch a second; what is read is paid for afterwards.
    let allowed = READ_CHUNK + STRETCH * (3 + begun.elapsed().as_secs() as usize);
    assert!(said <= allowed, "{said} octets of {allowed}");
    flooding.abort();
}
