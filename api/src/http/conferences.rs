//! `/v1/conferences`: those that are held now, who is in them, and what may be done to either.
//!
//! A conference is what its members' records say of it: it begins with the first of them and is gone with the last.

use super::auth::Caller;
use super::fields::Fields;
use super::path::{Named, OfConference, OfMember, Pair};
use super::problem::Problem;
use super::query::Params;
use super::resource::List;
use super::time::rfc3339;
use super::{Api, App, json};
use crate::keys::Scope;
use crate::store::Page;
use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use switch::{CallSid, Command, MemberChange, MemberView, RoomOrder, Steer};
use utoipa::ToSchema;

/// A member, and the conference that it is in.
struct Member {
    conference: String,
    call: CallSid,
    view: MemberView,
}

/// A conference that is held.
#[derive(Serialize, ToSchema)]
#[schema(as = Conference)]
struct ConferenceResource {
    sid: String,
    name: String,
    #[schema(format = DateTime)]
    started_at: String,
    /// How many are in it.
    participants: usize,
}

/// A call that is in a conference.
#[derive(Serialize, ToSchema)]
#[schema(as = Participant)]
struct ParticipantResource {
    call_sid: String,
    conference_sid: String,
    #[schema(format = DateTime)]
    joined_at: String,
    /// Nobody hears it.
    muted: bool,
    /// It hears nobody.
    deaf: bool,
    /// Both, with music.
    held: bool,
    /// The call that alone hears it.
    coaches: Option<String>,
}

impl Member {
    fn resource(&self) -> ParticipantResource {
        let MemberView { joined_at, muted, deaf, held, coaches, .. } = &self.view;
        ParticipantResource {
            call_sid: self.call.to_string(),
            conference_sid: self.conference.clone(),
            joined_at: rfc3339(*joined_at),
            muted: *muted,
            deaf: *deaf,
            held: *held,
            coaches: coaches.map(|call| call.to_string()),
        }
    }
}

/// The members of the tenant's conferences of which the sid is `wanted`, who came first first.
fn members(app: &App, caller: &Caller, wanted: impl Fn(&str) -> bool) -> Vec<Member> {
    let live = app.inner.ledger.live();
    let found = live.collect(
        |view| view.tenant == caller.tenant() && view.engaged.conference.as_deref().is_some_and(&wanted),
        |view| Some((view.engaged.conference.clone()?, view.sid, view.engaged.member.clone()?)),
    );
    let found = found.into_iter().flatten().map(|(conference, call, view)| Member { conference, call, view });
    let mut members: Vec<Member> = found.collect();
    members.sort_by_key(|member| (member.view.joined_at, member.call));
    members
}

/// The members of a conference; one that has none is not there, and neither is another tenant's.
fn of(app: &App, caller: &Caller, sid: &str) -> Result<Vec<Member>, Problem> {
    let members = members(app, caller, |conference| conference == sid);
    if members.is_empty() {
        let detail = "no conference with this sid is held now";
        return Err(Problem::new(StatusCode::NOT_FOUND, "conference_not_found", detail));
    }
    Ok(members)
}

/// A conference by its members; none has none.
fn resource(app: &App, members: &[Member]) -> Option<ConferenceResource> {
    let first = members.first()?;
    let began = app.inner.ledger.live().held_since(&first.conference).unwrap_or(first.view.joined_at);
    Some(ConferenceResource {
        sid: first.conference.clone(),
        name: first.view.name.clone(),
        started_at: rfc3339(began),
        participants: members.len(),
    })
}

