//! WebSockets (RFC 7118): who gets in, and that one message stays one message.

use super::*;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::{WebSocketStream, client_async};

type Socket = WebSocketStream<TcpStream>;

/// A client of this subprotocol; why it was not let in.
async fn connect(rim: &Rim, subprotocol: Option<&'static str>) -> Result<Socket, String> {
    let stream = TcpStream::connect(rim.bound[0]).await.unwrap();
    let mut request = format!("ws://{}/", rim.bound[0]).into_client_request().unwrap();
    if let Some(name) = subprotocol {
        request.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static(name));
    }
    let done = timeout(DEADLINE, client_async(request, stream)).await.unwrap();
    done.map(|(socket, _)| socket).map_err(|error| error.to_string())
}

#[tokio::test]
async fn messages_pass_one_by_one_both_ways() {
    let mut rim = Rim::new(&[Transport::Ws]).await;
    let mut client = connect(&rim, Some("foo, sip")).await.unwrap();
    let flow = rim.accepted().await;
    for message in [Message::text("first"), Message::Binary(Bytes::from_static(b"second"))] {
        client.send(message).await.unwrap();
    }
    for expected in ["first", "second"] {
        let next = rim.next().await;
        assert!(matches!(&next, Input::Received { bytes, .. } if *bytes == expected), "{next:?}");
    }
    for bytes in ["an answer", "another"] {
        rim.net.execute(Effect::Write { flow, bytes: Bytes::from_static(bytes.as_bytes()) });
        assert_eq!(client.next().await.unwrap().unwrap(), Message::text(bytes));
    }
    client.send(Message::Ping(Bytes::from_static(b"?"))).await.unwrap();
    assert_eq!(client.next().await.unwrap().unwrap(), Message::Pong(Bytes::from_static(b"?")));
    rim.net.execute(Effect::Close { flow });
    assert!(matches!(client.next().await, Some(Ok(Message::Close(_))) | None));
    assert_eq!(rim.closed(flow).await, "closed by us");
}

#[tokio::test]
async fn who_does_not_speak_sip_is_turned_away() {
    let mut rim = Rim::new(&[Transport::Ws]).await;
    for subprotocol in [None, Some("chat")] {
        let why = connect(&rim, subprotocol).await.unwrap_err();
        assert!(why.contains("400"), "{why}");
    }
    rim.until(|counters| counters.handshakes_failed == 2 && counters.flows == 0).await;
    assert!(rim.inputs.try_recv().is_err(), "the core has not heard of them");
}

#[tokio::test]
async fn a_message_beyond_the_bound_ends_its_connection() {
    let mut rim = Rim::new(&[Transport::Ws]).await;
    let mut client = connect(&rim, Some("sip")).await.unwrap();
    let flow = rim.accepted().await;
    client.send(Message::text("x".repeat(MAX_FRAME + 1))).await.unwrap();
    let reason = rim.closed(flow).await;
    assert!(reason.starts_with("cannot read"), "{reason}");
}

#[tokio::test]
async fn one_that_never_says_a_word_is_let_go() {
    let limits = Limits { first_bytes: Duration::from_millis(50), ..Limits::default() };
    let tls = TlsConfig { roots: Roots::Given(vec![]), ..TlsConfig::default() };
    let mut rim = Rim::with(&[Transport::Ws], tls, limits).await;
    let _client = connect(&rim, Some("sip")).await.unwrap();
    let flow = rim.accepted().await;
    assert_eq!(rim.closed(flow).await, "nothing was said for too long");
}
