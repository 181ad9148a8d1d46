//! Documents read: what may be said of a tenant, a trunk, a number, a user, each field checked and named where it is wrong.

use super::routing::{self, ROUTING};
use crate::directory::{Origin, OwnedNumber, Tenant, Trunk, User};
use crate::http::{Fields, Problem};
use carrier::{AudioCodec, DestinationError, Destinations, Profile, Secret, TrunkConfig, TrunkError, TrunkName, Uri};
use ipnet::IpNet;
use ivr::Answer;
use serde_json::{Map, Value};
use switch::TenantLimits;

/// The most that `api_requests_per_minute` may be.
pub const MAX_REQUESTS_PER_MINUTE: u64 = 10_000_000;

/// The most that a limit of a tenant may be; 0 lets nothing through.
pub const MAX_LIMIT: u64 = 1_000_000_000;

/// The limits that a tenant may have.
const LIMITS: &[&str] =
    &["concurrent_calls", "calls_per_second", "minutes_per_day", "spend_per_day", "countries", "premium_ranges"];

/// Characters of a name.
const MAX_NAME: usize = 64;

/// Characters of a password.
const MAX_PASSWORD: usize = 256;

/// Networks of a list.
const MAX_NETWORKS: usize = 1_000;

/// The fields of a tenant, but for its name.
const TENANT: &[&str] = &["trunk_access", "sip_domain", "api_requests_per_minute", "limits"];

/// The fields of a number, but for itself.
const NUMBER: &[&str] = &["tenant", "answer"];

/// The fields of a user, but for its name and its password.
const USER: &[&str] = &[];

/// The fields of a trunk, but for its name and its password.
const TRUNK: &[&str] = &[
    "profile",
    "uri",
    "username",
    "account_sid",
    "max_cps",
    "max_calls",
    "try_timeout_ms",
    "options_s",
    "register",
    "register_expires_s",
    "accept_from",
    "media_from",
    "srtp",
    "pass_identity",
    "codecs",
];

pub(super) fn wrong(field: &str, detail: impl Into<String>) -> Problem {
    Problem::bad("invalid_value", detail.into()).at(field)
}

/// A tenant's name: what stands in paths and beside each call.
pub fn tenant_name(text: &str) -> Result<(), Problem> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    if (1..=MAX_NAME).contains(&text.len()) && text.chars().all(fits) {
        return Ok(());
    }
    Err(wrong("name", format!("a tenant's name has 1 to {MAX_NAME} characters of A-Z a-z 0-9 _ - .")))
}

/// What may be called: E.164, or a SIP user part.
pub fn number_name(text: &str) -> Result<(), Problem> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "+-_.!~*'()&=$,;".contains(c);
    if !(1..=MAX_NAME).contains(&text.len()) || !text.chars().all(fits) {
        let detail = "write a number in E.164 (\"+18325550100\") or a SIP user part (\"menu\", \"1001\")";
        return Err(wrong("number", detail));
    }
    if text.starts_with('+') {
        let number = text.parse::<carrier::Number>();
        number.map_err(|error| Problem::bad("invalid_number", error.to_string()).at("number"))?;
    }
    Ok(())
}

/// A user's name: the user part of its address.
pub fn user_name(text: &str) -> Result<(), Problem> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.!~*'()+=$,".contains(c);
    if (1..=MAX_NAME).contains(&text.len()) && text.chars().all(fits) {
        return Ok(());
    }
    Err(wrong("name", "write the user part of its SIP address (\"alice\", \"1001\"), without the domain"))
}

/// What somebody proves itself by.
pub fn password(text: &str) -> Result<(), Problem> {
    if (1..=MAX_PASSWORD).contains(&text.chars().count()) && !text.chars().any(char::is_control) {
        return Ok(());
    }
    Err(wrong("password", format!("a password has 1 to {MAX_PASSWORD} printable characters")))
}

