//! `POST /v1/routes/explain`: over which trunk a call would go, and why not over the others. Nothing is dialled, and
//! nothing counts against a limit.
//!
//! The order is the switch's own ([`carrier::RouteConfig::fit`]); how trunks are is what the program has last seen, a
//! quarter of a second ago at most.

use super::auth::Caller;
use super::fields::Fields;
use super::originate::{number, refusals};
use super::problem::Problem;
use super::query::Params;
use super::{Api, TrunkHealth, TrunkState, json, rfc3339};
use crate::directory::Directory;
use crate::keys::Scope;
use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use carrier::{Fit, MICRO, Number, TrunkConfig, WhenFull};
use serde::Serialize;
use utoipa::ToSchema;

/// What would become of a call.
#[derive(Serialize, ToSchema)]
struct Explanation {
    /// Whom it would call.
    to: String,
    /// The trunk that would take it now; null: it is refused, or it waits as `queued`. Among equals with a weight it is the
    /// likeliest.
    trunk: Option<String>,
    /// Why it is refused before any trunk is asked; empty: it is not.
    refused: Vec<Reason>,
    /// What a minute costs the tenant (`[[rate]]`); null: no rate is known.
    price_per_minute: Option<f64>,
    /// Every trunk: those that would be tried first, in that order; those that would not after them.
    candidates: Vec<Candidate>,
}

/// One trunk, for this call.
#[derive(Serialize, ToSchema)]
struct Candidate {
    trunk: String,
    /// Whether it would be tried at all.
    candidate: bool,
    status: TrunkState,
    /// What stands against it now, or altogether; empty: nothing.
    reasons: Vec<Reason>,
    /// Why it stands where it stands; only for an operator, and of one that would be tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    rank: Option<Rank>,
}

/// Something that stands against a trunk, or against the call.
#[derive(Serialize, ToSchema)]
struct Reason {
    /// Of a trunk: `not_asked_for`, `wrong_prefix`, `resting`, `cps_full`, `calls_full`. Of the call: the code that
    /// `POST /v1/calls` would answer.
    code: &'static str,
    /// In words.
    detail: String,
    /// Until when, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = String, format = DateTime)]
    until: Option<String>,
}

/// What a trunk is chosen by, in this order, and how the call would leave.
#[derive(Serialize, ToSchema)]
struct Rank {
    /// The longest of its prefixes that the number begins with, `+` and digits; null: it takes all numbers.
    prefix: Option<String>,
    cost_per_minute: Option<f64>,
    priority: u16,
    weight: u16,
    /// How often it is the first among its equals: 0 to 1.
    share: f64,
    /// The called number as it would be dialled.
    number: String,
    /// The codecs that it would be offered, the best first.
    #[schema(value_type = Vec<String>)]
    codecs: Vec<&'static str>,
    srtp: bool,
    /// `next` or `wait`.
    #[schema(value_type = String)]
    when_full: WhenFull,
}

/// What is asked.
struct Asked {
    to: Number,
    from: Option<Number>,
    trunk: Option<String>,
}

/// Says over which trunk a call would go, and why not over the others. Nothing is dialled.
#[utoipa::path(
    post,
    path = "/routes/explain",
    operation_id = "explain_route",
    tag = "trunks",
    request_body(content = ref("#/components/schemas/RouteRequest")),
    responses((status = 200, description = "What would become of the call.", body = Explanation)),
    extensions(("x-problems" = json!(["unknown_parameter", "invalid_parameter", "invalid_number"]))),
)]
pub(super) async fn post(
    State(app): Api,
    caller: Caller,
    params: Params,
    request: Request,
) -> Result<Response, Problem> {
    caller.may(Scope::Read)?;
    params.only(&[])?;
    let mut fields = Fields::of(json::object(request).await?, &["to", "from", "trunk"], &[])?;
    let asked = Asked {
        to: number("to", &fields.text("to")?)?,
        from: fields.optional_text("from")?.map(|from| number("from", &from)).transpose()?,
        trunk: fields.optional_text("trunk")?,
    };
    let directory = app.inner.directory.load();
    let refused = refusals(&app, caller.tenant(), &directory, asked.from.as_ref(), &asked.to, asked.trunk.as_deref());
    let refused: Vec<Reason> = refused.iter().map(Reason::of).collect();
    let sip = app.inner.sip.load();
    let health = |config: &TrunkConfig| sip.trunks.get(config.name.as_str()).cloned().unwrap_or_default();
    let candidates = asked.candidates(&directory, health, caller.may(Scope::Operator).is_ok());
    let price = directory.rates.rate(&asked.to).map(|rate| rate.per_minute as f64 / MICRO);
    let explanation = Explanation {
        trunk: candidates.iter().find_map(Candidate::decides).flatten().filter(|_| refused.is_empty()),
        to: asked.to.to_string(),
        refused,
        price_per_minute: price,
        candidates: candidates.into_iter().map(|candidate| candidate.shown).collect(),
    };
    Ok(Json(explanation).into_response())
}

