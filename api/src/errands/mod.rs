//! The rim of call programs: what a call asks of the world outside, done (`switch::Errand`), and brought back as a command.
//!
//! | module | what it is |
//! |---|---|
//! | [`policy`] | which addresses may be connected to |
//! | [`egress`] | the one way out for HTTP |
//! | [`web`] | a program's requests: signed, with their token and the call's cookies |
//! | [`callbacks`] | requests whose answers nobody waits for |
//! | [`sound`] | sound files from the web |
//! | [`speech`] | words, spoken, and words, understood |
//!
//! Signalling hands an errand over and never waits. Whatever becomes of it, the call hears of it once; what there is no
//! room for fails at once.

mod cache;
pub mod callbacks;
pub mod egress;
pub mod policy;
pub mod sound;
pub mod speech;
pub mod web;

pub use egress::{Egress, EgressError, Lookup, SystemLookup};
pub use policy::Policy;
pub use speech::{Endpoint, Recogniser, SpeechConfig};
pub use web::AuthTokens;

use crate::commander::Commander;
use crate::flows::Flows;
use callbacks::Callbacks;
use futures_util::FutureExt;
use ivr::FetchFault;
use sound::{Decoder, Sounds};
use speech::Speech;
use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use switch::{Asked, Brought, CallSid, Command, Errand};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use web::Web;

/// Errands that are done at the same time; a further one waits.
pub const AT_ONCE: usize = 256;

/// Errands that are done or wait. One more fails at once, and its call hears so.
pub const MAX_ERRANDS: usize = 4_096;

/// As [`AT_ONCE`], of one tenant: a web server that never answers holds up its own tenant's calls and nobody else's.
pub const TENANT_AT_ONCE: usize = 64;

/// As [`MAX_ERRANDS`], of one tenant.
pub const MAX_OF_TENANT: usize = 1_024;

/// How often [`Errands::settled`] looks.
const LOOK: Duration = Duration::from_millis(20);

/// What errands are done with.
pub struct Means {
    /// Where the web may be reached.
    pub egress: Egress,
    /// The auth tokens of tenants.
    pub tokens: AuthTokens,
    /// Who speaks.
    pub speech: SpeechConfig,
    /// The flows there are.
    pub flows: Flows,
    /// The way back.
    pub commander: Commander,
    /// Where they are done.
    pub runtime: Handle,
}

/// Does errands. Cloning is cheap; all clones are one.
#[derive(Clone)]
pub struct Errands {
    inner: Arc<Inner>,
}

struct Inner {
    web: Arc<Web>,
    callbacks: Callbacks,
    sounds: Sounds,
    speech: Speech,
    flows: Flows,
    commander: Commander,
    runtime: Handle,
    whole: Room,
    /// By tenant: as many as there are.
    tenants: Mutex<HashMap<String, Arc<Room>>>,
}

/// Room for errands.
struct Room {
    /// A place for each that is done or waits.
    places: Arc<Semaphore>,
    at_once: Semaphore,
}

impl Room {
    fn of(places: usize, at_once: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(places)), at_once: Semaphore::new(at_once) }
    }

    fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).try_acquire_owned().ok()
    }
}

