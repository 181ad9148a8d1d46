//! Webhooks: what becomes of a call, told to its `status_callback`, signed by Standard Webhooks; of a call that runs a document
//! from its beginning, in Twilio's form and with Twilio's signature.
//!
//! A delivery is a row that the projector writes with the fact; this sends the rows that are due, and writes down what
//! came of it. Of one call one at a time and in order; calls beside each other. A delivery whose receiver fails is tried
//! again ([`Pace`]), then it is dead, and whoever reads `GET /v1/webhooks` may replay it. One that was received and could
//! not be written down as such is sent again, under the same `webhook-id`. No call waits for any of it.

mod event;
mod sign;

pub use event::{Delivery, EVENTS, USUAL, deliveries};
pub use sign::sign;

use crate::Wall;
use crate::accounts::{Account, Accounts};
use crate::errands::Egress;
use crate::errands::egress::{Content, Exchange};
use crate::errands::web::{SIGNATURE, TOKEN, idempotency_token};
use crate::ledger::Progress;
use crate::secrets::random;
use crate::store::Store;
use crate::store::deliveries::{DeliveryRow, LEFT_OUT};
use ivr::{FetchFault, HttpRequest, Timeouts};
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use std::borrow::Cow;
use std::collections::HashMap;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::{Id, JoinSet};
use url::Url;

/// Deliveries under way at the same time; further ones wait in the database.
pub const AT_ONCE: usize = 64;

/// Of these, those of one tenant: a receiver that hangs holds up its own.
pub const AT_ONCE_OF_A_TENANT: usize = 16;

/// Octets of a receiver's answer that are read; what comes after them is not, and changes nothing.
pub const MAX_ANSWER: usize = 16 << 10;

/// How long a settled delivery can be listed and replayed: 30 days, in milliseconds.
pub const KEPT_MS: u64 = 30 * 86_400_000;

/// How often those that are older are deleted.
const TIDY: Duration = Duration::from_secs(3_600);

/// The longest `status_callback`, in octets.
pub const MAX_URL: usize = 2_048;

/// When what is tried again.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// After the first failure, give or take a quarter; doubled with each further one.
    pub first: Duration,
    /// The longest wait.
    pub longest: Duration,
    /// Tries, after which a delivery is dead.
    pub attempts: u32,
    /// How often the database is looked at where nothing says that it has more.
    pub look: Duration,
    /// How long each part of a try may take.
    pub timeouts: Timeouts,
}

impl Default for Pace {
    /// 1 s, doubled to 1 h: 35 tries are a day.
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            longest: Duration::from_secs(3_600),
            attempts: 35,
            look: Duration::from_secs(1),
            timeouts: Timeouts::default(),
        }
    }
}

impl Pace {
    /// How long to wait after `failures`, without chance.
    fn wait(&self, failures: u32) -> Duration {
        let doubled = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
        self.first.checked_mul(doubled).unwrap_or(self.longest).min(self.longest)
    }
}

/// What the sender works with.
pub struct Sender {
    /// Where the deliveries are.
    pub store: Store,
    /// Whose secrets sign them.
    pub accounts: Accounts,
    /// The way out.
    pub egress: Egress,
    /// The wall clock.
    pub wall: Wall,
    /// Tells that the database has more ([`crate::Ledger::follow`]); when that ends, so does the sender.
    pub progress: watch::Receiver<Progress>,
    /// When what is tried again.
    pub pace: Pace,
}

/// What is under way: the call and its tenant, by task.
type UnderWay = HashMap<Id, (String, String)>;

impl Sender {
    /// Sends until the ledger is shut down. What is under way then is sent again after the next start.
    pub async fn run(mut self) {
        let (mut tasks, mut under_way) = (JoinSet::new(), UnderWay::new());
        let mut tidied: Option<Instant> = None;
        loop {
            if tidied.is_none_or(|at| at.elapsed() >= TIDY) {
                tidied = Some(Instant::now());
                let _ = self.store.tidy_deliveries((self.wall)().saturating_sub(KEPT_MS)).await;
            }
            self.begin(&mut tasks, &mut under_way).await;
            tokio::select! {
                Some(done) = tasks.join_next_with_id() => {
                    let id = done.map_or_else(|error| error.id(), |(id, ())| id);
                    under_way.remove(&id);
                }
                more = self.progress.changed() => if more.is_err() { return },
                () = tokio::time::sleep(self.pace.look) => {}
            }
        }
    }

