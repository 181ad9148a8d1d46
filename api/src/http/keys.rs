//! `/v1/keys`: the keys of a tenant. A key itself is shown once, by the request that makes it.

use super::auth::Caller;
use super::fields::Fields;
use super::path::Named;
use super::problem::Problem;
use super::provision::acting;
use super::query::{Names, OfTenant, Params};
use super::resource::List;
use super::time::rfc3339;
use super::{Api, App, json};
use crate::directory::Origin;
use crate::keys::{KeyError, Scope, key_id, scope_of};
use crate::registry::MAX_REQUESTS_PER_MINUTE;
use crate::store::KeyRow;
use axum::Json;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// Characters of what people call a key.
const MAX_NAME: usize = 64;

/// Keys of a tenant; one more is refused with 409.
const MAX_OF_TENANT: usize = 1_000;

/// What may be said of a key.
const KNOWN: [&str; 3] = ["name", "scope", "api_requests_per_minute"];

fn no_such_key() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "key_not_found", "there is no key with this id")
}

/// A key, without the key.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = Key)]
struct KeyResource {
    /// What it is called here; it tells nothing of the key.
    #[schema(pattern = "^key_[0-9a-f]{32}$")]
    id: String,
    tenant: String,
    /// What people call it.
    name: String,
    /// What it may do: `read`, `calls`, `admin` or `operator`, each with those before it.
    scope: Option<&'static str>,
    /// Its own rate; null: its tenant's, or what the configuration says.
    api_requests_per_minute: Option<u32>,
    #[schema(format = DateTime)]
    created_at: Option<String>,
    managed_by: Origin,
}

/// A key that was made, with the key itself: it is shown this once.
#[derive(Serialize, ToSchema)]
#[schema(as = NewKey)]
struct NewKeyResource {
    #[serde(flatten)]
    about: KeyResource,
    /// The key.
    key: String,
}

fn view(row: &KeyRow) -> KeyResource {
    KeyResource {
        id: key_id(&row.hash),
        tenant: row.tenant.clone(),
        name: row.name.clone(),
        scope: scope_of(&row.scopes).map(Scope::as_str),
        api_requests_per_minute: row.per_minute,
        created_at: Some(rfc3339(row.created_at)),
        managed_by: Origin::Api,
    }
}

/// The key that the configuration names, where it is this tenant's.
fn configured(app: &App, tenant: &str) -> Option<KeyResource> {
    let key = app.inner.keys.configured(tenant)?;
    Some(KeyResource {
        id: key.id(),
        tenant: tenant.to_owned(),
        name: "api.bootstrap_key".to_owned(),
        scope: key.scope().map(Scope::as_str),
        api_requests_per_minute: None,
        created_at: None,
        managed_by: Origin::File,
    })
}

/// What is given of a key, each part where it is given.
struct Given {
    name: Option<String>,
    scope: Option<Scope>,
    per_minute: Option<u32>,
    /// Its own rate is taken from it.
    unlimited: bool,
}

impl Given {
    fn read(body: Map<String, Value>, caller: &Caller) -> Result<Self, Problem> {
        let unlimited = body.get("api_requests_per_minute").is_some_and(Value::is_null);
        let mut fields = Fields::of(body, &KNOWN, &[])?;
        let name = fields.optional_text("name")?;
        if name.as_ref().is_some_and(|name| name.chars().count() > MAX_NAME || name.chars().any(char::is_control)) {
            let detail = format!("`name` has at most {MAX_NAME} printable characters");
            return Err(Problem::bad("invalid_value", detail).at("name"));
        }
        let scope = fields.optional_text("scope")?.map(|word| word.parse::<Scope>()).transpose();
        let scope = scope.map_err(|error| Problem::bad("invalid_value", error.to_string()).at("scope"))?;
        if let Some(scope) = scope {
            // Nobody gives away more than he has.
            caller.may(scope)?;
        }
        let per_minute = fields.optional_whole("api_requests_per_minute", 1..=MAX_REQUESTS_PER_MINUTE)?;
        Ok(Self { name, scope, per_minute: per_minute.and_then(|n| u32::try_from(n).ok()), unlimited })
    }
}

