//! The way between two rooms, and what somebody on it may do.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

type Touch = fn(&[u8]) -> Vec<Vec<u8>>;

/// Where the workers' packets are: the first byte of their frames.
const PACKET: u8 = 1;

/// One way between a leader and a member.
#[derive(Clone)]
pub struct Way {
    /// In which direction, at which packet, and what is done.
    touched: Option<(bool, usize, Touch)>,
    streams: Arc<Mutex<Vec<TcpStream>>>,
}

impl Way {
    /// Nobody is on it.
    pub fn open() -> Way {
        Way { touched: None, streams: Arc::default() }
    }

    /// Somebody does something to one packet's frame.
    pub fn touched(to_leader: bool, packet: usize, touch: Touch) -> Way {
        Way { touched: Some((to_leader, packet, touch)), ..Way::open() }
    }

    /// Ends it.
    pub fn cut(&self) {
        for stream in self.streams.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Leads to `member`: where the leader calls.
    pub fn to(&self, member: SocketAddr) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let way = self.clone();
        std::thread::spawn(move || {
            let (leader, _) = listener.accept().unwrap();
            let member = TcpStream::connect(member).unwrap();
            [&leader, &member].into_iter().for_each(|stream| stream.set_nodelay(true).unwrap());
            let all = [&leader, &member, &leader, &member].map(|stream| stream.try_clone().unwrap());
            way.streams.lock().unwrap().extend(all);
            let (from, to) = (leader.try_clone().unwrap(), member.try_clone().unwrap());
            let touched = |to_leader: bool| way.touched.filter(|(direction, ..)| *direction == to_leader);
            let there = touched(false);
            std::thread::spawn(move || carry(from, to, there));
            carry(member, leader, touched(true));
        });
        address
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, touched: Option<(bool, usize, Touch)>) {
    let (mut length, mut packets) = ([0; 4], 0);
    while from.read_exact(&mut length).is_ok() {
        let mut frame = vec![0; u32::from_be_bytes(length) as usize];
        if from.read_exact(&mut frame).is_err() {
            break;
        }
        packets += usize::from(frame[0] == PACKET);
        let frames = match touched {
            Some((_, at, touch)) if packets == at && frame[0] == PACKET => touch(&frame),
            _ => vec![frame],
        };
        for frame in frames {
            if to.write_all(&[&(frame.len() as u32).to_be_bytes(), frame.as_slice()].concat()).is_err() {
                return;
            }
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
