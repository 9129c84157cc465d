//! One network per node, and a switch between them that loses what it is told to lose.
//!
//! In: addresses, and who is to be cut off from whom. Out: namespaces that are joined by a bridge in the lab's own
//! network, where the clients are. There is no way out of the lab, and none to the machine.
//!
//! Faults hold between nodes; clients reach every node at any time, so that what a cut-off node answers is seen.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use rand::rngs::StdRng;

use crate::failure::{Doing as _, Result};
use crate::lab::queue::Delaying;
use crate::machine::DelayMeans;
use crate::tool;

const CLIENTS: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);

/// Frames from one node's port to another's pass this chain; nothing else does.
const RULES: &str = "table bridge keelson {\n\
     set cut { type ifname . ifname; }\n\
     counter cut { }\n\
     counter lost { }\n\
     chain loss { }\n\
     chain forward {\n\
       type filter hook forward priority 0;\n\
       iifname . oifname @cut counter name cut drop\n\
       jump loss\n\
     }\n\
 }\n";

/// Before the number of packets that a queue has let go on, in what tc says: `Sent 420 bytes 3 pkt (dropped 0,
/// overlimits 2 requeues 0)`,
const SENT: &str = "bytes";
/// and before the number of those that could not go on at once.
const HELD_BACK: &str = "overlimits";

/// Whether bridged packets pass iptables, of the network in which it is read.
pub(super) const BRIDGED_TO_IPTABLES: &str = "/proc/sys/net/bridge/bridge-nf-call-iptables";

/// Why the switch has dropped a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dropped {
    /// It came from somebody whom the other is cut off from.
    ByCut,
    /// It was drawn.
    AtRandom,
}

/// The networks of all nodes.
pub(crate) struct Network {
    nodes: Vec<String>,
    delaying: Option<Delaying>,
}

/// The address of a node, by its number.
pub(crate) fn address(node: usize) -> Ipv4Addr {
    let number = u8::try_from(node).expect("there are a handful of nodes");
    Ipv4Addr::new(10, 77, 0, 11 + number)
}

/// The file by which a node's namespace is entered.
pub(crate) fn namespace(node: &str) -> String {
    format!("/run/netns/{node}")
}

impl Network {
    /// Builds it.
    pub(crate) async fn build(nodes: &[String]) -> Result<Self> {
        for line in [
            "ip link set lo up".to_owned(),
            "ip link add switch type bridge".to_owned(),
            format!("ip address add {CLIENTS}/24 dev switch"),
            "ip link set switch up".to_owned(),
        ] {
            tool::run(&line).await?;
        }
        keep_bridged_packets_out_of_iptables()?;
        for (number, node) in nodes.iter().enumerate() {
            for line in [
                format!("ip netns add {node}"),
                format!("ip link add port-{node} type veth peer name eth0 netns {node}"),
                format!("ip link set port-{node} master switch up"),
                format!("ip -n {node} link set lo up"),
                format!("ip -n {node} address add {}/24 dev eth0", address(number)),
                format!("ip -n {node} link set eth0 up"),
            ] {
                tool::run(&line).await?;
            }
        }
        tool::feed("nft -f -", RULES).await?;
        Ok(Self { nodes: nodes.to_vec(), delaying: None })
    }

    /// Drops everything that goes from the first to the second of each pair, and nothing else any more.
    pub(crate) async fn cut(&self, pairs: &BTreeSet<(usize, usize)>) -> Result<()> {
        let port = |node: usize| format!("port-{}", self.nodes[node]);
        let pairs = pairs.iter().map(|(from, to)| format!("{} . {}", port(*from), port(*to)));
        let pairs: Vec<_> = pairs.collect();
        let mut script = "flush set bridge keelson cut\n".to_owned();
        if !pairs.is_empty() {
            script += &format!("add element bridge keelson cut {{ {} }}\n", pairs.join(", "));
        }
        tool::feed("nft -f -", &script).await.map(drop)
    }

