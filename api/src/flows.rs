//! Flows by name: those a tenant has stored, and the ones that come with the product.
//!
//! A call asks for a flow when it comes to it and keeps what it was given. A flow that was given before is given again
//! while the database is away.

use crate::prompts::{PromptError, Prompts};
use crate::store::flows::FlowRow;
use crate::store::{Store, StoreError};
use ivr::{Flow, FlowError};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The name of the flow that takes messages ([`ivr::VOICEMAIL`]). A tenant's own of this name takes its place.
pub const VOICEMAIL: &str = "voicemail";

/// Flows of one tenant. One more is refused.
pub const MAX_FLOWS: usize = 1_000;

/// Flows that are held read; one more takes the place of any.
pub const MAX_HELD: usize = 1_000;

/// Flows that one simulation may lead through. What lies beyond is as if it were not there.
pub const MAX_REACHED: usize = 64;

/// How long a call waits for the database before it gets what was read before.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why a flow is not stored.
#[derive(Debug, thiserror::Error)]
pub enum PutError {
    /// The document is none.
    #[error("the flow has {} mistakes", .0.len())]
    Wrong(Vec<FlowError>),
    /// A prompt that it names.
    #[error(transparent)]
    Prompt(#[from] PromptError),
    /// [`MAX_FLOWS`].
    #[error("a tenant has at most {MAX_FLOWS} flows; delete one")]
    TooMany,
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A flow with what the store knows of it.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Its row; none: it comes with the product.
    pub row: Option<FlowRow>,
    /// Itself.
    pub flow: Arc<Flow>,
}

/// The catalogue. Cloning is cheap; all clones are one.
#[derive(Clone)]
pub struct Flows {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    prompts: Prompts,
    /// By tenant and name, as they were last read.
    held: Mutex<HashMap<(String, String), Arc<Flow>>>,
    /// Those that come with the product, by name.
    shipped: Vec<(&'static str, Arc<Flow>)>,
}

impl Flows {
    /// The prompts that flows, and whatever else runs on a call, may name.
    pub(crate) fn prompts(&self) -> &Prompts {
        &self.inner.prompts
    }

    /// The flows of `store`, whose prompts `prompts` knows.
    #[must_use]
    pub fn new(store: Store, prompts: Prompts) -> Self {
        let shipped = [(VOICEMAIL, ivr::VOICEMAIL)].into_iter().filter_map(|(name, document)| {
            let value: Value = serde_json::from_str(document).ok()?;
            Some((name, Arc::new(Flow::parse(&value).ok()?)))
        });
        Self { inner: Arc::new(Inner { store, prompts, held: Mutex::default(), shipped: shipped.collect() }) }
    }

    /// The names of the flows that come with the product.
    pub fn shipped(&self) -> impl Iterator<Item = (&'static str, &Arc<Flow>)> {
        self.inner.shipped.iter().map(|(name, flow)| (*name, flow))
    }

    /// For a call: the newest version of a flow of `tenant`, with the switch told of its prompts; `None` where there is
    /// none, or it cannot be had.
    pub async fn for_call(&self, tenant: &str, name: &str) -> Option<Arc<Flow>> {
        let found = match tokio::time::timeout(PATIENCE, self.find(tenant, name)).await {
            Ok(Ok(found)) => found.map(|stored| stored.flow),
            late => {
                if let Ok(Err(error)) = late {
                    tracing::warn!(%error, tenant, name, "a flow is asked for while the database is away");
                }
                self.held().get(&(tenant.to_owned(), name.to_owned())).cloned().or_else(|| self.of_product(name))
            }
        };
        let flow = found?;
        // One that has gone since the flow was stored: the program says so where it is to be heard.
        for prompt in flow.prompts() {
            if let Err(error) = self.inner.prompts.ensure([prompt]).await {
                tracing::warn!(%error, tenant, name, "a flow names a prompt that cannot be played");
            }
        }
        Some(flow)
    }

