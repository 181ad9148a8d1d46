//! SIP over WebSocket, the server's side (RFC 7118, RFC 6455): the handshake that names `sip`, then one message of SIP's in
//! each message of the WebSocket's. A client that does not answer pings, or does not read, is let go.

use super::Shared;
use super::flow::{Control, FlowEnd, WRITE_TIMEOUT, closed};
use crate::transport::{FlowId, Input};
use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use std::net::IpAddr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode, header};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Bytes as Payload, Error, Message};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async_with_config};

/// The largest message that is taken, in bytes, as of a datagram; a larger one ends the connection.
pub const MAX_FRAME: usize = 64 * 1024;
/// How often a client is pinged that says nothing; one ping that is not answered until the next ends the connection. It
/// keeps NATs and proxies in between from forgetting the connection too.
pub const PING_EVERY: Duration = Duration::from_secs(30);
/// The subprotocol (RFC 7118 §4).
const SUBPROTOCOL: &str = "sip";

/// The life of a WebSocket, from its handshake on.
pub(super) async fn run<S>(shared: &Shared, end: FlowEnd, stream: S, announce: Input, guest: IpAddr)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let FlowEnd { flow, mut writes, control } = end;
    let shaking = timeout(shared.limits.handshake, accept_hdr_async_with_config(stream, agree, Some(config())));
    let socket = tokio::select! {
        done = shaking => done.ok().and_then(Result::ok),
        _ = control.aborted() => None,
        () = shared.stopped() => None,
    };
    let Some(socket) = socket else {
        shared.tally.handshakes_failed.one();
        // The core has not heard of it, and need not.
        return shared.flows.close(flow);
    };
    shared.deliver(announce).await;
    let (mut sink, mut source) = socket.split();
    let (pings, pinged) = mpsc::channel(1);
    let reason = tokio::select! {
        biased;
        reason = control.aborted() => reason,
        reason = read(shared, (flow, guest), &mut source, pings) => reason,
        reason = write(&mut writes, pinged, &mut sink, &control) => reason,
    };
    // RFC 6455 §5.5.1; best effort.
    let _ = timeout(super::CLOSE_TIMEOUT, sink.close()).await;
    closed(shared, flow, reason).await;
}

fn config() -> WebSocketConfig {
    WebSocketConfig::default().max_message_size(Some(MAX_FRAME)).max_frame_size(Some(MAX_FRAME))
}

/// RFC 7118 §4: a client that does not speak SIP is turned away, and one that does is told so.
#[expect(clippy::result_large_err, reason = "the library's own signature")]
fn agree(request: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
    let offered =
        request.headers().get_all(header::SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
    let speaks_sip = offered.flat_map(|list| list.split(',')).any(|name| name.trim().eq_ignore_ascii_case(SUBPROTOCOL));
    if !speaks_sip {
        let mut refusal = ErrorResponse::new(Some("Sec-WebSocket-Protocol: sip is wanted (RFC 7118)\n".to_owned()));
        *refusal.status_mut() = StatusCode::BAD_REQUEST;
        return Err(refusal);
    }
    response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    Ok(response)
}

/// Reads until the client has said enough, or nothing for too long.
async fn read<S>(
    shared: &Shared,
    (flow, guest): (FlowId, IpAddr),
    source: &mut SplitStream<WebSocketStream<S>>,
    pings: mpsc::Sender<()>,
) -> String
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let first_by = Instant::now() + shared.limits.first_bytes;
    let (mut spoken, mut pinged) = (false, false);
    loop {
        let patience = if spoken { PING_EVERY } else { first_by.saturating_duration_since(Instant::now()) };
        match timeout(patience, source.next()).await {
            Err(_) if !spoken => return "nothing was said for too long".to_owned(),
            Err(_) if pinged => return "a ping was not answered".to_owned(),
            Err(_) => {
                pinged = true;
                // One that waits already is as good.
                let _ = pings.try_send(());
            }
            Ok(None | Some(Ok(Message::Close(_)) | Err(Error::ConnectionClosed))) => {
                return "closed by the peer".to_owned();
            }
            Ok(Some(Err(error))) => return format!("cannot read: {error}"),
            Ok(Some(Ok(message))) => {
                pinged = false;
                if let Some(bytes) = payload(message) {
                    if !spoken {
                        spoken = true;
                        shared.admission.spoke(flow);
                    }
                    let octets = bytes.len();
                    shared.deliver(Input::Received { flow, bytes }).await;
                    shared.pace(guest, octets).await;
                }
            }
        }
    }
}

/// What is for the core; pings are answered by the library.
fn payload(message: Message) -> Option<Bytes> {
    match message {
        Message::Text(text) => Some(Payload::from(text)),
        Message::Binary(bytes) => Some(bytes),
        Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_) => None,
    }
}

async fn write<S>(
    writes: &mut mpsc::Receiver<Bytes>,
    mut pings: mpsc::Receiver<()>,
    sink: &mut SplitSink<WebSocketStream<S>, Message>,
    control: &Control,
) -> String
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        let (message, len) = tokio::select! {
            bytes = writes.recv() => match bytes {
                Some(bytes) => (message(bytes.clone()), bytes.len()),
                None => return "closed by us".to_owned(),
            },
            Some(()) = pings.recv() => (Message::Ping(Bytes::new()), 0),
        };
        match timeout(WRITE_TIMEOUT, sink.send(message)).await {
            Ok(Ok(())) if len > 0 => control.has_left(len),
            Ok(Ok(())) => {}
            Ok(Err(error)) => return format!("cannot write: {error}"),
            Err(_) => return "the peer does not read".to_owned(),
        }
    }
}

/// RFC 7118 §4.2: text where it is UTF-8, which every client reads.
fn message(bytes: Bytes) -> Message {
    match String::from_utf8(bytes.to_vec()) {
        Ok(text) => Message::text(text),
        Err(_) => Message::Binary(bytes),
    }
}
