//! A tenant, a trunk, a number and a user, as the API shows them.

use crate::directory::{Origin, OwnedNumber, Tenant, Trunk};
use crate::http::TrunkHealth;
use crate::http::status::TrunkState;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// One of them.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Resource {
    Tenant(TenantResource),
    Trunk(Box<TrunkResource>),
    Number(NumberResource),
    User(UserResource),
}

/// A tenant.
#[derive(Serialize, ToSchema)]
#[schema(as = Tenant)]
pub(super) struct TenantResource {
    name: String,
    /// Whether its calls may leave by a trunk.
    trunk_access: bool,
    /// The domain under which its users are meant.
    sip_domain: Option<String>,
    /// Requests a minute that all its keys may make together; null: only each key's own rate counts.
    api_requests_per_minute: Option<u32>,
    /// How much of everything it may have.
    limits: LimitsResource,
    /// `file`: the configuration names it, and it is changed there.
    managed_by: Origin,
}

impl TenantResource {
    pub(super) fn of(name: &str, tenant: &Tenant) -> Self {
        Self {
            name: name.to_owned(),
            trunk_access: tenant.trunk_access,
            sip_domain: tenant.sip_domain.clone(),
            api_requests_per_minute: tenant.api_requests_per_minute,
            limits: LimitsResource::of(&tenant.limits),
            managed_by: tenant.origin,
        }
    }
}

/// The limits of a tenant; what is null is not limited.
#[derive(Serialize, ToSchema)]
#[schema(as = TenantLimits)]
struct LimitsResource {
    concurrent_calls: Option<u32>,
    calls_per_second: Option<u32>,
    minutes_per_day: Option<u32>,
    spend_per_day: Option<f64>,
    /// Where calls may go.
    countries: Vec<String>,
    /// Ranges that are open whatever they cost.
    premium_ranges: Vec<String>,
}

impl LimitsResource {
    fn of(limits: &switch::TenantLimits) -> Self {
        Self {
            concurrent_calls: limits.concurrent_calls,
            calls_per_second: limits.calls_per_second,
            minutes_per_day: limits.minutes_per_day,
            spend_per_day: limits.spend_per_day.map(|amount| amount as f64 / carrier::MICRO),
            countries: limits.destinations.countries(),
            premium_ranges: limits.destinations.premium_ranges(),
        }
    }
}

/// A number.
#[derive(Serialize, ToSchema)]
#[schema(as = Number)]
pub(super) struct NumberResource {
    /// E.164, or any SIP user part.
    number: String,
    tenant: String,
    /// What answers when it is called; null: it is a caller ID only.
    #[schema(value_type = Option<Vec<Object>>)]
    answer: Option<Value>,
    managed_by: Origin,
}

impl NumberResource {
    pub(super) fn of(number: &str, owned: &OwnedNumber) -> Self {
        Self {
            number: number.to_owned(),
            tenant: owned.tenant.clone(),
            answer: owned.answer.as_ref().and_then(|answer| serde_json::to_value(answer).ok()),
            managed_by: owned.origin,
        }
    }
}

/// A user: a device that may register.
#[derive(Serialize, ToSchema)]
#[schema(as = User)]
pub(super) struct UserResource {
    pub(super) name: String,
    pub(super) tenant: String,
    pub(super) managed_by: Origin,
}

/// A trunk: that it is there and how it is; more only for an operator, since all tenants' calls are on it.
#[derive(Serialize, ToSchema)]
#[schema(as = Trunk)]
pub(super) struct TrunkResource {
    name: String,
    status: TrunkState,
    /// Calls on it now.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    active_calls: Option<u32>,
    /// As it is configured, without what is secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    config: Option<TrunkSettings>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    managed_by: Option<Origin>,
}

/// How a trunk is configured.
#[derive(Serialize, ToSchema)]
struct TrunkSettings {
    /// `twilio` or `generic`.
    #[schema(value_type = String)]
    profile: carrier::Profile,
    uri: String,
    username: Option<String>,
    account_sid: Option<String>,
    max_cps: u32,
    max_calls: u32,
    try_timeout_ms: u64,
    /// Seconds between OPTIONS; 0: none.
    options_s: u64,
    register: bool,
    register_expires_s: u32,
    /// Who may send calls over it; empty: the profile's own ranges.
    #[schema(value_type = Vec<String>)]
    accept_from: Vec<ipnet::IpNet>,
    /// Whose RTP is heard; empty: the profile's own ranges.
    #[schema(value_type = Vec<String>)]
    media_from: Vec<ipnet::IpNet>,
    srtp: bool,
    /// Whether it gets the `Identity` of a bridged caller.
    pass_identity: bool,
    /// The best first; empty: G.711 is offered, and whatever we speak is taken.
    #[schema(value_type = Vec<String>)]
    codecs: Vec<&'static str>,
    /// Calls may ask for the group instead of a trunk.
    #[schema(value_type = Option<String>)]
    group: Option<carrier::TrunkName>,
    priority: u16,
    weight: u16,
    /// How numbers begin that it takes; empty: it takes all.
    prefixes: Vec<String>,
    /// What a minute costs, by how numbers begin.
    costs: std::collections::BTreeMap<String, f64>,
    /// `next` or `wait`.
    #[schema(value_type = String)]
    when_full: carrier::WhenFull,
    final_codes: Vec<u16>,
    /// `e164`, `digits` or `national`.
    #[schema(value_type = String)]
    number_form: carrier::NumberForm,
    country: Option<String>,
    national_prefix: String,
    international_prefix: String,
    strip: String,
    prepend: String,
}

impl TrunkResource {
    pub(super) fn of(trunk: &Trunk, health: &TrunkHealth, whole: bool) -> Self {
        Self {
            name: trunk.name().to_owned(),
            status: health.status,
            active_calls: whole.then_some(health.active_calls),
            config: whole.then(|| TrunkSettings::of(&trunk.config)),
            managed_by: whole.then_some(trunk.origin),
        }
    }
}

impl TrunkSettings {
    fn of(config: &carrier::TrunkConfig) -> Self {
        let (route, numbers) = (&config.route, &config.numbers);
        let plus = |digits: &String| format!("+{digits}");
        Self {
            profile: config.profile,
            uri: config.uri.to_string(),
            username: config.username.clone(),
            account_sid: config.account_sid.clone(),
            max_cps: config.max_cps,
            max_calls: config.max_calls,
            try_timeout_ms: config.try_timeout_ms,
            options_s: config.options_s,
            register: config.register,
            register_expires_s: config.register_expires_s,
            accept_from: config.accept_from.clone(),
            media_from: config.media_from.clone(),
            srtp: config.srtp,
            pass_identity: config.pass_identity,
            codecs: config.codecs.iter().map(|codec| codec.name()).collect(),
            group: route.group.clone(),
            priority: route.priority,
            weight: route.weight,
            prefixes: route.prefixes.iter().map(plus).collect(),
            costs: route.costs.iter().map(|(digits, cost)| (plus(digits), *cost as f64 / carrier::MICRO)).collect(),
            when_full: route.when_full,
            final_codes: route.final_codes.clone(),
            number_form: numbers.form,
            country: numbers.country.clone(),
            national_prefix: numbers.national_prefix.clone(),
            international_prefix: numbers.international_prefix.clone(),
            strip: numbers.strip.clone(),
            prepend: numbers.prepend.clone(),
        }
    }
}
