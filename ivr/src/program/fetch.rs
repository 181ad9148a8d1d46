//! Documents: asked for, tried again, followed to where they have moved, and begun (TWILIO.md §3.4).

use super::ends::Outcome;
use super::io::{FetchId, Input, Output};
use super::{Frame, Life, Program, State};
use crate::answer::{Action, CallFlow, Fetch, Inline, Link, Sound, Verb};
use crate::http::{FetchFault, HttpRequest, Method, Params, Response, link, overrides};
use crate::limits::{
    FETCH_GRACE_S, MAX_AFTERWARDS, MAX_BODY, MAX_DOCUMENTS, MAX_HTTP_REDIRECTS, MAX_HURRIED, MAX_SAY, SETTLE_S,
};
use crate::twiml::{self, Document};
use base::{Now, millis, secs};
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// A document lasts at least so long, in nanoseconds, if it is not to count as hurried.
const UNHURRIED: u64 = secs(1);

/// Which document runs, and how many have.
#[derive(Clone, Debug, Default)]
pub(super) struct Documents {
    current: Source,
    fallback: Option<(Url, Method)>,
    begun: u32,
    /// Requests of flows since the caller has gone.
    afterwards: u32,
    hurried: u32,
    /// When the current one began (monotonic nanoseconds).
    since: u64,
}

/// Where the document that runs has come from.
#[derive(Clone, Debug, Default)]
enum Source {
    /// It is no document: a program in JSON.
    #[default]
    None,
    Inline(Arc<Document>),
    Url(Url),
}

impl Documents {
    /// The program was replaced: its documents are no longer anybody's current one.
    pub(super) fn forget(&mut self) {
        *self = Self { begun: self.begun, ..Self::default() };
    }

    /// The URL that a link leads to; none for the document itself, where it has no URL.
    pub(super) fn resolve(&self, link: &Link) -> Result<Option<Url>, String> {
        match (link, &self.current) {
            (Link::Url(url), _) | (Link::Current, Source::Url(url)) => Ok(Some(url.clone())),
            (Link::Current, _) => Ok(None),
            (Link::Broken(why), _) => Err(why.clone()),
        }
    }

    /// Counts a request of a flow; why that is one too many, if it is.
    fn count_request(&mut self, gone: bool) -> Result<(), String> {
        self.begun += 1;
        self.afterwards += u32::from(gone);
        if self.begun > MAX_DOCUMENTS {
            return Err(format!("a call makes at most {MAX_DOCUMENTS} requests"));
        }
        if self.afterwards > MAX_AFTERWARDS {
            return Err(format!("a flow makes at most {MAX_AFTERWARDS} requests when the caller has gone"));
        }
        Ok(())
    }

    /// Counts a document that is asked for or begun anew; why that is one too many, if it is.
    fn count(&mut self, now: Now) -> Result<(), String> {
        self.begun += 1;
        let hurries = self.begun > 1 && now.mono.saturating_sub(self.since) < UNHURRIED;
        self.hurried = if hurries { self.hurried + 1 } else { 0 };
        if self.begun > MAX_DOCUMENTS {
            return Err(format!("a call fetches at most {MAX_DOCUMENTS} documents"));
        }
        if self.hurried > MAX_HURRIED {
            return Err(format!(
                "{MAX_HURRIED} documents in a row lasted less than a second: they lead to one another; put a <Say>, a <Pause> \
                 or a <Gather> before the <Redirect>"
            ));
        }
        Ok(())
    }
}

/// A question that is out.
#[derive(Clone, Debug)]
pub(super) struct Fetching {
    id: FetchId,
    purpose: Purpose,
    /// Monotonic nanoseconds at which it has failed.
    until: u64,
}

#[derive(Clone, Debug)]
enum Purpose {
    Http { request: HttpRequest, retries: u32, hops: u32, what: What },
    Flow(CallFlow),
}

/// What the response is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    /// The next document.
    Document,
    /// The document in the place of one that has failed.
    Fallback,
    /// A flow.
    Flow,
}

impl Fetching {
    pub(super) const fn until(&self) -> u64 {
        self.until
    }

    /// True where a flow waits for it: it goes on also when the caller has gone.
    pub(super) fn is_for_a_flow(&self) -> bool {
        matches!(self.purpose, Purpose::Http { what: What::Flow, .. })
    }
}

impl Program {
    /// `url` and `redirect`.
    pub(super) fn fetch(&mut self, fetch: Fetch, now: Now) -> State {
        if fetch.fallback.is_some() {
            self.documents.fallback = fetch.fallback;
        }
        self.ask(&fetch.action, Params::new(), now)
    }

