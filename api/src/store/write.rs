//! Writing a batch: one transaction, idempotent, with the journal's position.

use super::batch::{Batch, Ended, Part, Row};
use super::deliveries::DELIVERY;
use super::idempotency::{FORGET, KEYED, oldest};
use super::recordings::SAID;
use super::{Store, StoreError, column, integer, on};
use crate::journal::Position;
use crate::journal::segment::JournalId;
use crate::words::{direction, origin};
use sqlx::{QueryBuilder, Row as _};
use switch::{CallSid, CallView, Cdr};

/// Rows in one INSERT: as many as there are, by statements of these sizes, so that each is prepared once. 40 columns
/// times the greatest stay below SQLite's 32,766 parameters and PostgreSQL's 65,535.
const ROWS: [usize; 3] = [64, 8, 1];

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

    /// The greatest segment that any journal has been projected from; 0 where none was.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn last_segment(&self) -> Result<u64, StoreError> {
        let last: Option<i64> = on!(self, pool, Db => {
            sqlx::query("SELECT max(segment) FROM projection").fetch_one(pool).await?.get(0)
        });
        Ok(last.and_then(|last| u64::try_from(last).ok()).unwrap_or(0))
    }

    /// Writes `batch`: all of it, or nothing. Rows that are there already stay as they are.
    ///
    /// # Errors
    /// Where the database is away, locked, full or slow.
    pub async fn project(&self, batch: &Batch) -> Result<(), StoreError> {
        let (mut live, mut ended, mut chunks, mut over) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (sid, part) in &batch.parts {
            match &part.row {
                Row::Live(view) => live.push(Call { sid: *sid, part, view }),
                Row::Ended(end) => ended.extend(end.cdr().map(|cdr| End { sid: *sid, part, end, cdr })),
                Row::Over => over.push((*sid, part.last)),
                Row::Unknown => {}
            }
            if !part.lines.is_empty() {
                chunks.push((*sid, part));
            }
        }
        // What is written in the order of time touches the fewest pages.
        live.sort_unstable_by_key(|call| call.part.queued_at);
        ended.sort_unstable_by_key(|end| end.part.queued_at);
        chunks.sort_unstable_by_key(|(_, part)| part.queued_at);
        on!(self, pool, Db => {
            let mut tx = pool.begin_with(Db::BEGIN_TO_WRITE).await?;
            for rows in sized(&live) {
                Db::live(rows)?.build().execute(&mut *tx).await?;
            }
            for rows in sized(&ended) {
                Db::ended(rows).build().execute(&mut *tx).await?;
            }
            for rows in sized(&chunks) {
                Db::chunks(rows, batch.position).build().execute(&mut *tx).await?;
            }
            for (sid, part) in &batch.parts {
                for delivery in &part.deliveries {
                    sqlx::query(DELIVERY)
                        .bind(&*delivery.id)
                        .bind(column(&part.tenant))
                        .bind(sid.to_string())
                        .bind(i64::from(delivery.seq))
                        .bind(&*delivery.kind)
                        .bind(&*delivery.url)
                        .bind(&*delivery.body)
                        .bind(integer(delivery.at))
                        .execute(&mut *tx)
                        .await?;
                }
            }
            for keyed in &batch.keyed {
                sqlx::query(KEYED)
                    .bind(&*keyed.tenant)
                    .bind(&*keyed.key)
                    .bind(&*keyed.body)
                    .bind(keyed.sid.to_string())
                    .bind(integer(keyed.at))
                    .execute(&mut *tx)
                    .await?;
            }
            for part in batch.parts.values().filter(|part| !part.tenant.is_empty()) {
                for row in &part.recordings {
                    sqlx::query(SAID)
                        .bind(&row.sid)
                        .bind(&row.call_sid)
                        .bind(column(&part.tenant))
                        .bind(i64::from(row.channels))
                        .bind(integer(row.started_at))
                        .bind(row.ended_at.map(integer))
                        .bind(row.duration_ms.map(integer))
                        .bind(row.octets.map(integer))
                        .bind(row.reason.as_deref().map(column))
                        .execute(&mut *tx)
                        .await?;
                }
            }
            if let Some(oldest) = oldest(batch) {
                sqlx::query(FORGET).bind(oldest).execute(&mut *tx).await?;
            }
            for (sid, last) in over {
                let later = sqlx::query("UPDATE calls SET last_seq = $1 WHERE sid = $2 AND last_seq < $1");
                later.bind(i64::from(last)).bind(sid.to_string()).execute(&mut *tx).await?;
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

/// `rows` in pieces of [`ROWS`].
fn sized<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let size = ROWS.into_iter().find(|size| *size <= rows.len())?;
        let (piece, rest) = rows.split_at(size);
        rows = rest;
        Some(piece)
    })
}

/// A call that goes on.
struct Call<'a> {
    sid: CallSid,
    part: &'a Part,
    view: &'a CallView,
}

