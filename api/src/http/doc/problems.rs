//! Every `code` that a problem may have: which status it comes with, and what it means. [`Problem::new`](super::super::Problem)
//! takes no other in a debug build.

/// A code, its status, and what it means.
pub(super) struct Known {
    pub(super) code: &'static str,
    pub(super) status: u16,
    pub(super) meaning: &'static str,
}

const fn known(status: u16, code: &'static str, meaning: &'static str) -> Known {
    Known { code, status, meaning }
}

/// What any request may be answered with.
pub(super) const ALWAYS: &[&str] = &["internal", "timeout"];

/// What any request may be answered with where a key is wanted.
pub(super) const WITH_KEY: &[&str] =
    &["missing_key", "invalid_key", "insufficient_scope", "rate_limited", "database_unavailable"];

/// What a request with parameters in its query, or none, may be answered with.
pub(super) const WITH_QUERY: &[&str] = &["unknown_parameter", "invalid_parameter"];

/// What a request with a body may be answered with.
pub(super) const WITH_BODY: &[&str] = &[
    "bad_body",
    "bad_json",
    "duplicate_field",
    "unknown_field",
    "missing_field",
    "invalid_value",
    "body_timeout",
    "body_too_large",
    "unsupported_media_type",
];

/// The catalogue, by status.
pub(super) const KNOWN: &[Known] = &[
    known(400, "bad_body", "the body broke off"),
    known(400, "bad_json", "the body is no JSON object"),
    known(400, "bad_websocket", "a WebSocket is opened with version 13 and a key (RFC 6455 §4.1)"),
    known(400, "duplicate_field", "a name stands twice in an object"),
    known(400, "invalid_answer", "the program is wrong at the place that `field` names"),
    known(400, "invalid_cursor", "a cursor is what `next_cursor` of the page before said"),
    known(400, "invalid_flow", "the flow is wrong; `errors` lists every mistake"),
    known(400, "invalid_idempotency_key", "an Idempotency-Key stands once and is printable"),
    known(400, "invalid_name", "a name is made of A-Z a-z 0-9 _ - and dots"),
    known(400, "invalid_number", "a number is E.164, with its +"),
    known(400, "invalid_parameter", "a parameter's value is wrong, or it stands twice"),
    known(400, "invalid_value", "a field's value is wrong"),
    known(400, "missing_field", "a field is missing"),
    known(400, "not_supported_yet", "a field of the contract that this version does not serve"),
    known(400, "unknown_field", "there is no such field"),
    known(400, "unknown_flow", "the program names a flow that there is not"),
    known(400, "unknown_parameter", "there is no such parameter"),
    known(400, "unknown_prompt", "the program names a prompt that there is not"),
    known(400, "unknown_tenant", "there is no such tenant"),
    known(400, "unknown_trunk", "there is no such trunk"),
    known(400, "unreadable_prompt", "the program names a prompt that is no sound"),
    known(401, "invalid_key", "no such key"),
    known(401, "missing_key", "the request has no key"),
    known(403, "caller_id_not_owned", "`from` is not a number of this tenant"),
    known(403, "country_not_open", "the tenant's calls do not go to this country"),
    known(403, "insufficient_scope", "the key may not do this"),
    known(403, "no_trunk_access", "this tenant's calls may not leave by a trunk"),
    known(403, "premium_not_open", "the tenant's calls do not go to premium numbers"),
    known(403, "unknown_range", "no numbering plan has this number"),
    known(404, "call_not_found", "there is no such call of this tenant"),
    known(404, "conference_not_found", "no conference of this tenant with this sid is held now"),
    known(404, "delivery_not_found", "there is no such delivery of this tenant"),
    known(404, "flow_not_found", "there is no flow of this name"),
    known(404, "key_not_found", "this tenant has no such key"),
    known(404, "no_such_format", "a recording is had as WAV or MP3"),
    known(404, "not_captured", "the call's SIP messages are not kept (any more)"),
    known(404, "not_found", "there is nothing at this path"),
    known(404, "number_not_found", "this tenant has no such number"),
    known(404, "participant_not_found", "no call with this sid is in the conference"),
    known(404, "recording_not_found", "there is no such recording of this tenant"),
    known(404, "tenant_not_found", "there is no such tenant, or it is not yours"),
    known(404, "trunk_not_found", "there is no such trunk, or it is not yours to see"),
    known(404, "user_not_found", "this tenant has no such user"),
    known(405, "method_not_allowed", "the method is not for this; the header Allow says what is"),
    known(408, "body_timeout", "the body did not arrive in time"),
    known(409, "built_in_flow", "the flow comes with the product and cannot be deleted"),
    known(409, "call_answered", "the call is answered: it can be completed, not canceled"),
    known(409, "call_ended", "the call has ended"),
    known(409, "call_joined", "nothing is asked of a call that is joined with others"),
    known(409, "call_not_answered", "the call is not answered yet"),
    known(409, "call_not_joined", "the call is joined with nobody who could be transferred"),
    known(409, "calls_joined", "the two calls are joined with each other already"),
    known(409, "idempotency_key_reused", "the key came with another body"),
    known(409, "idempotency_under_way", "the first request with the key is being answered"),
    known(409, "managed_by_file", "the configuration names it: change it there"),
    known(409, "number_exists", "there is such a number"),
    known(409, "not_recording", "no such recording runs on the call"),
    known(409, "other_call_not_answered", "the other call is not answered, or over"),
    known(409, "recording_in_progress", "the recording is still being made"),
    known(409, "sip_domain_taken", "another tenant has this sip_domain"),
    known(409, "tenant_exists", "there is a tenant of this name"),
    known(409, "tenant_in_use", "the tenant still has numbers, users or keys"),
    known(409, "too_many", "there are as many of them as may be"),
    known(409, "too_many_flows", "the tenant has as many flows as it may"),
    known(409, "trunk_exists", "there is a trunk of this name"),
    known(409, "user_exists", "the tenant, or another of the same SIP domain, has a user of this name"),
    known(410, "recording_absent", "there is no sound of this recording (any more)"),
    known(413, "body_too_large", "the body is too long"),
    known(415, "unsupported_media_type", "the body is JSON, and says so in Content-Type"),
    known(429, "calls_per_second_reached", "the tenant asks for more calls a second than it may"),
    known(429, "concurrent_calls_reached", "as many of the tenant's calls are live as may be"),
    known(429, "minutes_per_day_reached", "the tenant's minutes of today are used up"),
    known(429, "rate_limited", "too many requests of this key, or unknown keys of all"),
    known(429, "spend_per_day_reached", "what the tenant may spend today is spent"),
    known(429, "too_many_calls", "as many calls are live as may be"),
    known(429, "too_many_streams", "as many streams of events are read as may be"),
    known(500, "internal", "a fault of the switch; it is in its log"),
    known(503, "database_unavailable", "the database does not answer; live calls are not affected"),
    known(503, "draining", "the switch is going down and takes no new call"),
    known(503, "journal_failing", "the journal's disk fails"),
    known(503, "journal_full", "the journal is full"),
    known(503, "overloaded", "the switch has more to do than it can"),
    known(503, "secrets_unavailable", "the account's secrets cannot be read"),
    known(503, "sip_down", "signalling does not run"),
    known(503, "timeout", "the request took too long"),
    known(503, "too_many_idempotency_keys", "as many keys are remembered as may be"),
    known(503, "too_many_prompts", "as many prompts are being read as may be"),
];

/// Whether the catalogue has the code with this status.
pub(in crate::http) fn is_known(status: u16, code: &str) -> bool {
    KNOWN.iter().any(|known| known.code == code && known.status == status)
}

/// The catalogue's entry.
pub(super) fn find(code: &str) -> Option<&'static Known> {
    KNOWN.iter().find(|known| known.code == code)
}
