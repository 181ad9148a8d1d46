//! Writing a batch: one transaction, idempotent, with the journal's position.

use super::batch::{Batch, kind_and_data};
use super::{Store, StoreError, column, integer, on};
use crate::journal::Position;
use crate::journal::segment::JournalId;
use crate::words::{direction, origin};
use sqlx::{QueryBuilder, Row};
use switch::{CallView, Cdr, Record};

/// Rows in one INSERT: 39 columns of a CDR times this stay below SQLite's 32,766 parameters and PostgreSQL's 65,535.
const ROWS: usize = 500;

impl Store {
    /// How far `journal` has been projected; the beginning where it never was.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn position(&self, journal: JournalId) -> Result<Position, StoreError> {
        let found = on!(self, pool, Db => {
            let row = sqlx::query("SELECT segment, segment_offset FROM projection WHERE journal = $1")
                .bind(journal.to_string())
                .fetch_optional(pool)
                .await?;
            row.map(|row| (row.get::<i64, _>(0), row.get::<i64, _>(1)))
        });
        let unsigned = |n| u64::try_from(n).unwrap_or(0);
        Ok(found.map_or_else(Position::default, |(segment, offset)| Position {
            segment: unsigned(segment),
            offset: unsigned(offset),
        }))
    }

    /// Writes `batch`: all of it, or nothing. Rows that are there already stay as they are.
    ///
    /// # Errors
    /// Where the database is away, locked, full or slow.
    pub async fn project(&self, batch: &Batch) -> Result<(), StoreError> {
        on!(self, pool, Db => {
            let mut tx = pool.begin_with(Db::BEGIN_TO_WRITE).await?;
            for records in batch.records.chunks(ROWS) {
                Db::events(records)?.build().persistent(false).execute(&mut *tx).await?;
            }
            let views: Vec<&CallView> = batch.calls.values().collect();
            for views in views.chunks(ROWS) {
                Db::calls(views)?.build().persistent(false).execute(&mut *tx).await?;
            }
            let cdrs: Vec<&Cdr> = batch.cdrs().collect();
            for cdrs in cdrs.chunks(ROWS) {
                Db::cdrs(cdrs)?.build().persistent(false).execute(&mut *tx).await?;
            }
            sqlx::query(POSITION)
                .bind(batch.journal.to_string())
                .bind(integer(batch.position.segment))
                .bind(integer(batch.position.offset))
                .execute(&mut *tx)
                .await?;
            tx.commit().await?;
        });
        Ok(())
    }
}

const POSITION: &str = "INSERT INTO projection (journal, segment, segment_offset) VALUES ($1, $2, $3)
    ON CONFLICT (journal) DO UPDATE SET segment = excluded.segment, segment_offset = excluded.segment_offset";

/// The statements of one database: the same text, bound as that database binds.
trait Statements: sqlx::Database + Sized {
    /// Begins a transaction that writes, so that it waits for a lock at its beginning and not in its middle.
    const BEGIN_TO_WRITE: &'static str;
    fn events(records: &[std::sync::Arc<Record>]) -> Result<QueryBuilder<Self>, StoreError>;
    fn calls(views: &[&CallView]) -> Result<QueryBuilder<Self>, StoreError>;
    fn cdrs(cdrs: &[&Cdr]) -> Result<QueryBuilder<Self>, StoreError>;
}