/// The tenant's keys, by id; the configuration's first.
#[utoipa::path(
    get,
    path = "/keys",
    operation_id = "list_keys",
    tag = "keys",
    params(Names, OfTenant),
    responses((status = 200, description = "A page of keys.", body = List<KeyResource>)),
    extensions(("x-problems" = json!(["tenant_not_found", "invalid_cursor"]))),
)]
pub(super) async fn list(State(app): Api, caller: Caller, params: Params) -> Result<Response, Problem> {
    caller.may(Scope::Admin)?;
    let mut params = params.only(&["limit", "cursor", "tenant"])?;
    let tenant = acting(&app, &caller, &mut params)?;
    let (limit, after) = params.cut(|text| Some(text.to_owned()))?;
    let rows = app.stored(app.inner.keys.list(&tenant)).await?;
    let all: Vec<KeyResource> = configured(&app, &tenant).into_iter().chain(rows.iter().map(view)).collect();
    let begin = after.map_or(0, |after| all.iter().position(|item| item.id == after).map_or(all.len(), |at| at + 1));
    let rest = all.get(begin..).unwrap_or_default();
    let page = &rest[..limit.min(rest.len())];
    let next = page.last().filter(|_| rest.len() > limit).map(|item| item.id.clone());
    Ok(Json(List { items: page.to_vec(), next_cursor: next }).into_response())
}

/// Makes a key of no more than the caller's own scope; it is shown this once.
#[utoipa::path(
    post,
    path = "/keys",
    operation_id = "create_key",
    tag = "keys",
    params(OfTenant),
    request_body(content = ref("#/components/schemas/KeyRequest")),
    responses((status = 201, description = "It is made.", body = NewKeyResource)),
    extensions(("x-problems" = json!(["unknown_parameter", "invalid_parameter", "tenant_not_found", "too_many", "overloaded"]))),
)]
pub(super) async fn create(
    State(app): Api,
    caller: Caller,
    params: Params,
    request: Request,
) -> Result<Response, Problem> {
    caller.may(Scope::Admin)?;
    let tenant = acting(&app, &caller, &mut params.only(&["tenant"])?)?;
    let given = Given::read(json::object(request).await?, &caller)?;
    let missing = || Problem::bad("missing_field", "`scope` is missing: `read`, `calls` or `admin`").at("scope");
    let scope = given.scope.ok_or_else(missing)?;
    if app.stored(app.inner.keys.list(&tenant)).await?.len() >= MAX_OF_TENANT {
        let detail = format!("a tenant has at most {MAX_OF_TENANT} keys; delete one that is not used");
        return Err(Problem::conflict("too_many", detail));
    }
    let (name, at) = (given.name.unwrap_or_default(), app.inner.ledger.wall());
    let made = app.inner.keys.create(&tenant, scope, &name, given.per_minute, at).await;
    let (key, row) = made.map_err(|error| match error {
        KeyError::Store(error) => error.into(),
        _ => Problem::overloaded(),
    })?;
    tracing::info!(tenant, id = key_id(&row.hash), "a key was made");
    let body = NewKeyResource { about: view(&row), key };
    let place = format!("/v1/keys/{}", key_id(&row.hash));
    let headers = [(header::LOCATION, place), (header::CACHE_CONTROL, "no-store".to_owned())];
    Ok((StatusCode::CREATED, headers, Json(body)).into_response())
}

/// The row of a key of the tenant; 404 where it has none of this id, 409 where the configuration names it.
async fn row(app: &App, tenant: &str, id: &str) -> Result<KeyRow, Problem> {
    if configured(app, tenant).is_some_and(|key| key.id == id) {
        let detail = "the configuration names this key (api.bootstrap_key); change it there";
        return Err(Problem::conflict("managed_by_file", detail));
    }
    let rows = app.stored(app.inner.keys.list(tenant)).await?;
    rows.into_iter().find(|row| key_id(&row.hash) == id).ok_or_else(no_such_key)
}

