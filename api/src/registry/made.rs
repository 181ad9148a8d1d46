//! What was made over HTTP: the database's rows, and the directory that they make.

use super::{Change, read};
use crate::directory::{Directory, Tenant};
use crate::http::Problem;
use crate::secrets::{Sealer, SecretsError};
use crate::store::provisioned::ProvisionedRow;
use crate::store::{Store, StoreError};
use carrier::Secret;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// What can be made of a kind over HTTP, before one more is refused with 409.
const MAX_TENANTS: usize = 10_000;
/// As [`MAX_TENANTS`].
const MAX_TRUNKS: usize = 1_000;
/// As [`MAX_TENANTS`]; numbers and users each.
const MAX_NAMES: usize = 100_000;

/// What is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A tenant.
    Tenant,
    /// A trunk.
    Trunk,
    /// A number.
    Number,
    /// A user.
    User,
}

impl Kind {
    /// As in the database and in errors.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Trunk => "trunk",
            Self::Number => "number",
            Self::User => "user",
        }
    }

    fn named(word: &str) -> Option<Self> {
        [Self::Tenant, Self::Trunk, Self::Number, Self::User].into_iter().find(|kind| kind.as_str() == word)
    }

    const fn most(self) -> usize {
        match self {
            Self::Tenant => MAX_TENANTS,
            Self::Trunk => MAX_TRUNKS,
            Self::Number | Self::User => MAX_NAMES,
        }
    }
}

/// What something is found by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Id {
    pub(super) kind: Kind,
    pub(super) scope: String,
    pub(super) name: String,
}

impl Id {
    fn of(row: &ProvisionedRow) -> Option<Self> {
        Some(Self { kind: Kind::named(&row.kind)?, scope: row.scope.clone(), name: row.name.clone() })
    }

    /// Whether a directory has it.
    pub(super) fn is_in(&self, directory: &Directory) -> bool {
        match self.kind {
            Kind::Tenant => directory.tenants.contains_key(&self.name),
            Kind::Trunk => directory.trunk(&self.name).is_some(),
            Kind::Number => directory.numbers.contains_key(&self.name),
            Kind::User => directory.users.contains_key(&(self.scope.clone(), self.name.clone())),
        }
    }

    /// Why it would have to stand aside, where it would.
    pub(super) fn missing_in(&self, directory: &Directory) -> Option<Problem> {
        if self.is_in(directory) {
            return None;
        }
        Some(match self.kind {
            Kind::Tenant => Problem::conflict("sip_domain_taken", "another tenant has this sip_domain; write another")
                .at("sip_domain"),
            _ => Problem::bad("unknown_tenant", "there is no tenant of this name").at("tenant"),
        })
    }

    /// What a secret of it is sealed for.
    fn purpose(&self) -> String {
        format!("{} {} {}", self.kind.as_str(), self.scope, self.name)
    }
}

/// See the head of this file.
#[derive(Clone, Default)]
pub(super) struct Made {
    rows: BTreeMap<Id, ProvisionedRow>,
    directory: Directory,
}

impl Made {
    /// What the database holds; a row that this version cannot read stands aside and is said.
    pub(super) async fn load(store: &Store, sealer: &Sealer) -> Result<(Self, Vec<String>), super::RegistryError> {
        let (mut made, mut notes) = (Self::default(), Vec::new());
        for row in store.provisioned().await? {
            let Some(id) = Id::of(&row) else { continue };
            let secret = row.secret.as_deref().map(|sealed| sealer.unseal(&id.purpose(), sealed)).transpose()?;
            let document = match serde_json::from_str(&row.document).map_err(StoreError::Row)? {
                Value::Object(document) => document,
                _ => Map::new(),
            };
            if let Err(problem) = made.take_in(&id, document, secret.map(Secret::from)) {
                let (kind, name) = (id.kind.as_str(), &id.name);
                notes.push(format!("the {kind} \"{name}\" of the database cannot be read and stands aside: {problem}"));
            }
            made.rows.insert(id, row);
        }
        Ok((made, notes))
    }

    pub(super) fn directory(&self) -> &Directory {
        &self.directory
    }

    pub(super) fn contains(&self, id: &Id) -> bool {
        self.rows.contains_key(id)
    }

