//! The one path by which other tenants, trunks, numbers, users and limits come into force: from the configuration file,
//! when it is read again, and from HTTP.
//!
//! | module | what it is |
//! |---|---|
//! | [`read`](self) | documents read, each field checked |
//! | [`made`](self) | what was made over HTTP, as the database has it and as a directory |
//!
//! One change is made at a time. It is checked as a whole first: the directory that would come of it is put together, the
//! prompts that it names are decoded, the switch's own form of it is made ready. Then it is written to the database, where
//! it is for the database, and only then does the API's [`Directory`] change and the switch hear of it. So a change that
//! is refused has changed nothing, and one that was answered with success survives a restart.

mod made;
mod read;
mod routing;

pub use made::Kind;
pub use read::{MAX_LIMIT, MAX_REQUESTS_PER_MINUTE, limits, money};
pub use routing::{ROUTING, routing};

use crate::accounts::{AccountError, Accounts};
use crate::commander::{Commander, Gone};
use crate::directory::{Current, Directory, Origin};
use crate::http::Problem;
use crate::prompts::{PromptError, Prompts};
use crate::secrets::{Sealer, SecretsError};
use crate::store::{Store, StoreError};
use axum::http::StatusCode;
use carrier::Secret;
use made::{Id, Made};
use serde_json::{Map, Value};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use switch::registrar::RegistrarConfig;
use switch::{Command, Provisioned, Provisioning};
use tokio::sync::Mutex;

/// What a registry works with.
pub struct Means {
    /// Where what was made over HTTP is kept.
    pub store: Store,
    /// What seals its secrets.
    pub sealer: Sealer,
    /// The tenants' accounts.
    pub accounts: Accounts,
    /// What numbers may play.
    pub prompts: Prompts,
    /// The way to the switch.
    pub commander: Commander,
    /// The directory that the API reads.
    pub directory: Current,
    /// What of the registrar does not change while the process runs; its tenants and users are the directory's.
    pub registrar: RegistrarConfig,
    /// Who else is told of each change: the rim, whose sockets know carriers from strangers.
    pub told: Box<dyn Fn(&Provisioned) + Send + Sync>,
}

/// Why there is no registry, or why a file does not come into force.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The database is away.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The key file does not open what is stored.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// A tenant's account.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// A prompt that a number of the file names.
    #[error("[[number]] {number}: {error}")]
    Prompt {
        /// The number.
        number: String,
        /// What is wrong with the prompt.
        error: PromptError,
    },
    /// A trunk that cannot be.
    #[error(transparent)]
    Config(#[from] switch::ConfigError),
    /// Signalling has ended.
    #[error(transparent)]
    Gone(#[from] Gone),
}

/// The registry. Cloning is cheap; all clones are one.
#[derive(Clone)]
pub struct Registry {
    inner: Arc<Inner>,
}

struct Inner {
    means: Means,
    /// One change at a time.
    state: Mutex<State>,
    /// What was made over HTTP is known.
    whole: AtomicBool,
}

struct State {
    file: Directory,
    made: Made,
}

/// A change that somebody asks for over HTTP.
#[derive(Clone, Debug)]
pub struct Change {
    /// Of what kind it is.
    pub kind: Kind,
    /// The tenant whose name `name` is; empty where the whole switch knows it by that.
    pub scope: String,
    /// Its name.
    pub name: String,
    /// The fields that are given; one that is null goes back to what is unsaid.
    pub fields: Map<String, Value>,
    /// The password that is given.
    pub secret: Option<Secret>,
    /// Whether it is to be made; else it is to be there already.
    pub create: bool,
    /// When: milliseconds since the Unix epoch.
    pub at: u64,
}

impl Registry {
    /// What the file names and what the database holds, merged: the directory has it, the switch is yet to be told. Where the
    /// database is away, it is what the file names, until [`Registry::catch_up`].
    ///
    /// # Errors
    /// Where the database is away, or holds what the key does not open.
    pub async fn open(means: Means, file: Directory) -> Result<Self, RegistryError> {
        let whole = !means.store.is_awaited();
        let (made, mut notes) =
            if whole { Made::load(&means.store, &means.sealer).await? } else { (Made::default(), Vec::new()) };
        let (directory, aside) = file.merge(made.directory());
        notes.extend(aside);
        notes.iter().for_each(|note| tracing::warn!("{note}"));
        if whole {
            for tenant in directory.tenants.keys() {
                means.accounts.of(tenant).await?;
            }
        }
        means.directory.store(Arc::new(directory));
        let whole = AtomicBool::new(whole);
        Ok(Self { inner: Arc::new(Inner { means, state: Mutex::new(State { file, made }), whole }) })
    }

    /// What the switch is to be told at its birth.
    #[must_use]
    pub fn provisioning(&self) -> Provisioning {
        self.inner.provisioning(&self.inner.means.directory.load(), !self.is_whole())
    }

    /// Decodes the prompts that numbers name, before the first call can come.
    ///
    /// # Errors
    /// A prompt that a number of the file names and that is not there. One of a number that was made over HTTP is only said.
    pub async fn load_prompts(&self) -> Result<(), RegistryError> {
        self.inner.load_prompts(&self.inner.means.directory.load_full()).await
    }

    /// Another file comes into force, or nothing changes. What has to stand aside for it is said, a sentence each.
    ///
    /// # Errors
    /// Where it cannot be.
    pub async fn reload(&self, file: Directory) -> Result<Vec<String>, RegistryError> {
        let registry = self.clone();
        let task = async move {
            let inner = &registry.inner;
            let mut state = inner.state.lock().await;
            let (directory, aside) = file.merge(state.made.directory());
            for tenant in directory.tenants.keys() {
                inner.means.accounts.of(tenant).await?;
            }
            inner.load_prompts(&directory).await?;
            let provisioned = inner.ready(&directory, !registry.is_whole()).await?;
            inner.publish(directory, provisioned).await?;
            state.file = file;
            Ok(aside)
        };
        // In a task of its own, as every change: who asked may not be there to its end.
        tokio::spawn(task).await.map_err(|_| Gone)?
    }

    /// Whether what was made over HTTP is known: the database has been there since the start.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.inner.whole.load(Ordering::Acquire)
    }

    /// Takes in what was made over HTTP, of a database that was away at the start.
    ///
    /// # Errors
    /// Where it is away still, or holds what the key does not open.
    pub async fn catch_up(&self) -> Result<(), RegistryError> {
        let inner = &self.inner;
        let mut state = inner.state.lock().await;
        let (made, mut notes) = Made::load(&inner.means.store, &inner.means.sealer).await?;
        let (directory, aside) = state.file.merge(made.directory());
        notes.extend(aside);
        for tenant in directory.tenants.keys() {
            inner.means.accounts.of(tenant).await?;
        }
        inner.load_prompts(&directory).await?;
        let provisioned = inner.ready(&directory, false).await?;
        notes.iter().for_each(|note| tracing::warn!("{note}"));
        inner.publish(directory, provisioned).await?;
        state.made = made;
        inner.whole.store(true, Ordering::Release);
        Ok(())
    }

    /// Makes something, or changes what was made over HTTP.
    ///
    /// # Errors
    /// What is wrong with it, with the field; 404 where there is none to change, 409 where there is one already or the file
    /// names it; 503 where the database is away.
    pub(crate) async fn put(&self, change: Change) -> Result<(), Problem> {
        let registry = self.clone();
        let task = async move { registry.inner.put(change).await };
        tokio::spawn(task).await.map_err(|_| Problem::overloaded())?
    }

    /// Takes away what was made over HTTP.
    ///
    /// # Errors
    /// 404 where there is none, 409 where the file names it or something else needs it; 503 where the database is away.
    pub(crate) async fn remove(&self, kind: Kind, scope: String, name: String) -> Result<(), Problem> {
        let registry = self.clone();
        let task = async move { registry.inner.remove(kind, scope, name).await };
        tokio::spawn(task).await.map_err(|_| Problem::overloaded())?
    }
}

