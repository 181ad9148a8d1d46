//! What the rim has seen, in numbers: for metrics, and for tests that must see a drop.

use std::sync::atomic::{AtomicU64, Ordering};

/// One number that only grows.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub fn one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)+) => {
        /// Numbers since the start; all but [`Counters::flows`] only grow.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Counters {
            /// Stream connections there are now.
            pub flows: u64,
            $($(#[$doc])* pub $name: u64,)+
        }

        #[derive(Debug, Default)]
        pub(super) struct Tally {
            $(pub $name: Count,)+
        }

        impl Tally {
            pub fn snapshot(&self, flows: usize) -> Counters {
                Counters { flows: flows as u64, $($name: self.$name.get(),)+ }
            }
        }
    };
}

counters! {
    /// Datagrams that reached the inbox.
    datagrams_received,
    /// Datagrams dropped because the inbox was full.
    datagrams_dropped,
    /// Datagrams that were not read because their source, or all strangers together, sent too many.
    datagrams_refused,
    /// Times that a connection was left unread for a while because its source, or all strangers together, said too much.
    streams_paced,
    /// Datagrams handed to the kernel.
    datagrams_sent,
    /// Datagrams that the kernel did not take.
    datagrams_unsent,
    /// Destinations that ICMP, or the kernel at once, called unreachable.
    unreachable,
    /// Times that a stream had to wait for a full inbox.
    inbox_full,
    /// Connections accepted (TLS: before the handshake).
    accepted,
    /// Connections refused, or closed for another's sake, because there were too many.
    refused,
    /// Failures of `accept` itself: no file descriptor left, for one.
    accept_errors,
    /// TLS handshakes that failed, either way.
    handshakes_failed,
    /// Connections opened.
    opened,
    /// Connections that could not be opened.
    open_failed,
    /// Connections closed because their peer did not take what was written.
    overflowed,
    /// Names looked up.
    resolved,
    /// Names without an address.
    unresolved,
}
