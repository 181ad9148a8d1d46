//! Records as the switch would append them.

use std::sync::Arc;
use switch::{Admission, CallSid, Cause, Cdr, Direction, Fact, Origin, Record, Status, StreamQuality, Timestamps};

/// The sid with the number `n`.
pub fn sid(n: u64) -> CallSid {
    format!("CA{n:032x}").parse().unwrap()
}

/// Record `seq` of call `n`.
pub fn record(n: u64, seq: u32, at: u64, fact: Fact) -> Record {
    Record { sid: sid(n), seq, at, fact }
}

/// The admission of call `n`, outbound, of the tenant `default`.
pub fn admitted(n: u64, at: u64) -> Record {
    let admission = Admission {
        tenant: "default".into(),
        parent: None,
        direction: Direction::OutboundApi,
        from: "+18325550100".into(),
        to: "+18325550199".into(),
        trunk: None,
        answer: serde_json::json!([{"play": "welcome", "loop": 1}]).into(),
        metadata: serde_json::json!({"order": 7}),
        status_callback: None,
        sip_call_id: None,
        leaves: false,
    };
    record(n, 0, at, Fact::Admitted(Box::new(admission)))
}

/// Call `n` rings.
pub fn ringing(n: u64, seq: u32, at: u64) -> Record {
    record(n, seq, at, Fact::Ringing { sip_status: 180 })
}

/// Call `n` is answered.
pub fn answered(n: u64, seq: u32, at: u64) -> Record {
    let fact = Fact::Answered { sip_status: 200, codec: "PCMU".into(), carrier_call_id: Some("CAx".into()) };
    record(n, seq, at, fact)
}

/// A line of the ladder of call `n`.
pub fn message(n: u64, seq: u32, at: u64) -> Record {
    let fact = Fact::Message {
        sent: true,
        transport: "UDP".into(),
        peer: "127.0.0.1:5060".into(),
        line: "INVITE sip:+18325550199@127.0.0.1 SIP/2.0".into(),
        cseq: "1 INVITE".into(),
        retransmission: false,
    };
    record(n, seq, at, fact)
}

/// The end of call `n`: completed, hung up by the callee.
pub fn ended(n: u64, seq: u32, at: u64) -> Record {
    record(n, seq, at, Fact::Ended(Arc::new(cdr(n, at))))
}

/// The CDR of call `n`, ended at `at`.
pub fn cdr(n: u64, at: u64) -> Cdr {
    Cdr {
        sid: sid(n),
        parent: None,
        tenant: "default".into(),
        trunk: Some("sim".into()),
        direction: Direction::OutboundApi,
        from: "+18325550100".into(),
        to: "+18325550199".into(),
        status: Status::Completed,
        at: Timestamps {
            queued: at.saturating_sub(2_000),
            answered: Some(at.saturating_sub(1_000)),
            ended: Some(at),
            ..Timestamps::default()
        },
        billable_ms: 1_000,
        duration_ms: 2_000,
        pdd_ms: Some(120),
        cause: Cause { sip_status: Some(200), q850: 16, origin: Origin::Callee, retry: false, reason: "OK".into() },
        codec: Some("PCMU".into()),
        received: StreamQuality { packets: 50, lost: 1, loss_percent: 2.0, jitter_ms: 0.5, mos: Some(4.3) },
        sent: StreamQuality { packets: 50, ..StreamQuality::default() },
        recordings: Vec::new(),
        carrier_call_id: Some("CAx".into()),
        sip_call_ids: vec!["a@b".into()],
        price: None,
        metadata: serde_json::json!({"order": 7}),
    }
}
