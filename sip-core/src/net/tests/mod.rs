//! The rim on loopback sockets: every wait is for an observable fact, and has a deadline.
// Peers and senders of a test are threads of their own, as they are in the world.
#![allow(clippy::disallowed_methods)]

mod names;
mod streams;
mod tls;
mod udp;
mod websocket;

use super::*;
use bytes::Bytes;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;

const DEADLINE: Duration = Duration::from_secs(10);

/// A rim whose inputs are collected.
struct Rim {
    net: Net,
    bound: Vec<SocketAddr>,
    inputs: UnboundedReceiver<Input>,
}

fn loopback(transport: Transport) -> Listener {
    Listener { transport, bind: "127.0.0.1:0".parse().unwrap() }
}

impl Rim {
    async fn new(transports: &[Transport]) -> Self {
        Self::with(transports, TlsConfig { roots: Roots::Given(vec![]), ..TlsConfig::default() }, Limits::default())
            .await
    }

    async fn with(transports: &[Transport], tls: TlsConfig, limits: Limits) -> Self {
        Self::over(transports, tls, limits, Dns::Servers(vec![])).await
    }

    async fn over(transports: &[Transport], tls: TlsConfig, limits: Limits, dns: Dns) -> Self {
        let listeners: Vec<_> = transports.iter().map(|transport| loopback(*transport)).collect();
        let (sender, inputs) = unbounded_channel();
        let sink = move |input| sender.send(input).map_err(|_| Full);
        let (net, bound) = Net::bind_with(&listeners, tls, limits, dns, sink).await.unwrap();
        Self { net, bound: bound.into_iter().map(|(_, _, address)| address).collect(), inputs }
    }

    async fn next(&mut self) -> Input {
        timeout(DEADLINE, self.inputs.recv()).await.expect("an input in time").unwrap()
    }

    /// The bytes that come from `flow`, up to `len` of them.
    async fn receive(&mut self, flow: FlowId, len: usize) -> Vec<u8> {
        let mut all = Vec::new();
        while all.len() < len {
            match self.next().await {
                Input::Received { flow: from, bytes } if from == flow => all.extend_from_slice(&bytes),
                other => panic!("{other:?}"),
            }
        }
        all
    }

    async fn accepted(&mut self) -> FlowId {
        match self.next().await {
            Input::Accepted { flow, .. } => flow,
            other => panic!("{other:?}"),
        }
    }

    async fn closed(&mut self, expected: FlowId) -> String {
        match self.next().await {
            Input::Closed { flow, reason } if flow == expected => reason,
            other => panic!("{other:?}"),
        }
    }

    fn open(&self, flow: u64, transport: Transport, peer: SocketAddr, server_name: &str) -> FlowId {
        let flow = FlowId(flow);
        self.net.execute(Effect::Open { flow, transport, peer, server_name: server_name.into() });
        flow
    }

    fn write(&self, flow: FlowId, bytes: impl Into<Bytes>) {
        self.net.execute(Effect::Write { flow, bytes: bytes.into() });
    }

    /// Waits until the counters say so.
    async fn until(&self, fact: impl Fn(&Counters) -> bool) {
        let seen = async {
            while !fact(&self.net.counters()) {
                tokio::task::yield_now().await;
            }
        };
        timeout(DEADLINE, seen).await.unwrap_or_else(|_| panic!("{:?}", self.net.counters()));
    }
}

#[tokio::test]
async fn a_port_in_use_is_named_with_what_the_system_says() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let rim = Rim::new(&[transport]).await;
        let taken = Listener { transport, bind: rim.bound[0] };
        let bound = Net::bind(&[taken], TlsConfig::default(), |_| Ok(())).await;
        let Err(error) = bound else { panic!("the port is taken") };
        let text = error.to_string();
        assert!(text.contains(&rim.bound[0].to_string()) && text.contains("in use"), "{text}");
        assert!(text.contains(transport.as_str()), "{text}");
    }
}

#[tokio::test]
async fn a_failed_bind_leaves_no_socket_behind() {
    let rim = Rim::new(&[Transport::Udp]).await;
    let free = {
        let probe = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        probe.local_addr().unwrap()
    };
    let listeners = [free, rim.bound[0]].map(|bind| Listener { transport: Transport::Udp, bind });
    assert!(Net::bind(&listeners, TlsConfig::default(), |_| Ok(())).await.is_err());
    assert!(std::net::UdpSocket::bind(free).is_ok());
}

#[tokio::test]
async fn listeners_are_numbered_in_their_order() {
    let listeners = [Transport::Tcp, Transport::Udp, Transport::Udp].map(loopback);
    let (_, bound) = Net::bind(&listeners, TlsConfig::default(), |_| Ok(())).await.unwrap();
    let numbered: Vec<_> = bound.iter().map(|(local, transport, _)| (local.0, *transport)).collect();
    assert_eq!(numbered, [(0, Transport::Tcp), (1, Transport::Udp), (2, Transport::Udp)]);
    assert!(bound.iter().all(|(_, _, address)| address.port() != 0));
}

#[tokio::test]
async fn after_shutdown_everything_has_ended_and_the_ports_are_free() {
    let mut rim = Rim::new(&[Transport::Udp, Transport::Tcp]).await;
    let client = tokio::net::TcpStream::connect(rim.bound[1]).await.unwrap();
    let flow = rim.accepted().await;
    rim.write(flow, "last words");
    let Rim { net, bound, .. } = rim;
    timeout(DEADLINE, net.shutdown()).await.expect("it ends");
    let mut heard = Vec::new();
    let read = tokio::io::AsyncReadExt::read_to_end(&mut { client }, &mut heard).await;
    assert_eq!((read.ok(), heard.as_slice()), (Some(10), b"last words".as_slice()));
    assert!(std::net::UdpSocket::bind(bound[0]).is_ok());
    assert!(std::net::TcpStream::connect(bound[1]).is_err());
}
