//! The network by itself: two nodes that talk datagrams, streams and RTP.

use super::*;
use media::{Codec, Command as Media, EndpointId, Event, Latch, PlayId, Prompt, StreamConfig};
use sip_core::transport::{FlowId, QueryId, Transport};
use std::collections::VecDeque;
use std::sync::Arc;

/// Does what it is told and remembers what it hears.
#[derive(Default)]
struct Parrot {
    says: VecDeque<Said>,
    wake: Option<u64>,
    heard: Vec<(u64, String)>,
}

enum Said {
    Sip(Effect),
    Media(Box<Media>),
}

impl Node for Parrot {
    type Command = Effect;
    type Report = ();

    fn handle(&mut self, input: Input<Effect>, now: Now) {
        let heard = match input {
            Input::Command(effect) => return self.says.push_back(Said::Sip(effect)),
            Input::Sip(Sip::Datagram { bytes, .. } | Sip::Received { bytes, .. }) => {
                String::from_utf8_lossy(&bytes).into_owned()
            }
            Input::Sip(Sip::Accepted { flow, .. }) => {
                self.says.push_back(Said::Sip(Effect::Write { flow, bytes: "welcome".into() }));
                format!("accepted {}", flow.0)
            }
            Input::Sip(other) => format!("{other:?}"),
            Input::Media(Event::FirstPacket { from, .. }) => format!("rtp from {from}"),
            Input::Media(Event::Closed { report, .. }) => {
                format!("{} of {}", report.received.packets, report.sent.packets)
            }
            Input::Media(_) => return,
            Input::Timeout => {
                self.wake = None;
                "woken".to_owned()
            }
        };
        self.heard.push((now.mono / base::millis(1), heard));
    }

    fn poll(&mut self) -> Output<()> {
        match self.says.pop_front() {
            Some(Said::Sip(effect)) => Output::Sip(effect),
            Some(Said::Media(command)) => Output::Media(*command),
            None => Output::Timeout(self.wake),
        }
    }
}

const A: &str = "192.0.2.1";
const B: &str = "192.0.2.2";

fn pair(seed: u64) -> (Network<Parrot>, HostId, HostId) {
    let mut network = Network::new(seed);
    let [a, b] = [A, B].map(|ip| network.join(Parrot::default(), Site::at(ip.parse().unwrap())));
    (network, a, b)
}

fn datagram(to: &str, text: &str) -> Effect {
    Effect::Transmit { local: LocalId(0), to: to.parse().unwrap(), bytes: Bytes::copy_from_slice(text.as_bytes()) }
}

fn heard(network: &Network<Parrot>, host: HostId) -> Vec<(u64, &str)> {
    network.node(host).heard.iter().map(|(at, text)| (*at, text.as_str())).collect()
}

#[test]
fn a_datagram_arrives_after_the_delay_and_a_wake_comes_when_asked_for() {
    let (mut network, a, b) = pair(1);
    network.with(b, |node, now| node.wake = Some(now.mono + base::millis(25)));
    network.command(a, datagram("192.0.2.2:5060", "hello"));
    network.run_for(Duration::from_secs(1));
    assert_eq!(heard(&network, b), [(10, "hello"), (25, "woken")]);
    assert_eq!(network.now().mono, base::secs(1));
}

#[test]
fn where_nobody_listens_icmp_says_so_and_an_empty_address_is_silent() {
    let (mut network, a, _) = pair(1);
    network.command(a, datagram("192.0.2.2:5061", "x"));
    network.command(a, datagram("192.0.2.9:5060", "x"));
    network.run_for(Duration::from_secs(1));
    let facts = heard(&network, a);
    assert_eq!((facts.len(), facts[0].0, facts[0].1.starts_with("Unreachable")), (1, 20, true));
    assert_eq!(network.carried().undeliverable, 2);
}

#[test]
fn a_stream_opens_carries_both_ways_in_order_and_closes() {
    let (mut network, a, b) = pair(1);
    let flow = FlowId(2);
    let (peer, server_name) = ("192.0.2.2:5060".parse().unwrap(), String::new());
    network.command(a, Effect::Open { flow, transport: Transport::Tcp, peer, server_name: server_name.clone() });
    network.run_for(Duration::from_millis(30));
    for text in ["one", "two"] {
        network.command(a, Effect::Write { flow, bytes: text.into() });
    }
    network.command(a, Effect::Close { flow });
    network.run_for(Duration::from_secs(1));
    assert_eq!(
        heard(&network, b).iter().map(|(_, text)| *text).collect::<Vec<_>>(),
        ["accepted 1", "one", "two", "Closed { flow: FlowId(1), reason: \"closed by the peer\" }"]
    );
    assert!(heard(&network, a)[0].1.starts_with("Opened"));
    assert_eq!(heard(&network, a)[1], (20, "welcome"));
    network.command(a, Effect::Open { flow: FlowId(4), transport: Transport::Tls, peer, server_name });
    network.run_for(Duration::from_secs(1));
    assert!(heard(&network, a).last().unwrap().1.contains("nobody listens"));
}