    fn count(&self, kind: Kind) -> usize {
        self.rows.keys().filter(|id| id.kind == kind).count()
    }

    /// Takes a change in, checked; the row that is to be stored.
    pub(super) fn put(&mut self, change: &Change, sealer: &Sealer) -> Result<ProvisionedRow, Problem> {
        let id = Id { kind: change.kind, scope: change.scope.clone(), name: change.name.clone() };
        if change.create && self.count(id.kind) >= id.kind.most() {
            let detail = format!("there are {} of them, and no more are taken", id.kind.most());
            return Err(Problem::conflict("too_many", detail));
        }
        let before = self.rows.get(&id);
        let mut document = before.map_or_else(Map::new, |row| match serde_json::from_str(&row.document) {
            Ok(Value::Object(document)) => document,
            _ => Map::new(),
        });
        document.extend(change.fields.clone());
        document.retain(|_, value| !value.is_null());
        let unseal = |sealed: &str| sealer.unseal(&id.purpose(), sealed).map(Secret::from);
        let stored = before.and_then(|row| row.secret.as_deref());
        let secret = match &change.secret {
            Some(secret) => Some(secret.clone()),
            None => stored.map(unseal).transpose().map_err(sealed)?,
        };
        let kept = before.map_or(change.at, |row| row.created_at);
        self.take_in(&id, document.clone(), secret.clone())?;
        let secret = secret.map(|secret| sealer.seal(&id.purpose(), secret.expose())).transpose().map_err(sealed)?;
        let row = ProvisionedRow {
            kind: id.kind.as_str().to_owned(),
            scope: id.scope.clone(),
            name: id.name.clone(),
            document: Value::Object(document).to_string(),
            secret,
            created_at: kept,
            updated_at: change.at,
        };
        self.rows.insert(id, row.clone());
        Ok(row)
    }

    fn take_in(&mut self, id: &Id, document: Map<String, Value>, secret: Option<Secret>) -> Result<(), Problem> {
        let directory = &mut self.directory;
        match id.kind {
            Kind::Tenant => {
                read::tenant_name(&id.name)?;
                let known = directory.tenants.get(&id.name).map(|tenant| tenant.rank);
                let rank = known.unwrap_or(directory.tenants.len());
                let tenant = Tenant { rank, ..read::tenant(document)? };
                let taken = |(name, other): (&String, &Tenant)| {
                    *name != id.name && other.sip_domain.is_some() && other.sip_domain == tenant.sip_domain
                };
                if directory.tenants.iter().any(taken) {
                    let detail = "another tenant has this sip_domain; write another";
                    return Err(Problem::conflict("sip_domain_taken", detail).at("sip_domain"));
                }
                directory.tenants.insert(id.name.clone(), tenant);
            }
            Kind::Trunk => {
                let trunk = read::trunk(&id.name, document, secret)?;
                match directory.trunks.iter_mut().find(|known| known.name() == id.name) {
                    Some(known) => *known = trunk,
                    None => directory.trunks.push(trunk),
                }
            }
            Kind::Number => {
                read::number_name(&id.name)?;
                directory.numbers.insert(id.name.clone(), read::number(document)?);
            }
            Kind::User => {
                read::user_name(&id.name)?;
                if let Some(secret) = &secret {
                    read::password(secret.expose())?;
                }
                directory.users.insert((id.scope.clone(), id.name.clone()), read::user(document, secret)?);
            }
        }
        Ok(())
    }

    pub(super) fn remove(&mut self, id: &Id) {
        self.rows.remove(id);
        match id.kind {
            Kind::Tenant => drop(self.directory.tenants.remove(&id.name)),
            Kind::Trunk => self.directory.trunks.retain(|trunk| trunk.name() != id.name),
            Kind::Number => drop(self.directory.numbers.remove(&id.name)),
            Kind::User => drop(self.directory.users.remove(&(id.scope.clone(), id.name.clone()))),
        }
    }
}

fn sealed(error: SecretsError) -> Problem {
    tracing::error!(%error, "a secret cannot be sealed or opened");
    Problem::unavailable("secrets_unavailable", "a secret cannot be sealed or opened; the log says why", 60)
}
