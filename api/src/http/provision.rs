//! `/v1/tenants`, `/v1/trunks`, `/v1/numbers`, `/v1/users`: what there is, from memory; made, changed and deleted through
//! the [registry](crate::registry).
//!
//! An operator's key makes tenants, trunks and numbers, and acts for another tenant by `?tenant=`. A tenant's admin makes
//! its users and changes what its numbers answer; it sees what is its own, and that there are trunks. Whatever is another
//! tenant's is 404. Passwords are taken and never shown.

use super::auth::Caller;
use super::json;
use super::problem::Problem;
use super::query::Params;
use super::{Api, App};
use crate::directory::{Directory, Origin, OwnedNumber, Tenant, Trunk};
use crate::keys::Scope;
use crate::registry::{Change, Kind, not_found};
use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use carrier::Secret;
use serde_json::{Map, Value, json};

/// The tenant that is acted for: the caller's own, or, for an operator, the one that `tenant` names.
pub(super) fn acting(app: &App, caller: &Caller, params: &mut Params) -> Result<String, Problem> {
    match params.take("tenant") {
        None => Ok(caller.tenant().to_owned()),
        Some(named) if named == caller.tenant() => Ok(named),
        Some(named) if caller.may(Scope::Operator).is_ok() && has_tenant(app, &named) => Ok(named),
        Some(_) => Err(not_found(Kind::Tenant).at("tenant")),
    }
}

fn has_tenant(app: &App, name: &str) -> bool {
    app.inner.directory.load().tenants.contains_key(name)
}

/// What the caller may see of a kind, by name, acting for `tenant`.
fn seen(app: &App, caller: &Caller, kind: Kind, tenant: &str) -> Vec<(String, Value)> {
    let directory = app.inner.directory.load();
    let operates = caller.may(Scope::Operator).is_ok();
    match kind {
        Kind::Tenant => {
            let visible = |name: &str| operates || name == caller.tenant();
            let shown = directory.tenants.iter().filter(|(name, _)| visible(name));
            shown.map(|(name, of)| (name.clone(), tenant_view(name, of))).collect()
        }
        Kind::Trunk => {
            let view = |trunk: &Trunk| (trunk.name().to_owned(), trunk_view(app, trunk, operates));
            directory.trunks.iter().map(view).collect()
        }
        Kind::Number => {
            let own = directory.numbers.iter().filter(|(_, number)| number.tenant == tenant);
            own.map(|(name, number)| (name.clone(), number_view(name, number))).collect()
        }
        Kind::User => users(&directory, tenant),
    }
}

fn users(directory: &Directory, tenant: &str) -> Vec<(String, Value)> {
    let own = directory.users.iter().filter(|((owner, _), _)| owner == tenant);
    let view = |name: &str, origin: Origin| json!({ "name": name, "tenant": tenant, "managed_by": origin });
    own.map(|((_, name), user)| (name.clone(), view(name, user.origin))).collect()
}

fn tenant_view(name: &str, tenant: &Tenant) -> Value {
    json!({
        "name": name,
        "trunk_access": tenant.trunk_access,
        "sip_domain": tenant.sip_domain,
        "api_requests_per_minute": tenant.api_requests_per_minute,
        "managed_by": tenant.origin,
    })
}

fn number_view(number: &str, owned: &OwnedNumber) -> Value {
    json!({ "number": number, "tenant": owned.tenant, "answer": owned.answer, "managed_by": owned.origin })
}

/// A trunk: that it is there and how it is; all of it only for an operator, since all tenants' calls are on it.
fn trunk_view(app: &App, trunk: &Trunk, operates: bool) -> Value {
    let health = app.inner.sip.load().trunks.get(trunk.name()).cloned().unwrap_or_default();
    let mut view = json!({ "name": trunk.name(), "status": health.status });
    if operates {
        let config = &trunk.config;
        let all = json!({
            "active_calls": health.active_calls,
            "profile": config.profile,
            "uri": config.uri.to_string(),
            "username": config.username,
            "account_sid": config.account_sid,
            "max_cps": config.max_cps,
            "max_calls": config.max_calls,
            "try_timeout_ms": config.try_timeout_ms,
            "options_s": config.options_s,
            "register": config.register,
            "register_expires_s": config.register_expires_s,
            "accept_from": config.accept_from,
            "media_from": config.media_from,
            "srtp": config.srtp,
            "managed_by": trunk.origin,
        });
        if let (Value::Object(view), Value::Object(all)) = (&mut view, all) {
            view.extend(all);
        }
    }
    view
}