    /// Drops so many of a hundred packets, drawn at random.
    pub(crate) async fn lose(&self, percent: u32) -> Result<()> {
        let mut script = "flush chain bridge keelson loss\n".to_owned();
        if percent > 0 {
            script += &format!(
                "add rule bridge keelson loss numgen random mod 100 < {percent} counter name lost drop\n"
            );
        }
        tool::feed("nft -f -", &script).await.map(drop)
    }

    /// How many packets were dropped for this reason since this was last asked.
    pub(crate) async fn dropped(&self, why: Dropped) -> Result<u64> {
        let counter = match why {
            Dropped::ByCut => "cut",
            Dropped::AtRandom => "lost",
        };
        let said = tool::run(&format!("nft reset counter bridge keelson {counter}")).await?;
        Ok(number_after(&said, "packets"))
    }

    /// Delays what every node is sent, by this and up to as much again.
    pub(crate) async fn delay(&mut self, by: Duration, means: DelayMeans, random: StdRng) -> Result<()> {
        match means {
            DelayMeans::Netem => {
                let (middle, spread) = (by.as_millis() * 3 / 2, by.as_millis() / 2);
                for node in &self.nodes {
                    let line =
                        format!("tc qdisc replace dev port-{node} root netem delay {middle}ms {spread}ms");
                    tool::run(&line).await?;
                }
            }
            DelayMeans::Queue => self.delaying = Some(Delaying::begin(by, random).await?),
        }
        Ok(())
    }

    /// Ends that, and answers how many packets were late.
    pub(crate) async fn hurry(&mut self) -> Result<u64> {
        match self.delaying.take() {
            Some(delaying) => delaying.end().await,
            None => {
                let sent = self.queued(SENT).await?;
                self.widen().await.map(|()| sent)
            }
        }
    }

    /// Lets every node receive at this rate only, so that packets wait behind each other.
    pub(crate) async fn narrow(&self, kilobits: u32) -> Result<()> {
        for node in &self.nodes {
            let limit = format!("tbf rate {kilobits}kbit burst 4kb latency 800ms");
            tool::run(&format!("tc qdisc replace dev port-{node} root {limit}")).await?;
        }
        Ok(())
    }

    /// How many packets had to wait for others.
    pub(crate) async fn waited(&self) -> Result<u64> {
        self.queued(HELD_BACK).await
    }

    /// The number that comes after a word in what tc says of queues, summed up over all nodes.
    async fn queued(&self, word: &str) -> Result<u64> {
        let mut sum = 0;
        for node in &self.nodes {
            let said = tool::run(&format!("tc -s qdisc show dev port-{node} root")).await?;
            sum += number_after(&said, word);
        }
        Ok(sum)
    }

    /// Ends that.
    pub(crate) async fn widen(&self) -> Result<()> {
        for node in &self.nodes {
            tool::run(&format!("tc qdisc delete dev port-{node} root")).await?;
        }
        Ok(())
    }
}

/// 0 if there is none.
fn number_after(text: &str, word: &str) -> u64 {
    let mut words = text.split_whitespace().skip_while(|found| *found != word);
    words.nth(1).and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// A bridge hands its packets to iptables by default, where the machine has that.
fn keep_bridged_packets_out_of_iptables() -> Result<()> {
    let is_there = std::fs::exists(BRIDGED_TO_IPTABLES).unwrap_or(false);
    if is_there { std::fs::write(BRIDGED_TO_IPTABLES, "0").doing(BRIDGED_TO_IPTABLES) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_from_what_tools_say() {
        let queue =
            "qdisc tbf 8001: dev port-a refcnt 2\n Sent 420 bytes 3 pkt (dropped 0, overlimits 2 requeues 0)";
        assert_eq!((number_after(queue, SENT), number_after(queue, HELD_BACK)), (3, 2));
        let counter = "table bridge keelson {\n\tcounter cut {\n\t\tpackets 17 bytes 1428\n\t}\n}";
        assert_eq!(number_after(counter, "packets"), 17);
        assert_eq!(number_after("nothing", "packets"), 0);
    }
}
