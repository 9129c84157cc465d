//! Packets that wait in this process before they go on: a delay for kernels that have no netem.
//!
//! In: packets between nodes, which a rule of the lab's switch hands to netfilter's queue. Out: the verdict "accept" on
//! each, after a time of its own, so that packets also overtake each other. While nobody listens, packets pass at once.
//!
//! Deliberately absent: the packets' content. Only their numbers in the queue come here.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use rand::RngExt as _;
use rand::rngs::StdRng;
use rustix::io::Errno;
use rustix::net::netlink::{NETFILTER, SocketAddrNetlink};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recv, send, socket_with,
};

use crate::failure::{Doing as _, Failure, Result};
use crate::lab::network::BRIDGED_TO_IPTABLES;
use crate::tool;

const NUMBER: u16 = 7;
/// How long one wait for packets lasts: as long as it takes to notice that nobody wants any more, and no less than
/// what a timeout of 0 would mean, which is forever.
const LONGEST_WAIT: Duration = Duration::from_millis(50);
const SHORTEST_WAIT: Duration = Duration::from_millis(1);

/// `linux/netfilter/nfnetlink_queue.h`: the messages of the queue's subsystem,
const PACKET: u16 = 0x300;
const VERDICT: u16 = 0x301;
const CONFIGURE: u16 = 0x302;
/// the attributes of each,
const PACKET_HEADER: u16 = 1;
const VERDICT_HEADER: u16 = 2;
const COMMAND: u16 = 1;
const PARAMETERS: u16 = 2;
/// and their values.
const BIND: u8 = 1;
const COPY_META: u8 = 1;
const ACCEPT: u32 = 1;
/// `linux/netlink.h`.
const ERROR: u16 = 2;
const REQUEST: u16 = 1;
const ACKNOWLEDGE: u16 = 4;
const HEADER_BYTES: usize = 16;
/// Netfilter's own header behind that of netlink.
const FAMILY_BYTES: usize = 4;

/// Packets wait for as long as this lives.
pub(super) struct Delaying {
    /// How many packets were late. Its thread ends when this is gone.
    late: Arc<AtomicU64>,
}

impl Delaying {
    /// Has every packet between nodes wait for `by` and up to as much again.
    pub(super) async fn begin(by: Duration, random: StdRng) -> Result<Self> {
        let socket = open().doing("opening the queue of packets")?;
        let late = Arc::new(AtomicU64::new(0));
        let holder = Holder { socket, by, random, waiting: BinaryHeap::new(), wanted: Arc::downgrade(&late) };
        // A thread of its own: clients that keep the other one busy must not delay packets further.
        std::thread::Builder::new()
            .name("delay".to_owned())
            .spawn(|| holder.run())
            .doing("starting a thread")?;
        std::fs::write(BRIDGED_TO_IPTABLES, "1").doing(BRIDGED_TO_IPTABLES)?;
        tool::run(&format!("iptables -A FORWARD {}", rule())).await?;
        Ok(Self { late })
    }

    /// Lets all packets pass, and answers how many were late.
    pub(super) async fn end(self) -> Result<u64> {
        tool::run(&format!("iptables -D FORWARD {}", rule())).await?;
        let late = self.late.load(Ordering::Relaxed);
        drop(self.late);
        std::fs::write(BRIDGED_TO_IPTABLES, "0").doing(BRIDGED_TO_IPTABLES)?;
        Ok(late)
    }
}

fn rule() -> String {
    format!("-j NFQUEUE --queue-num {NUMBER} --queue-bypass")
}

fn open() -> std::io::Result<OwnedFd> {
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, Some(NETFILTER))?;
    bind(&socket, &SocketAddrNetlink::new(0, 0))?;
    for (attribute, value) in [(COMMAND, &[BIND, 0, 0, 0][..]), (PARAMETERS, &[0, 0, 0, 0, COPY_META])] {
        send(&socket, &message(CONFIGURE, REQUEST | ACKNOWLEDGE, attribute, value), SendFlags::empty())?;
        let mut answer = [0; 256];
        let (length, _) = recv(&socket, &mut answer, RecvFlags::empty())?;
        acknowledged(&answer[..length])?;
    }
    Ok(socket)
}

/// Who holds packets until they are due.
struct Holder {
    socket: OwnedFd,
    by: Duration,
    random: StdRng,
    waiting: BinaryHeap<Reverse<(Instant, u32)>>,
    wanted: Weak<AtomicU64>,
}

impl Holder {
    /// Until nobody wants it. An error of the socket ends it, too: without a listener packets pass.
    fn run(mut self) {
        let mut buffer = vec![0; 1 << 16];
        while let Some(late) = self.wanted.upgrade() {
            let Ok(packets) = self.turn(&mut buffer) else { return };
            late.fetch_add(packets, Ordering::Relaxed);
        }
    }