/// A candidate, with what is not shown of it.
struct Weighed {
    shown: Candidate,
    full: bool,
    waits: bool,
}

impl Candidate {
    /// Whether the choice ends here: it takes the call, or the call waits for it.
    fn decides(weighed: &Weighed) -> Option<Option<String>> {
        let Weighed { shown, full, waits } = weighed;
        (shown.candidate && (!full || *waits)).then(|| (!full).then(|| shown.trunk.clone()))
    }
}

impl Asked {
    fn candidates(
        &self,
        directory: &Directory,
        health: impl Fn(&TrunkConfig) -> TrunkHealth,
        operates: bool,
    ) -> Vec<Weighed> {
        let named = |name: &String| directory.trunk(name).is_some();
        let is_trunk = self.trunk.as_ref().is_some_and(named);
        let (mut taken, mut left) = (Vec::new(), Vec::new());
        for config in directory.trunks.iter().map(|trunk| &trunk.config) {
            let asked_for = self.trunk.as_deref().is_none_or(|name| config.answers_to(name, is_trunk));
            match config.route.fit(&self.to).filter(|_| asked_for) {
                Some(fit) => taken.push((config, fit)),
                None => left.push(weigh(config, health(config), Some(against(config, &self.to, asked_for)))),
            }
        }
        let likely = carrier::by_likelihood(taken);
        let mut taken: Vec<(bool, Weighed)> = likely
            .into_iter()
            .map(|(config, fit, share)| {
                let health = health(config);
                let mut weighed = weigh(config, health.clone(), None);
                weighed.shown.rank = operates.then(|| Rank::of(config, fit, share, &self.to));
                (health.rests_until.is_some(), weighed)
            })
            .collect();
        // Those at rest come last: a stable sort keeps their order otherwise.
        taken.sort_by_key(|(rests, _)| *rests);
        taken.into_iter().map(|(_, weighed)| weighed).chain(left).collect()
    }
}

/// Why a trunk does not take a call at all.
fn against(config: &TrunkConfig, to: &Number, asked_for: bool) -> Reason {
    if asked_for {
        let list: Vec<String> = config.route.prefixes.iter().take(5).map(|digits| format!("+{digits}")).collect();
        let more = if config.route.prefixes.len() > list.len() { ", …" } else { "" };
        return Reason::new(
            "wrong_prefix",
            format!("{to} begins with none of its prefixes: {}{more}", list.join(", ")),
        );
    }
    Reason::new("not_asked_for", "`trunk` names another trunk, or another group".to_owned())
}

fn weigh(config: &TrunkConfig, health: TrunkHealth, against: Option<Reason>) -> Weighed {
    let candidate = against.is_none();
    let mut reasons: Vec<Reason> = against.into_iter().collect();
    if let Some(until) = health.rests_until {
        let detail =
            "its path failed lately: it is tried after those that are well, until a call or an OPTIONS is answered";
        reasons.push(Reason { until: Some(rfc3339(until)), ..Reason::new("resting", detail.to_owned()) });
    }
    let calls_full = health.active_calls >= config.max_calls;
    if calls_full {
        let detail = format!("all its {} calls at once are in use (max_calls)", config.max_calls);
        reasons.push(Reason::new("calls_full", detail));
    }
    if let Some(at) = health.opens_at {
        let detail = format!("the last second has had its {} calls (max_cps)", config.max_cps);
        reasons.push(Reason { until: Some(rfc3339(at)), ..Reason::new("cps_full", detail) });
    }
    let full = calls_full || health.opens_at.is_some();
    let name = config.name.to_string();
    let shown = Candidate { trunk: name, candidate, status: health.status, reasons, rank: None };
    Weighed { shown, full, waits: config.route.when_full == WhenFull::Wait }
}

impl Reason {
    fn new(code: &'static str, detail: String) -> Self {
        Self { code, detail, until: None }
    }

    fn of(problem: &Problem) -> Self {
        Self::new(problem.code(), problem.to_string())
    }
}

impl Rank {
    fn of(config: &TrunkConfig, fit: Fit, share: f64, to: &Number) -> Self {
        let prefix = to.digits().get(..fit.prefix).filter(|digits| !digits.is_empty());
        Self {
            prefix: prefix.map(|digits| format!("+{digits}")),
            cost_per_minute: fit.cost.map(|cost| cost as f64 / MICRO),
            priority: fit.priority,
            weight: fit.weight,
            share,
            number: config.numbers.called(to),
            codecs: config.offered_codecs().iter().map(|codec| codec.name()).collect(),
            srtp: config.srtp,
            when_full: config.route.when_full,
        }
    }
}