/// A tenant; its rank is the caller's to say.
pub fn tenant(document: Map<String, Value>) -> Result<Tenant, Problem> {
    let mut fields = Fields::of(document, TENANT, &[])?;
    Ok(Tenant {
        trunk_access: fields.flag("trunk_access", true)?,
        sip_domain: fields.optional_text("sip_domain")?.map(|text| domain(&text)).transpose()?,
        api_requests_per_minute: fields
            .optional_whole("api_requests_per_minute", 1..=MAX_REQUESTS_PER_MINUTE)?
            .map(|n| u32::try_from(n).unwrap_or(u32::MAX)),
        limits: fields.take("limits").map(|value| limits(&value)).transpose()?.unwrap_or_default(),
        rank: 0,
        origin: Origin::Api,
    })
}

/// The limits of a tenant: the same words in the configuration and over HTTP.
///
/// # Errors
/// What is wrong, with its field: `limits.countries`.
pub fn limits(value: &Value) -> Result<TenantLimits, Problem> {
    let Value::Object(map) = value else { return Err(wrong("limits", "`limits` is an object")) };
    let read = || {
        let mut fields = Fields::of(map.clone(), LIMITS, &[])?;
        let mut whole = |name: &'static str| {
            let found = fields.optional_whole(name, 0..=MAX_LIMIT)?;
            Ok::<_, Problem>(found.map(|n| u32::try_from(n).unwrap_or(u32::MAX)))
        };
        let (concurrent_calls, calls_per_second) = (whole("concurrent_calls")?, whole("calls_per_second")?);
        let minutes_per_day = whole("minutes_per_day")?;
        let spend = fields.take("spend_per_day").map(|value| money(&value).ok_or_else(not_money)).transpose()?;
        let (countries, premium) = (fields.texts("countries")?, fields.texts("premium_ranges")?.unwrap_or_default());
        let destinations = Destinations::new(countries.as_deref(), &premium);
        let destinations = destinations.map_err(|error| {
            let premium = matches!(error, DestinationError::Range(_));
            wrong(if premium { "premium_ranges" } else { "countries" }, error.to_string())
        })?;
        Ok(TenantLimits { concurrent_calls, calls_per_second, minutes_per_day, spend_per_day: spend, destinations })
    };
    read().map_err(|problem: Problem| problem.below("limits"))
}

fn not_money() -> Problem {
    wrong("spend_per_day", "`spend_per_day` is an amount of the rate deck's currency: 25, or \"12.50\"")
}

/// An amount of money, as a number or as text, in millionths.
#[must_use]
pub fn money(value: &Value) -> Option<u64> {
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        _ => return None,
    };
    let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
    let is_digits = |text: &str| text.bytes().all(|digit| digit.is_ascii_digit());
    if whole.is_empty() || part.len() > 6 || !is_digits(whole) || !is_digits(part) {
        return None;
    }
    let millionths: u64 = format!("{part:0<6}").parse().ok()?;
    whole.parse::<u64>().ok()?.checked_mul(1_000_000)?.checked_add(millionths)
}

fn domain(text: &str) -> Result<String, Problem> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"-.".contains(&b);
    if (1..=253).contains(&text.len()) && text.bytes().all(fits) {
        return Ok(text.to_ascii_lowercase());
    }
    Err(wrong("sip_domain", "write a host name, like \"voice.example.com\""))
}

/// A number.
pub fn number(document: Map<String, Value>) -> Result<OwnedNumber, Problem> {
    let mut fields = Fields::of(document, NUMBER, &[])?;
    let answer = fields.take("answer").map(|value| {
        Answer::parse(&value).map_err(|error| Problem::bad("invalid_answer", error.message).at(error.path))
    });
    Ok(OwnedNumber { tenant: fields.text("tenant")?, answer: answer.transpose()?, origin: Origin::Api })
}

/// A user.
pub fn user(document: Map<String, Value>, secret: Option<Secret>) -> Result<User, Problem> {
    Fields::of(document, USER, &[])?;
    let missing = || Problem::bad("missing_field", "`password` is missing").at("password");
    Ok(User { password: Some(secret.ok_or_else(missing)?), origin: Origin::Api })
}

