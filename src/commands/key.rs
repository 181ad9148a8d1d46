//! `tandem key create`: an API key, shown once.

use super::{Outcome, load};
use api::{Scope, Store, create_key as make, system_wall};
use std::path::Path;

/// Makes a key for a tenant of the file, or one that was made over HTTP; a running switch knows it at once.
pub async fn create_key(config: &Path, tenant: &str, scopes: &[String]) -> Outcome {
    let config = load(config)?;
    let scopes = scopes.iter().map(|scope| scope.parse()).collect::<Result<Vec<Scope>, _>>()?;
    let store = Store::open(&config.database_url).await?;
    let made = store.provisioned().await?.into_iter().filter(|row| row.kind == "tenant").map(|row| row.name);
    let names: Vec<String> = config.tenants.iter().map(|known| known.name.clone()).chain(made).collect();
    if !names.iter().any(|known| known == tenant) {
        return Err(format!("there is no tenant \"{tenant}\"; there is {}", names.join(", ")).into());
    }
    let key = make(&store, tenant, &scopes, system_wall()()).await?;
    store.close().await;
    println!("{key}");
    eprintln!("This key is shown once; it is kept as a hash only.");
    Ok(())
}
