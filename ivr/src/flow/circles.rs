//! States that lead back to themselves without a moment of the caller's: told when a flow is stored, before a call is
//! ended for it.

use super::FlowError;
use super::states::{Edge, State};
use crate::answer::parse::shorten;
use crate::limits::{MAX_HURRIED_ERRANDS, MAX_HURRIED_STATES};
use std::collections::VecDeque;

/// Names of one circle that are told.
const NAMED: usize = 8;

/// The circles that are seen in the document itself, each once. What a transfer, a recording or another flow takes of the
/// caller's time is not: those are no part of one.
pub(super) fn circles(names: &[String], states: &[State]) -> Vec<FlowError> {
    let mut told = vec![false; states.len()];
    let mut found = Vec::new();
    for start in 0..states.len() {
        if told.get(start).is_some_and(|told| !told)
            && let Some(circle) = shortest(start, states)
        {
            circle.iter().filter_map(|at| told.get_mut(*at).map(|told| *told = true)).for_each(drop);
            let of = |at: &usize| names.get(*at).map(|name| shorten(name)).unwrap_or_default();
            let by: Vec<String> = circle.iter().take(NAMED).map(|at| format!("`{}`", of(at))).collect();
            let message = format!(
                "leads back to itself (by {}{}) and the caller hears and enters nothing on the way: after \
                 {MAX_HURRIED_ERRANDS} requests or {MAX_HURRIED_STATES} states in a row the call ends with an error; put \
                 a `pause`, a `say` or a `menu` between them",
                by.join(", "),
                if circle.len() > NAMED { ", …" } else { "" },
            );
            found.push(FlowError { path: format!("flow.states.{}", of(&start)), message });
        }
    }
    found
}

/// The states of the shortest way from `start` back to it over states that take no time of the caller's.
fn shortest(start: usize, states: &[State]) -> Option<Vec<usize>> {
    let mut from: Vec<Option<usize>> = vec![None; states.len()];
    let mut open = VecDeque::from([start]);
    while let Some(at) = open.pop_front() {
        for next in states.get(at).map(in_no_time).unwrap_or_default().into_iter().flatten() {
            if next == start {
                let mut way = vec![at];
                while let Some(before) = way.last().filter(|at| **at != start).and_then(|at| from.get(*at)) {
                    way.extend(*before);
                }
                way.reverse();
                return Some(way);
            }
            if let Some(seen @ None) = from.get_mut(next) {
                *seen = Some(at);
                open.push_back(next);
            }
        }
    }
    None
}

/// Where a state leads that takes no time of the caller's; nowhere for every other.
fn in_no_time(state: &State) -> Vec<Edge> {
    match state {
        State::Set { next, .. } => vec![*next],
        State::Branch { tests, otherwise } => tests.iter().map(|(_, next)| *next).chain([*otherwise]).collect(),
        State::Hours { open, closed, .. } => vec![*open, *closed],
        State::Http { on, next, .. } => on.values().copied().chain([*next]).collect(),
        _ => Vec::new(),
    }
}