impl Errands {
    /// By these means.
    ///
    /// # Errors
    /// Where there is no way out to a speech endpoint.
    pub fn new(means: Means) -> Result<Self, EgressError> {
        let Means { egress, tokens, speech, flows, commander, runtime } = means;
        let web = Arc::new(Web::new(egress.clone(), tokens));
        let decoder = Decoder::new();
        let to_endpoint = Egress::new(Policy::everywhere(), Arc::new(SystemLookup))?;
        let inner = Inner {
            callbacks: Callbacks::new(Arc::clone(&web), runtime.clone()),
            web,
            sounds: Sounds::new(egress, decoder.clone()),
            speech: Speech::new(speech, to_endpoint, decoder),
            flows,
            commander,
            runtime,
            whole: Room::of(MAX_ERRANDS, AT_ONCE),
            tenants: Mutex::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Takes an errand. Returns at once, on any thread.
    pub fn run(&self, errand: Errand) {
        let Errand { sid, tenant, asked } = errand;
        if let Asked::Callback { request } = asked {
            return self.inner.callbacks.push(sid, tenant, request);
        }
        let inner = Arc::clone(&self.inner);
        let room = inner.room_of(&tenant);
        let places = room.place().zip(inner.whole.place());
        self.inner.runtime.spawn(async move {
            let answered = if places.is_some() {
                inner.bring(sid, &tenant, &asked, &room).await
            } else {
                failed(&asked, "the switch has too many errands to run")
            };
            inner.hand_over(sid, answered).await;
            drop(places);
        });
    }

    /// Returns when every callback has arrived or was given up, and after `patience` at the latest; how many are left.
    pub async fn settled(&self, patience: Duration) -> usize {
        let settling = async {
            while self.inner.callbacks.waiting() > 0 {
                tokio::time::sleep(LOOK).await;
            }
        };
        // What is left is counted.
        let _ = tokio::time::timeout(patience, settling).await;
        self.inner.callbacks.waiting()
    }
}

impl Inner {
    fn room_of(&self, tenant: &str) -> Arc<Room> {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(room) = tenants.get(tenant) {
            return Arc::clone(room);
        }
        let room = Arc::new(Room::of(MAX_OF_TENANT, TENANT_AT_ONCE));
        tenants.insert(tenant.to_owned(), Arc::clone(&room));
        room
    }

    async fn hand_over(&self, sid: CallSid, brought: Option<Brought>) {
        if let Some(brought) = brought
            && self.commander.send(Command::Brought { sid, brought: Box::new(brought) }).await.is_err()
        {
            tracing::debug!(%sid, "what an errand has brought comes too late: signalling has ended");
        }
    }

    /// Does it when its turn has come. A fault of ours in it is the errand's, and the call hears of it.
    async fn bring(&self, sid: CallSid, tenant: &str, asked: &Asked, room: &Room) -> Option<Brought> {
        let _own = room.at_once.acquire().await.ok()?;
        let _of_all = self.whole.at_once.acquire().await.ok()?;
        let doing = AssertUnwindSafe(self.do_it(sid, tenant, asked)).catch_unwind();
        doing.await.unwrap_or_else(|_| {
            tracing::error!(%sid, "an errand ended in a panic");
            failed(asked, "a fault of ours; it is in the log")
        })
    }

    async fn do_it(&self, sid: CallSid, tenant: &str, asked: &Asked) -> Option<Brought> {
        match asked {
            Asked::Fetch { fetch, request } => {
                let result = self.web.exchange(sid, tenant, request).await;
                Some(Brought::Response { fetch: *fetch, result })
            }
            Asked::Flow { fetch, name } => {
                Some(Brought::Flow { fetch: *fetch, flow: self.flows.for_call(tenant, name).await })
            }
            Asked::Prompt { play, name } => {
                let known = self.flows.prompts().ensure([name.as_str()]).await.map_err(|error| error.to_string());
                Some(Brought::Prompt { play: *play, known })
            }
            Asked::Sound { play, url } => {
                Some(Brought::Sound { play: *play, sound: self.sounds.bring(tenant, url).await })
            }
            Asked::Say { play, say } => Some(Brought::Sound { play: *play, sound: self.speech.bring(say).await }),
            Asked::WriteDown { listen, utterance } => {
                Some(Brought::WrittenDown { listen: *listen, result: self.speech.hear(utterance).await })
            }
            // Taken by `run`.
            Asked::Callback { .. } => None,
        }
    }
}

/// What is brought where nothing could be.
fn failed(asked: &Asked, why: &str) -> Option<Brought> {
    match asked {
        Asked::Fetch { fetch, .. } => {
            Some(Brought::Response { fetch: *fetch, result: Err(FetchFault::Refused(why.to_owned())) })
        }
        Asked::Flow { fetch, .. } => Some(Brought::Flow { fetch: *fetch, flow: None }),
        Asked::Prompt { play, .. } => Some(Brought::Prompt { play: *play, known: Err(why.to_owned()) }),
        Asked::Sound { play, .. } | Asked::Say { play, .. } => {
            Some(Brought::Sound { play: *play, sound: Err(why.to_owned()) })
        }
        Asked::WriteDown { listen, .. } => Some(Brought::WrittenDown { listen: *listen, result: Err(why.to_owned()) }),
        Asked::Callback { .. } => None,
    }
}
