//! What is last said, to rooms that hear it and to one that takes nothing.

use zeroize::Zeroizing;

use super::super::handshake::tests::genuine;
use super::*;

/// An empty IPv4 packet of the largest size between two workers.
fn packet(from: u32, to: u32) -> Vec<u8> {
    let mut packet = vec![0; 60_000];
    packet[0] = 0x45;
    packet[12..16].copy_from_slice(&Group::address(from));
    packet[16..20].copy_from_slice(&Group::address(to));
    packet
}

/// As its worker gives packets to its warden.
fn framed(packet: &[u8]) -> Vec<u8> {
    [&(packet.len() as u16).to_be_bytes()[..], packet].concat()
}

/// One member reads nothing, and the worker's packets to it fill the way until one is stuck in it. The last word does not
/// wait for that member as long as packets may (an hour here): its connection ends, and the other member hears the word.
#[test]
fn the_last_word_waits_for_no_room_that_takes_nothing() {
    let hour = Duration::from_secs(3_600);
    let ((stuck, mut deaf), (fine, mut hears)) = (genuine(hour), genuine(hour));
    let (mut worker, ours) = UnixStream::pair().unwrap();
    let group = Group { rank: 0, size: 3, seconds: 1 };
    let tunnel = Tunnel::start(&group, &Zeroizing::new([1; 32]), vec![stuck, fine], ours).unwrap();
    // When the warden takes no more for a second, it holds the connection with a packet that does not go.
    worker.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
    let one = framed(&packet(0, 1));
    while worker.write_all(&one).is_ok() {}

    tunnel.say(&Say::Over {});
    assert!(matches!(hears.hear().unwrap(), Say::Over {}));
    // What was on the way still comes, and then the end, whatever time this member takes.
    let end = loop {
        match deaf.incoming.hear() {
            Ok(Heard::Packet(packet)) => assert_eq!((packet.from, packet.to), (0, 1)),
            Ok(Heard::Message(_)) => panic!("the word came"),
            Err(refusal) => break refusal,
        }
    };
    assert_eq!(end.code, Code::GroupMemberLost);
    // The packet that was stuck fails with its connection.
    let ended = loop {
        match tunnel.ended() {
            Some(End::Failed(refusal)) => break refusal,
            Some(End::Over) => panic!("over"),
            None => std::thread::sleep(GLANCE),
        }
    };
    assert_eq!(ended.code, Code::GroupMemberLost);
}

#[test]
fn the_last_word_comes_to_every_room_before_the_connections_end() {
    let ((one, mut first), (two, mut second)) = (genuine(LAST_WORDS), genuine(LAST_WORDS));
    let (_worker, ours) = UnixStream::pair().unwrap();
    let group = Group { rank: 0, size: 3, seconds: 1 };
    let tunnel = Tunnel::start(&group, &Zeroizing::new([1; 32]), vec![one, two], ours).unwrap();
    tunnel.over();
    for member in [&mut first, &mut second] {
        assert!(matches!(member.hear().unwrap(), Say::Over {}));
        assert_eq!(member.hear().unwrap_err().code, Code::GroupMemberLost, "nothing follows");
    }
}
