//! Real connections: bodies that are too long, heads that never end, the server's own end.

use crate::support::{Board, KEY, PATIENCE, call};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// An API that is served on loopback.
pub struct Server {
    pub address: SocketAddr,
    pub stop: oneshot::Sender<()>,
    pub serving: JoinHandle<()>,
}

/// Serves a board's API.
pub async fn serve(board: &Board) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let router = board.router.clone();
    let serving = tokio::spawn(async move {
        api::serve(listener, router, async {
            let _ = stopped.await;
        })
        .await;
    });
    Server { address, stop, serving }
}

fn head(path: &str, length: usize) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n"
    )
}

/// Everything until the connection is closed.
async fn rest(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut text)).await.expect("the connection stays open").ok();
    String::from_utf8_lossy(&text).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_megabytes_get_a_413_that_the_client_can_read() {
    let board = Board::new().await;
    let server = serve(&board).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = head("/v1/calls", 10 << 20) + "connection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&vec![b' '; 10 << 20]).await.unwrap();
    let answer = rest(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("body_too_large"), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_asks_first_is_told_before_it_sends() {
    let board = Board::new().await;
    let server = serve(&board).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = head("/v1/calls", 100 << 20) + "expect: 100-continue\r\nconnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    assert!(rest(&mut stream).await.starts_with("HTTP/1.1 413"));
}

#[tokio::test]
async fn heads_that_never_end_are_closed_and_others_are_served_meanwhile() {
    let board = Board::new().await;
    let server = serve(&board).await;
    let mut slow = Vec::new();
    for _ in 0..300 {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\nx-slow: ").await.unwrap();
        slow.push(stream);
    }
    let mut other = TcpStream::connect(server.address).await.unwrap();
    other.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    assert!(rest(&mut other).await.starts_with("HTTP/1.1 200"));
    // From here on time passes as soon as nothing else happens.
    tokio::time::pause();
    for mut stream in slow {
        let answer = rest(&mut stream).await;
        assert!(!answer.contains("200"), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_is_a_head_too_long_is_refused() {
    let board = Board::new().await;
    let server = serve(&board).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = format!("GET /livez HTTP/1.1\r\nhost: x\r\nx-long: {}\r\n\r\n", "y".repeat(200 << 10));
    let _ = stream.write_all(head.as_bytes()).await;
    let answer = rest(&mut stream).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_it_is_told_to_end_it_answers_what_is_under_way_and_closes() {
    let board = Board::new().await;
    let server = serve(&board).await;
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    let mut busy = TcpStream::connect(server.address).await.unwrap();
    let body = call().to_string();
    let head = head("/v1/calls", body.len()) + "\r\n";
    busy.write_all(head.as_bytes()).await.unwrap();
    busy.write_all(&body.as_bytes()[..10]).await.unwrap();
    let mut first = TcpStream::connect(server.address).await.unwrap();
    first.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    assert!(rest(&mut first).await.starts_with("HTTP/1.1 200"));
    server.stop.send(()).unwrap();
    assert_eq!(rest(&mut idle).await, "");
    busy.write_all(&body.as_bytes()[10..]).await.unwrap();
    assert!(rest(&mut busy).await.starts_with("HTTP/1.1 201"));
    tokio::time::timeout(PATIENCE, server.serving).await.unwrap().unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
}
