//! What changes before the answer: an UPDATE in an early dialog whose first offer has its answer (RFC 3311 §5.2), or a PRACK
//! with an offer (RFC 3262 §5). The audio moves at once; what was agreed on stands when the call is answered.

use super::leg::{self, Phase, stream};
use super::{Call, Stage};
use crate::desk::Desk;
use crate::refusal::Refusal;
use base::Now;
use sip_core::endpoint::ReofferId;
use sip_core::message::{Message, StatusCode};
use sip_core::sdp::{self, Answered, AudioCodec, Negotiated, SdpError, SessionDescription};

/// What an early dialog of ours has agreed on since its first answer.
#[derive(Debug)]
pub(super) struct Agreed {
    /// The fork, by its tag.
    tag: String,
    negotiated: Negotiated,
}

impl Agreed {
    /// What stands in the early dialog of this response: it has nothing to say of the audio any more (RFC 6337 §3.1.1).
    pub(super) fn of<'a>(agreed: Option<&'a Self>, response: &Message) -> Option<&'a Negotiated> {
        let to = response.to().ok()?;
        agreed.filter(|agreed| to.tag() == Some(agreed.tag.as_str())).map(|agreed| &agreed.negotiated)
    }
}

impl Call {
    /// The far end changes the session before the call is answered, or while its ACK is on the way.
    pub(super) fn on_early_offer(&mut self, id: ReofferId, request: &Message, desk: &mut Desk, now: Now) {
        let Some(session) = self.leg.session else { return };
        let answered = match self.standing() {
            Some((codec, encrypted)) if !request.body().is_empty() => self.answer_early(request, codec, encrypted),
            // Nothing has been agreed on that could be changed.
            _ => return desk.endpoint.respond(session, id, StatusCode::REQUEST_PENDING, None, now),
        };
        match answered {
            Ok(answered) => {
                let body = Some((sdp::CONTENT_TYPE.to_owned(), answered.sdp.clone()));
                desk.endpoint.respond(session, id, StatusCode::OK, body, now);
                self.agree_early(answered, request, desk);
            }
            Err(error) => {
                let Refusal { status, headers } = Refusal::from(&error);
                desk.endpoint.decline(session, id, status, headers, now);
            }
        }
    }

    /// The codec that an early dialog has agreed on, and whether it is encrypted.
    fn standing(&self) -> Option<(Option<AudioCodec>, bool)> {
        let of = |negotiated: &Negotiated| (Some(negotiated.codec), negotiated.crypto.is_some());
        match &self.stage {
            // Whether ours is encrypted was settled by the offer.
            Stage::Dialing(_) => Some((self.leg.codec, false)),
            Stage::Alerting(alerting) => alerting.said.as_ref().map(|(_, negotiated)| of(negotiated)),
            Stage::Accepting(accepting) => accepting.negotiated.as_ref().map(of),
            _ => None,
        }
    }

    fn answer_early(
        &mut self,
        request: &Message,
        codec: Option<AudioCodec>,
        encrypted: bool,
    ) -> Result<Answered, SdpError> {
        let offer = SessionDescription::parse(request.body())?;
        let local = self.leg.local.as_mut().ok_or(SdpError::NoAudio)?;
        let mut next = local.clone();
        next.version += 1;
        if encrypted {
            // What is encrypted once stays so.
            next.security = next.security.required();
        }
        let standing: Vec<_> = codec.into_iter().collect();
        leg::answer(&offer, &next, &standing).inspect(|_| *local = next)
    }

    /// The audio moves, and the answer of the call will find it there.
    fn agree_early(&mut self, answered: Answered, request: &Message, desk: &mut Desk) {
        let Answered { sdp, negotiated } = answered;
        // Whom it is joined with hears of a hold; who is not yet, once they are.
        self.on_asked(negotiated.peer_direction, desk);
        match &mut self.stage {
            Stage::Dialing(dialing) => {
                let tag = request.from().ok().and_then(|from| from.tag().map(str::to_owned)).unwrap_or_default();
                dialing.agreed = Some(Agreed { tag, negotiated: negotiated.clone() });
                self.listen_early(&negotiated, desk);
            }
            Stage::Alerting(alerting) => {
                alerting.said = Some((sdp, negotiated.clone()));
                self.speak_early(&negotiated, desk);
            }
            Stage::Accepting(accepting) => {
                accepting.negotiated = Some(negotiated.clone());
                if accepting.then.is_none() {
                    self.speak_early(&negotiated, desk);
                }
            }
            _ => {}
        }
    }

    /// Early media of the one who is called is heard from here on.
    pub(super) fn listen_early(&mut self, negotiated: &Negotiated, desk: &mut Desk) {
        let Some(media) = self.leg.media else { return };
        self.leg.codec = Some(negotiated.codec);
        let config = stream(negotiated, &self.hear, Phase::Listening, desk.media_timeout);
        desk.media(media::Command::Configure { id: media.id, config });
    }

    /// Early media is sent there from here on.
    pub(super) fn speak_early(&self, negotiated: &Negotiated, desk: &mut Desk) {
        let Some(media) = self.leg.media else { return };
        let config = stream(negotiated, &self.hear, Phase::Announcing, desk.media_timeout);
        desk.media(media::Command::Configure { id: media.id, config });
    }
}
