//! Reading: a call, its facts, and lists of calls and CDRs, a page at a time.

use super::batch::MESSAGE;
use super::{Store, StoreError, column, integer, on};
use sqlx::{QueryBuilder, Row};
use std::collections::BTreeMap;
use std::sync::Arc;
use switch::{CallSid, CallView, Cdr, Direction, Record, Status};

/// Where a call stands in a list: the newest first, and among those of one millisecond the greater sid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// When it was admitted, milliseconds since the Unix epoch.
    pub queued_at: u64,
    /// The call.
    pub sid: CallSid,
}

/// What a list is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Whose calls.
    pub tenant: String,
    /// Of this status.
    pub status: Option<Status>,
    /// From this caller.
    pub from: Option<String>,
    /// To this number.
    pub to: Option<String>,
    /// Going this way.
    pub direction: Option<Direction>,
}

impl Filter {
    /// Whether a live call passes.
    #[must_use]
    pub fn takes(&self, view: &CallView) -> bool {
        view.tenant == self.tenant
            && self.status.is_none_or(|status| status == view.status)
            && self.from.as_ref().is_none_or(|from| *from == view.from)
            && self.to.as_ref().is_none_or(|to| *to == view.to)
            && self.direction.is_none_or(|direction| direction == view.direction)
    }
}

/// A page of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Rows at most.
    pub limit: usize,
    /// Only what stands behind this.
    pub after: Option<Key>,
}

/// Which of a call's facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Facts {
    /// What happened.
    Events,
    /// The SIP messages.
    Ladder,
}

impl Facts {
    /// Whether a fact of this kind is among them.
    #[must_use]
    pub fn take(self, kind: &str) -> bool {
        (self == Self::Ladder) == (kind == MESSAGE)
    }
}

impl Store {
    /// A call; `None` where the database does not have it.
    ///
    /// # Errors
    /// Where the database is away, or a row cannot be read.
    pub async fn call(&self, sid: CallSid) -> Result<Option<CallView>, StoreError> {
        let json: Option<String> = on!(self, pool, Db => {
            let row = sqlx::query("SELECT view FROM calls WHERE sid = $1")
                .bind(sid.to_string())
                .fetch_optional(pool)
                .await?;
            row.map(|row| row.get(0))
        });
        Ok(json.map(|json| serde_json::from_str(&json)).transpose()?)
    }

    /// Those of `sids` that the database has.
    ///
    /// # Errors
    /// Where the database is away, or a row cannot be read.
    pub async fn views(&self, sids: &[CallSid]) -> Result<BTreeMap<CallSid, CallView>, StoreError> {
        if sids.is_empty() {
            return Ok(BTreeMap::new());
        }
        let rows: Vec<String> = on!(self, pool, Db => {
            let mut query = QueryBuilder::<Db>::new("SELECT view FROM calls WHERE sid IN (");
            let mut list = query.separated(", ");
            sids.iter().for_each(|sid| { list.push_bind(sid.to_string()); });
            query.push(")");
            query.build().persistent(false).fetch_all(pool).await?.into_iter().map(|row| row.get(0)).collect()
        });
        let views = rows.iter().map(|json| serde_json::from_str(json)).collect::<Result<Vec<CallView>, _>>()?;
        Ok(views.into_iter().map(|view| (view.sid, view)).collect())
    }

    /// Calls, the newest first.
    ///
    /// # Errors
    /// Where the database is away, or a row cannot be read.
    pub async fn calls(&self, filter: &Filter, page: Page) -> Result<Vec<CallView>, StoreError> {
        let rows = self.page("SELECT view FROM calls WHERE tenant = ", filter, page).await?;
        Ok(rows.iter().map(|json| serde_json::from_str(json)).collect::<Result<_, _>>()?)
    }

    /// CDRs, those of the newest calls first.
    ///
    /// # Errors
    /// Where the database is away, or a row cannot be read.
    pub async fn cdrs(&self, filter: &Filter, page: Page) -> Result<Vec<Cdr>, StoreError> {
        let rows = self.page("SELECT cdr FROM cdrs WHERE tenant = ", filter, page).await?;
        Ok(rows.iter().map(|json| serde_json::from_str(json)).collect::<Result<_, _>>()?)
    }

    async fn page(&self, select: &'static str, filter: &Filter, page: Page) -> Result<Vec<String>, StoreError> {
        Ok(on!(self, pool, Db => {
            let mut query = QueryBuilder::<Db>::new(select);
            query.push_bind(column(&filter.tenant));
            if let Some(status) = filter.status {
                query.push(" AND status = ").push_bind(status.as_str());
            }
            if let Some(from) = &filter.from {
                query.push(" AND from_number = ").push_bind(column(from));
            }
            if let Some(to) = &filter.to {
                query.push(" AND to_number = ").push_bind(column(to));
            }
            if let Some(direction) = filter.direction {
                query.push(" AND direction = ").push_bind(crate::words::direction(direction));
            }
            if let Some(Key { queued_at, sid }) = page.after {
                query.push(" AND (queued_at, sid) < (").push_bind(integer(queued_at));
                query.push(", ").push_bind(sid.to_string()).push(")");
            }
            query.push(" ORDER BY queued_at DESC, sid DESC LIMIT ").push_bind(integer(page.limit as u64));
            query.build().fetch_all(pool).await?.into_iter().map(|row| row.get(0)).collect()
        }))
    }

    /// Facts of a call with a number of at least `from`, in order, at most `limit`.
    ///
    /// # Errors
    /// Where the database is away, or a row cannot be read.
    pub async fn facts(
        &self,
        sid: CallSid,
        which: Facts,
        from: u32,
        limit: usize,
    ) -> Result<Vec<Arc<Record>>, StoreError> {
        let text = match which {
            Facts::Events => {
                "SELECT seq, at, kind, data FROM events WHERE sid = $1 AND seq >= $2 AND kind <> $3 ORDER BY seq LIMIT $4"
            }
            Facts::Ladder => {
                "SELECT seq, at, kind, data FROM events WHERE sid = $1 AND seq >= $2 AND kind = $3 ORDER BY seq LIMIT $4"
            }
        };
        let rows: Vec<(i64, i64, String, String)> = on!(self, pool, Db => {
            let rows = sqlx::query(text)
                .bind(sid.to_string())
                .bind(i64::from(from))
                .bind(MESSAGE)
                .bind(integer(limit as u64))
                .fetch_all(pool)
                .await?;
            rows.into_iter().map(|row| (row.get(0), row.get(1), row.get(2), row.get(3))).collect()
        });
        Ok(rows.into_iter().map(|row| record(sid, row)).collect::<Result<_, _>>()?)
    }
}

fn record(sid: CallSid, (seq, at, kind, data): (i64, i64, String, String)) -> Result<Arc<Record>, serde_json::Error> {
    let data: serde_json::Value = serde_json::from_str(&data)?;
    let record = serde_json::json!({ "sid": sid, "seq": seq, "at": at, "type": kind, "data": data });
    serde_json::from_value(record).map(Arc::new)
}
