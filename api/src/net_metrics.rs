//! What `/metrics` says of SIP's sockets: they are asked when somebody reads.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use std::fmt;
use std::sync::Arc;

/// What SIP's sockets have seen since the start; all but the connections only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SocketFigures {
    /// Stream connections there are now.
    pub connections: u64,
    /// Datagrams that were read.
    pub datagrams_received: u64,
    /// Datagrams that signalling had no room for.
    pub datagrams_dropped: u64,
    /// Datagrams of strangers who sent too many.
    pub datagrams_refused: u64,
    /// Datagrams that the kernel took.
    pub datagrams_sent: u64,
    /// Datagrams that it did not take.
    pub datagrams_unsent: u64,
    /// Destinations that were called unreachable.
    pub unreachable: u64,
    /// Times that a stranger's connection was left unread.
    pub streams_paced: u64,
    /// Times that a connection waited for room.
    pub streams_waited: u64,
    /// Connections accepted.
    pub accepted: u64,
    /// Connections closed because there were too many.
    pub refused: u64,
    /// Failures to accept.
    pub accept_errors: u64,
    /// TLS handshakes that failed.
    pub handshakes_failed: u64,
    /// Connections opened.
    pub opened: u64,
    /// Connections that could not be opened.
    pub open_failed: u64,
    /// Connections closed because their peer did not read.
    pub overflowed: u64,
    /// Names looked up.
    pub resolved: u64,
    /// Names without an address.
    pub unresolved: u64,
}

/// Asks SIP's sockets what they have seen.
pub type AskNet = Arc<dyn Fn() -> SocketFigures + Send + Sync>;

type Read = fn(&SocketFigures) -> u64;

/// What only grows, named without the `_total` that the format adds.
const COUNTERS: [(&str, &str, Read); 15] = [
    ("sip_datagrams_received", "SIP datagrams that were read", |seen| seen.datagrams_received),
    ("sip_datagrams_sent", "SIP datagrams that the kernel took", |seen| seen.datagrams_sent),
    ("sip_datagrams_unsent", "SIP datagrams that the kernel did not take", |seen| seen.datagrams_unsent),
    ("sip_unreachable", "Destinations that ICMP or the kernel called unreachable", |seen| seen.unreachable),
    ("sip_streams_paced", "Times that a stranger's connection was left unread because it said too much", |seen| {
        seen.streams_paced
    }),
    ("sip_streams_waited", "Times that a connection waited because signalling had too much to do", |seen| {
        seen.streams_waited
    }),
    ("sip_connections_accepted", "SIP connections accepted", |seen| seen.accepted),
    ("sip_connections_refused", "SIP connections closed because there were too many", |seen| seen.refused),
    ("sip_connections_opened", "SIP connections opened", |seen| seen.opened),
    ("sip_connections_failed", "SIP connections that could not be opened", |seen| seen.open_failed),
    ("sip_connections_overflowed", "SIP connections closed because their peer did not read", |seen| seen.overflowed),
    ("sip_handshakes_failed", "TLS handshakes of SIP that failed, either way", |seen| seen.handshakes_failed),
    ("sip_accept_errors", "Times that the system could not accept: no descriptor left, for one", |seen| {
        seen.accept_errors
    }),
    ("sip_names_resolved", "Names looked up", |seen| seen.resolved),
    ("sip_names_unresolved", "Names without an address", |seen| seen.unresolved),
];

/// Datagrams that nobody read, by the cause in their label.
const DROPPED: [(&str, Read); 2] =
    [("inbox_full", |seen| seen.datagrams_dropped), ("too_many", |seen| seen.datagrams_refused)];

/// What they said.
#[derive(Debug)]
pub(crate) struct Sockets(pub SocketFigures);

impl Collector for Sockets {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for (name, help, read) in COUNTERS {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            metric.encode_counter::<NoLabelSet, _, u64>(&read(&self.0), None)?;
        }
        let help = "SIP datagrams dropped: signalling had too much to do, or strangers sent too many";
        let mut metric = encoder.encode_descriptor("sip_datagrams_dropped", help, None, MetricType::Counter)?;
        for (cause, read) in DROPPED {
            let label = [("cause", cause)];
            metric.encode_family(&label)?.encode_counter::<NoLabelSet, _, u64>(&read(&self.0), None)?;
        }
        let mut metric =
            encoder.encode_descriptor("sip_connections", "SIP connections now", None, MetricType::Gauge)?;
        metric.encode_gauge(&self.0.connections)
    }
}
