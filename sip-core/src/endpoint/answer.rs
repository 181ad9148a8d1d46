//! Answers that need no session: what is fit for one, OPTIONS, refusals (RFC 3261 §8.2, §11.2, §21.4).

use super::command::Headers;
use super::compose::{ALLOW, ALLOW_EVENTS, Answer, SDP};
use super::config::{Config, RETRY_AFTER, ReliableProvisionals};
use super::session::is_about_refer;
use crate::header::ContentType;
use crate::message::{Message, Method, Name, Reject, StatusCode};
use crate::uri::{Host, Scheme};

/// Fit, or what it is answered.
pub(super) type Checked = Result<(), Box<Answer>>;

/// §11.2: what an INVITE would find.
pub(super) fn options(config: &Config, allow: impl Into<String>) -> Answer {
    let answer = Answer::new(StatusCode::OK).header(Name::Allow, allow).header(Name::Accept, SDP);
    answer.header(Name::Supported, config.supported())
}

/// Too much, or draining: come back later (§21.5.4).
pub(super) fn unavailable() -> Answer {
    Answer::new(StatusCode::SERVICE_UNAVAILABLE).header(Name::RetryAfter, RETRY_AFTER.to_string())
}

/// What is allowed outside of dialogs: what is allowed in them, and what our user has asked to be told of.
pub(super) fn allowed_outside(config: &Config) -> String {
    let own = ALLOW.split(", ");
    let users = config.handed_up.iter().map(Method::as_str).filter(|method| !own.clone().any(|other| other == *method));
    own.clone().chain(users).collect::<Vec<_>>().join(", ")
}

/// A method that nothing is done for: 405 where it is known, 501 where it is not, with what is allowed here (§8.2.1,
/// §21.4.6, §21.5.2).
pub(super) fn refused_method(method: &Method, allow: impl Into<String>) -> Answer {
    let status = match method {
        Method::Other(_) => StatusCode::NOT_IMPLEMENTED,
        _ => StatusCode::METHOD_NOT_ALLOWED,
    };
    Answer::new(status).header(Name::Allow, allow)
}

/// What is allowed once our user has refused this method (§21.4.6).
pub(super) fn allowed_but(method: &Method) -> String {
    let others: Vec<&str> = ALLOW.split(", ").filter(|other| *other != method.as_str()).collect();
    others.join(", ")
}

/// A SUBSCRIBE that would open a subscription: to an event package that is none of ours, or to none at all (RFC 6665
/// §4.2.1.1, §4.2.3); only a REFER opens one to `refer` (RFC 3515 §2.4.4).
pub(super) fn refused_subscription(request: &Message) -> Answer {
    if is_about_refer(request) {
        Answer::new(StatusCode::FORBIDDEN)
    } else {
        bad_event(Answer::new(StatusCode::BAD_EVENT))
    }
}

/// A 489 names the packages that there are (RFC 6665 §8.3.2).
pub(super) fn bad_event(answer: Answer) -> Answer {
    answer.header(Name::AllowEvents, ALLOW_EVENTS)
}

/// An answer that the message layer asks for.
pub(super) fn rejected(reject: Reject) -> Answer {
    let headers: Headers = reject.headers.into_iter().map(|(name, value)| (name.as_str().to_owned(), value)).collect();
    Answer { reason: Some(reject.reason.into_owned()), headers, ..Answer::new(reject.status) }
}

/// Whether a request outside of a dialog is for us (§8.2.2.1).
pub(super) fn check_destination(config: &Config, request: &Message) -> Checked {
    let Ok(uri) = request.request_uri() else { return Err(Box::new(Answer::new(StatusCode::BAD_REQUEST))) };
    let is_ours = match uri.host() {
        Some(Host::Name(name)) => {
            let name = name.as_str().trim_end_matches('.');
            config.domains.is_empty() || config.domains.iter().any(|domain| domain.eq_ignore_ascii_case(name))
        }
        // Whoever addresses a request to an address and reaches us has meant us: behind a NAT we do not know them all.
        Some(Host::V4(_) | Host::V6(_)) => true,
        // tel: names a number, not a place.
        None => true,
    };
    if is_ours { Ok(()) } else { Err(Box::new(Answer::new(StatusCode::NOT_FOUND))) }
}

/// §8.2.2.3: what a peer requires and we do not support; and what we require of a caller (RFC 3262 §3).
pub(super) fn check_require(config: &Config, request: &Message) -> Checked {
    let unknown: Vec<String> = request.require().into_iter().filter(|option| !config.supports(option)).collect();
    if !unknown.is_empty() {
        return Err(Box::new(Answer::new(StatusCode::BAD_EXTENSION).header(Name::Unsupported, unknown.join(", "))));
    }
    let wants_prack = config.reliable_provisionals == ReliableProvisionals::Required;
    if wants_prack && request.method() == Method::Invite && !request.supports("100rel") {
        return Err(Box::new(Answer::new(StatusCode::EXTENSION_REQUIRED).header(Name::Require, "100rel")));
    }
    Ok(())
}

/// §10.3 step 2: of what a REGISTER may require we have Path (RFC 3327).
pub(super) fn check_registration(request: &Message) -> Checked {
    let unknown: Vec<String> = request.require().into_iter().filter(|option| option != "path").collect();
    if unknown.is_empty() {
        return Ok(());
    }
    Err(Box::new(Answer::new(StatusCode::BAD_EXTENSION).header(Name::Unsupported, unknown.join(", "))))
}

/// §8.2.3, §13.3.1: an INVITE or UPDATE carries a session description or nothing, as it is; and its sender reads one.
pub(super) fn check_content(request: &Message) -> Checked {
    let unsupported = || Answer::new(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    if !request.body().is_empty() {
        let is_sdp = request.is_part() || matches!(request.content_type(), Ok(Some(given)) if given.is(SDP));
        if !is_sdp {
            return Err(Box::new(unsupported().header(Name::Accept, SDP)));
        }
        let encoded = request.values(Name::ContentEncoding).any(|coding| !coding.eq_ignore_ascii_case(b"identity"));
        if encoded {
            return Err(Box::new(unsupported().header(Name::AcceptEncoding, "identity")));
        }
    }
    check_accept(request)
}

/// §20.1: without Accept, `application/sdp` is understood.
fn check_accept(request: &Message) -> Checked {
    let mut ranges = request.values(Name::Accept).peekable();
    let takes_sdp = |value: &[u8]| ContentType::parse(value).is_ok_and(|range| range.covers(SDP));
    if ranges.peek().is_none() || ranges.any(|value| takes_sdp(&value)) {
        Ok(())
    } else {
        Err(Box::new(Answer::new(StatusCode::NOT_ACCEPTABLE)))
    }
}

/// §8.1.1.8: an INVITE says by one Contact, a SIP or SIPS URI, where its sender is reached.
pub(super) fn check_contact(request: &Message) -> Checked {
    match request.contacts() {
        Ok([contact]) if matches!(contact.uri.scheme(), Scheme::Sip | Scheme::Sips) => Ok(()),
        _ => {
            let reason = Some("Missing Or Bad Contact".to_owned());
            Err(Box::new(Answer { reason, ..Answer::new(StatusCode::BAD_REQUEST) }))
        }
    }
}
