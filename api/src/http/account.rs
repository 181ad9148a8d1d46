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
use serde_json::json;

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

pub(super) async fn get(State(app): Api, caller: Caller, params: Params) -> Result<Response, Problem> {
    caller.may(Scope::Read)?;
    params.only(&[])?;
    let account = app.inner.accounts.of(caller.tenant()).await?;
    Ok(shown(&caller, &account))
}

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

fn shown(caller: &Caller, account: &Account) -> Response {
    let mut body = json!({ "tenant": caller.tenant(), "account_sid": account.account_sid });
    if caller.may(Scope::Admin).is_ok() {
        body["auth_token"] = account.auth_token.as_str().into();
        body["webhook_secret"] = account.webhook_secret.as_str().into();
    }
    (StatusCode::OK, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}
