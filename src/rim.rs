//! What calls ask of the world outside, and whose accounts they are, put together from the configuration.

use crate::config::Config;
use api::accounts::{AccountError, Accounts, Given};
use api::errands::{Egress, EgressError, Endpoint, Errands, Means, SpeechConfig};
use api::secrets::Sealer;
use api::{Commander, Flows, Store};
use std::sync::Arc;

/// The tenants' accounts, made where they are missing; what the configuration says of them wins.
pub async fn accounts(config: &Config, store: &Store) -> Result<Accounts, AccountError> {
    let given = |tenant: &crate::config::Tenant| {
        let auth_token = tenant.auth_token.as_ref().map(|token| token.expose().to_owned());
        (tenant.name.clone(), Given { account_sid: tenant.account_sid.clone(), auth_token })
    };
    let given = config.tenants.iter().map(given).collect();
    Accounts::open(store.clone(), Sealer::open(&config.key_file)?, given).await
}

/// Who does what calls ask of the world outside.
pub fn errands(
    config: &Config,
    egress: Egress,
    accounts: &Accounts,
    flows: Flows,
    commander: Commander,
) -> Result<Errands, EgressError> {
    let accounts = accounts.clone();
    let endpoint = config.speech.endpoint.as_ref().map(|endpoint| Endpoint {
        url: endpoint.url.clone(),
        model: endpoint.model.clone(),
        voice: endpoint.voice.clone(),
        key: endpoint.key.as_ref().map(|key| key.expose().to_owned()),
    });
    let cache = config.speech.cache.clone().map(|(dir, mb)| (dir, mb << 20));
    Errands::new(Means {
        egress,
        tokens: Arc::new(move |tenant: &str| accounts.known(tenant).map(|account| account.auth_token.clone())),
        speech: SpeechConfig { endpoint, cache, ..SpeechConfig::default() },
        flows,
        commander,
        runtime: tokio::runtime::Handle::current(),
    })
}
