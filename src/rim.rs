//! What calls ask of the world outside, and whose accounts they are, put together from the configuration.

use crate::config::Config;
use api::accounts::{AccountError, Accounts, Given};
use api::errands::{Egress, EgressError, Endpoint, Errands, Means, Recogniser, SpeechConfig};
use api::secrets::Sealer;
use api::{Commander, Directory, Flows, Origin, OwnedNumber, Store, Trunk};
use std::collections::BTreeMap;
use std::sync::Arc;
use switch::registrar::RegistrarConfig;

/// The realm of digest challenges where no domain is named.
const DEFAULT_REALM: &str = "tandem";

/// The tenants' accounts, made where they are missing; what the configuration says of them wins.
pub async fn accounts(config: &Config, store: &Store, sealer: Sealer) -> Result<Accounts, AccountError> {
    Accounts::open(store.clone(), sealer, given(config)).await
}

/// What the configuration says of the tenants' accounts.
pub fn given(config: &Config) -> BTreeMap<String, Given> {
    let given = |tenant: &crate::config::Tenant| {
        let auth_token = tenant.auth_token.as_ref().map(|token| token.expose().to_owned());
        (tenant.name.clone(), Given { account_sid: tenant.account_sid.clone(), auth_token })
    };
    config.tenants.iter().map(given).collect()
}

/// What of the registrar stays as it is while the process runs; its tenants and users are the directory's.
pub fn registrar(config: &Config) -> RegistrarConfig {
    RegistrarConfig {
        open: config.sip.registrar == crate::config::Registrar::Open,
        algorithms: config.sip.digest.clone(),
        realm: config.sip.domains.first().map_or_else(|| DEFAULT_REALM.to_owned(), Clone::clone),
        domains: config.sip.domains.clone(),
        ..RegistrarConfig::default()
    }
}

/// The tenants, numbers, users, trunks and limits that the configuration names.
pub fn named(config: &Config) -> Directory {
    let origin = Origin::File;
    let tenant = |(rank, tenant): (usize, &crate::config::Tenant)| {
        let of = api::Tenant {
            trunk_access: tenant.trunk_access,
            sip_domain: tenant.sip_domain.clone(),
            api_requests_per_minute: tenant.api_requests_per_minute,
            limits: tenant.limits.clone(),
            rank,
            origin,
        };
        (tenant.name.clone(), of)
    };
    let number = |number: &crate::config::Number| {
        let of = OwnedNumber { tenant: number.tenant.clone(), answer: number.answer.clone(), origin };
        (number.number.clone(), of)
    };
    let user = |user: &crate::config::User| {
        ((user.tenant.clone(), user.name.clone()), api::User { password: user.password.clone(), origin })
    };
    Directory {
        tenants: config.tenants.iter().enumerate().map(tenant).collect(),
        numbers: config.numbers.iter().map(number).collect(),
        users: config.users.iter().map(user).collect(),
        trunks: config.trunks.iter().map(|config| Trunk { config: config.clone(), origin }).collect(),
        rates: config.rates.clone(),
        limits: api::Limits {
            api_requests_per_minute: config.limits.api_requests_per_minute,
            calls_per_second: config.limits.calls_per_second,
            concurrent_calls: u32::try_from(config.limits.concurrent_calls).unwrap_or(u32::MAX),
        },
    }
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
    let recogniser = config.speech.recogniser.as_ref().map(|recogniser| Recogniser {
        url: recogniser.url.clone(),
        model: recogniser.model.clone(),
        key: recogniser.key.as_ref().map(|key| key.expose().to_owned()),
    });
    let cache = config.speech.cache.clone().map(|(dir, mb)| (dir, mb << 20));
    Errands::new(Means {
        egress,
        tokens: Arc::new(move |tenant: &str| accounts.known(tenant).map(|account| account.auth_token.clone())),
        speech: SpeechConfig { endpoint, recogniser, cache, ..SpeechConfig::default() },
        flows,
        commander,
        runtime: tokio::runtime::Handle::current(),
    })
}
