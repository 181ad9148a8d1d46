//! Against the vectors of RFC 3711 appendix B and of libsrtp's own tests, then what must be refused.

use super::*;
use base::Rng;
use proptest::prelude::*;

fn octets(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.chars().filter_map(|digit| digit.to_digit(16)).map(|digit| digit as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn key(suite: SrtpSuite, hex: &str) -> SrtpKey {
    SrtpKey::new(suite, &octets(hex)).unwrap()
}

/// Two ends that know each other's key.
fn ends(suite: SrtpSuite, seed: u64) -> (Srtp, Srtp) {
    let mut rng = Rng::from_u64(seed);
    let (send, receive) = (SrtpKey::generate(suite, &mut rng), SrtpKey::generate(suite, &mut rng));
    (Srtp::new(&SrtpKeys { send, receive }), Srtp::new(&SrtpKeys { send: receive, receive: send }))
}

fn rtp(sequence: u16, ssrc: u32) -> Vec<u8> {
    let mut packet = vec![0x80, 0, 0, 0, 0, 0, 0, 1];
    packet[2..4].copy_from_slice(&sequence.to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend([0x55; 160]);
    packet
}

fn protected(sender: &mut Srtp, clear: &[u8]) -> Vec<u8> {
    let mut buffer = clear.to_vec();
    buffer.resize(clear.len() + MAX_TAG, 0);
    let length = sender.protect(&mut buffer, clear.len());
    assert!(length > clear.len());
    buffer.truncate(length);
    buffer
}

fn opened(receiver: &mut Srtp, packet: &[u8]) -> Result<Vec<u8>, Refused> {
    let mut packet = packet.to_vec();
    let length = receiver.open(&mut packet)?;
    packet.truncate(length);
    Ok(packet)
}

const CM_KEY: &str = "E1F97A0D3E018BE0D64FA32C06DE4139 0EC675AD498AFEEBB6960B3AABE6";
const GCM_KEY: &str = "000102030405060708090a0b0c0d0e0f a0a1a2a3a4a5a6a7a8a9aaab";
const RTP: &str = "800f1234 decafbad cafebabe abababababababababababababababab";
const RTCP: &str = "81c8000b cafebabe abababababababababababababababab";

#[test]
fn protects_as_libsrtp_does() {
    let vectors = [
        (
            SrtpSuite::AesCm128HmacSha1_80,
            CM_KEY,
            "800f1234decafbadcafebabe 4e55dc4ce79978d88ca4d215949d2402 b78d6acc99ea179b8dbb",
            "81c8000bcafebabe 7128035be487b9bdbef89041f977a5a8 80000001 993e08cd54d6c1230798",
        ),
        (
            SrtpSuite::AeadAes128Gcm,
            GCM_KEY,
            "800f1234decafbadcafebabe c5002ede04cfdd2eb91159e0880aa06e d2976826f796b201df3131a127e8a392",
            "81c8000bcafebabe c98b8b5df0392a55852b6c21ac8e7025 c52c6fbea2b3b446ea31123ba88ce61e 80000001",
        ),
    ];
    for (suite, master, srtp, srtcp) in vectors {
        let key = key(suite, master);
        let keys = SrtpKeys { send: key, receive: key };
        let mut sender = Srtp::new(&keys);
        assert_eq!(protected(&mut sender, &octets(RTP)), octets(srtp), "{suite}");
        let mut buffer = octets(RTCP);
        let clear = buffer.len();
        buffer.resize(clear + MAX_RTCP_TAG, 0);
        let length = sender.protect_rtcp(&mut buffer, clear);
        assert_eq!(buffer[..length], octets(srtcp), "{suite}");
        let mut receiver = Srtp::new(&keys);
        assert_eq!(opened(&mut receiver, &octets(srtp)), Ok(octets(RTP)));
        let mut packet = octets(srtcp);
        assert_eq!(receiver.open_rtcp(&mut packet), Ok(clear));
        assert_eq!(packet[..clear], octets(RTCP));
        assert_eq!(receiver.open_rtcp(&mut octets(srtcp)), Err(Refused::Replayed));
    }
}

#[test]
fn the_short_tag_is_rtps_alone() {
    let (mut ann, mut bob) = ends(SrtpSuite::AesCm128HmacSha1_32, 1);
    let packet = protected(&mut ann, &rtp(1, 7));
    assert_eq!(packet.len(), 172 + 4);
    assert_eq!(opened(&mut bob, &packet), Ok(rtp(1, 7)));
    let mut buffer = octets(RTCP);
    buffer.resize(24 + MAX_RTCP_TAG, 0);
    assert_eq!(ann.protect_rtcp(&mut buffer, 24), 24 + 4 + 10);
}

#[test]
fn the_rollover_counter_rolls_on_both_sides_over_loss_and_reordering() {
    for suite in SrtpSuite::ALL {
        let (mut ann, mut bob) = ends(suite, 2);
        let mut late = Vec::new();
        // Most is lost, and now and then a packet is 60 behind.
        for count in (0..140_000u32).step_by(20) {
            let clear = rtp((count + 65_000) as u16, 7);
            let packet = protected(&mut ann, &clear);
            if count % 300 == 0 {
                late.push((count, packet, clear));
            } else {
                assert_eq!(opened(&mut bob, &packet), Ok(clear), "{suite} {count}");
            }
            let due = late.pop_if(|(then, ..)| count - *then == 60);
            if let Some((then, packet, clear)) = due {
                assert_eq!(opened(&mut bob, &packet), Ok(clear), "{suite} {then}, late");
            }
        }
        assert_eq!(ann.sender.highest.map(|highest| highest >> 16), Some(3));
    }
}

#[test]
fn a_replay_is_refused_and_the_next_packet_is_not() {
    let (mut ann, mut bob) = ends(SrtpSuite::AesCm128HmacSha1_80, 3);
    for sequence in 0..100 {
        let packet = protected(&mut ann, &rtp(sequence, 7));
        assert!(opened(&mut bob, &packet).is_ok());
        for _ in 0..10 {
            assert_eq!(opened(&mut bob, &packet), Err(Refused::Replayed));
        }
    }
}

#[test]
fn a_forged_leap_moves_no_window() {
    let (mut ann, mut bob) = ends(SrtpSuite::AeadAes128Gcm, 4);
    assert!(opened(&mut bob, &protected(&mut ann, &rtp(10, 7))).is_ok());
    for sequence in (0..65_535).step_by(500) {
        let mut forged = rtp(sequence, 7);
        forged.extend([0; 16]);
        assert!(opened(&mut bob, &forged).is_err());
    }
    assert!(opened(&mut bob, &protected(&mut ann, &rtp(11, 7))).is_ok());
}

#[test]
fn a_new_source_under_the_same_key_is_heard_and_the_old_ones_packets_stay_replays() {
    let (mut ann, mut bob) = ends(SrtpSuite::AesCm128HmacSha1_80, 5);
    let old = protected(&mut ann, &rtp(10, 7));
    assert!(opened(&mut bob, &old).is_ok());
    assert!(opened(&mut bob, &protected(&mut ann, &rtp(3, 8))).is_ok());
    assert_eq!(opened(&mut bob, &old), Err(Refused::Replayed));
    // Many more, and the table stays small.
    for ssrc in 100..200 {
        assert!(opened(&mut bob, &protected(&mut ann, &rtp(4, ssrc))).is_ok());
    }
    assert_eq!(bob.receiver.sources.len(), MAX_SOURCES);
}

/// One end of a call whose packets have rolled over once.
fn rolled(suite: SrtpSuite) -> (Srtp, Srtp, SrtpKeys) {
    let (mut ann, mut bob) = ends(suite, 6);
    for sequence in [65_000, 65_500, 100, 200] {
        assert!(opened(&mut bob, &protected(&mut ann, &rtp(sequence, 7))).is_ok());
    }
    let mut rng = Rng::from_u64(7);
    let keys = SrtpKeys { send: SrtpKey::generate(suite, &mut rng), receive: SrtpKey::generate(suite, &mut rng) };
    (ann, bob, keys)
}

#[test]
fn a_new_key_keeps_the_rollover_counter_or_begins_it_and_both_are_understood() {
    for suite in SrtpSuite::ALL {
        for anew in [false, true] {
            let (mut ann, mut bob, keys) = rolled(suite);
            let old = [201, 202, 203].map(|sequence| protected(&mut ann, &rtp(sequence, 7)));
            bob.rekey(&SrtpKeys { send: keys.receive, receive: keys.send }, false);
            ann.rekey(&keys, anew);
            assert_eq!(ann.sender.highest.is_none(), anew);
            assert_eq!(opened(&mut bob, &old[0]), Ok(rtp(201, 7)), "until the new key is used the old one is heard");
            assert_eq!(opened(&mut bob, &old[0]), Err(Refused::Replayed));
            for sequence in 204..300 {
                let packet = protected(&mut ann, &rtp(sequence, 7));
                assert_eq!(opened(&mut bob, &packet), Ok(rtp(sequence, 7)), "{suite}, anew: {anew}");
                assert_eq!(opened(&mut bob, &packet), Err(Refused::Replayed));
                assert_eq!(opened(&mut bob, &old[2]), Err(Refused::Unauthentic), "the old key is no more");
            }
        }
    }
}

#[test]
fn the_same_key_again_keeps_everything() {
    let (mut ann, mut bob) = ends(SrtpSuite::AesCm128HmacSha1_80, 8);
    let packet = protected(&mut ann, &rtp(1, 7));
    assert!(opened(&mut bob, &packet).is_ok());
    let keys = SrtpKeys { send: bob.sender.key, receive: bob.receiver.key };
    bob.rekey(&keys, true);
    assert_eq!(opened(&mut bob, &packet), Err(Refused::Replayed));
}

#[test]
fn header_extensions_and_sources_stay_clear_and_are_authenticated() {
    for suite in SrtpSuite::ALL {
        let (mut ann, mut bob) = ends(suite, 9);
        let mut packet = rtp(1, 7);
        packet[0] = 0x91;
        packet.splice(12..12, [1, 2, 3, 4, 0xBE, 0xDE, 0, 1, 9, 9, 9, 9]);
        let mut sealed = protected(&mut ann, &packet);
        assert_eq!(sealed[..24], packet[..24]);
        assert_ne!(sealed[24..180], packet[24..180]);
        assert_eq!(opened(&mut bob, &sealed), Ok(packet));
        sealed[21] ^= 1;
        sealed[3] ^= 2;
        assert_eq!(opened(&mut bob, &sealed), Err(Refused::Unauthentic));
    }
}

proptest! {
    /// Any octets, and any change of one: refused, and the stream goes on.
    #[test]
    fn nothing_forged_is_heard_and_nothing_panics(
        junk in prop::collection::vec(any::<u8>(), 0..300),
        at in 0usize..176,
        bit in 0u8..8,
    ) {
        for suite in SrtpSuite::ALL {
            let (mut ann, mut bob) = ends(suite, 10);
            prop_assert!(opened(&mut bob, &junk).is_err());
            prop_assert!(bob.open_rtcp(&mut junk.clone()).is_err());
            let good = protected(&mut ann, &rtp(5, 7));
            let mut bad = good.clone();
            if let Some(octet) = bad.get_mut(at) {
                *octet ^= 1 << bit;
            }
            prop_assert!(opened(&mut bob, &bad).is_err());
            prop_assert_eq!(opened(&mut bob, &good), Ok(rtp(5, 7)));
        }
    }
}