impl Inner {
    fn provisioning(&self, directory: &Directory, partial: bool) -> Provisioning {
        let account = |tenant: &str| self.means.accounts.known(tenant).map(|account| account.account_sid.clone());
        directory.provisioning(&self.means.registrar, partial, account)
    }

    async fn load_prompts(&self, directory: &Directory) -> Result<(), RegistryError> {
        for (number, owned) in &directory.numbers {
            let Some(answer) = &owned.answer else { continue };
            match self.means.prompts.ensure(answer.prompts()).await {
                Ok(()) => {}
                Err(error) if owned.origin == Origin::File => {
                    return Err(RegistryError::Prompt { number: number.clone(), error });
                }
                Err(error) => {
                    tracing::warn!(number, %error, "a number made over HTTP names a prompt that is not there")
                }
            }
        }
        Ok(())
    }

    /// The switch's own form of it. Passwords are hashed for it: not on a thread that others wait for.
    async fn ready(&self, directory: &Directory, partial: bool) -> Result<Arc<Provisioned>, RegistryError> {
        let provisioning = self.provisioning(directory, partial);
        let ready = tokio::task::spawn_blocking(move || Provisioned::new(provisioning));
        Ok(Arc::new(ready.await.map_err(|_| Gone)??))
    }

    async fn publish(&self, directory: Directory, provisioned: Arc<Provisioned>) -> Result<(), Gone> {
        (self.means.told)(&provisioned);
        self.means.directory.store(Arc::new(directory));
        self.means.commander.send(Command::Provision(provisioned)).await
    }

    /// Nothing is changed while it is not known what there is.
    fn is_known(&self) -> Result<(), Problem> {
        if self.whole.load(Ordering::Acquire) { Ok(()) } else { Err(Problem::not_known_yet()) }
    }

