//! Meetings that break off: silence, a connection that ends, a room that is told to stop.

use super::*;

/// A peer that does this with the other end; how the meeting ended for the room at this end, as leader and as member.
fn met_with(peer: fn(TcpStream)) -> [Code; 2] {
    [true, false].map(|calls| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let other = listener.accept().unwrap().0;
        let acts = std::thread::spawn(move || peer(other));
        let (clock, run_jwk) = (clock(now()), run_jwk());
        let patience = Patience { word: Duration::from_millis(300), meeting: Duration::from_secs(3_600) };
        let own = Own { attester: &*APPROVED, clock: &clock, run_jwk: &run_jwk, patience };
        let met = if calls {
            call(stream, place(), &own, &word(), &mut Challenges::default(), &Job::default()).map(drop)
        } else {
            answer(stream, &own, |_, _, _| Ok(Job::default())).map(drop)
        };
        acts.join().unwrap();
        met.unwrap_err().code
    })
}

/// Silence, a connection that ends, and one that breaks, before a word and in the middle of one: the meeting ends, and
/// nothing of it is left to wait for.
#[test]
fn a_room_that_says_nothing_or_hangs_up_is_lost() {
    /// Reads until the room at the other end has given up.
    fn silent(mut stream: TcpStream) {
        let _ = std::io::copy(&mut stream, &mut std::io::sink());
    }
    fn broken(stream: &TcpStream) {
        // Bytes that nobody read make the end a reset.
        let mut first = [0; 1];
        let _ = stream.peek(&mut first);
    }
    assert_eq!(met_with(silent), [Code::GroupMemberLost; 2], "silent");
    assert_eq!(met_with(drop), [Code::GroupMemberLost; 2], "dropped");
    let half = |mut stream: TcpStream| {
        stream.write_all(&[0, 0, 1]).unwrap();
        silent(stream);
    };
    assert_eq!(met_with(half), [Code::GroupMemberLost; 2], "half a length, then silence");
    let cut = |mut stream: TcpStream| {
        stream.write_all(&[0, 0, 1, 0, b'{']).unwrap();
        broken(&stream);
    };
    assert_eq!(met_with(cut), [Code::GroupMemberLost; 2], "cut in the middle of a message");
}

/// A room that is told to stop in the middle of a meeting says no more; the other does not wait for it.
#[test]
fn a_meeting_that_one_room_breaks_off_after_its_proof_is_lost_to_the_other() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let (clock, run_jwk) = (clock(now()), Jwk::ed25519([8; 32]));
            let own = Own { attester: &*APPROVED, clock: &clock, run_jwk: &run_jwk, patience: SHORT };
            let ends = stream.try_clone().unwrap();
            // The papers have come; before it answers, its connection is ended, as SIGTERM does.
            let read = |_: &Occasion, _: &Attested, _: &str| {
                ends.shutdown(std::net::Shutdown::Both).unwrap();
                Ok(Job::default())
            };
            assert_eq!(answer(stream, &own, read).map(drop).unwrap_err().code, Code::GroupMemberLost);
        });
        let (clock, run_jwk) = (clock(now()), run_jwk());
        let own = Own { attester: &*APPROVED, clock: &clock, run_jwk: &run_jwk, patience: SHORT };
        let stream = TcpStream::connect(address).unwrap();
        let met = call(stream, place(), &own, &word(), &mut Challenges::default(), &Job::default());
        assert_eq!(met.map(drop).unwrap_err().code, Code::GroupMemberLost);
    });
}