/// Lists.
pub(super) async fn list(kind: Kind, app: App, caller: Caller, params: Params) -> Result<Response, Problem> {
    caller.may(Scope::Read)?;
    let mut params = params.only(&["limit", "cursor", "tenant"])?;
    let tenant = acting(&app, &caller, &mut params)?;
    let (limit, after) = params.cut(|text| Some(text.to_owned()))?;
    let all = seen(&app, &caller, kind, &tenant);
    let begin = after.map_or(0, |after| all.iter().position(|(name, _)| *name == after).map_or(all.len(), |at| at + 1));
    let rest = all.get(begin..).unwrap_or_default();
    let page = &rest[..limit.min(rest.len())];
    let next = page.last().filter(|_| rest.len() > limit).map(|(name, _)| name);
    let items: Vec<&Value> = page.iter().map(|(_, view)| view).collect();
    Ok(Json(json!({ "items": items, "next_cursor": next })).into_response())
}

fn one(app: &App, caller: &Caller, kind: Kind, tenant: &str, name: &str) -> Result<Value, Problem> {
    let found = seen(app, caller, kind, tenant).into_iter().find(|(known, _)| known == name);
    found.map(|(_, view)| view).ok_or_else(|| not_found(kind))
}

/// Shows one.
pub(super) async fn get(
    kind: Kind,
    app: App,
    caller: Caller,
    name: String,
    params: Params,
) -> Result<Response, Problem> {
    caller.may(Scope::Read)?;
    let tenant = acting(&app, &caller, &mut params.only(&["tenant"])?)?;
    Ok(Json(one(&app, &caller, kind, &tenant, &name)?).into_response())
}

/// Whether the caller may make or delete one of a kind.
fn may_make(caller: &Caller, kind: Kind) -> Result<(), Problem> {
    match kind {
        Kind::User => caller.may(Scope::Admin),
        Kind::Tenant | Kind::Trunk | Kind::Number => caller.may(Scope::Operator),
    }
}

fn scope(kind: Kind, tenant: &str) -> String {
    if kind == Kind::User { tenant.to_owned() } else { String::new() }
}

/// Makes one.
pub(super) async fn create(
    kind: Kind,
    app: App,
    caller: Caller,
    params: Params,
    request: Request,
) -> Result<Response, Problem> {
    may_make(&caller, kind)?;
    let mut tenant = acting(&app, &caller, &mut params.only(&["tenant"])?)?;
    let mut fields = json::object(request).await?;
    let key = if kind == Kind::Number { "number" } else { "name" };
    let name = text(&mut fields, key)?.ok_or_else(|| missing(key))?;
    let secret = password(&mut fields, kind)?;
    if kind == Kind::Number {
        tenant = owner(&app, &mut fields)?.unwrap_or(tenant);
        fields.insert("tenant".to_owned(), tenant.clone().into());
    }
    let (scope, at) = (scope(kind, &tenant), app.inner.ledger.wall());
    let change = Change { kind, scope, name: name.clone(), fields, secret, create: true, at };
    app.inner.registry.put(change).await?;
    tracing::info!(kind = kind.as_str(), name, tenant, "made over HTTP");
    let view = one(&app, &caller, kind, &tenant, &name)?;
    let place = format!("/v1/{}s/{}", kind.as_str(), name);
    Ok((StatusCode::CREATED, [(header::LOCATION, place)], Json(view)).into_response())
}

