//! Mean opinion score by the E-model (ITU-T G.107), for G.711 with packet-loss concealment.
//!
//! All parameters that a switch cannot measure have G.107's default values (table 2: TELR 65 dB, WEPL 110 dB, ...), so
//! that R is 93.2 and MOS 4.41 where nothing is lost or late. The equipment factors are those of G.711 with the
//! concealment of its Appendix I (G.113 Appendix I: Ie 0, Bpl 25.1); without concealment Bpl would be 4.3.

/// Robustness of G.711 with Appendix I concealment against random loss (G.113 Appendix I, table I.4).
pub const BPL_G711_PLC: f64 = 25.1;

/// Basic signal-to-noise ratio Ro at G.107's defaults (formula 7-2).
const RO: f64 = 94.768_821_58;

/// Simultaneous impairment Is at G.107's defaults (formula 7-8).
const IS: f64 = 1.413_568_13;

/// Talker echo loudness rating and weighted echo path loss at G.107's defaults, in dB.
const TELR: f64 = 65.0;
const WEPL: f64 = 110.0;

/// MOS-CQE (1 to 4.5) of a stream with this loss (0 to 1), burst ratio (1 or more, 1 is random) and one-way delay from
/// mouth to ear in milliseconds.
#[must_use]
pub fn mos(loss: f64, burst_ratio: f64, delay_ms: f64) -> f64 {
    mos_of_r(rating(loss, burst_ratio, delay_ms))
}

/// The transmission rating factor R (formula 7-1): `Ro - Is - Id - Ie,eff`, advantage factor 0.
#[must_use]
pub fn rating(loss: f64, burst_ratio: f64, delay_ms: f64) -> f64 {
    RO - IS - delay_impairment(delay_ms.max(0.0)) - loss_impairment(loss.clamp(0.0, 1.0), burst_ratio.max(1.0))
}

/// R as a mean opinion score (G.107 Annex B, formula B-4).
#[must_use]
pub fn mos_of_r(r: f64) -> f64 {
    if r <= 0.0 {
        return 1.0;
    }
    if r >= 100.0 {
        return 4.5;
    }
    (1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6).max(1.0)
}

/// Ie,eff (formula 7-29) with Ie = 0.
fn loss_impairment(loss: f64, burst_ratio: f64) -> f64 {
    let percent = loss * 100.0;
    95.0 * percent / (percent / burst_ratio + BPL_G711_PLC)
}

/// Id = Idte + Idle + Idd (formulas 7-18 to 7-28): talker echo, listener echo, and delay itself, with T = Ta = Tr/2.
fn delay_impairment(t: f64) -> f64 {
    talker_echo(t) + listener_echo(2.0 * t) + absolute_delay(t)
}

fn talker_echo(t: f64) -> f64 {
    let terv = TELR - 40.0 * ((1.0 + t / 10.0) / (1.0 + t / 150.0)).log10() + 6.0 * (-0.3 * t * t).exp();
    let half = (RO - (80.0 + 2.5 * (terv - 14.0))) / 2.0;
    (half + (half * half + 100.0).sqrt() - 1.0) * (1.0 - (-t).exp())
}

fn listener_echo(round_trip: f64) -> f64 {
    let half = (RO - 10.5 * (WEPL + 7.0) * (round_trip + 1.0).powf(-0.25)) / 2.0;
    half + (half * half + 169.0).sqrt()
}

fn absolute_delay(t: f64) -> f64 {
    if t <= 100.0 {
        return 0.0;
    }
    let x = (t / 100.0).log2();
    25.0 * ((1.0 + x.powi(6)).powf(1.0 / 6.0) - 3.0 * (1.0 + (x / 3.0).powi(6)).powf(1.0 / 6.0) + 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(left: f64, right: f64, within: f64) -> bool {
        (left - right).abs() <= within
    }

    #[test]
    fn the_defaults_of_g107_give_its_published_rating() {
        assert!(close(rating(0.0, 1.0, 0.0), 93.2, 0.05));
        assert!(close(mos(0.0, 1.0, 0.0), 4.41, 0.005));
    }

    #[test]
    fn ratings_become_scores_as_in_table_b1() {
        for (r, score) in
            [(90.0, 4.34), (80.0, 4.03), (70.0, 3.60), (60.0, 3.10), (50.0, 2.58), (0.0, 1.0), (120.0, 4.5)]
        {
            assert!(close(mos_of_r(r), score, 0.01), "R {r}: {}", mos_of_r(r));
        }
        assert!(mos_of_r(3.0) >= 1.0);
    }

    /// G.113 Appendix I: Ie,eff of G.711 with Appendix I concealment under random loss.
    #[test]
    fn loss_costs_what_g113_says_for_g711_with_concealment() {
        for (percent, impairment) in [(0.0, 0.0), (1.0, 3.64), (2.0, 7.01), (3.0, 10.14), (5.0, 15.78), (10.0, 27.07)] {
            assert!(close(loss_impairment(percent / 100.0, 1.0), impairment, 0.01), "{percent} %");
        }
        assert!(mos(0.02, 3.0, 0.0) < mos(0.02, 1.0, 0.0), "a burst is worse than the same loss spread");
    }

    #[test]
    fn delay_hurts_little_up_to_150_ms_and_much_beyond() {
        for (ms, r) in [(50.0, 91.76), (100.0, 90.66), (150.0, 89.54), (200.0, 85.80), (300.0, 72.67), (400.0, 62.25)] {
            assert!(close(rating(0.0, 1.0, ms), r, 0.01), "{ms} ms: {}", rating(0.0, 1.0, ms));
        }
    }

    #[test]
    fn nonsense_gives_a_score_all_the_same() {
        for (loss, burst, delay) in [(-1.0, 0.0, -5.0), (9.0, 1e9, 1e9), (1.0, 1.0, 0.0)] {
            let score = mos(loss, burst, delay);
            assert!((1.0..=4.5).contains(&score), "{score}");
        }
    }
}
