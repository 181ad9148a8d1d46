//! One fork of an INVITE of ours before its final response (RFC 3261 §12.1, RFC 3262 §4).

use super::super::command::Body;
use super::super::transactions::ClientId;
use super::Agreement;
use crate::dialog::Dialog;

/// An early dialog, and what its reliable provisionals have brought.
#[derive(Debug)]
pub(super) struct Early {
    /// The INVITE's transaction.
    pub(super) client: ClientId,
    pub(super) dialog: Dialog,
    pub(super) agreement: Agreement,
    /// The RSeq of the last reliable provisional that was taken.
    rseq: Option<u32>,
    pub(super) prack: Prack,
    /// What that PRACK carries: our answer to the offer that came.
    pub(super) answer: Option<Body>,
}

/// The PRACK of the last reliable provisional.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Prack {
    /// None is due, or it has been answered.
    None,
    /// Our user owes it the answer to the offer that came.
    Awaited,
    /// On its way.
    Sent,
    /// Refused, or not answered: a copy of the provisional is acknowledged again.
    Failed,
}

/// What a reliable provisional is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// The next one.
    Next,
    /// A copy of the last one.
    Copy,
    /// An older copy, or one that is ahead of what has been lost: not processed, not acknowledged (§4).
    Other,
}

impl Early {
    pub(super) const fn new(client: ClientId, dialog: Dialog, agreement: Agreement) -> Self {
        Self { client, dialog, agreement, rseq: None, prack: Prack::None, answer: None }
    }

    /// Judges an RSeq (§4): the first may be any, those after it go up by one.
    pub(super) fn order(&mut self, rseq: u32) -> Order {
        match self.rseq {
            Some(last) if rseq == last => Order::Copy,
            Some(last) if Some(rseq) != last.checked_add(1) => Order::Other,
            _ => {
                self.rseq = Some(rseq);
                self.answer = None;
                Order::Next
            }
        }
    }

    pub(super) const fn rseq(&self) -> Option<u32> {
        self.rseq
    }
}