    /// Begins what may begin; again where a tenant has come to its share on the way, which may have hidden another's.
    async fn begin(&self, tasks: &mut JoinSet<()>, under_way: &mut UnderWay) {
        let mut before = None;
        while under_way.len() < AT_ONCE && before != Some(under_way.len()) {
            before = Some(under_way.len());
            let tenants = full(under_way);
            let mut names = [""; LEFT_OUT];
            names.iter_mut().zip(&tenants).for_each(|(name, tenant)| *name = tenant);
            // Those under way are due too.
            match self.store.due_deliveries((self.wall)(), names, 4 * AT_ONCE).await {
                Ok(due) => self.take(due, tasks, under_way),
                Err(error) => return tracing::debug!(%error, "webhooks wait for the database"),
            }
            if full(under_way).len() == tenants.len() {
                return;
            }
        }
    }

    fn take(&self, due: Vec<DeliveryRow>, tasks: &mut JoinSet<()>, under_way: &mut UnderWay) {
        for row in due {
            let of_tenant = under_way.values().filter(|(_, tenant)| *tenant == row.tenant).count();
            let of_call = under_way.values().any(|(sid, _)| *sid == row.sid);
            if of_call || of_tenant >= AT_ONCE_OF_A_TENANT || under_way.len() >= AT_ONCE {
                continue;
            }
            let who = (row.sid.clone(), row.tenant.clone());
            let (store, accounts, egress) = (self.store.clone(), self.accounts.clone(), self.egress.clone());
            let (wall, pace) = (self.wall.clone(), self.pace);
            let one = Try { store, accounts, egress, wall, pace, row };
            under_way.insert(tasks.spawn(one.run()).id(), who);
        }
    }
}

/// The tenants whose share is under way.
fn full(under_way: &UnderWay) -> Vec<String> {
    let mut shares: HashMap<&str, usize> = HashMap::new();
    under_way.values().for_each(|(_, tenant)| *shares.entry(tenant).or_default() += 1);
    let full = shares.into_iter().filter(|(_, share)| *share >= AT_ONCE_OF_A_TENANT);
    full.map(|(tenant, _)| tenant.to_owned()).collect()
}

/// One try of one delivery.
struct Try {
    store: Store,
    accounts: Accounts,
    egress: Egress,
    wall: Wall,
    pace: Pace,
    row: DeliveryRow,
}

impl Try {
    async fn run(self) {
        let tried = self.send().await;
        let failures = self.row.attempts + 1;
        let (status, wait, outcome) = match tried {
            Ok(status) => ("delivered", Duration::ZERO, format!("HTTP {status}")),
            Err(why) if failures >= self.pace.attempts => ("dead", Duration::ZERO, why),
            Err(why) => ("pending", by_chance(self.pace.wait(failures)), why),
        };
        if status == "dead" {
            tracing::warn!(id = self.row.delivery.id, failures, outcome, "a webhook is given up");
        }
        let due_at = (self.wall)() + wait.as_millis() as u64;
        if let Err(error) = self.store.settle_delivery(&self.row, status, due_at, &outcome).await {
            tracing::warn!(%error, id = self.row.delivery.id, "what came of a webhook is not written down");
        }
    }

