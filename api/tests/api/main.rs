//! The API as its users meet it: HTTP in, commands to the switch out, the switch's records in, rows in a database.
//!
//! Signalling is played by the test at the process's own seam (the closure of a `Commander`, `Ledger::append`); the
//! journal, the database and the connections are real. The tests of the store run on SQLite and on a
//! PostgreSQL that they start themselves.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr)] // a test's helpers may fail, loudly

mod account;
mod administration;
mod backup;
mod bad_input;
mod calls;
mod conferences;
mod connections;
mod crash;
mod disk;
mod document;
mod errands;
mod events;
mod explain;
mod flow_schema;
mod flows;
mod health;
mod idempotency;
mod isolation;
mod lists;
mod live;
mod load;
mod locations;
mod migration;
mod operations;
mod postgres;
mod projection;
mod recordings;
#[path = "../../src/testing/calls.rs"]
mod records;
mod support;
mod walk;
mod webhooks;
mod wishes;