    /// Asks for the document that comes next, telling its owner this.
    pub(super) fn ask(&mut self, action: &Action, own: Params, now: Now) -> State {
        self.frames.clear();
        match (self.documents.resolve(&action.link), &self.documents.current) {
            (Ok(Some(url)), _) => {
                if let Err(why) = self.documents.count(now) {
                    return self.application_error(11200, &why, now);
                }
                let params = self.params(own);
                self.send(url, action.method, params, What::Document, now)
            }
            (Ok(None), Source::Inline(document)) => {
                let document = document.clone();
                self.begin(&document, now)
            }
            (Ok(None), _) => self.application_error(11200, "there is no current document to ask for", now),
            (Err(why), _) => self.document_failed(11100, &why, None, now),
        }
    }

    fn send(&mut self, url: Url, method: Method, params: Params, what: What, now: Now) -> State {
        let retries = overrides(&url).retries;
        let token = self.out.token();
        self.exchange(HttpRequest::new(url, method, params, token), retries, 0, what, now)
    }

    fn exchange(&mut self, request: HttpRequest, retries: u32, hops: u32, what: What, now: Now) -> State {
        let ms = u64::from(request.timeouts.total_ms);
        let until = now.mono.saturating_add(millis(ms) + secs(FETCH_GRACE_S));
        let id = self.out.fetch(request.clone());
        State::Fetching(Box::new(Fetching { id, until, purpose: Purpose::Http { request, retries, hops, what } }))
    }

    /// A flow asks a web server.
    pub(super) fn fetch_for_flow(&mut self, mut request: HttpRequest, now: Now) -> State {
        if let Err(why) = self.documents.count_request(self.life == Life::Gone) {
            return self.application_error(11200, &why, now);
        }
        request.token = self.out.token();
        let retries = overrides(&request.url).retries;
        self.exchange(request, retries, 0, What::Flow, now)
    }

    pub(super) fn find_flow(&mut self, flow: CallFlow, now: Now) -> State {
        let id = self.out.flow(flow.name.clone());
        let until = now.after(Duration::from_secs(SETTLE_S));
        State::Fetching(Box::new(Fetching { id, until, purpose: Purpose::Flow(flow) }))
    }

    pub(super) fn fetching(&mut self, fetching: Box<Fetching>, input: Input, now: Now) -> State {
        match (input, &fetching.purpose) {
            (Input::Fetched { fetch, result }, Purpose::Http { .. }) if fetch == fetching.id => {
                self.fetched(fetching.purpose, result, now)
            }
            (Input::FlowFound { fetch, flow }, Purpose::Flow(asked)) if fetch == fetching.id => {
                self.begin_flow(asked.clone(), flow, now)
            }
            (Input::Timeout, _) if fetching.until <= now.mono => match fetching.purpose {
                Purpose::Flow(asked) => self.begin_flow(asked, None, now),
                purpose => self.fetched(purpose, Err(FetchFault::Timeout), now),
            },
            _ => State::Fetching(fetching),
        }
    }

    fn fetched(&mut self, purpose: Purpose, result: Result<Response, FetchFault>, now: Now) -> State {
        let Purpose::Http { request, retries, hops, what } = purpose else { return State::Done };
        let policy = overrides(&request.url).policy;
        let again = match &result {
            Ok(response) => policy.covers_status(response.status),
            Err(fault) => policy.covers_fault(fault),
        };
        if again && retries > 0 {
            return self.exchange(request, retries - 1, hops, what, now);
        }
        match result {
            Ok(response) if moves(response.status) && response.location.is_some() => {
                self.moved(request, &response, retries, hops, what, now)
            }
            result if what == What::Flow => {
                self.tell_flow(&Outcome::Fetched(result));
                self.advance(now)
            }
            Ok(response) if (200..=299).contains(&response.status) => self.loaded(&request.url, response, what, now),
            Ok(response) => {
                let why = format!("{} answered {}", shown(&request.url), response.status);
                self.fetch_failed(11200, &why, &request.url, what, now)
            }
            Err(fault) => {
                let (code, why) = faulty(&fault);
                self.fetch_failed(code, &format!("{}: {why}", shown(&request.url)), &request.url, what, now)
            }
        }
    }

    /// 301, 302 and 303 become GET and lose the form; 307 and 308 keep both (TWILIO.md §3.1).
    fn moved(&mut self, old: HttpRequest, to: &Response, retries: u32, hops: u32, what: What, now: Now) -> State {
        let location = to.location.as_deref().unwrap_or_default();
        let next = match link(location, Some(&old.url)) {
            Ok(_) if hops >= MAX_HTTP_REDIRECTS => Err(format!("moved more than {MAX_HTTP_REDIRECTS} times")),
            other => other,
        };
        match next {
            Ok(url) => {
                let mut request = old;
                let fragment = request.url.fragment().map(str::to_owned);
                request.url = url;
                if request.url.fragment().is_none() {
                    request.url.set_fragment(fragment.as_deref());
                }
                if !matches!(to.status, 307 | 308) {
                    request = HttpRequest {
                        timeouts: request.timeouts,
                        ..HttpRequest::new(request.url, Method::Get, Params::new(), request.token)
                    };
                }
                self.exchange(request, retries, hops + 1, what, now)
            }
            Err(why) if what == What::Flow => {
                self.tell_flow(&Outcome::Fetched(Err(FetchFault::Protocol(why))));
                self.advance(now)
            }
            Err(why) => self.fetch_failed(11200, &format!("{}: {why}", shown(&old.url)), &old.url, what, now),
        }
    }