    /// Lets go on what is due, and takes what comes; answers how many packets came.
    fn turn(&mut self, buffer: &mut [u8]) -> std::result::Result<u64, Errno> {
        let now = Instant::now();
        while self.waiting.peek().is_some_and(|Reverse((due, _))| *due <= now) {
            let Some(Reverse((_, packet))) = self.waiting.pop() else { break };
            let verdict = [ACCEPT.to_be_bytes(), packet.to_be_bytes()].concat();
            send(&self.socket, &message(VERDICT, REQUEST, VERDICT_HEADER, &verdict), SendFlags::empty())?;
        }
        let next = self.waiting.peek().map_or(LONGEST_WAIT, |Reverse((due, _))| *due - now);
        set_socket_timeout(&self.socket, Timeout::Recv, Some(next.clamp(SHORTEST_WAIT, LONGEST_WAIT)))?;
        match recv(&self.socket, &mut *buffer, RecvFlags::empty()) {
            Ok((length, _)) => {
                let came = packets(&buffer[..length]);
                for packet in &came {
                    let extra = self.by.mul_f64(self.random.random_range(0.0..1.0));
                    self.waiting.push(Reverse((now + self.by + extra, *packet)));
                }
                Ok(came.len() as u64)
            }
            // Nothing came in time; or more than the socket could take, and those packets are lost, as packets may be.
            Err(Errno::AGAIN | Errno::INTR | Errno::NOBUFS) => Ok(0),
            Err(error) => Err(error),
        }
    }
}

/// A message to the queue with one attribute.
fn message(kind: u16, flags: u16, attribute: u16, value: &[u8]) -> Vec<u8> {
    let attribute_bytes = 4 + value.len();
    let bytes = HEADER_BYTES + FAMILY_BYTES + attribute_bytes.next_multiple_of(4);
    let length = |bytes: usize| u32::try_from(bytes).expect("a few dozen bytes");
    let mut message = length(bytes).to_ne_bytes().to_vec();
    message.extend(kind.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    message.extend([0; 8]);
    message.extend([0, 0]);
    message.extend(NUMBER.to_be_bytes());
    message.extend(u16::try_from(attribute_bytes).expect("a few dozen bytes").to_ne_bytes());
    message.extend(attribute.to_ne_bytes());
    message.extend(value);
    message.resize(bytes, 0);
    message
}

/// An error message says 0 where there is none.
fn acknowledged(answer: &[u8]) -> std::io::Result<()> {
    let code = answer.get(HEADER_BYTES..HEADER_BYTES + 4).and_then(|bytes| bytes.try_into().ok());
    match (u16_at(answer, 4), code.map(i32::from_ne_bytes)) {
        (Some(ERROR), Some(0)) => Ok(()),
        (Some(ERROR), Some(code)) => Err(std::io::Error::from_raw_os_error(-code)),
        (_, _) => Err(std::io::Error::other(Failure::new("the kernel does not answer as a queue does"))),
    }
}

/// The numbers of the packets that these messages speak of.
fn packets(mut bytes: &[u8]) -> Vec<u32> {
    let mut packets = Vec::new();
    while let Some(length) = u32_at(bytes, 0).and_then(|length| usize::try_from(length).ok()) {
        if length < HEADER_BYTES || length > bytes.len() {
            break;
        }
        if u16_at(bytes, 4) == Some(PACKET) {
            packets.extend(packet(&bytes[HEADER_BYTES..length]));
        }
        bytes = &bytes[length.next_multiple_of(4).min(bytes.len())..];
    }
    packets
}

fn packet(message: &[u8]) -> Option<u32> {
    let mut attributes = message.get(FAMILY_BYTES..)?;
    loop {
        let length = usize::from(u16_at(attributes, 0)?);
        if u16_at(attributes, 2)? == PACKET_HEADER {
            return Some(u32::from_be_bytes(attributes.get(4..8)?.try_into().ok()?));
        }
        attributes = attributes.get(length.max(4).next_multiple_of(4)..)?;
    }
}

fn u16_at(bytes: &[u8], place: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(place..place + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], place: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(place..place + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_found_among_other_messages() {
        let with_packet = |number: u32| message(PACKET, 0, PACKET_HEADER, &number.to_be_bytes());
        let other = message(ERROR, 0, PACKET_HEADER, &9_u32.to_be_bytes());
        let bytes = [with_packet(5), other, with_packet(6)].concat();
        assert_eq!(packets(&bytes), [5, 6]);
    }

    #[test]
    fn bytes_that_are_no_message_are_no_packets() {
        let whole = message(PACKET, 0, PACKET_HEADER, &5_u32.to_be_bytes());
        for end in 0..whole.len() {
            assert!(packets(&whole[..end]).is_empty(), "{end} bytes");
        }
        assert!(packets(&[0; 64]).is_empty());
        assert!(packets(&[0xff; 64]).is_empty());
    }
}
