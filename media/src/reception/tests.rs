use super::*;
use proptest::prelude::*;

fn heard(sequences: impl IntoIterator<Item = u16>) -> Reception {
    let mut reception = Reception::default();
    for sequence in sequences {
        reception.sequence(1, sequence, 160, true);
    }
    reception
}

#[test]
fn counts_loss_reordering_and_duplicates_over_the_wrap() {
    let report = heard([65_533, 65_535, 65_534, 65_534, 2, 0, 3]).report();
    assert_eq!((report.packets, report.expected, report.lost), (6, 7, 1));
    assert_eq!((report.reordered, report.duplicates, report.octets), (2, 1, 960));
}

#[test]
fn a_packet_before_the_first_heard_is_expected_too() {
    let report = heard([10, 9, 8, 12]).report();
    assert_eq!((report.packets, report.expected, report.lost), (4, 5, 1));
}

#[test]
fn a_leap_of_thirty_thousand_is_a_restart_and_no_loss() {
    let mut reception = heard(0..100);
    assert_eq!(reception.sequence(1, 30_100, 160, true), Arrival::Probation);
    assert_eq!(reception.sequence(1, 30_101, 160, true), Arrival::NewTimeline);
    assert_eq!(reception.sequence(1, 30_102, 160, true), Arrival::Fresh);
    let report = reception.report();
    assert_eq!((report.packets, report.lost, report.ssrc_changes), (102, 0, 0));
}

#[test]
fn a_stray_ssrc_changes_nothing_and_two_in_order_take_over() {
    let mut reception = heard(0..10);
    assert_eq!(reception.sequence(2, 500, 160, true), Arrival::Probation);
    assert_eq!(reception.sequence(1, 10, 160, true), Arrival::Fresh);
    assert_eq!(reception.sequence(2, 501, 160, true), Arrival::NewSource);
    assert_eq!(reception.sequence(2, 503, 160, true), Arrival::Fresh);
    let report = reception.report();
    assert_eq!((report.packets, report.lost, report.ssrc, report.ssrc_changes), (13, 1, Some(2), 1));
}

#[test]
fn an_unknown_payload_type_keeps_the_sequence_but_starts_no_source() {
    let mut reception = Reception::default();
    assert_eq!(reception.sequence(1, 1, 1, false), Arrival::Probation);
    assert_eq!(reception.report().ssrc, None);
    reception.sequence(1, 1, 160, true);
    reception.sequence(1, 2, 1, false);
    reception.sequence(1, 3, 160, true);
    assert_eq!(reception.report().lost, 0);
}

#[test]
fn a_report_block_speaks_of_the_interval_and_of_the_whole() {
    let mut reception = heard([0, 1, 3]);
    let first = reception.block().unwrap();
    assert_eq!((first.fraction_lost, first.cumulative_lost, first.extended_sequence), (64, 1, 3));
    reception.sequence(1, 4, 160, true);
    reception.sequence(1, 4, 160, true);
    reception.sequence(1, 4, 160, true);
    let second = reception.block().unwrap();
    assert_eq!((second.fraction_lost, second.cumulative_lost), (0, 0xFF_FFFF), "duplicates outnumber losses: -1");
}

/// §A.8 written a second time, in floating point.
#[test]
fn jitter_agrees_with_the_formula_of_section_6_4_1() {
    let mut reception = Reception::default();
    let (mut jitter, mut before): (f64, Option<f64>) = (0.0, None);
    let mut rng = base::Rng::from_u64(3);
    for packet in 0..500u64 {
        let delay_ms = rng.below(30);
        reception.sequence(1, packet as u16, 160, true);
        reception.timing((packet * 160) as u32, Now::new(base::millis(packet * 20 + delay_ms), 0));
        let transit = delay_ms as f64 * 8.0;
        jitter += (before.map_or(0.0, |before| (transit - before).abs()) - jitter) / 16.0;
        before = Some(transit);
    }
    assert!((f64::from(reception.report().jitter) - jitter).abs() < 2.0, "{jitter}");
}

#[test]
fn a_timestamp_leap_of_an_hour_is_not_jitter_and_a_late_packet_is_late_once() {
    let mut reception = heard([0]);
    let at = |ms: u64| Now::new(base::millis(ms), 0);
    reception.timing(0, at(0));
    reception.timing(28_800_000, at(20));
    reception.timing(28_800_160, at(40));
    assert_eq!((reception.report().jitter, reception.report().late), (0, 0));
    reception.timing(28_800_320, at(125));
    reception.timing(28_800_480, at(120));
    assert_eq!(reception.report().late, 1);
}

proptest! {
    /// Whatever comes, nothing is negative and nobody received more than was expected.
    #[test]
    fn counts_stay_sane(packets in prop::collection::vec((0u32..3, any::<u16>(), any::<u32>(), any::<bool>()), 0..300)) {
        let mut reception = Reception::default();
        for (index, (ssrc, sequence, timestamp, known)) in packets.into_iter().enumerate() {
            reception.sequence(ssrc, sequence, 1, known);
            reception.timing(timestamp, Now::new(index as u64 * 1_000_000, 0));
            let report = reception.report();
            prop_assert!(report.packets + report.lost >= report.expected && report.packets <= report.expected);
            prop_assert!(report.loss_ppm <= 1_000_000 && report.burst_ratio >= 1.0);
            reception.block();
        }
    }
}