/// Shows a key, without the key.
#[utoipa::path(
    get,
    path = "/keys/{id}",
    operation_id = "get_key",
    tag = "keys",
    params(("id" = String, Path, description = "The key's id.", pattern = "^key_[0-9a-f]{32}$"), OfTenant),
    responses((status = 200, description = "The key.", body = KeyResource)),
    extensions(("x-problems" = json!(["tenant_not_found", "key_not_found"]))),
)]
pub(super) async fn get(
    State(app): Api,
    caller: Caller,
    Named(id): Named,
    params: Params,
) -> Result<Response, Problem> {
    caller.may(Scope::Admin)?;
    let tenant = acting(&app, &caller, &mut params.only(&["tenant"])?)?;
    if let Some(key) = configured(&app, &tenant).filter(|key| key.id == id) {
        return Ok(Json(key).into_response());
    }
    Ok(Json(view(&row(&app, &tenant, &id).await?)).into_response())
}

/// Gives a key another name, scope or rate; it counts at once.
#[utoipa::path(
    post,
    path = "/keys/{id}",
    operation_id = "change_key",
    tag = "keys",
    params(("id" = String, Path, description = "The key's id.", pattern = "^key_[0-9a-f]{32}$"), OfTenant),
    request_body(content = ref("#/components/schemas/KeyChange")),
    responses((status = 200, description = "The key.", body = KeyResource)),
    extensions(("x-problems" = json!(["unknown_parameter", "invalid_parameter", "tenant_not_found", "key_not_found", "managed_by_file"]))),
)]
pub(super) async fn change(
    State(app): Api,
    caller: Caller,
    Named(id): Named,
    params: Params,
    request: Request,
) -> Result<Response, Problem> {
    caller.may(Scope::Admin)?;
    let tenant = acting(&app, &caller, &mut params.only(&["tenant"])?)?;
    let before = row(&app, &tenant, &id).await?;
    may_touch(&caller, &before)?;
    let given = Given::read(json::object(request).await?, &caller)?;
    let kept = before.per_minute.filter(|_| !given.unlimited);
    let after = KeyRow {
        name: given.name.unwrap_or_else(|| before.name.clone()),
        scopes: given.scope.map_or_else(|| before.scopes.clone(), |scope| scope.as_str().to_owned()),
        per_minute: given.per_minute.or(kept),
        ..before
    };
    app.stored(app.inner.keys.change(&after)).await?;
    tracing::info!(tenant, id, "a key was changed");
    Ok(Json(view(&after)).into_response())
}

/// Deletes a key: from now on it opens nothing.
#[utoipa::path(
    delete,
    path = "/keys/{id}",
    operation_id = "delete_key",
    tag = "keys",
    params(("id" = String, Path, description = "The key's id.", pattern = "^key_[0-9a-f]{32}$"), OfTenant),
    responses((status = 204, description = "It is deleted.")),
    extensions(("x-problems" = json!(["tenant_not_found", "key_not_found", "managed_by_file"]))),
)]
pub(super) async fn delete(
    State(app): Api,
    caller: Caller,
    Named(id): Named,
    params: Params,
) -> Result<Response, Problem> {
    caller.may(Scope::Admin)?;
    let tenant = acting(&app, &caller, &mut params.only(&["tenant"])?)?;
    let row = row(&app, &tenant, &id).await?;
    may_touch(&caller, &row)?;
    app.stored(app.inner.keys.delete(&row)).await?;
    tracing::info!(tenant, id, "a key was deleted");
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Nobody changes a key that may do more than his own.
fn may_touch(caller: &Caller, row: &KeyRow) -> Result<(), Problem> {
    scope_of(&row.scopes).map_or(Ok(()), |scope| caller.may(scope))
}