    async fn put(&self, change: Change) -> Result<(), Problem> {
        let mut state = self.state.lock().await;
        self.is_known()?;
        let id = Id { kind: change.kind, scope: change.scope.clone(), name: change.name.clone() };
        let (is_made, is_named) = (state.made.contains(&id), id.is_in(&state.file));
        if is_named {
            let code = if change.create { already(&id) } else { managed_by_file(&id) };
            return Err(code);
        }
        match (change.create, is_made) {
            (true, true) => return Err(already(&id)),
            (false, false) => return Err(not_found(id.kind)),
            _ => {}
        }
        let mut made = state.made.clone();
        let row = made.put(&change, &self.means.sealer)?;
        let (directory, _) = state.file.merge(made.directory());
        if let Some(aside) = id.missing_in(&directory) {
            return Err(aside);
        }
        if let Some(problem) = taken_from_others(&id, &directory) {
            return Err(problem);
        }
        if let Some(answer) = directory.numbers.get(&id.name).and_then(|owned| owned.answer.as_ref())
            && id.kind == Kind::Number
        {
            self.means.prompts.ensure(answer.prompts()).await?;
        }
        if id.kind == Kind::Tenant {
            self.means.accounts.of(&id.name).await?;
        }
        let provisioned = self.ready(&directory, false).await.map_err(refused)?;
        self.means.store.put_provisioned(&row).await?;
        state.made = made;
        Ok(self.publish(directory, provisioned).await?)
    }

    async fn remove(&self, kind: Kind, scope: String, name: String) -> Result<(), Problem> {
        let mut state = self.state.lock().await;
        self.is_known()?;
        let id = Id { kind, scope, name };
        if id.is_in(&state.file) {
            return Err(managed_by_file(&id));
        }
        if !state.made.contains(&id) {
            return Err(not_found(kind));
        }
        if kind == Kind::Tenant {
            self.is_empty(&state, &id.name).await?;
        }
        let mut made = state.made.clone();
        made.remove(&id);
        let (directory, _) = state.file.merge(made.directory());
        let provisioned = self.ready(&directory, false).await.map_err(refused)?;
        self.means.store.delete_provisioned(kind.as_str(), &id.scope, &id.name).await?;
        state.made = made;
        Ok(self.publish(directory, provisioned).await?)
    }

    /// A tenant is taken away last: what is somebody's would be nobody's.
    async fn is_empty(&self, state: &State, tenant: &str) -> Result<(), Problem> {
        let of = |directory: &Directory| {
            directory.numbers.values().any(|number| number.tenant == tenant)
                || directory.users.keys().any(|(owner, _)| owner == tenant)
        };
        let keys = self.means.store.keys_of(tenant).await?;
        if !of(&state.file) && !of(state.made.directory()) && keys.is_empty() {
            return Ok(());
        }
        let detail = "this tenant still has numbers, users or keys; delete those first";
        Err(Problem::conflict("tenant_in_use", detail))
    }
}

fn refused(error: RegistryError) -> Problem {
    match error {
        RegistryError::Config(error) => Problem::bad("invalid_value", error.to_string()),
        RegistryError::Store(error) => error.into(),
        error => {
            tracing::error!(%error, "a change could not be made");
            Problem::overloaded()
        }
    }
}

/// Phones name a user and a SIP domain, and no tenant: where two tenants share a domain (none of their own is one), the second
/// of two users of one name would be a user that can never register, or the first would be, with its calls the other's.
fn taken_from_others(id: &Id, directory: &Directory) -> Option<Problem> {
    let tenant = match id.kind {
        Kind::User => &id.scope,
        Kind::Tenant => &id.name,
        Kind::Trunk | Kind::Number => return None,
    };
    let domain = |tenant: &String| directory.tenants.get(tenant).and_then(|tenant| tenant.sip_domain.clone());
    let own = domain(tenant);
    let is_meant = |name: &String| match id.kind {
        Kind::User => *name == id.name,
        _ => directory.users.contains_key(&(tenant.clone(), name.clone())),
    };
    let is_others = |owner: &String, name: &String| owner != tenant && is_meant(name) && domain(owner) == own;
    let (_, name) = directory.users.keys().find(|(owner, name)| is_others(owner, name))?;
    let detail =
        format!("another tenant of the same SIP domain has a user {name}; give this tenant a sip_domain of its own");
    let field = if id.kind == Kind::User { "name" } else { "sip_domain" };
    Some(Problem::conflict("user_exists", detail).at(field))
}

fn already(id: &Id) -> Problem {
    let kind = id.kind.as_str();
    let (code, field) = match id.kind {
        Kind::Tenant => ("tenant_exists", "name"),
        Kind::Trunk => ("trunk_exists", "name"),
        Kind::Number => ("number_exists", "number"),
        Kind::User => ("user_exists", "name"),
    };
    Problem::conflict(code, format!("there is a {kind} of this name already")).at(field)
}

fn managed_by_file(id: &Id) -> Problem {
    let detail = format!("the configuration file names this {}; change it there and send SIGHUP", id.kind.as_str());
    Problem::conflict("managed_by_file", detail)
}

/// 404, also where it is another tenant's.
pub(crate) fn not_found(kind: Kind) -> Problem {
    let code = match kind {
        Kind::Tenant => "tenant_not_found",
        Kind::Trunk => "trunk_not_found",
        Kind::Number => "number_not_found",
        Kind::User => "user_not_found",
    };
    Problem::new(StatusCode::NOT_FOUND, code, format!("there is no {} of this name", kind.as_str()))
}