/// A trunk, checked by the carrier crate as a whole.
pub fn trunk(name: &str, document: Map<String, Value>, secret: Option<Secret>) -> Result<Trunk, Problem> {
    let mut fields = Fields::of(document, &[TRUNK, &ROUTING].concat(), &[])?;
    let name: TrunkName = name.parse().map_err(of_trunk)?;
    let profile = match fields.optional_text("profile")?.as_deref() {
        None | Some("generic") => Profile::Generic,
        Some("twilio") => Profile::Twilio,
        Some(_) => return Err(wrong("profile", "`profile` is \"twilio\" or \"generic\"")),
    };
    let example = "write it like \"sip:example.pstn.twilio.com;transport=tls\"";
    let uri = fields.text("uri")?;
    let uri = Uri::parse(uri.as_bytes()).map_err(|error| wrong("uri", format!("{error}; {example}")))?;
    let mut config = TrunkConfig::new(name, profile, uri);
    config.username = fields.optional_text("username")?;
    if config.username.as_ref().is_some_and(|name| name.chars().any(char::is_control)) {
        return Err(wrong("username", "a username has no control characters"));
    }
    config.password = secret;
    config.account_sid = fields.optional_text("account_sid")?;
    fill(&mut config, &mut fields)?;
    carrier::Trunk::new(config.clone()).map_err(of_trunk)?;
    Ok(Trunk { config, origin: Origin::Api })
}

fn fill(config: &mut TrunkConfig, fields: &mut Fields) -> Result<(), Problem> {
    let short = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    config.max_cps = short(fields.whole("max_cps", 1..=carrier::MAX_CPS.into(), config.max_cps.into())?);
    config.max_calls = short(fields.whole("max_calls", 1..=1_000_000, config.max_calls.into())?);
    config.try_timeout_ms = fields.whole("try_timeout_ms", 500..=32_000, config.try_timeout_ms)?;
    config.options_s = fields.whole("options_s", 0..=86_400, config.options_s)?;
    config.register = fields.flag("register", false)?;
    let expires = fields.whole("register_expires_s", 60..=86_400, config.register_expires_s.into())?;
    config.register_expires_s = short(expires);
    config.accept_from = networks(fields, "accept_from")?;
    config.media_from = networks(fields, "media_from")?;
    config.srtp = fields.flag("srtp", false)?;
    config.pass_identity = fields.flag("pass_identity", false)?;
    config.codecs = codecs(fields)?;
    routing::fill(config, fields)
}

/// The codecs of a trunk, the best first; an empty list is refused, because a call needs one.
fn codecs(fields: &mut Fields) -> Result<Vec<AudioCodec>, Problem> {
    let Some(list) = fields.texts("codecs")? else { return Ok(Vec::new()) };
    let known = AudioCodec::ALL.map(AudioCodec::name);
    let read: Option<Vec<AudioCodec>> = list.iter().map(|name| AudioCodec::named(name)).collect();
    read.filter(|list| (1..=known.len()).contains(&list.len()))
        .ok_or_else(|| wrong("codecs", format!("`codecs` is some of {}, the best first", known.join(", "))))
}

/// A list of networks; an empty one is refused, because it would stand for the profile's own ranges and not for nobody.
fn networks(fields: &mut Fields, name: &'static str) -> Result<Vec<IpNet>, Problem> {
    let Some(list) = fields.texts(name)? else { return Ok(Vec::new()) };
    if list.is_empty() || list.len() > MAX_NETWORKS {
        let detail = format!("`{name}` has 1 to {MAX_NETWORKS} networks; leave it out to take the profile's own");
        return Err(wrong(name, detail));
    }
    let network = |(index, text): (usize, &String)| {
        let read = text.parse::<IpNet>().or_else(|_| text.parse::<std::net::IpAddr>().map(IpNet::from));
        read.map_err(|_| wrong(&format!("{name}.{index}"), "write a network like \"10.0.0.0/8\", or one address"))
    };
    list.iter().enumerate().map(network).collect()
}

fn of_trunk(error: TrunkError) -> Problem {
    wrong(error.key(), error.to_string())
}
