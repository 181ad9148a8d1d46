//! Recordings: what the facts of a call say of them, a row each.

use super::{Store, StoreError, column, integer, on};
use serde::Serialize;
use sqlx::{QueryBuilder, Row};
use switch::{CallSid, Fact, Record};

/// A recording as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RecordingRow {
    /// `RE` and 32 hexadecimal digits.
    pub sid: String,
    /// Of which call.
    pub call_sid: String,
    /// 1 or 2.
    pub channels: u8,
    /// When it began, milliseconds since the Unix epoch.
    pub started_at: u64,
    /// When it was over; none: it is being made.
    pub ended_at: Option<u64>,
    /// How long it is.
    pub duration_ms: Option<u64>,
    /// Octets of its file; 0: there is none.
    pub octets: Option<u64>,
    /// Why it was over.
    pub reason: Option<String>,
}

/// Where a recording stands in a list: the newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordingKey {
    /// When it began, milliseconds since the Unix epoch.
    pub started_at: u64,
    /// Which.
    pub sid: String,
}

/// What the facts of a batch say of a call's recordings, in order.
#[must_use]
pub fn said<'a>(records: impl Iterator<Item = &'a Record>) -> Vec<RecordingRow> {
    let mut rows: Vec<RecordingRow> = Vec::new();
    for record in records {
        let begun = |sid: &str, channels| RecordingRow {
            sid: sid.to_owned(),
            call_sid: record.sid.to_string(),
            channels,
            started_at: record.at,
            ended_at: None,
            duration_ms: None,
            octets: None,
            reason: None,
        };
        match &record.fact {
            Fact::Recording { recording, channels, .. } => rows.push(begun(recording, *channels)),
            Fact::Recorded { recording, duration_ms, octets, channels, reason } => {
                let known = rows.iter().position(|row| row.sid == *recording);
                let index = known.unwrap_or_else(|| {
                    let at = record.at.saturating_sub(*duration_ms);
                    rows.push(RecordingRow { started_at: at, ..begun(recording, *channels) });
                    rows.len() - 1
                });
                if let Some(row) = rows.get_mut(index) {
                    row.ended_at = Some(record.at);
                    row.duration_ms = Some(*duration_ms);
                    row.octets = Some(*octets);
                    row.reason = Some(reason.clone());
                }
            }
            _ => {}
        }
    }
    rows
}

/// Writes what [`said`] has found: a row once begun stays as it was begun, and ends once.
pub(super) const SAID: &str = "INSERT INTO recordings
    (sid, call_sid, tenant, channels, started_at, ended_at, duration_ms, octets, reason)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
    ON CONFLICT (sid) DO UPDATE SET ended_at = excluded.ended_at, duration_ms = excluded.duration_ms,
    octets = excluded.octets, reason = excluded.reason
    WHERE recordings.ended_at IS NULL AND excluded.ended_at IS NOT NULL";

const SELECT: &str =
    "SELECT sid, call_sid, channels, started_at, ended_at, duration_ms, octets, reason FROM recordings";

macro_rules! recording {
    ($row:expr) => {{
        let unsigned = |n: Option<i64>| n.map(|n| u64::try_from(n).unwrap_or(0));
        RecordingRow {
            sid: $row.get(0),
            call_sid: $row.get(1),
            channels: u8::try_from($row.get::<i64, _>(2)).unwrap_or(1),
            started_at: u64::try_from($row.get::<i64, _>(3)).unwrap_or(0),
            ended_at: unsigned($row.get(4)),
            duration_ms: unsigned($row.get(5)),
            octets: unsigned($row.get(6)),
            reason: $row.get(7),
        }
    }};
}

impl Store {
    /// A recording of `tenant` that was not deleted.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn recording(&self, tenant: &str, sid: &str) -> Result<Option<RecordingRow>, StoreError> {
        Ok(on!(self, pool, Db => {
            let mut query = QueryBuilder::<Db>::new(SELECT);
            query.push(" WHERE deleted_at IS NULL AND tenant = ").push_bind(column(tenant));
            query.push(" AND sid = ").push_bind(sid.to_owned());
            query.build().fetch_optional(pool).await?.map(|row| recording!(row))
        }))
    }

    /// Recordings of `tenant`, of one call where it is named, the newest first; at most `limit`, behind `after`.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn recordings(
        &self,
        tenant: &str,
        call: Option<CallSid>,
        after: Option<&RecordingKey>,
        limit: usize,
    ) -> Result<Vec<RecordingRow>, StoreError> {
        Ok(on!(self, pool, Db => {
            let mut query = QueryBuilder::<Db>::new(SELECT);
            query.push(" WHERE deleted_at IS NULL AND tenant = ").push_bind(column(tenant));
            if let Some(call) = call {
                query.push(" AND call_sid = ").push_bind(call.to_string());
            }
            if let Some(RecordingKey { started_at, sid }) = after {
                query.push(" AND (started_at, sid) < (").push_bind(integer(*started_at));
                query.push(", ").push_bind(sid.clone()).push(")");
            }
            query.push(" ORDER BY started_at DESC, sid DESC LIMIT ").push_bind(integer(limit as u64));
            query.build().fetch_all(pool).await?.into_iter().map(|row| recording!(row)).collect()
        }))
    }

    /// Recordings whose end is not known although their call has ended, the newest first, at most `limit`.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn unfinished_recordings(&self, limit: usize) -> Result<Vec<RecordingRow>, StoreError> {
        Ok(on!(self, pool, Db => {
            let mut query = QueryBuilder::<Db>::new(SELECT);
            query.push(" WHERE deleted_at IS NULL AND ended_at IS NULL AND EXISTS (SELECT 1 FROM calls");
            query.push(" WHERE calls.sid = recordings.call_sid AND calls.origin IS NOT NULL)");
            query.push(" ORDER BY started_at DESC LIMIT ").push_bind(integer(limit as u64));
            query.build().fetch_all(pool).await?.into_iter().map(|row| recording!(row)).collect()
        }))
    }

    /// Marks a recording of `tenant` as deleted at `at`; whether there was one that was over.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn delete_recording(&self, tenant: &str, sid: &str, at: u64) -> Result<bool, StoreError> {
        const DELETE: &str = "UPDATE recordings SET deleted_at = $1
            WHERE tenant = $2 AND sid = $3 AND deleted_at IS NULL AND ended_at IS NOT NULL";
        Ok(on!(self, pool, Db => {
            let deleted = sqlx::query(DELETE)
                .bind(integer(at))
                .bind(column(tenant))
                .bind(sid.to_owned())
                .execute(pool)
                .await?;
            deleted.rows_affected() > 0
        }))
    }

    /// The sids of recordings that began before `before`, the oldest first, at most `limit`.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn old_recordings(&self, before: u64, limit: usize) -> Result<Vec<String>, StoreError> {
        const OLD: &str = "SELECT sid FROM recordings WHERE started_at < $1 ORDER BY started_at LIMIT $2";
        Ok(on!(self, pool, Db => {
            let rows =
                sqlx::query(OLD).bind(integer(before)).bind(integer(limit as u64)).fetch_all(pool).await?;
            rows.into_iter().map(|row| row.get(0)).collect()
        }))
    }

    /// Takes the row of a recording away.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn forget_recording(&self, sid: &str) -> Result<(), StoreError> {
        on!(self, pool, Db => {
            sqlx::query("DELETE FROM recordings WHERE sid = $1").bind(sid.to_owned()).execute(pool).await?;
        });
        Ok(())
    }
}
