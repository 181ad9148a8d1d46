//! The account: made once, read by its own tenant alone, made anew when asked.

use crate::support::{Board, KEY, databases};
use api::accounts::{AccountError, Accounts, Given, What};
use api::secrets::{Sealer, SecretsError};
use api::{Scope, Store};
use axum::http::StatusCode;
use serde_json::{Value, json};

fn text(account: &Value, field: &str) -> String {
    account[field].as_str().unwrap_or_default().to_owned()
}

fn is_hex(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

#[tokio::test]
async fn a_tenant_reads_its_account_and_the_secrets_of_it_only_with_an_admin_key() {
    let board = Board::new().await;
    let own = board.get("/v1/account").await;
    assert_eq!((own.status, own.header("cache-control")), (StatusCode::OK, "no-store"));
    let own = own.json();
    assert_eq!(own["tenant"], "default");
    assert!(text(&own, "account_sid").strip_prefix("AC").is_some_and(is_hex), "{own}");
    assert!(is_hex(&text(&own, "auth_token")), "{own}");
    assert!(text(&own, "webhook_secret").strip_prefix("whsec_").is_some_and(|key| key.len() >= 32), "{own}");
    let read = api::create_key(board.ledger.store(), "default", &[Scope::Calls], 1).await.unwrap();
    let seen = board.get_as(&read, "/v1/account").await.json();
    assert_eq!(seen, json!({ "tenant": "default", "account_sid": own["account_sid"] }));
    let other = api::create_key(board.ledger.store(), "other", &[Scope::Admin], 1).await.unwrap();
    let others = board.get_as(&other, "/v1/account").await.json();
    for field in ["tenant", "account_sid", "auth_token", "webhook_secret"] {
        assert!(others[field].is_string() && others[field] != own[field], "{field}");
    }
}

#[tokio::test]
async fn a_secret_is_made_anew_by_an_admin_and_outlives_a_restart() {
    let board = Board::new().await;
    let before = board.get("/v1/account").await.json();
    let calls = api::create_key(board.ledger.store(), "default", &[Scope::Calls], 1).await.unwrap();
    let what = json!({ "what": "webhook_secret" });
    board.post_as(&calls, "/v1/account/rotate", what.clone()).await.is_problem(403, "insufficient_scope");
    board.post("/v1/account/rotate", json!({ "what": "tenant" })).await.is_problem(400, "invalid_value");
    board.post("/v1/account/rotate", json!({})).await.is_problem(400, "missing_field");
    let rotated = board.post("/v1/account/rotate", what).await.json();
    assert_ne!(rotated["webhook_secret"], before["webhook_secret"]);
    assert_eq!(rotated["auth_token"], before["auth_token"]);
    let both = board.post("/v1/account/rotate", json!({ "what": "auth_token" })).await.json();
    assert!(both["auth_token"] != before["auth_token"] && both["webhook_secret"] == rotated["webhook_secret"]);
    assert_eq!(both["account_sid"], before["account_sid"]);
    assert_eq!(board.get_as(KEY, "/v1/account").await.json(), both);
    assert_eq!(board.again().await.get("/v1/account").await.json(), both);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_lie_sealed_in_either_database_and_open_with_their_own_key_alone() {
    for (url, dir) in databases().await {
        let store = Store::open(&url).await.unwrap();
        let sealer = Sealer::open(&dir.path().join("tandem.key")).unwrap();
        let given = || [("default".to_owned(), Given::default())].into();
        let account =
            Accounts::open(store.clone(), sealer.clone(), given()).await.unwrap().of("default").await.unwrap();
        let row = store.account("default").await.unwrap().unwrap();
        assert_eq!(row.account_sid, account.account_sid);
        assert!(!row.auth_token.contains(&account.auth_token) && !row.webhook_secret.contains("whsec_"));
        let again = Accounts::open(store.clone(), sealer.clone(), given()).await.unwrap();
        assert_eq!(again.of("default").await.unwrap(), account);
        let rotated = again.rotate("default", What::AuthToken).await.unwrap();
        let after = Accounts::open(store.clone(), sealer.clone(), given()).await.unwrap();
        assert_eq!(after.of("default").await.unwrap(), rotated);
        let file = Given { account_sid: Some("ACfile".into()), auth_token: Some("by hand".into()) };
        let named = Accounts::open(store.clone(), sealer, [("default".to_owned(), file)].into()).await.unwrap();
        let of_file = named.of("default").await.unwrap();
        assert_eq!((&*of_file.account_sid, &*of_file.auth_token), ("ACfile", "by hand"));
        let refused = named.rotate("default", What::AuthToken).await;
        assert!(matches!(refused, Err(AccountError::ManagedByFile)));
        let strange = Sealer::open(&dir.path().join("other.key")).unwrap();
        let refused = Accounts::open(store, strange, given()).await.err();
        assert!(matches!(refused, Some(AccountError::Secrets(SecretsError::WrongKey))));
    }
}
