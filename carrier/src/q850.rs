//! From SIP status codes to Q.850 causes (RFC 3398 §8.2.6.1, RFC 4497 §8.4.4), and the Reason header (RFC 3326).

/// Cause 16: a call that ended in good order.
pub const NORMAL_CLEARING: u8 = 16;

/// Cause 19: it rang, and nobody answered.
pub const NO_ANSWER: u8 = 19;

/// The cause that stands for a SIP status code. Codes that the tables do not have get their class's.
#[must_use]
pub const fn q850(status: u16) -> u8 {
    match status {
        // A call that was cancelled is released with normal clearing (RFC 3398 §7.2.3); the tables leave 487 open.
        200..=299 | 487 => NORMAL_CLEARING,
        404 | 485 | 604 => 1,        // unallocated number
        486 | 600 => 17,             // user busy
        480 => 18,                   // no user responding
        401..=403 | 407 | 603 => 21, // call rejected
        410 => 22,                   // number changed
        482 | 483 => 25,             // exchange routing error
        484 => 28,                   // invalid number format
        502 => 38,                   // network out of order
        400 | 481 | 500 | 503 => 41, // temporary failure
        405 => 63,                   // service or option not available
        // By its Warning in RFC 3398; its inverse (§7.2.4.1) is 65, bearer capability not implemented.
        488 | 606 => 65,
        406 | 415 | 501 => 79, // service or option not implemented
        408 | 504 => 102,      // recovery on timer expiry
        400..=699 => 127,      // interworking, unspecified
        _ => 31,               // normal, unspecified
    }
}

/// The Q.850 cause in the value of a Reason header, such as `Q.850;cause=16;text="Terminated"`; the first where there are
/// several, comma-separated.
#[must_use]
pub fn reason_cause(value: &str) -> Option<u8> {
    value.split(',').find_map(|reason| {
        let mut parts = reason.split(';').map(str::trim);
        parts.next().filter(|protocol| protocol.eq_ignore_ascii_case("Q.850"))?;
        let cause =
            parts.find_map(|part| part.split_once('=').filter(|(name, _)| name.trim().eq_ignore_ascii_case("cause")));
        cause.and_then(|(_, number)| number.trim().parse().ok()).filter(|cause| (1..=127).contains(cause))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_tables_of_rfc_3398_and_4497() {
        let table = [
            (200, 16),
            (400, 41),
            (401, 21),
            (402, 21),
            (403, 21),
            (404, 1),
            (405, 63),
            (406, 79),
            (407, 21),
            (408, 102),
            (410, 22),
            (413, 127),
            (414, 127),
            (415, 79),
            (416, 127),
            (420, 127),
            (421, 127),
            (423, 127),
            (480, 18),
            (481, 41),
            (482, 25),
            (483, 25),
            (484, 28),
            (485, 1),
            (486, 17),
            (487, 16),
            (488, 65),
            (491, 127),
            (500, 41),
            (501, 79),
            (502, 38),
            (503, 41),
            (504, 102),
            (505, 127),
            (513, 127),
            (580, 127),
            (600, 17),
            (603, 21),
            (604, 1),
            (606, 65),
            (302, 31),
            (0, 31),
            (999, 31),
        ];
        for (status, cause) in table {
            assert_eq!(q850(status), cause, "{status}");
        }
        assert!((0..=u16::MAX).all(|status| (1..=127).contains(&q850(status))));
    }

    #[test]
    fn reads_the_cause_of_a_reason_header() {
        let table = [
            ("Q.850;cause=16", Some(16)),
            ("Q.850 ; cause = 17 ; text=\"User busy\"", Some(17)),
            ("q.850;text=\"a\";CAUSE=31", Some(31)),
            ("SIP ;cause=200 ;text=\"Call completed elsewhere\"", None),
            ("SIP;cause=600, Q.850;cause=17", Some(17)),
            ("Q.850", None),
            ("Q.850;cause=", None),
            ("Q.850;cause=0", None),
            ("Q.850;cause=128", None),
            ("Q.850;cause=99999999999", None),
            ("", None),
        ];
        for (value, cause) in table {
            assert_eq!(reason_cause(value), cause, "{value}");
        }
    }
}