/// A call that has ended.
struct End<'a> {
    sid: CallSid,
    part: &'a Part,
    end: &'a Ended,
    cdr: &'a Cdr,
}

const POSITION: &str = "INSERT INTO projection (journal, segment, segment_offset) VALUES ($1, $2, $3)
    ON CONFLICT (journal) DO UPDATE SET segment = excluded.segment, segment_offset = excluded.segment_offset";

const CHUNKS: &str = "facts (queued_at, sid, first_seq, last_seq, facts, tenant, batch) ";

const LIVE: &str = "calls (sid, parent, tenant, trunk, direction, from_number, to_number, status,
    queued_at, sent_at, ringing_at, early_media_at, answered_at, last_seq, view) ";

const LIVE_AGAIN: &str = " ON CONFLICT (sid) DO UPDATE SET trunk = excluded.trunk, status = excluded.status,
    sent_at = excluded.sent_at, ringing_at = excluded.ringing_at, early_media_at = excluded.early_media_at,
    answered_at = excluded.answered_at, last_seq = excluded.last_seq, view = excluded.view
    WHERE calls.origin IS NULL AND excluded.last_seq > calls.last_seq";

const ENDED: &str = "calls (sid, parent, tenant, trunk, direction, from_number, to_number, status,
    queued_at, sent_at, ringing_at, early_media_at, answered_at, ended_at, billable_ms, duration_ms, pdd_ms,
    sip_status, q850, origin, retry, reason, codec,
    received_packets, received_lost, received_loss_percent, received_jitter_ms, received_mos,
    sent_packets, sent_lost, sent_loss_percent, sent_jitter_ms, sent_mos, carrier_call_id, price, last_seq, view) ";

const ENDED_AGAIN: &str = " ON CONFLICT (sid) DO UPDATE SET trunk = excluded.trunk, status = excluded.status,
    sent_at = excluded.sent_at, ringing_at = excluded.ringing_at, early_media_at = excluded.early_media_at,
    answered_at = excluded.answered_at, ended_at = excluded.ended_at, billable_ms = excluded.billable_ms,
    duration_ms = excluded.duration_ms, pdd_ms = excluded.pdd_ms, sip_status = excluded.sip_status,
    q850 = excluded.q850, origin = excluded.origin, retry = excluded.retry, reason = excluded.reason,
    codec = excluded.codec, received_packets = excluded.received_packets, received_lost = excluded.received_lost,
    received_loss_percent = excluded.received_loss_percent, received_jitter_ms = excluded.received_jitter_ms,
    received_mos = excluded.received_mos, sent_packets = excluded.sent_packets, sent_lost = excluded.sent_lost,
    sent_loss_percent = excluded.sent_loss_percent, sent_jitter_ms = excluded.sent_jitter_ms,
    sent_mos = excluded.sent_mos, carrier_call_id = excluded.carrier_call_id, price = excluded.price,
    last_seq = excluded.last_seq, view = excluded.view
    WHERE calls.origin IS NULL";