/// Changes one: fields that are given; null is as good as never said.
pub(super) async fn change(
    kind: Kind,
    app: App,
    caller: Caller,
    name: String,
    params: Params,
    request: Request,
) -> Result<Response, Problem> {
    let mut tenant = acting(&app, &caller, &mut params.only(&["tenant"])?)?;
    // Before the scope: of another tenant's it is not said that it is there.
    caller.may(Scope::Admin)?;
    one(&app, &caller, kind, &tenant, &name)?;
    if matches!(kind, Kind::Tenant | Kind::Trunk) {
        caller.may(Scope::Operator)?;
    }
    let mut fields = json::object(request).await?;
    let secret = password(&mut fields, kind)?;
    if kind == Kind::Number
        && let Some(other) = owner(&app, &mut fields)?.filter(|other| *other != tenant)
    {
        caller.may(Scope::Operator)?;
        fields.insert("tenant".to_owned(), other.clone().into());
        tenant = other;
    }
    let (scope, at) = (scope(kind, &tenant), app.inner.ledger.wall());
    let change = Change { kind, scope, name: name.clone(), fields, secret, create: false, at };
    app.inner.registry.put(change).await?;
    tracing::info!(kind = kind.as_str(), name, tenant, "changed over HTTP");
    Ok(Json(one(&app, &caller, kind, &tenant, &name)?).into_response())
}

/// Deletes one. What lives goes on.
pub(super) async fn delete(
    kind: Kind,
    app: App,
    caller: Caller,
    name: String,
    params: Params,
) -> Result<Response, Problem> {
    let tenant = acting(&app, &caller, &mut params.only(&["tenant"])?)?;
    caller.may(Scope::Admin)?;
    one(&app, &caller, kind, &tenant, &name)?;
    may_make(&caller, kind)?;
    app.inner.registry.remove(kind, scope(kind, &tenant), name.clone()).await?;
    tracing::info!(kind = kind.as_str(), name, tenant, "deleted over HTTP");
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn missing(field: &str) -> Problem {
    Problem::bad("missing_field", format!("`{field}` is missing")).at(field)
}

fn text(fields: &mut Map<String, Value>, name: &str) -> Result<Option<String>, Problem> {
    match fields.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Problem::bad("invalid_value", format!("`{name}` is a string")).at(name)),
    }
}

/// What a user or a trunk proves itself by, out of its fields.
fn password(fields: &mut Map<String, Value>, kind: Kind) -> Result<Option<Secret>, Problem> {
    match kind {
        Kind::User | Kind::Trunk => Ok(text(fields, "password")?.map(Secret::from)),
        Kind::Tenant | Kind::Number => Ok(None),
    }
}

/// The tenant that a number is given to, where one is named.
fn owner(app: &App, fields: &mut Map<String, Value>) -> Result<Option<String>, Problem> {
    let Some(named) = text(fields, "tenant")? else { return Ok(None) };
    if has_tenant(app, &named) {
        return Ok(Some(named));
    }
    Err(Problem::bad("unknown_tenant", "there is no tenant of this name; GET /v1/tenants lists those there are")
        .at("tenant"))
}

/// The handlers of one kind, under names of their own.
macro_rules! handlers {
    ($module:ident, $kind:expr, $words:literal) => {
        #[doc = $words]
        pub(super) mod $module {
            use super::*;

            pub(in crate::http) async fn list(
                State(app): Api,
                caller: Caller,
                params: Params,
            ) -> Result<Response, Problem> {
                super::list($kind, app, caller, params).await
            }

            pub(in crate::http) async fn create(
                State(app): Api,
                caller: Caller,
                params: Params,
                request: Request,
            ) -> Result<Response, Problem> {
                super::create($kind, app, caller, params, request).await
            }

            pub(in crate::http) async fn get(
                State(app): Api,
                caller: Caller,
                Path(name): Path<String>,
                params: Params,
            ) -> Result<Response, Problem> {
                super::get($kind, app, caller, name, params).await
            }

            pub(in crate::http) async fn change(
                State(app): Api,
                caller: Caller,
                Path(name): Path<String>,
                params: Params,
                request: Request,
            ) -> Result<Response, Problem> {
                super::change($kind, app, caller, name, params, request).await
            }

            pub(in crate::http) async fn delete(
                State(app): Api,
                caller: Caller,
                Path(name): Path<String>,
                params: Params,
            ) -> Result<Response, Problem> {
                super::delete($kind, app, caller, name, params).await
            }
        }
    };
}

handlers!(tenants, Kind::Tenant, "`/v1/tenants`");
handlers!(trunks, Kind::Trunk, "`/v1/trunks`");
handlers!(numbers, Kind::Number, "`/v1/numbers`");
handlers!(users, Kind::User, "`/v1/users`");
