//! Lanes: how many deliveries each endpoint may have under way, so that a slow or dead one holds up nobody else. Pure.
//!
//! A new endpoint begins with few; each quick answer allows more, each failure fewer. Endpoints that are not known to
//! answer well share half of all places, so the other half is always there for those that do.

use std::collections::HashMap;
use std::sync::Arc;

use registry::{Endpoint, Listeners, Wish};
use schemas::Timestamp;
use schemas::id::EndpointId;

use super::send::Target;

/// Places of one endpoint: at first, and at most.
const FIRST: u32 = 2;
const MOST: u32 = 32;
/// Milliseconds within which an answer is quick.
pub const QUICK: u32 = 1_000;

/// One endpoint.
struct Lane {
    endpoint: Arc<Endpoint>,
    target: Option<Arc<Target>>,
    places: u32,
    under_way: u32,
    /// Its last answer was quick and good.
    proven: bool,
    /// How often it said in a row that it has too much.
    strikes: u32,
    rests_until: Timestamp,
    /// When the next of its deliveries is due; none until something happens.
    next: Option<Timestamp>,
    /// Something happened since deliveries were last looked for.
    marked: bool,
}

/// How an attempt went, for its lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Went {
    /// It was taken.
    pub taken: bool,
    /// Milliseconds that it took.
    pub millis: u32,
    /// The endpoint said that it has too much.
    pub busy: bool,
    /// Nothing is sent to it before this time.
    pub rests_until: Option<Timestamp>,
}

/// All of them.
pub struct Lanes {
    lanes: HashMap<EndpointId, Lane>,
    at_once: u32,
    /// Leased deliveries whose end is not written down yet.
    unwritten: u32,
    turn: usize,
}

impl Lanes {
    /// No lane; at most `at_once` deliveries under way.
    pub fn new(at_once: u32) -> Lanes {
        Lanes { lanes: HashMap::new(), at_once, unwritten: 0, turn: 0 }
    }

    /// Follows the endpoints there are now; `target` makes what is needed to send to one.
    pub fn sync(&mut self, listeners: &Listeners, target: impl Fn(&Endpoint) -> Option<Target>) {
        let mut lanes = HashMap::new();
        for endpoint in listeners.all() {
            let lane = match self.lanes.remove(&endpoint.endpoint_id) {
                Some(mut lane) => {
                    if lane.endpoint != *endpoint {
                        lane.target = target(endpoint).map(Arc::new);
                        lane.endpoint = Arc::clone(endpoint);
                    }
                    lane.next = Some(Timestamp::from_micros(0));
                    lane
                }
                None => Lane {
                    endpoint: Arc::clone(endpoint),
                    target: target(endpoint).map(Arc::new),
                    places: FIRST,
                    under_way: 0,
                    proven: false,
                    strikes: 0,
                    rests_until: Timestamp::from_micros(0),
                    next: Some(Timestamp::from_micros(0)),
                    marked: false,
                },
            };
            lanes.insert(endpoint.endpoint_id.clone(), lane);
        }
        self.lanes = lanes;
    }

    /// What may be taken now, at most `most` endpoints, in turn.
    pub fn wishes(&mut self, most: usize, now: Timestamp) -> Vec<Wish> {
        let (mut all, mut unproven) = (0, 0);
        for lane in self.lanes.values() {
            all += lane.under_way;
            unproven += if lane.proven { 0 } else { lane.under_way };
        }
        // Ends that are not written down count too, else a slow disk would let them pile up.
        let mut free = self.at_once.saturating_sub(all).min((self.at_once * 4).saturating_sub(self.unwritten));
        let mut shared = (self.at_once / 2).saturating_sub(unproven);
        let mut ids: Vec<&EndpointId> = self.lanes.iter().filter(|(_, l)| l.may(now)).map(|(id, _)| id).collect();
        ids.sort_unstable();
        let turn = if ids.is_empty() { 0 } else { self.turn % ids.len() };
        ids.rotate_left(turn);
        let mut wishes = Vec::new();
        for id in ids {
            let Some(lane) = self.lanes.get(id) else { continue };
            let room = if lane.proven { free } else { free.min(shared) };
            let most_here = lane.places.saturating_sub(lane.under_way).min(room);
            if most_here == 0 {
                continue;
            }
            free -= most_here;
            if !lane.proven {
                shared -= most_here;
            }
            wishes.push(Wish { endpoint_id: id.clone(), most: most_here, ordered: lane.endpoint.ordered });
            if wishes.len() == most {
                break;
            }
        }
        for wish in &wishes {
            if let Some(lane) = self.lanes.get_mut(&wish.endpoint_id) {
                lane.marked = false;
            }
        }
        self.turn = self.turn.wrapping_add(wishes.len().max(1));
        wishes
    }

