//! INVITE with Replaces (RFC 3891 §3): which session it means, and which it may not.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

mod pair;

use pair::{A, B, IntoStatus as _, Net, address, hop, invite_b, invite_to, ms, sdp, secs, talking};
use sip_core::endpoint::{Event, Invite, SessionId};
use sip_core::transport::Transport;

/// C calls the node with this Replaces.
fn replace(net: &mut Net, node: usize, values: &[String]) -> (usize, SessionId) {
    let ip = net.nodes[node].ip;
    let headers = values.iter().map(|value| ("Replaces".to_owned(), value.clone())).collect();
    let c = net.nodes.iter().position(|node| node.ip == "192.0.2.3").unwrap_or_else(|| net.add("192.0.2.3", |_| {}));
    net.forget();
    let session = net.place(c, Invite { headers, ..invite_to(hop(ip, Transport::Udp)) });
    net.run_for(ms(100));
    (c, session)
}

fn replaced(net: &Net, node: usize) -> Option<SessionId> {
    net.nodes[node].events.iter().find_map(|event| match event {
        Event::Incoming { replaces, .. } => *replaces,
        _ => None,
    })
}

#[test]
fn an_invite_names_the_session_it_replaces_as_its_peer_sees_it() {
    let mut net = Net::new(1);
    let (a, b) = talking(&mut net);
    // What A says to C about its session with B, C says to B.
    let value = net.nodes[A].endpoint.replaces_header(a).unwrap();
    let (c, _) = replace(&mut net, B, &[value]);
    assert_eq!(replaced(&net, B), Some(b));
    // RFC 3891 §3: the new one is accepted, the old one ended.
    let new = net.nodes[B].incoming().unwrap();
    net.with(B, |e, now| e.accept(new, Vec::new(), Some(sdp()), now));
    net.with(B, |e, now| e.hangup(b, Vec::new(), now));
    net.run_for(secs(1));
    assert_eq!(net.nodes[c].story(), ["answered 200"]);
    assert_eq!(net.nodes[A].story(), ["ended Peer"]);
}

#[test]
fn what_cannot_be_read_or_found_is_refused() {
    let mut net = Net::new(2);
    let (a, _) = talking(&mut net);
    let value = net.nodes[A].endpoint.replaces_header(a).unwrap();
    for (values, code) in [
        (vec![value.clone(), value.clone()], "failed 400"),
        (vec!["nonsense".to_owned()], "failed 400"),
        (vec![format!("{value};to-tag=again")], "failed 400"),
        (vec![format!("x{value}")], "failed 481"),
        (vec![value.replace("from-tag=", "from-tag=x")], "failed 481"),
        (vec![format!("{value};early-only")], "failed 486"),
    ] {
        let (c, _) = replace(&mut net, B, &values);
        assert_eq!(net.nodes[c].story(), [code], "{values:?}");
        assert_eq!(net.nodes[B].story(), [""; 0], "its user never hears of it");
    }
}

#[test]
fn an_early_dialog_is_replaced_where_we_have_called_and_not_where_we_were_called() {
    let mut net = Net::new(3);
    let a = net.place(A, invite_b());
    net.run_for(ms(50));
    let b = net.nodes[B].incoming().unwrap();
    assert_eq!(net.nodes[B].endpoint.replaces_header(b), None, "nothing has been said yet");
    net.with(B, |e, now| e.progress(b, 180.into_status(), Vec::new(), None, now));
    net.run_for(ms(50));
    assert_eq!(net.nodes[A].endpoint.replaces_header(a), None, "B would refuse it");
    let value = net.nodes[B].endpoint.replaces_header(b).unwrap();
    assert!(value.ends_with(";early-only"), "{value}");
    replace(&mut net, A, std::slice::from_ref(&value));
    assert_eq!(replaced(&net, A), Some(a));
    // The same dialog from B's side: it did not start it.
    let mut parts = value.split(';');
    let call_id = parts.next().unwrap();
    let tag = |name: &str| value.split(&format!("{name}=")).nth(1).unwrap().split(';').next().unwrap();
    let swapped = format!("{call_id};to-tag={};from-tag={}", tag("from-tag"), tag("to-tag"));
    let (c, _) = replace(&mut net, B, &[swapped]);
    assert_eq!(net.nodes[c].story().last().unwrap(), "failed 481");
}

#[test]
fn a_session_that_is_being_ended_is_603() {
    let mut net = Net::new(4);
    let (a, b) = talking(&mut net);
    let value = net.nodes[A].endpoint.replaces_header(a).unwrap();
    net.filter = Some(Box::new(|_, to, _| to != address("192.0.2.1", Transport::Udp)));
    net.with(B, |e, now| e.hangup(b, Vec::new(), now));
    let (c, _) = replace(&mut net, B, &[value]);
    assert_eq!(net.nodes[c].story(), ["failed 603"]);
}