    /// The status of the receiver's answer; why it does not count as received.
    async fn send(&self) -> Result<u16, String> {
        let delivery = &self.row.delivery;
        let url = Url::parse(&delivery.url).map_err(|error| error.to_string())?;
        let account = self.accounts.of(&self.row.tenant).await.map_err(|error| error.to_string())?;
        let standard = delivery.kind.starts_with("call.");
        let signed = if standard {
            headers(&account.webhook_secret, &delivery.id, (self.wall)() / 1_000, &delivery.body)
                .map(|headers| (url, headers, Some(delivery.body.clone())))
        } else {
            in_twilios_form(url, &self.row, &account)
        };
        let (url, headers, body) = signed.ok_or_else(|| "it cannot be signed".to_owned())?;
        let (timeouts, most) = (self.pace.timeouts, MAX_ANSWER);
        let (method, body) = match body {
            Some(body) => (Method::POST, Content::Text(body)),
            None => (Method::GET, Content::Nothing),
        };
        let exchange = Exchange { method, url, headers, body, timeouts, most };
        let reply = self.egress.exchange(exchange).await.map_err(said)?;
        match reply.status {
            // Beside an overload or a fault of its own, what it answers is its own matter (TWILIO.md §3.4).
            status if !standard && status != 429 && status < 500 => Ok(status),
            200..=299 => Ok(reply.status),
            300..=399 => Err(format!("HTTP {}: redirections are not followed", reply.status)),
            status => Err(format!("HTTP {status}")),
        }
    }
}

/// A fault as a delivery's `outcome` has it.
fn said(fault: FetchFault) -> String {
    match fault {
        FetchFault::Connect(why) => format!("no connection: {why}"),
        FetchFault::Timeout => "no answer in time".to_owned(),
        FetchFault::Protocol(why) => format!("no HTTP: {why}"),
        FetchFault::Refused(why) => why,
    }
}

fn headers(secret: &str, id: &str, timestamp: u64, body: &str) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("tandem/", env!("CARGO_PKG_VERSION"))));
    headers.insert(HeaderName::from_static("webhook-id"), HeaderValue::from_str(id).ok()?);
    headers.insert(HeaderName::from_static("webhook-timestamp"), HeaderValue::from(timestamp));
    let signature = sign(secret, id, timestamp, body)?;
    headers.insert(HeaderName::from_static("webhook-signature"), HeaderValue::from_str(&signature).ok()?);
    Some(headers)
}

/// Where to, what signs it (TWILIO.md §3.3), and a form, with the account in it; of a GET that is part of the address.
fn in_twilios_form(url: Url, row: &DeliveryRow, account: &Account) -> Option<(Url, HeaderMap, Option<String>)> {
    let with_account = |(name, value): (Cow<'_, str>, Cow<'_, str>)| match &*name {
        "AccountSid" => (name.into_owned(), account.account_sid.clone()),
        _ => (name.into_owned(), value.into_owned()),
    };
    let body = row.delivery.body.as_str();
    let (method, form) = match body.strip_prefix('?') {
        Some(query) => (ivr::Method::Get, query),
        None => (ivr::Method::Post, body),
    };
    let params = url::form_urlencoded::parse(form.as_bytes()).map(with_account).collect();
    let request = HttpRequest::new(url, method, params, row.delivery.seq);
    let mut headers = HeaderMap::new();
    let content = request.content();
    if let Some((kind, _)) = &content {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    headers.insert(SIGNATURE, HeaderValue::from_str(&request.signature(&account.auth_token)).ok()?);
    headers.insert(TOKEN, HeaderValue::from_str(&idempotency_token(&row.sid, row.delivery.seq)).ok()?);
    Some((request.target(), headers, content.map(|(_, body)| body)))
}

/// A wait, give or take a quarter: what failed together does not come back together.
fn by_chance(wait: Duration) -> Duration {
    let chance = random::<4>().map_or(u32::MAX / 2, u32::from_be_bytes);
    wait.mul_f64(0.75 + f64::from(chance) / f64::from(u32::MAX) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_to_an_hour_and_are_a_day_in_all() {
        let pace = Pace::default();
        let waits: Vec<u64> = (1..pace.attempts).map(|failures| pace.wait(failures).as_secs()).collect();
        assert_eq!(waits[..4], [1, 2, 4, 8]);
        assert_eq!(waits.last(), Some(&3_600));
        assert!((23 * 3_600..25 * 3_600).contains(&waits.iter().sum::<u64>()));
        assert_eq!(pace.wait(u32::MAX), pace.longest);
        let varied = by_chance(Duration::from_secs(100));
        assert!((75..=125).contains(&varied.as_secs()), "{varied:?}");
    }
}
