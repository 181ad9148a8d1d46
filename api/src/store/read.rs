//! Reading: a call, its facts, and lists of calls and CDRs, a page at a time.

use super::batch::{EndedView, Known};
use super::facts::{self, MESSAGE, Placed};
use super::{Store, StoreError, column, integer, on};
use sqlx::{QueryBuilder, Row};
use std::collections::HashMap;
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

/// What is read of a row of `calls`: `view`, `last_seq`, `queued_at`, whether it has ended.
type Found = (String, i64, i64, bool);

const FOUND: &str = "SELECT view, last_seq, queued_at, origin IS NOT NULL FROM calls";

const CALL: &str = "SELECT view, last_seq, queued_at, origin IS NOT NULL FROM calls WHERE sid = $1";

fn view((json, last_seq, queued_at, ended): Found) -> Result<CallView, serde_json::Error> {
    let mut view = if ended {
        let ended: EndedView = serde_json::from_str(&json)?;
        ended.view(u32::try_from(last_seq).unwrap_or(u32::MAX))
    } else {
        serde_json::from_str(&json)?
    };
    // What lists are ordered by, so that a cursor made of it points to where the row stands.
    view.at.queued = u64::try_from(queued_at).unwrap_or(0);
    Ok(view)
}

macro_rules! found {
    ($row:expr) => {
        ($row.get(0), $row.get(1), $row.get(2), $row.get(3))
    };
}

const RUNS: &str = "SELECT calls.sid, facts.first_seq, facts.last_seq FROM calls
    JOIN facts ON facts.queued_at = calls.queued_at AND facts.sid = calls.sid";

/// Ends a query by the list of what it looks for.
fn listed<'q, Db: sqlx::Database>(query: &mut QueryBuilder<Db>, sids: &[CallSid])
where
    String: sqlx::Encode<'q, Db> + sqlx::Type<Db>,
{
    let mut list = query.separated(", ");
    sids.iter().for_each(|sid| {
        list.push_bind(sid.to_string());
    });
    query.push(")");
}

impl Store {
    /// A call; `None` where the database does not have it.
    ///
    /// # Errors
    /// Where the database is away, or a row cannot be read.
    pub async fn call(&self, sid: CallSid) -> Result<Option<CallView>, StoreError> {
        let found: Option<Found> = on!(self, pool, Db => {
            let row = sqlx::query(CALL).bind(sid.to_string()).fetch_optional(pool).await?;
            row.map(|row| found!(row))
        });
        Ok(found.map(view).transpose()?)
    }

    /// What the database has of those of `sids` that have a row.
    ///
    /// # Errors
    /// Where the database is away, or a row cannot be read.
    pub async fn known(&self, sids: &[CallSid]) -> Result<HashMap<CallSid, Known>, StoreError> {
        if sids.is_empty() {
            return Ok(HashMap::new());
        }
        let (rows, runs): (Vec<Found>, Vec<(String, i64, i64)>) = on!(self, pool, Db => {
            let mut query = QueryBuilder::<Db>::new(FOUND);
            listed(query.push(" WHERE sid IN ("), sids);
            let rows = query.build().persistent(false).fetch_all(pool).await?;
            let mut query = QueryBuilder::<Db>::new(RUNS);
            listed(query.push(" WHERE calls.sid IN ("), sids);
            let runs = query.build().persistent(false).fetch_all(pool).await?;
            (
                rows.into_iter().map(|row| found!(row)).collect(),
                runs.into_iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect(),
            )
        });
        let mut known = HashMap::with_capacity(rows.len());
        for found in rows {
            let view = view(found)?;
            known.insert(view.sid, Known { view: Some(view), facts: Vec::new() });
        }
        let seq = |n| u32::try_from(n).unwrap_or(u32::MAX);
        for (sid, first, last) in runs {
            if let Some(known) = sid.parse().ok().and_then(|sid: CallSid| known.get_mut(&sid)) {
                known.facts.push((seq(first), seq(last)));
            }
        }
        Ok(known)
    }

    /// Calls, the newest first.
    ///
    /// # Errors
    /// Where the database is away, or a row cannot be read.
    pub async fn calls(&self, filter: &Filter, page: Page) -> Result<Vec<CallView>, StoreError> {
        let rows = self.page("", filter, page).await?;
        Ok(rows.into_iter().map(view).collect::<Result<_, _>>()?)
    }

