//! Many rooms at once where the budget has room for one, over HTTP.

use schemas::Code;

use crate::support::{Room, World};

/// Rooms of a round.
const ROOMS: usize = 64;
/// Rounds in the gate; the function level has a thousand (`budget::tests`).
const ROUNDS: usize = 3;
/// Rounds of the full form.
const FULL: usize = 20;

#[test]
fn of_sixty_four_rooms_at_once_one_gets_the_budget_in_every_round() {
    race(ROUNDS);
}

#[test]
#[ignore = "minutes: twenty rounds"]
fn of_sixty_four_rooms_at_once_one_gets_the_budget_in_twenty_rounds() {
    race(FULL);
}

fn race(rounds: usize) {
    let world = World::new();
    for round in 0..rounds {
        let rooms: Vec<Room> = (0..ROOMS).map(|_| Room::new(&world)).collect();
        let requests: Vec<_> = rooms.iter().map(|room| room.reserve_request(|_| ())).collect();
        let codes: Vec<_> = std::thread::scope(|scope| {
            let send = |(room, request)| move || Room::send_reserve(room, request).map_err(|refused| refused.code);
            let threads: Vec<_> = rooms.iter().zip(&requests).map(|pair| scope.spawn(send(pair))).collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        });
        let won: Vec<usize> = (0..ROOMS).filter(|n| codes[*n].is_ok()).collect();
        let full = codes.iter().filter(|c| matches!(c, Err(Code::BudgetExceeded))).count();
        assert_eq!((won.len(), full), (1, ROOMS - 1), "round {round}: {codes:?}");
        let reserved = codes[won[0]].as_ref().unwrap();
        rooms[won[0]].release(reserved).unwrap();
        rooms[won[0]].refund(&rooms[won[0]].aborted(crate::budget::ABORTED(0))).unwrap();
        assert_eq!(world.charges(), vec!["refunded"; round + 1]);
    }
}