    /// A delivery was taken for an endpoint; where it goes, if that is known.
    pub fn begun(&mut self, id: &EndpointId) -> Option<Arc<Target>> {
        self.unwritten += 1;
        let lane = self.lanes.get_mut(id)?;
        lane.under_way += 1;
        lane.target.clone()
    }

    /// The look found no more for an endpoint that is due before `next`; none where all are under way or done. Counts
    /// unless something happened since [`Lanes::wishes`].
    pub fn idle(&mut self, id: &EndpointId, next: Option<Timestamp>) {
        if let Some(lane) = self.lanes.get_mut(id).filter(|lane| !lane.marked) {
            lane.next = next;
        }
    }

    /// Something is due for an endpoint at this time.
    pub fn due(&mut self, id: &EndpointId, at: Timestamp) {
        if let Some(lane) = self.lanes.get_mut(id) {
            lane.next = Some(lane.next.map_or(at, |next| next.min(at)));
            lane.marked = true;
        }
    }

    /// A delivery of this endpoint is done; where it takes them in order, the next may be due.
    pub fn ordered_due(&mut self, id: &EndpointId) {
        if let Some(lane) = self.lanes.get_mut(id).filter(|lane| lane.endpoint.ordered) {
            lane.next = Some(Timestamp::from_micros(0));
            lane.marked = true;
        }
    }

    /// Everything is looked at anew.
    pub fn all_due(&mut self) {
        self.lanes.values_mut().for_each(|lane| lane.next = Some(Timestamp::from_micros(0)));
    }

    /// Whether somebody said, `strikes` times before, that it has too much.
    pub fn strikes(&self, id: &EndpointId) -> u32 {
        self.lanes.get(id).map_or(0, |lane| lane.strikes)
    }

    /// An attempt ended.
    pub fn ended(&mut self, id: &EndpointId, went: Went) {
        let Some(lane) = self.lanes.get_mut(id) else { return };
        lane.under_way = lane.under_way.saturating_sub(1);
        let quick = went.millis <= QUICK;
        lane.proven = went.taken && quick;
        lane.places = match (went.taken, quick) {
            (true, true) => (lane.places * 2).min(MOST),
            (true, false) => lane.places.clamp(1, FIRST),
            (false, _) => 1,
        };
        lane.strikes = if went.busy { lane.strikes.saturating_add(1) } else { 0 };
        if let Some(until) = went.rests_until {
            lane.rests_until = lane.rests_until.max(until);
        }
    }

    /// The ends of so many attempts were written down, or will never be.
    pub fn written(&mut self, count: usize) {
        self.unwritten = self.unwritten.saturating_sub(u32::try_from(count).unwrap_or(u32::MAX));
    }

    /// Leased deliveries whose end is not written down yet.
    pub fn unwritten(&self) -> u32 {
        self.unwritten
    }
}

impl Lane {
    fn may(&self, now: Timestamp) -> bool {
        let open = self.endpoint.paused_at.is_none() && self.rests_until <= now && self.under_way < self.places;
        open && self.next.is_some_and(|next| next <= now)
    }
}

#[cfg(test)]
#[path = "lane_tests.rs"]
mod tests;