    /// CDRs, those of the newest calls first.
    ///
    /// # Errors
    /// Where the database is away, or a row cannot be read.
    pub async fn cdrs(&self, filter: &Filter, page: Page) -> Result<Vec<Cdr>, StoreError> {
        let rows = self.page(" AND origin IS NOT NULL", filter, page).await?;
        let cdr = |found: Found| {
            let queued_at = u64::try_from(found.2).unwrap_or(0);
            let mut cdr = serde_json::from_str::<EndedView>(&found.0)?.cdr;
            cdr.at.queued = queued_at;
            Ok::<_, serde_json::Error>(cdr)
        };
        Ok(rows.into_iter().map(cdr).collect::<Result<_, _>>()?)
    }

    async fn page(&self, only: &'static str, filter: &Filter, page: Page) -> Result<Vec<Found>, StoreError> {
        Ok(on!(self, pool, Db => {
            let mut query = QueryBuilder::<Db>::new(FOUND);
            query.push(" WHERE tenant = ").push_bind(column(&filter.tenant)).push(only);
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
            query.build().fetch_all(pool).await?.into_iter().map(|row| found!(row)).collect()
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
        let Some(call) = self.call(sid).await? else { return Ok(Vec::new()) };
        let (mut records, mut after) = (Vec::new(), -1);
        loop {
            let chunks: Vec<(i64, String)> = on!(self, pool, Db => {
                let rows = sqlx::query(CHUNKS)
                    .bind(sid.to_string())
                    .bind(i64::from(from))
                    .bind(after)
                    .bind(CHUNKS_AT_ONCE)
                    .fetch_all(pool)
                    .await?;
                rows.into_iter().map(|row| (row.get(0), row.get(1))).collect()
            });
            for line in chunks.iter().flat_map(|(_, chunk)| chunk.lines()) {
                let wanted = |seq, kind: &str| seq >= from && which.take(kind);
                records.extend(facts::read(sid, line, call.cdr.as_deref(), wanted)?);
            }
            match chunks.last() {
                Some((first, _)) if chunks.len() as i64 == CHUNKS_AT_ONCE && records.len() < limit => after = *first,
                _ => break,
            }
        }
        records.sort_by_key(|record| record.seq);
        records.dedup_by_key(|record| record.seq);
        records.truncate(limit);
        Ok(records)
    }
}

impl Store {
    /// What happened to a tenant's calls behind `after` (an event's id), lines of ladders left out, in order: all that one
    /// transaction brought, the first that brought any. Empty where there is nothing.
    ///
    /// # Errors
    /// Where the database is away, or a row cannot be read.
    pub async fn events(&self, tenant: &str, after: u64) -> Result<Vec<Placed>, StoreError> {
        let mut after_batch = integer(after);
        loop {
            let (batch, chunks): (Option<i64>, Vec<Chunk>) = on!(self, pool, Db => {
                let batch: Option<i64> =
                    sqlx::query(NEXT_BATCH).bind(column(tenant)).bind(after_batch).fetch_one(pool).await?.get(0);
                let rows = sqlx::query(OF_BATCH).bind(column(tenant)).bind(batch).fetch_all(pool).await?;
                (batch, rows.into_iter().map(|row| (row.get(0), row.get(1), row.get(2), row.get(3))).collect())
            });
            let Some(batch) = batch else { return Ok(Vec::new()) };
            let mut events = Vec::new();
            for (sid, chunk, view, ended) in chunks {
                let Ok(sid) = sid.parse::<CallSid>() else { continue };
                let cdr = if ended && chunk.contains(ENDED) {
                    Some(serde_json::from_str::<EndedView>(&view)?.cdr)
                } else {
                    None
                };
                for line in chunk.lines() {
                    events.extend(facts::placed(sid, line, cdr.as_ref(), after)?);
                }
            }
            if !events.is_empty() {
                events.sort_by_key(|event| event.id);
                return Ok(events);
            }
            // Nothing but lines of ladders.
            after_batch = batch;
        }
    }
}

/// A chunk with its call: sid, lines, `view`, whether the call has ended.
type Chunk = (String, String, String, bool);

/// How the line of an end goes on behind its time.
const ENDED: &str = "\"type\":\"ended\"}";

const NEXT_BATCH: &str = "SELECT min(batch) FROM facts WHERE tenant = $1 AND batch > $2";

const OF_BATCH: &str = "SELECT facts.sid, facts.facts, calls.view, calls.origin IS NOT NULL
    FROM facts JOIN calls ON calls.sid = facts.sid WHERE facts.tenant = $1 AND facts.batch = $2";

/// Chunks of a call's facts that are read at once.
const CHUNKS_AT_ONCE: i64 = 64;

/// Where a call's chunks are is said by its row.
const CHUNKS: &str = "SELECT first_seq, facts FROM facts
    WHERE queued_at = (SELECT queued_at FROM calls WHERE sid = $1) AND sid = $1 AND last_seq >= $2 AND first_seq > $3
    ORDER BY first_seq LIMIT $4";
