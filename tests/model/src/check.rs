//! What must hold in every state, and what must be reachable, so that the checks are about something.

use stateright::{Model, Property};

use crate::state::{CAP, Charge, Phase, Protocol, ROOMS, Room, World};
use crate::step::{self, Step};

/// More runs completed than the budget pays for.
pub const BUDGET: &str = "the budget is never overspent";
/// A key left without a charge.
pub const CHARGED: &str = "no key without a charge";
/// A charge went back after its key was wrapped.
pub const FINAL: &str = "a charge is final once the key is wrapped";
/// A run was paid twice.
pub const PAID_ONCE: &str = "a run pays once";
/// A service that was put back opened something.
pub const ROLLBACK: &str = "a rollback is detected before release";
/// A challenge was answered twice.
pub const ANSWERED_ONCE: &str = "a challenge is answered once";

/// The names of everything that must hold.
pub const ALWAYS: [&str; 6] = [BUDGET, CHARGED, FINAL, PAID_ONCE, ROLLBACK, ANSWERED_ONCE];
/// The names of what must be reachable.
pub const SOMETIMES: [&str; 4] =
    ["a run completes", "a lost answer is asked for again", "a charge is refunded", "a service is behind"];

/// Requests that a room needs where no answer is lost.
fn most(room: &Room) -> usize {
    room.held.iter().flatten().flatten().count()
}

fn within_budget(world: &World) -> bool {
    if world.completed() > CAP {
        return false;
    }
    // Where nothing was put back the books themselves must be right: keys that are out and not given back.
    world.services.iter().zip(&world.noted.wrapped).all(|(service, wrapped)| {
        let refunded = |room: usize| service.database.charges[room] == Charge::Refunded;
        world.restores() > 0 || (0..ROOMS).filter(|room| wrapped[*room] && !refunded(*room)).count() <= CAP
    })
}

impl Model for Protocol {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        vec![World::new()]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Step>) {
        actions.extend(step::steps(self, world));
    }

    fn next_state(&self, world: &World, action: Step) -> Option<World> {
        step::take(self, world, action)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::<Self>::always(BUDGET, |_, world| within_budget(world)),
            Property::<Self>::always(CHARGED, |_, world| !world.noted.uncharged),
            Property::<Self>::always(FINAL, |_, world| !world.noted.taken_back),
            Property::<Self>::always(PAID_ONCE, |_, world| world.noted.paid.iter().all(|paid| *paid <= 1)),
            Property::<Self>::always(ROLLBACK, |_, world| !world.noted.released_behind),
            Property::<Self>::always(ANSWERED_ONCE, |_, world| !world.noted.answered_twice),
            Property::<Self>::sometimes(SOMETIMES[0], |_, world| world.completed() > 0),
            Property::<Self>::sometimes(SOMETIMES[1], |_, world| {
                world.rooms.iter().any(|room| room.phase == Phase::Done && room.requests.len() > most(room))
            }),
            Property::<Self>::sometimes(SOMETIMES[2], |_, world| {
                world.services.iter().any(|service| service.database.charges.contains(&Charge::Refunded))
            }),
        ];
        if self.restores > 0 {
            properties.push(Property::<Self>::sometimes(SOMETIMES[3], |_, world| {
                world.services.iter().any(|service| service.behind)
            }));
        }
        properties
    }
}
