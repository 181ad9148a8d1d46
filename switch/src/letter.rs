//! What calls tell one another. A call is worked on alone, so what concerns another is put down as a letter and
//! delivered by the switch once the work is done; letters for a call that is gone are thrown away.

use crate::call::taping::Taping;
use crate::ending::Ending;
use crate::{CallSid, Origin, Owed, RoomOrder};
use media::EndpointId;
use sip_core::sdp::{AudioCodec, Direction};

/// A letter, to one call from another.
#[derive(Debug)]
pub(crate) enum Letter {
    /// From a leg to the call that made it: it rings.
    Rings {
        /// The leg.
        leg: CallSid,
        /// Its provisional status.
        sip_status: u16,
        /// Where its early media can be heard, and in which codec.
        heard: Option<(EndpointId, Option<AudioCodec>)>,
    },
    /// From a leg to the call that made it: its INVITE has its final response.
    Final(Box<Called>),
    /// From a leg to the call that made it: it is answered.
    Answers {
        /// The leg.
        leg: CallSid,
        /// Its media endpoint.
        media: EndpointId,
        /// Its codec.
        codec: Option<AudioCodec>,
    },
    /// To a leg: the two are joined.
    Joined {
        /// The call that made it.
        with: CallSid,
    },
    /// From a call to the one it is joined with, or that made it: it has ended.
    Over {
        /// Which.
        call: CallSid,
        /// How, as far as the other is concerned.
        ending: Ending,
    },
    /// To a leg, or to one that is joined: end.
    Release(Release),
    /// From a call whose far end asks for it (REFER) to the one that it is joined with: call this one instead.
    Transfer {
        /// Who asks.
        by: CallSid,
        /// Whom to call.
        to: String,
        /// Whether the one who asks reaches trunks.
        trunks: bool,
    },
    /// From a call that takes the place of this one (RFC 3891): it is answered.
    Replaced {
        /// Which.
        by: CallSid,
        /// Its media endpoint.
        media: EndpointId,
    },
    /// To the one that is joined with a call that is replaced: with this one from now on.
    Take {
        /// The one that replaces it.
        with: CallSid,
        /// Its media endpoint.
        media: EndpointId,
    },
    /// To the member of a conference that tells of it: somebody is to hear of this.
    Owes(Box<Owed>),
    /// To the one that is joined: the far end has pressed a key, and said so by INFO.
    Key(char),
    /// To the one that is joined: the far end has pressed a key, and it was heard as a tone in its audio.
    Tone(char),
    /// To a call whose far end has asked for a transfer: what has become of it.
    Referred {
        /// 180, or the final status.
        sip_status: u16,
    },
    /// From a call whose bridge wants this one, which lives already: be joined with it, as a leg that has answered is.
    Lend {
        /// Whose bridge.
        to: CallSid,
        /// The tenant whose calls it may have.
        tenant: String,
    },
    /// To a member of a conference: it has begun, and nobody waits any more.
    Begins,
    /// To a member of a conference: it is over.
    Closed,
    /// To a member of a conference: what the API asks of it, to be done by one of them.
    Room(RoomOrder),
    /// To a member of a conference: the recording of it that one has begun who leaves.
    Tape(Box<Taping>),
    /// To the one that is joined: the far end does this, and so you are to do toward yours.
    Flow(Direction),
}

/// A leg whose INVITE has its final response, as the program of its caller is told of it.
#[derive(Clone, Debug)]
pub(crate) struct Called {
    pub(crate) leg: CallSid,
    pub(crate) sip_call_id: Option<String>,
    /// The `X-` headers of the response.
    pub(crate) headers: Vec<(String, String)>,
}

/// Why a leg is let go. What it says of itself then depends on whether it has been answered when it hears of it.
#[derive(Clone, Debug)]
pub(crate) struct Release {
    pub(crate) origin: Origin,
    pub(crate) reason: String,
    /// Another of those that rang has answered: a phone that hears so keeps no missed call (RFC 3326 §2).
    pub(crate) elsewhere: bool,
}

impl Release {
    pub(crate) fn new(origin: Origin, reason: impl Into<String>) -> Self {
        Self { origin, reason: reason.into(), elsewhere: false }
    }

    pub(crate) fn answered_elsewhere() -> Self {
        Self { elsewhere: true, ..Self::new(Origin::Switch, "another one answered") }
    }
}
