//! The body of the fuzz target `sdp`, which the property tests run too.

#![allow(clippy::panic, reason = "a property that does not hold is to end the fuzzer")]

use super::*;

/// Reads `data` as an offer and as an answer. Asserts that what we answer can be read, keeps the offer's media in number
/// and order, and has one live stream; and that nothing is sent where nothing can be.
///
/// # Panics
/// Where one of these does not hold: that is its purpose.
#[doc(hidden)]
pub fn fuzz(data: &[u8]) {
    let Ok(description) = SessionDescription::parse(data) else { return };
    let mut local = LocalAudio {
        addr: [192, 0, 2, 1].into(),
        port: 10_000,
        codecs: AudioCodec::ALL.into(),
        telephone_event: Some(101),
        ptime_ms: 20,
        direction: Direction::SendRecv,
        rtcp_mux: true,
        security: super::Security::IfOffered(super::Crypto::generate(&mut base::Rng::from_u64(7))),
        session_id: 1,
        version: 1,
    };
    if let Ok(negotiated) = accept_answer(&local, &description) {
        check(&negotiated);
    }
    let Ok(answered) = answer(&description, &local) else { return };
    check(&answered.negotiated);
    let read = SessionDescription::parse(&answered.sdp);
    let Ok(read) = read else { panic!("our answer cannot be read: {read:?}") };
    assert_eq!(read.media.len(), description.media.len());
    let same_kinds = read
        .media
        .iter()
        .zip(&description.media)
        .all(|(ours, theirs)| ours.kind.eq_ignore_ascii_case(&theirs.kind) && ours.protocol == theirs.protocol);
    assert!(same_kinds);
    assert_eq!(read.media.iter().filter(|media| media.port != 0).count(), 1);
    let Ok(accepted) = accept_its_live_stream(&local, read) else { panic!("our answer cannot be accepted") };
    assert_eq!(accepted.payload_type_out, answered.negotiated.payload_type_in);
    let again = answer_after(&answered.sdp, &description, &mut local, Preference::Theirs);
    assert_eq!((again.map(|again| again.sdp), local.version), (Ok(answered.sdp), 1));
}

/// The peer's view of our answer, where its audio was the only stream it had.
fn accept_its_live_stream(local: &LocalAudio, mut answer: SessionDescription) -> Result<Negotiated, SdpError> {
    answer.media.retain(|media| media.port != 0);
    accept_answer(local, &answer)
}

fn check(negotiated: &Negotiated) {
    let remote = negotiated.remote;
    assert!(remote.port() != 0 && !remote.ip().is_multicast());
    assert!(!(remote.ip().is_unspecified() && negotiated.direction.sends()));
    assert!(negotiated.payload_type_out < 128 && negotiated.payload_type_in < 128);
    assert!((MIN_PTIME_MS..=MAX_PTIME_MS).contains(&negotiated.ptime_ms));
    assert!(!(negotiated.held_by_peer && negotiated.direction.sends()));
    assert!(negotiated.remote_rtcp.is_none_or(|rtcp| !negotiated.rtcp_mux && rtcp.port() != 0));
}
