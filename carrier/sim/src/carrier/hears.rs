//! What a call makes of what it hears from the user agent and from its media.

use super::call::{Call, Phase, body};
use super::io::What;
use super::plant::Plant;
use crate::report::Outcome;
use media::EndpointId;
use sip_core::endpoint::{EndedBy, Failure, ReofferId, SessionId};
use sip_core::message::{Message, StatusCode};

/// The most keys of one call that are kept; later ones are noted and not kept.
const MAX_KEYS: usize = 1_024;

impl Call {
    pub(super) fn complain(&mut self, complaint: String, plant: &mut Plant) {
        self.note(plant, What::Complaint(complaint.clone()));
        self.report.complain(complaint);
    }

    /// A provisional response to our INVITE.
    pub(super) fn on_progress(&mut self, response: &Message, plant: &mut Plant) {
        let status = response.status().map_or(0, StatusCode::code);
        self.note(plant, What::Status(status));
        if status == 180 {
            self.report.times.ringing.get_or_insert(plant.now);
        }
        if !response.body().is_empty() {
            self.report.times.early_media.get_or_insert(plant.now);
            self.take_answer(response, plant);
        }
    }

    /// The 200 to our INVITE.
    pub(super) fn on_answered(&mut self, response: &Message, plant: &mut Plant) {
        if !matches!(self.phase, Phase::Calling) {
            return;
        }
        self.answered(plant);
        self.report.times.confirmed = Some(plant.now);
        if self.take_answer(response, plant) {
            self.advance(plant);
        } else {
            self.hang_up(plant);
        }
    }

    /// False where it is no answer that we can use.
    fn take_answer(&mut self, message: &Message, plant: &mut Plant) -> bool {
        let Some(line) = self.sound.line() else { return true };
        match line.accept(message.body(), plant) {
            Ok(()) => true,
            Err(error) => {
                self.complain(format!("{}: {error}", message.start_line()), plant);
                false
            }
        }
    }

    /// Our INVITE has come to nothing.
    pub(super) fn on_failed(&mut self, failure: Failure, plant: &mut Plant) {
        let (outcome, response) = match failure {
            Failure::Response(response) => (Outcome::Refused, Some(response)),
            Failure::Auth(_, response) => (Outcome::Refused, response),
            Failure::NoAnswer | Failure::Canceled => (Outcome::Canceled, None),
            Failure::TryTimeout | Failure::Timeout => (Outcome::Failed("nobody answered".to_owned()), None),
            Failure::Transport(reason) => (Outcome::Failed(reason), None),
            Failure::Unresolved => (Outcome::Failed("the name has no address".to_owned()), None),
        };
        if let Some(status) = response.and_then(|response| response.status()) {
            self.report.status = Some(status.code());
            self.note(plant, What::Status(status.code()));
        }
        self.over(outcome, plant);
    }

    /// The ACK of our 200, with the answer where the offer was ours.
    pub(super) fn on_ack(&mut self, ack: &Message, plant: &mut Plant) {
        self.report.times.confirmed.get_or_insert(plant.now);
        self.note(plant, What::Confirmed);
        if self.offer.is_none() && !self.take_answer(ack, plant) {
            self.hang_up(plant);
        }
        self.advance(plant);
    }

    /// The peer changes the session. One without an offer gets ours; its answer, in the ACK, is not waited for.
    pub(super) fn on_reoffer(&mut self, session: SessionId, id: ReofferId, request: &Message, plant: &mut Plant) {
        let now = plant.now;
        let Some(line) = self.sound.line() else {
            return plant.endpoint.respond(session, id, StatusCode::NOT_ACCEPTABLE_HERE, None, now);
        };
        let description = match request.body().is_empty() {
            true => Ok(line.offer(plant)),
            false => line.answer(request.body(), plant),
        };
        match description {
            Ok(description) => {
                plant.endpoint.respond(session, id, StatusCode::OK, Some(body(description)), now);
                self.note(plant, What::Changed);
            }
            Err(error) => {
                let status = StatusCode::new(error.status()).unwrap_or(StatusCode::NOT_ACCEPTABLE_HERE);
                plant.endpoint.respond(session, id, status, None, now);
            }
        }
    }

    /// The 200 to our re-INVITE.
    pub(super) fn on_reoffered(&mut self, response: &Message, plant: &mut Plant) {
        self.take_answer(response, plant);
    }

    /// The session's last word.
    pub(super) fn on_ended(&mut self, by: EndedBy, request: Option<&Message>, plant: &mut Plant) {
        let was_answered = self.report.times.answered.is_some();
        let outcome = match by {
            EndedBy::Peer if was_answered => Outcome::EndedByPeer,
            EndedBy::Peer => Outcome::Canceled,
            EndedBy::Us if was_answered => Outcome::EndedByCarrier,
            EndedBy::Us => Outcome::Refused,
            EndedBy::Lost(_) => Outcome::Lost,
        };
        if outcome == Outcome::Canceled && request.is_some() {
            self.report.status = Some(StatusCode::REQUEST_TERMINATED.code());
        }
        self.over(outcome, plant);
    }

    /// The port is open: whatever waited for it goes on.
    pub(super) fn sound_opened(&mut self, plant: &mut Plant) {
        match self.phase {
            Phase::Opening(_) => self.dial(plant),
            _ if self.held_cancel.is_some() => {}
            _ => self.advance(plant),
        }
    }

    /// A media command has failed.
    pub(super) fn sound_failed(&mut self, id: EndpointId, plant: &mut Plant) {
        if self.sound.id() != Some(id) || self.sound.failed(self.key, plant) {
            return;
        }
        match self.phase {
            Phase::Opening(_) => self.over(Outcome::Failed("no RTP port can be opened".to_owned()), plant),
            Phase::Offered(_) => {
                self.refuse(StatusCode::SERVICE_UNAVAILABLE, Vec::new(), plant);
            }
            _ => {}
        }
    }

    /// The peer has pressed a key.
    pub(super) fn heard_key(&mut self, key: char, plant: &mut Plant) {
        if self.report.digits.len() < MAX_KEYS {
            self.report.digits.push(key);
        }
        self.note(plant, What::Heard(key));
    }
}