/// The conferences that are held now.
#[utoipa::path(
    get,
    path = "/conferences",
    operation_id = "list_conferences",
    tag = "conferences",
    params(("name" = Option<String>, Query, description = "Only those of this name."), Page),
    responses((status = 200, description = "A page of conferences.", body = List<ConferenceResource>)),
    extensions(("x-problems" = json!(["invalid_cursor"]))),
)]
pub(super) async fn list(State(app): Api, caller: Caller, params: Params) -> Result<Response, Problem> {
    caller.may(Scope::Read)?;
    let mut params = params.only(&["name", "limit", "cursor"])?;
    let name = params.text("name");
    let (limit, after) = params.cut(|sid| is_sid(sid).then(|| sid.to_owned()))?;
    let mut held: BTreeMap<String, Vec<Member>> = BTreeMap::new();
    for member in members(&app, &caller, |sid| after.as_deref().is_none_or(|after| sid > after)) {
        if name.as_ref().is_none_or(|name| *name == member.view.name) {
            held.entry(member.conference.clone()).or_default().push(member);
        }
    }
    let next = (held.len() > limit).then(|| held.keys().nth(limit.saturating_sub(1)).cloned()).flatten();
    let items: Vec<ConferenceResource> =
        held.values().take(limit).filter_map(|members| resource(&app, members)).collect();
    Ok(Json(List { items, next_cursor: next }).into_response())
}

fn is_sid(text: &str) -> bool {
    text.strip_prefix("CF").is_some_and(|hex| hex.len() == 32 && hex.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// One of them.
#[utoipa::path(
    get,
    path = "/conferences/{sid}",
    operation_id = "get_conference",
    tag = "conferences",
    params(OfConference),
    responses((status = 200, description = "The conference.", body = ConferenceResource)),
    extensions(("x-problems" = json!(["conference_not_found"]))),
)]
pub(super) async fn get(
    State(app): Api,
    caller: Caller,
    Named(sid): Named,
    params: Params,
) -> Result<Response, Problem> {
    caller.may(Scope::Read)?;
    params.only(&[])?;
    Ok(Json(resource(&app, &of(&app, &caller, &sid)?)).into_response())
}

/// Announces something to all, begins or ends a recording, or ends the conference.
#[utoipa::path(
    post,
    path = "/conferences/{sid}",
    operation_id = "change_conference",
    tag = "conferences",
    params(OfConference),
    request_body(content = ref("#/components/schemas/ConferenceChange")),
    responses((status = 200, description = "The conference; what comes of it are events of its members.", body = ConferenceResource)),
    extensions(("x-problems" = json!(["conference_not_found", "draining", "overloaded", "unknown_prompt", "unreadable_prompt", "too_many_prompts"]))),
)]
pub(super) async fn post(
    State(app): Api,
    caller: Caller,
    Named(sid): Named,
    request: Request,
) -> Result<Response, Problem> {
    caller.may(Scope::Calls)?;
    let order = order(json::object(request).await?)?;
    let members = of(&app, &caller, &sid)?;
    if let RoomOrder::Announce(name) = &order {
        app.inner.prompts.ensure([name.as_str()]).await?;
    }
    let command = Command::Confer { tenant: caller.tenant().to_owned(), conference: sid, order };
    app.inner.commander.send(command).await?;
    Ok(Json(resource(&app, &members)).into_response())
}

fn order(body: Map<String, Value>) -> Result<RoomOrder, Problem> {
    let mut fields = Fields::of(body, &["announce", "record", "status"], &[])?;
    match (fields.optional_text("announce")?, flag(&mut fields, "record")?, fields.optional_text("status")?) {
        (Some(prompt), None, None) => Ok(RoomOrder::Announce(prompt)),
        (None, Some(record), None) => Ok(RoomOrder::Record(record)),
        (None, None, Some(status)) if status == "completed" => Ok(RoomOrder::End),
        (None, None, Some(_)) => Err(Problem::bad("invalid_value", "`status` is \"completed\"").at("status")),
        _ => {
            let detail = "say one of {\"announce\": \"welcome\"}, {\"record\": true}, {\"record\": false}, {\"status\": \"completed\"}";
            Err(Problem::bad("missing_field", detail).at("announce"))
        }
    }
}

fn flag(fields: &mut Fields, name: &'static str) -> Result<Option<bool>, Problem> {
    let Some(value) = fields.take(name) else { return Ok(None) };
    value
        .as_bool()
        .map(Some)
        .ok_or_else(|| Problem::bad("invalid_value", format!("`{name}` is true or false")).at(name))
}