    fn fetch_failed(&mut self, code: u32, why: &str, url: &Url, what: What, now: Now) -> State {
        match what {
            What::Fallback => self.application_error(code, why, now),
            What::Document | What::Flow => self.document_failed(code, why, Some(url), now),
        }
    }

    /// The fallback, where there is one; else the caller is told.
    fn document_failed(&mut self, code: u32, why: &str, url: Option<&Url>, now: Now) -> State {
        let Some((fallback, method)) = self.documents.fallback.clone() else {
            return self.application_error(code, why, now);
        };
        self.out.warn(code, why);
        if let Err(why) = self.documents.count(now) {
            return self.application_error(11200, &why, now);
        }
        let own = vec![
            ("ErrorCode".to_owned(), code.to_string()),
            ("ErrorUrl".to_owned(), url.map(shown).unwrap_or_default()),
        ];
        let params = self.params(own);
        self.send(fallback, method, params, What::Fallback, now)
    }

    /// A document has come: what its type says is done with it.
    fn loaded(&mut self, url: &Url, response: Response, what: What, now: Now) -> State {
        if response.body.len() > MAX_BODY {
            let why = format!("{}: a document has at most {MAX_BODY} bytes", shown(url));
            return self.fetch_failed(11750, &why, url, what, now);
        }
        let kind = response.content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let mut place = url.clone();
        place.set_fragment(None);
        let document = match kind.as_str() {
            _ if response.body.iter().all(u8::is_ascii_whitespace) => Ok(Document::default()),
            "text/xml" | "application/xml" | "text/html" => read(&response.body, &place),
            "text/plain" => Ok(words(&response.body)),
            audio if audio.starts_with("audio/") => {
                Ok(Document::of(vec![Verb::Hear(Sound::Url { url: place.clone(), repeat: 1 })]))
            }
            other => Err((12300, format!("the content type {:?} is none of a document", crate::http::cut(other, 60)))),
        };
        match document {
            Ok(document) => {
                self.documents.current = Source::Url(url.clone());
                self.run_document(&document, now)
            }
            Err((code, why)) => self.fetch_failed(code, &format!("{}: {why}", shown(url)), url, what, now),
        }
    }

    /// `twiml`.
    pub(super) fn begin_inline(&mut self, inline: &Inline, now: Now) -> State {
        if inline.fallback.is_some() {
            self.documents.fallback.clone_from(&inline.fallback);
        }
        self.begin(&inline.document, now)
    }

    fn begin(&mut self, document: &Arc<Document>, now: Now) -> State {
        if let Err(why) = self.documents.count(now) {
            return self.application_error(11200, &why, now);
        }
        self.documents.current = Source::Inline(document.clone());
        self.run_document(document, now)
    }

    fn run_document(&mut self, document: &Document, now: Now) -> State {
        if self.life == Life::Gone {
            return State::Done;
        }
        self.documents.since = now.mono;
        document.warnings.iter().cloned().for_each(|warning| self.out.push(Output::Warning(warning)));
        self.frames = vec![Frame::Verbs(document.verbs.clone().into_iter())];
        self.advance(now)
    }
}

/// True for a status that says where else to look.
const fn moves(status: u16) -> bool {
    matches!(status, 301 | 302 | 303 | 307 | 308)
}

fn read(body: &[u8], url: &Url) -> Result<Document, (u32, String)> {
    let text = std::str::from_utf8(body).map_err(|why| (12100, format!("the document is no UTF-8: {why}")))?;
    twiml::compile(text, Some(url)).map_err(|why| (12100, why.to_string()))
}

/// Plain text is said.
fn words(body: &[u8]) -> Document {
    let text = String::from_utf8_lossy(body);
    Document::of(vec![Verb::Hear(Sound::words(crate::http::cut(text.trim(), MAX_SAY)))])
}

fn faulty(fault: &FetchFault) -> (u32, String) {
    match fault {
        FetchFault::Connect(why) => (11205, format!("no connection: {why}")),
        FetchFault::Timeout => (11205, "no response in time".to_owned()),
        FetchFault::Protocol(why) => (11200, format!("no valid response: {why}")),
        FetchFault::Refused(why) => (11200, format!("not allowed: {why}")),
    }
}

/// A URL as the record and the document's owner see it: without the credentials and overrides in it.
fn shown(url: &Url) -> String {
    let mut shown = url.clone();
    shown.set_fragment(None);
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown.into()
}
