//! The body of the fuzz target `message`, which the property tests run too. Compiled with the crate, so that a change of
//! the interface breaks here and not in a directory that no build visits.

use super::{Contacts, MAX_HEADERS, MAX_LINE_BYTES, Message, Name, ResponseBuilder, Salvage, StatusCode};
use super::{check_request, check_response};
use crate::header::{CSeq, ContentType, NameAddr, Params, RAck, Replaces, SessionExpires, Via, Warning, params, scan};
use bytes::Bytes;
use std::fmt::Display;

/// Reads `data` as a datagram, as a message from a stream, and as the value of every typed header. Asserts that nothing
/// read can break out of its line when it is written, that what is written is read as the same, and that every request
/// that is answered gets an answer that can be read.
///
/// # Panics
/// Where one of these does not hold: that is its purpose.
#[doc(hidden)]
pub fn fuzz(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    match Message::parse(bytes.clone()) {
        Ok(message) => look_at(&message),
        Err(error) => {
            assert!(!error.reason().is_empty());
            if let Some(salvage) = Salvage::of(data) {
                let fits = salvage.vias.len() + salvage.record_routes.len() < MAX_HEADERS / 2;
                let answer = ResponseBuilder::to_salvage(salvage, error.status()).to_tag("t").record_route().build();
                assert!(!fits || Message::parse(answer).is_ok());
            }
        }
    }
    if let Ok(message) = Message::parse_framed(bytes.clone()) {
        let datagram = Message::parse(bytes).map(|datagram| datagram.body().clone());
        assert_eq!(datagram.as_ref(), Ok(message.body()));
    }
    look_at_values(data);
}

fn look_at(message: &Message) {
    assert!(!message.start_line().chars().any(char::is_control));
    for (name, value) in message.headers() {
        assert!(scan::is_token(name));
        assert!(memchr::memchr2(b'\r', b'\n', &value).is_none());
    }
    assert!(message.values(Name::Contact).chain(message.values(Name::Via)).all(|value| !value.is_empty()));
    assert!(message.body().len() <= message.raw().len());
    if message.is_request() {
        look_at_request(message);
    } else {
        assert!(message.status().is_some());
        if check_response(message).is_ok() {
            assert_eq!(message.vias().map(|vias| vias.len()), Ok(1));
        }
    }
}

fn look_at_request(message: &Message) {
    let builder = ResponseBuilder::to_request(message, StatusCode::OK).record_route();
    let answer = builder.to_tag("ours").received(([192, 0, 2, 1], 5060).into()).build();
    let Ok(()) = check_request(message) else { return };
    let vias = message.vias().unwrap_or_default();
    assert!(!vias.is_empty() && message.contact().is_ok(), "checked and yet unreadable");
    for refer_to in message.addresses(Name::ReferTo).unwrap_or_default() {
        if let Ok(Some(replaces)) = Replaces::of_refer_to(&refer_to.uri) {
            let again = replaces.refer_to(&refer_to.uri).map(|uri| Replaces::of_refer_to(&uri));
            assert!(again.is_none_or(|again| again == Ok(Some(replaces))));
        }
    }
    if let Ok(Contacts::List(contacts)) = message.contact() {
        contacts.iter().for_each(|contact| written_again(contact, NameAddr::parse));
    }
    if vias.len() + message.count(Name::RecordRoute) >= MAX_HEADERS / 2 {
        return;
    }
    let answer = Message::parse(answer);
    assert!(answer.is_ok(), "an answer that cannot be read: {answer:?}");
    let Ok(answer) = answer else { return };
    assert_eq!(answer.call_id(), message.call_id());
    assert_eq!(answer.cseq(), message.cseq());
    assert_eq!(answer.vias().map(|vias| vias.len()), Ok(vias.len()));
    assert_eq!(answer.top_via().ok().and_then(Via::branch), vias.first().and_then(Via::branch));
    assert!(answer.to().is_ok_and(|to| to.params.has("tag")));
}

fn look_at_values(data: &[u8]) {
    let value = scan::unfold(data.get(..MAX_LINE_BYTES).unwrap_or(data));
    let read = |value: &dyn Display| assert!(!value.to_string().bytes().any(|b| b.is_ascii_control()));
    if let Ok(address) = NameAddr::parse(&value) {
        read(&address);
        written_again(&address, NameAddr::parse);
    }
    if let Ok(via) = Via::parse(&value) {
        read(&via);
        written_again(&via, Via::parse);
    }
    if let Ok(cseq) = CSeq::parse(&value) {
        written_again(&cseq, CSeq::parse);
    }
    if let Ok(content_type) = ContentType::parse(&value) {
        written_again(&content_type, ContentType::parse);
    }
    if let Ok(replaces) = Replaces::parse(&value) {
        read(&replaces);
        written_again(&replaces, Replaces::parse);
    }
    if let Ok(rack) = RAck::parse(&value) {
        written_again(&rack, RAck::parse);
    }
    if let Ok(warning) = Warning::parse(&value) {
        read(&warning);
        written_again(&warning, Warning::parse);
    }
    if let Ok(expires) = SessionExpires::parse(&value) {
        written_again(&expires, SessionExpires::parse);
    }
    if let Ok(params) = Params::parse(&value) {
        read(&params);
        written_again(&params, Params::parse);
        let set = params.with("tag", Some(&String::from_utf8_lossy(data)));
        read(&set);
        written_again(&set, Params::parse);
    }
    assert!(params::auth_params(&String::from_utf8_lossy(data)).count() <= data.len());
}

/// What is written is read, and written the same again.
fn written_again<T: Display, E>(value: &T, parse: impl Fn(&[u8]) -> Result<T, E>) {
    let text = value.to_string();
    let again = parse(text.as_bytes()).map(|again| again.to_string());
    assert!(again.as_ref().is_ok_and(|again| *again == text), "{text:?} is read as {:?}", again.ok());
}
