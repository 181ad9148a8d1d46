//! `/v1/tenants`, `/v1/trunks`, `/v1/numbers`, `/v1/users`: what there is, from memory; made, changed and deleted through
//! the [registry](crate::registry).
//!
//! An operator's key makes tenants, trunks and numbers, and acts for another tenant by `?tenant=`. A tenant's admin makes
//! its users and changes what its numbers answer; it sees what is its own, and that there are trunks. Whatever is another
//! tenant's is 404. Passwords are taken and never shown.
//!
//! `resource` has what is shown, `routes` the handlers, four times the same.

mod resource;
pub(super) mod routes;

use super::auth::Caller;
use super::problem::Problem;
use super::query::Params;
use super::resource::List;
use super::{App, json};
use crate::directory::Trunk;
use crate::keys::Scope;
use crate::registry::{Change, Kind, not_found};
use axum::Json;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use carrier::Secret;
use resource::{NumberResource, Resource, TenantResource, TrunkResource, UserResource};
use serde_json::{Map, Value};

/// The tenant that is acted for: the caller's own, or, for an operator, the one that `tenant` names.
pub(super) fn acting(app: &App, caller: &Caller, params: &mut Params) -> Result<String, Problem> {
    match params.take("tenant") {
        None => Ok(caller.tenant().to_owned()),
        Some(named) if named == caller.tenant() => Ok(named),
        Some(named) if caller.may(Scope::Operator).is_ok() && has_tenant(app, &named) => Ok(named),
        Some(_) => Err(app.unless_unknown(not_found(Kind::Tenant).at("tenant"))),
    }
}

fn has_tenant(app: &App, name: &str) -> bool {
    app.inner.directory.load().tenants.contains_key(name)
}

/// What the caller may see of a kind, by name, acting for `tenant`.
fn seen(app: &App, caller: &Caller, kind: Kind, tenant: &str) -> Vec<(String, Resource)> {
    let directory = app.inner.directory.load();
    let operates = caller.may(Scope::Operator).is_ok();
    match kind {
        Kind::Tenant => {
            let visible = |name: &str| operates || name == caller.tenant();
            let shown = directory.tenants.iter().filter(|(name, _)| visible(name));
            shown.map(|(name, of)| (name.clone(), Resource::Tenant(TenantResource::of(name, of)))).collect()
        }
        Kind::Trunk => {
            let sip = app.inner.sip.load();
            let view = |trunk: &Trunk| {
                let health = sip.trunks.get(trunk.name()).cloned().unwrap_or_default();
                (trunk.name().to_owned(), Resource::Trunk(Box::new(TrunkResource::of(trunk, &health, operates))))
            };
            directory.trunks.iter().map(view).collect()
        }
        Kind::Number => {
            let own = directory.numbers.iter().filter(|(_, number)| number.tenant == tenant);
            own.map(|(name, number)| (name.clone(), Resource::Number(NumberResource::of(name, number)))).collect()
        }
        Kind::User => {
            let own = directory.users.iter().filter(|((owner, _), _)| owner == tenant);
            let view = |(name, managed_by): (&str, _)| UserResource {
                name: name.to_owned(),
                tenant: tenant.to_owned(),
                managed_by,
            };
            own.map(|((_, name), user)| (name.clone(), Resource::User(view((name, user.origin))))).collect()
        }
    }
}

/// Lists.
pub(super) async fn list(kind: Kind, app: App, caller: Caller, params: Params) -> Result<Response, Problem> {
    caller.may(Scope::Read)?;
    let mut params = params.only(&["limit", "cursor", "tenant"])?;
    let tenant = acting(&app, &caller, &mut params)?;
    app.known()?;
    let (limit, after) = params.cut(|text| Some(text.to_owned()))?;
    let all = seen(&app, &caller, kind, &tenant);
    let begin = after.map_or(0, |after| all.iter().position(|(name, _)| *name == after).map_or(all.len(), |at| at + 1));
    let rest = all.get(begin..).unwrap_or_default();
    let page = &rest[..limit.min(rest.len())];
    let next = page.last().filter(|_| rest.len() > limit).map(|(name, _)| name);
    let items: Vec<&Resource> = page.iter().map(|(_, view)| view).collect();
    Ok(Json(List { items, next_cursor: next.cloned() }).into_response())
}

fn one(app: &App, caller: &Caller, kind: Kind, tenant: &str, name: &str) -> Result<Resource, Problem> {
    if kind == Kind::Trunk && caller.may(Scope::Operator).is_err() {
        // It is the switch's, and nothing of it is any tenant's.
        return Err(not_found(kind));
    }
    let found = seen(app, caller, kind, tenant).into_iter().find(|(known, _)| known == name);
    found.map(|(_, view)| view).ok_or_else(|| app.unless_unknown(not_found(kind)))
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
    let detail = "there is no tenant of this name; GET /v1/tenants lists those there are";
    Err(app.unless_unknown(Problem::bad("unknown_tenant", detail).at("tenant")))
}