/// Who is in a conference, who came first first.
#[utoipa::path(
    get,
    path = "/conferences/{sid}/participants",
    operation_id = "list_participants",
    tag = "conferences",
    params(OfConference),
    responses((status = 200, description = "All of them.", body = List<ParticipantResource>)),
    extensions(("x-problems" = json!(["conference_not_found"]))),
)]
pub(super) async fn participants(
    State(app): Api,
    caller: Caller,
    Named(sid): Named,
    params: Params,
) -> Result<Response, Problem> {
    caller.may(Scope::Read)?;
    params.only(&[])?;
    let items: Vec<ParticipantResource> = of(&app, &caller, &sid)?.iter().map(Member::resource).collect();
    Ok(Json(List { items, next_cursor: None }).into_response())
}

fn one(app: &App, caller: &Caller, sid: &str, call: &str) -> Result<Member, Problem> {
    let found = of(app, caller, sid)?.into_iter().find(|member| member.call.to_string() == call);
    found.ok_or_else(|| {
        let detail = "no call with this sid is in the conference";
        Problem::new(StatusCode::NOT_FOUND, "participant_not_found", detail)
    })
}

/// One of those who are in a conference.
#[utoipa::path(
    get,
    path = "/conferences/{sid}/participants/{call}",
    operation_id = "get_participant",
    tag = "conferences",
    params(OfMember),
    responses((status = 200, description = "The member.", body = ParticipantResource)),
    extensions(("x-problems" = json!(["conference_not_found", "participant_not_found"]))),
)]
pub(super) async fn participant(
    State(app): Api,
    caller: Caller,
    Pair(sid, call): Pair,
    params: Params,
) -> Result<Response, Problem> {
    caller.may(Scope::Read)?;
    params.only(&[])?;
    Ok(Json(one(&app, &caller, &sid, &call)?.resource()).into_response())
}

/// Changes what a member may do; the answer is how it will be.
#[utoipa::path(
    post,
    path = "/conferences/{sid}/participants/{call}",
    operation_id = "change_participant",
    tag = "conferences",
    params(OfMember),
    request_body(content = ref("#/components/schemas/ParticipantChange")),
    responses((status = 200, description = "The member as it will be.", body = ParticipantResource)),
    extensions(("x-problems" = json!(["conference_not_found", "participant_not_found", "draining", "overloaded"]))),
)]
pub(super) async fn change(
    State(app): Api,
    caller: Caller,
    Pair(sid, call): Pair,
    request: Request,
) -> Result<Response, Problem> {
    caller.may(Scope::Calls)?;
    let mut fields = Fields::of(json::object(request).await?, &["muted", "deaf", "held"], &[])?;
    let change = MemberChange {
        muted: flag(&mut fields, "muted")?,
        deaf: flag(&mut fields, "deaf")?,
        held: flag(&mut fields, "held")?,
    };
    if change == MemberChange::default() {
        let detail = "say what is to change: {\"muted\": true}, `deaf` or `held`";
        return Err(Problem::bad("missing_field", detail).at("muted"));
    }
    let mut member = one(&app, &caller, &sid, &call)?;
    let steer = Box::new(Steer::Member(change));
    app.inner.commander.send(Command::Steer { sid: member.call, steer }).await?;
    let MemberView { muted, deaf, held, .. } = &mut member.view;
    *muted = change.muted.unwrap_or(*muted);
    *deaf = change.deaf.unwrap_or(*deaf);
    *held = change.held.unwrap_or(*held);
    Ok(Json(member.resource()).into_response())
}

/// Takes a member out; its program goes on behind the conference.
#[utoipa::path(
    delete,
    path = "/conferences/{sid}/participants/{call}",
    operation_id = "remove_participant",
    tag = "conferences",
    params(OfMember),
    responses((status = 204, description = "Signalling has been told.")),
    extensions(("x-problems" = json!(["conference_not_found", "participant_not_found", "draining", "overloaded"]))),
)]
pub(super) async fn kick(
    State(app): Api,
    caller: Caller,
    Pair(sid, call): Pair,
    params: Params,
) -> Result<Response, Problem> {
    caller.may(Scope::Calls)?;
    params.only(&[])?;
    let member = one(&app, &caller, &sid, &call)?;
    let steer = Box::new(Steer::LeaveRoom);
    app.inner.commander.send(Command::Steer { sid: member.call, steer }).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
