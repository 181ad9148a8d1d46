//! `GET /v1/account`, `POST /v1/account/rotate`: the caller's tenant and what it proves itself by.

use super::Api;
use super::auth::Caller;
use super::fields::Fields;
use super::json;
use super::problem::Problem;
use super::query::Params;
use crate::accounts::{Account, AccountError, What};
use crate::keys::Scope;
use axum::Json;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

impl From<AccountError> for Problem {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::ManagedByFile => Self::conflict("managed_by_file", error.to_string()).at("what"),
            AccountError::Store(error) => error.into(),
            AccountError::Secrets(error) => {
                tracing::error!(%error, "an account cannot be read");
                Self::unavailable("secrets_unavailable", "the account cannot be read; the log says why", 60)
            }
        }
    }
}

/// The caller's tenant; what it proves itself by, where the key has the scope `admin`.
#[utoipa::path(
    get,
    path = "/account",
    operation_id = "get_account",
    tag = "account",
    responses((status = 200, description = "The account.", body = AccountResource<'_>)),
    extensions(("x-problems" = json!(["secrets_unavailable"]))),
)]
pub(super) async fn get(State(app): Api, caller: Caller, params: Params) -> Result<Response, Problem> {
    caller.may(Scope::Read)?;
    params.only(&[])?;
    let account = app.stored(app.inner.accounts.of(caller.tenant())).await?;
    Ok(shown(&caller, &account))
}

/// Makes a secret of the account anew; the old one is worth nothing from then on.
#[utoipa::path(
    post,
    path = "/account/rotate",
    operation_id = "rotate_account_secret",
    tag = "account",
    request_body(content = ref("#/components/schemas/RotateRequest")),
    responses((status = 200, description = "The account.", body = AccountResource<'_>)),
    extensions(("x-problems" = json!(["managed_by_file", "secrets_unavailable", "overloaded"]))),
)]
pub(super) async fn rotate(State(app): Api, caller: Caller, request: Request) -> Result<Response, Problem> {
    caller.may(Scope::Admin)?;
    let what = match Fields::of(json::object(request).await?, &["what"], &[])?.text("what")?.as_str() {
        "auth_token" => What::AuthToken,
        "webhook_secret" => What::WebhookSecret,
        _ => {
            return Err(Problem::bad("invalid_value", "`what` is \"auth_token\" or \"webhook_secret\"").at("what"));
        }
    };
    let (accounts, tenant) = (app.inner.accounts.clone(), caller.tenant().to_owned());
    // In a task of its own: a client that hangs up now must not leave memory and database apart.
    let rotated = tokio::spawn(async move { accounts.rotate(&tenant, what).await });
    let account = rotated.await.map_err(|_| Problem::overloaded())??;
    tracing::info!(tenant = caller.tenant(), ?what, "a secret of the account was made anew");
    Ok(shown(&caller, &account))
}

/// A tenant, and what it proves itself by.
#[derive(Serialize, ToSchema)]
#[schema(as = Account)]
struct AccountResource<'a> {
    tenant: &'a str,
    /// What it is called in requests for documents.
    account_sid: &'a str,
    /// What signs them; only for keys with the scope `admin`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    auth_token: Option<&'a str>,
    /// What signs callbacks; only for keys with the scope `admin`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    webhook_secret: Option<&'a str>,
}

fn shown(caller: &Caller, account: &Account) -> Response {
    let admin = caller.may(Scope::Admin).is_ok();
    let body = AccountResource {
        tenant: caller.tenant(),
        account_sid: &account.account_sid,
        auth_token: admin.then_some(&account.auth_token),
        webhook_secret: admin.then_some(&account.webhook_secret),
    };
    (StatusCode::OK, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}