    /// A flow of `tenant`, its own or the product's.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn find(&self, tenant: &str, name: &str) -> Result<Option<Stored>, StoreError> {
        let Some(row) = self.inner.store.flow(tenant, name).await? else {
            self.held().remove(&(tenant.to_owned(), name.to_owned()));
            return Ok(self.of_product(name).map(|flow| Stored { row: None, flow }));
        };
        let key = (tenant.to_owned(), name.to_owned());
        let held = self.held().get(&key).cloned().filter(|flow| flow.version() == row.digest);
        let flow = match held {
            Some(flow) => flow,
            None => {
                let value: Value = serde_json::from_str(&row.document)?;
                let Ok(flow) = Flow::parse(&value) else {
                    tracing::error!(tenant, name, "a stored flow is none to this version; store it again");
                    return Ok(None);
                };
                let flow = Arc::new(flow);
                self.hold(key, &flow);
                flow
            }
        };
        Ok(Some(Stored { row: Some(row), flow }))
    }

    /// The flows that `tenant` has stored, by name, without their documents.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn list(&self, tenant: &str) -> Result<Vec<FlowRow>, StoreError> {
        self.inner.store.flows(tenant).await
    }

    /// Stores `document` as a flow of `tenant`, at `at` (milliseconds since the Unix epoch).
    ///
    /// # Errors
    /// Everything that is wrong with it, or why it cannot be stored.
    pub async fn put(&self, tenant: &str, name: &str, document: &Value, at: u64) -> Result<Stored, PutError> {
        let flow = Arc::new(Flow::parse(document).map_err(PutError::Wrong)?);
        self.inner.prompts.ensure(flow.prompts()).await?;
        let stored = self.inner.store.flows(tenant).await?;
        if stored.len() >= MAX_FLOWS && !stored.iter().any(|row| row.name == name) {
            return Err(PutError::TooMany);
        }
        let row = FlowRow {
            name: name.to_owned(),
            version: 0,
            digest: flow.version().to_owned(),
            updated_at: at,
            document: document.to_string(),
        };
        self.inner.store.put_flow(tenant, &row).await?;
        self.hold((tenant.to_owned(), name.to_owned()), &flow);
        Ok(Stored { row: self.inner.store.flow(tenant, name).await?, flow })
    }

    /// Takes a flow of `tenant` away; whether it had one.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn delete(&self, tenant: &str, name: &str) -> Result<bool, StoreError> {
        let was_there = self.inner.store.delete_flow(tenant, name).await?;
        self.held().remove(&(tenant.to_owned(), name.to_owned()));
        Ok(was_there)
    }

    /// The flows that `flow` leads to, by name, and those that they do.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn reached(&self, tenant: &str, flow: &Flow) -> Result<HashMap<String, Arc<Flow>>, StoreError> {
        let mut reached: HashMap<String, Arc<Flow>> = HashMap::new();
        let mut open: Vec<String> = flow.flows().into_iter().map(str::to_owned).collect();
        while let Some(name) = open.pop() {
            if reached.len() >= MAX_REACHED || reached.contains_key(&name) {
                continue;
            }
            if let Some(stored) = self.find(tenant, &name).await? {
                open.extend(stored.flow.flows().into_iter().map(str::to_owned));
                reached.insert(name, stored.flow);
            }
        }
        Ok(reached)
    }

    fn of_product(&self, name: &str) -> Option<Arc<Flow>> {
        self.inner.shipped.iter().find(|(known, _)| *known == name).map(|(_, flow)| Arc::clone(flow))
    }

    fn held(&self) -> std::sync::MutexGuard<'_, HashMap<(String, String), Arc<Flow>>> {
        self.inner.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hold(&self, key: (String, String), flow: &Arc<Flow>) {
        let mut held = self.held();
        if held.len() >= MAX_HELD && !held.contains_key(&key) {
            let any = held.keys().next().cloned();
            any.map(|any| held.remove(&any));
        }
        held.insert(key, Arc::clone(flow));
    }
}
