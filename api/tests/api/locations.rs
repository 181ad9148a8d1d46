//! Where users are registered: the last word on each is in the database, and what is not there any more is not.

use crate::support::databases;
use api::{Locations, Store};
use serde_json::json;
use switch::registrar::KeptLocation;

fn kept(user: &str, contacts: &[&str]) -> KeptLocation {
    let binding = |contact: &&str| {
        json!({
            "contact": format!("<sip:{contact}>"), "q": 1000, "call_id": "c", "cseq": 1, "expires_at": 9, "registered_at": 1,
            "source": "192.0.2.9:5060", "transport": "UDP", "local": 0, "path": [], "via": "SIP/2.0/UDP 192.0.2.9",
            "instance": null, "user_agent": "böb's \"phone\"",
        })
    };
    let bindings: Vec<_> = contacts.iter().map(binding).collect();
    serde_json::from_value(json!({ "tenant": "default", "user": user, "bindings": bindings })).unwrap()
}

#[tokio::test]
async fn the_last_word_on_each_user_is_kept_and_read_again() {
    for (url, _dir) in databases().await {
        let store = Store::open(&url).await.unwrap();
        let locations = Locations::new(store.clone());
        locations.put(kept("alice", &["alice@192.0.2.7"]));
        locations.put(kept("alice", &["alice@192.0.2.9", "alice@192.0.2.10"]));
        locations.put(kept("bob", &["bob@192.0.2.9"]));
        locations.flush().await.unwrap();
        let read = || async {
            let mut read = store.locations().await.unwrap();
            read.sort_by(|one, other| one.user.cmp(&other.user));
            read
        };
        let alice = kept("alice", &["alice@192.0.2.9", "alice@192.0.2.10"]);
        assert_eq!(read().await, [alice.clone(), kept("bob", &["bob@192.0.2.9"])]);
        locations.put(kept("bob", &[]));
        locations.put(kept("carol", &[]));
        locations.flush().await.unwrap();
        assert_eq!(read().await, [alice]);
    }
}