macro_rules! statements {
    ($Db:ty, $begin:literal) => {
        impl Statements for $Db {
            const BEGIN_TO_WRITE: &'static str = $begin;

            fn events(records: &[std::sync::Arc<Record>]) -> Result<QueryBuilder<Self>, StoreError> {
                let mut query = QueryBuilder::new("INSERT INTO events (sid, seq, at, kind, data) ");
                query.push_values(records, |mut row, record| {
                    let (kind, data) = kind_and_data(&record.fact);
                    row.push_bind(record.sid.to_string())
                        .push_bind(i64::from(record.seq))
                        .push_bind(integer(record.at))
                        .push_bind(kind)
                        .push_bind(data.to_string());
                });
                query.push(" ON CONFLICT (sid, seq) DO NOTHING");
                Ok(query)
            }

            fn calls(views: &[&CallView]) -> Result<QueryBuilder<Self>, StoreError> {
                let json = views.iter().map(|view| serde_json::to_string(view)).collect::<Result<Vec<_>, _>>()?;
                let mut query = QueryBuilder::new(
                    "INSERT INTO calls (sid, tenant, direction, from_number, to_number, trunk, status, queued_at, last_seq, view) ",
                );
                query.push_values(views.iter().zip(json), |mut row, (view, json)| {
                    row.push_bind(view.sid.to_string())
                        .push_bind(column(&view.tenant))
                        .push_bind(direction(view.direction))
                        .push_bind(column(&view.from))
                        .push_bind(column(&view.to))
                        .push_bind(view.trunk.as_deref().map(column))
                        .push_bind(view.status.as_str())
                        .push_bind(integer(view.at.queued))
                        .push_bind(i64::from(view.last_seq))
                        .push_bind(json);
                });
                query.push(
                    " ON CONFLICT (sid) DO UPDATE SET trunk = excluded.trunk, status = excluded.status,
                      last_seq = excluded.last_seq, view = excluded.view WHERE excluded.last_seq > calls.last_seq",
                );
                Ok(query)
            }

            fn cdrs(cdrs: &[&Cdr]) -> Result<QueryBuilder<Self>, StoreError> {
                let json = cdrs.iter().map(|cdr| serde_json::to_string(cdr)).collect::<Result<Vec<_>, _>>()?;
                let mut query = QueryBuilder::new(CDRS);
                query.push_values(cdrs.iter().zip(json), |mut row, (cdr, json)| {
                    row.push_bind(cdr.sid.to_string())
                        .push_bind(cdr.parent.map(|sid| sid.to_string()))
                        .push_bind(column(&cdr.tenant))
                        .push_bind(cdr.trunk.as_deref().map(column))
                        .push_bind(direction(cdr.direction))
                        .push_bind(column(&cdr.from))
                        .push_bind(column(&cdr.to))
                        .push_bind(cdr.status.as_str())
                        .push_bind(integer(cdr.at.queued))
                        .push_bind(cdr.at.sent.map(integer))
                        .push_bind(cdr.at.ringing.map(integer))
                        .push_bind(cdr.at.early_media.map(integer))
                        .push_bind(cdr.at.answered.map(integer))
                        .push_bind(cdr.at.ended.map(integer))
                        .push_bind(integer(cdr.billable_ms))
                        .push_bind(integer(cdr.duration_ms))
                        .push_bind(cdr.pdd_ms.map(integer))
                        .push_bind(cdr.cause.sip_status.map(i64::from))
                        .push_bind(i64::from(cdr.cause.q850))
                        .push_bind(origin(cdr.cause.origin))
                        .push_bind(cdr.cause.retry)
                        .push_bind(column(&cdr.cause.reason))
                        .push_bind(cdr.codec.as_deref().map(column));
                    for stream in [&cdr.received, &cdr.sent] {
                        row.push_bind(integer(stream.packets))
                            .push_bind(integer(stream.lost))
                            .push_bind(stream.loss_percent)
                            .push_bind(stream.jitter_ms)
                            .push_bind(stream.mos);
                    }
                    row.push_bind(cdr.carrier_call_id.as_deref().map(column)).push_bind(cdr.price).push_bind(json);
                });
                query.push(" ON CONFLICT (sid) DO NOTHING");
                Ok(query)
            }
        }
    };
}
statements!(sqlx::Sqlite, "BEGIN IMMEDIATE");
statements!(sqlx::Postgres, "BEGIN");

const CDRS: &str = "INSERT INTO cdrs (sid, parent, tenant, trunk, direction, from_number, to_number, status,
    queued_at, sent_at, ringing_at, early_media_at, answered_at, ended_at, billable_ms, duration_ms, pdd_ms,
    sip_status, q850, origin, retry, reason, codec,
    received_packets, received_lost, received_loss_percent, received_jitter_ms, received_mos,
    sent_packets, sent_lost, sent_loss_percent, sent_jitter_ms, sent_mos, carrier_call_id, price, cdr) ";