/// The statements of one database: the same text, bound as that database binds.
trait Statements: sqlx::Database + Sized {
    /// Begins a transaction that writes, so that it waits for a lock at its beginning and not in its middle.
    const BEGIN_TO_WRITE: &'static str;
    /// How an INSERT begins. What is wrong with a row undoes the whole transaction, in either database; where SQLite knows
    /// that beforehand, it keeps no copy of each page that a statement changes.
    const INSERT_INTO: &'static str;
    fn live(calls: &[Call<'_>]) -> Result<QueryBuilder<Self>, StoreError>;
    fn ended(ends: &[End<'_>]) -> QueryBuilder<Self>;
    fn chunks(chunks: &[(CallSid, &Part)], batch: Position) -> QueryBuilder<Self>;
}

macro_rules! statements {
    ($Db:ty, $begin:literal, $insert:literal) => {
        impl Statements for $Db {
            const BEGIN_TO_WRITE: &'static str = $begin;
            const INSERT_INTO: &'static str = $insert;

            fn live(calls: &[Call<'_>]) -> Result<QueryBuilder<Self>, StoreError> {
                let json = calls.iter().map(|call| serde_json::to_string(call.view)).collect::<Result<Vec<_>, _>>()?;
                let mut query = QueryBuilder::new(Self::INSERT_INTO);
                query.push(LIVE);
                query.push_values(calls.iter().zip(json), |mut row, (Call { sid, part, view }, json)| {
                    row.push_bind(&*sid.text())
                        .push_bind(view.parent.map(|sid| sid.to_string()))
                        .push_bind(column(&view.tenant))
                        .push_bind(view.trunk.as_deref().map(column))
                        .push_bind(direction(view.direction))
                        .push_bind(column(&view.from))
                        .push_bind(column(&view.to))
                        .push_bind(view.status.as_str())
                        .push_bind(integer(part.queued_at))
                        .push_bind(view.at.sent.map(integer))
                        .push_bind(view.at.ringing.map(integer))
                        .push_bind(view.at.early_media.map(integer))
                        .push_bind(view.at.answered.map(integer))
                        .push_bind(i64::from(part.last))
                        .push_bind(json);
                });
                query.push(LIVE_AGAIN);
                Ok(query)
            }

            fn ended(ends: &[End<'_>]) -> QueryBuilder<Self> {
                let mut query = QueryBuilder::new(Self::INSERT_INTO);
                query.push(ENDED);
                query.push_values(ends, |mut row, End { sid, part, end, cdr }| {
                    row.push_bind(&*sid.text())
                        .push_bind(cdr.parent.map(|sid| sid.to_string()))
                        .push_bind(column(&cdr.tenant))
                        .push_bind(cdr.trunk.as_deref().map(column))
                        .push_bind(direction(cdr.direction))
                        .push_bind(column(&cdr.from))
                        .push_bind(column(&cdr.to))
                        .push_bind(cdr.status.as_str())
                        .push_bind(integer(part.queued_at))
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
                    row.push_bind(cdr.carrier_call_id.as_deref().map(column))
                        .push_bind(cdr.price)
                        .push_bind(i64::from(part.last))
                        .push_bind(end.view.as_str());
                });
                query.push(ENDED_AGAIN);
                query
            }

            fn chunks(chunks: &[(CallSid, &Part)], batch: Position) -> QueryBuilder<Self> {
                let mut query = QueryBuilder::new(Self::INSERT_INTO);
                query.push(CHUNKS);
                query.push_values(chunks, |mut row, (sid, part)| {
                    row.push_bind(integer(part.queued_at))
                        .push_bind(&*sid.text())
                        .push_bind(i64::from(part.first))
                        .push_bind(i64::from(part.last))
                        .push_bind(part.lines.as_str())
                        .push_bind(column(&part.tenant))
                        .push_bind(integer(batch.id()));
                });
                query.push(" ON CONFLICT (queued_at, sid, first_seq) DO NOTHING");
                query
            }
        }
    };
}
statements!(sqlx::Sqlite, "BEGIN IMMEDIATE", "INSERT OR ROLLBACK INTO ");
statements!(sqlx::Postgres, "BEGIN", "INSERT INTO ");
