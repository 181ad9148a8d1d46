//! What calls ask of the world outside, put together from the configuration.

use crate::config::Config;
use api::errands::{Egress, EgressError, Endpoint, Errands, Means, Policy, SpeechConfig, SystemLookup};
use api::{Commander, Flows};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What each tenant's programs call it in their requests.
pub fn accounts(config: &Config) -> BTreeMap<String, String> {
    let account = |tenant: &crate::config::Tenant| Some((tenant.name.clone(), tenant.account_sid.clone()?));
    config.tenants.iter().filter_map(account).collect()
}

/// Who does what calls ask of the world outside.
pub fn errands(config: &Config, flows: Flows, commander: Commander) -> Result<Errands, EgressError> {
    let token = |tenant: &crate::config::Tenant| Some((tenant.name.clone(), tenant.auth_token.clone()?));
    let tokens: BTreeMap<String, carrier::Secret> = config.tenants.iter().filter_map(token).collect();
    let endpoint = config.speech.endpoint.as_ref().map(|endpoint| Endpoint {
        url: endpoint.url.clone(),
        model: endpoint.model.clone(),
        voice: endpoint.voice.clone(),
        key: endpoint.key.as_ref().map(|key| key.expose().to_owned()),
    });
    let cache = config.speech.cache.clone().map(|(dir, mb)| (dir, mb << 20));
    Errands::new(Means {
        egress: Egress::new(Policy::new(config.egress_allow.clone()), Arc::new(SystemLookup))?,
        tokens: Arc::new(move |tenant: &str| tokens.get(tenant).map(|token| token.expose().to_owned())),
        speech: SpeechConfig { endpoint, cache, ..SpeechConfig::default() },
        flows,
        commander,
        runtime: tokio::runtime::Handle::current(),
    })
}