#[test]
fn names_resolve_to_what_the_network_knows() {
    let (mut network, a, _) = pair(1);
    network.name("Trunk.example", vec!["192.0.2.2:5060".parse().unwrap()]);
    for (query, host, port) in [(1, "trunk.EXAMPLE", Some(7)), (2, "nowhere.example", None), (3, "[2001:db8::1]", None)]
    {
        let (query, host) = (QueryId(query), host.to_owned());
        network.command(a, Effect::Resolve { query, host, port, transport: Some(Transport::Tls) });
    }
    network.run_for(Duration::from_secs(1));
    let answers: Vec<_> =
        heard(&network, a).iter().map(|(_, text)| text.split("addresses: ").nth(1).unwrap()).collect();
    assert_eq!(answers, ["[192.0.2.2:7] }", "[] }", "[[2001:db8::1]:5061] }"]);
}

/// Both sides send the same prompt for two seconds.
fn talk(network: &mut Network<Parrot>, hosts: [HostId; 2]) {
    let prompt = Arc::new(Prompt::new("tone", (0..800).map(|n| n * 37).collect::<Vec<i16>>()));
    for (host, peer) in hosts.into_iter().zip([B, A]) {
        let id = EndpointId(1);
        let config = StreamConfig {
            remote: format!("{peer}:10000").parse().unwrap(),
            remote_rtcp: None,
            rtcp_mux: false,
            codec: Codec::Pcmu,
            payload_type_out: 0,
            payload_type_in: 0,
            dtmf_out: None,
            dtmf_in: None,
            dtmf_clock: 8_000,
            ptime_ms: 20,
            send: true,
            receive: true,
            srtp: None,
            latch: Latch::Signalled,
            timeout: None,
            expects_media: false,
        };
        let commands = [
            Media::Create { id, rtp_port: 10_000 },
            Media::Configure { id, config },
            Media::Play { id, play: PlayId(1), prompt: prompt.clone(), repeat: 0 },
        ];
        network.with(host, |node, _| node.says.extend(commands.map(|command| Said::Media(Box::new(command)))));
    }
    network.run_for(Duration::from_secs(2));
    for host in hosts {
        network.with(host, |node, _| node.says.push_back(Said::Media(Box::new(Media::Close { id: EndpointId(1) }))));
    }
    network.run_for(Duration::from_secs(1));
}

#[test]
fn rtp_flows_both_ways_through_real_shards() {
    let (mut network, a, b) = pair(3);
    talk(&mut network, [a, b]);
    for (host, peer) in [(a, B), (b, A)] {
        let facts = heard(&network, host);
        assert_eq!(facts[0].1, format!("rtp from {peer}:10000"));
        let counts: Vec<u32> = facts[1].1.split(" of ").map(|count| count.parse().unwrap()).collect();
        assert!(counts[0] >= 99 && counts[1] >= 100, "{counts:?}");
        assert!(network.shard(host).is_empty());
    }
}

#[test]
fn the_same_seed_gives_the_same_trace_and_another_seed_another() {
    let run = |seed| {
        let (mut network, a, b) = pair(seed);
        network.impair_media(Impairment {
            loss: 0.05,
            duplicate: 0.02,
            jitter: Duration::from_millis(3),
            ..Impairment::CLEAN
        });
        talk(&mut network, [a, b]);
        (network.trace(), network.carried())
    };
    assert_eq!(run(5), run(5));
    assert_ne!(run(5).0, run(6).0);
}

#[test]
fn somebody_at_the_wire_alters_and_loses_packets() {
    let (mut network, a, b) = pair(1);
    network.tap(Box::new(|passing, _| match passing {
        Passing::Sip { bytes, .. } if bytes.as_ref() == b"lose" => false,
        Passing::Sip { bytes, .. } => {
            *bytes = Bytes::from_static(b"changed");
            true
        }
        Passing::Media { .. } => true,
    }));
    network.command(a, datagram("192.0.2.2:5060", "lose"));
    network.command(a, datagram("192.0.2.2:5060", "keep"));
    network.run_for(Duration::from_secs(1));
    assert_eq!(heard(&network, b), [(10, "changed")]);
    assert_eq!((network.carried().sip, network.carried().sip_lost), (2, 1));
}

#[test]
fn an_unplugged_host_hears_nothing_and_a_restarted_one_remembers_nothing() {
    let (mut network, a, b) = pair(1);
    network.unplug(b, true);
    network.command(a, datagram("192.0.2.2:5060", "one"));
    network.run_for(Duration::from_secs(1));
    network.unplug(b, false);
    network.command(a, datagram("192.0.2.2:5060", "two"));
    network.run_for(Duration::from_secs(1));
    assert_eq!(heard(&network, b), [(1010, "two")]);
    network.restart(b, Parrot::default());
    assert_eq!(heard(&network, b), []);
}

#[test]
#[should_panic(expected = "time stands still")]
fn a_node_that_asks_to_be_woken_at_once_for_ever_is_caught() {
    struct Restless;
    impl Node for Restless {
        type Command = ();
        type Report = ();
        fn handle(&mut self, _: Input<()>, _: Now) {}
        fn poll(&mut self) -> Output<()> {
            Output::Timeout(Some(0))
        }
    }
    let mut network = Network::new(1);
    network.join(Restless, Site::at(A.parse().unwrap()));
    network.run_for(Duration::from_secs(1));
}
