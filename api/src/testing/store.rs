//! Databases for tests.

use crate::store::Store;
use tempfile::TempDir;

/// A new SQLite database in a directory of its own.
pub async fn sqlite() -> (TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&format!("sqlite://{}/test.db", dir.path().display())).await.unwrap();
    (dir, store)
}

/// Runs a statement that changes something.
pub async fn execute(store: &Store, statement: &'static str) {
    store.execute(statement).await;
}
