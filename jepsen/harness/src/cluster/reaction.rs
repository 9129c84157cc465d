//! What nodes make of disks that are not as they left them.
//!
//! In: nodes that are down, on such disks. Out: nodes that run or have refused to, and what has shown that they noticed.
//! Deliberately absent: whether they do right; what they answer is judged like everything else.

use tokio::time::{Instant, sleep};

use super::{ANSWER_PATIENCE, Cluster, PACE};
use crate::failure::Result;

/// What a node says that has noticed and goes on: that something is damaged, or that the log lacks its end.
const NOTICED: [&str; 2] = ["damage", "dropping it"];

impl Cluster {
    /// Starts everybody, and answers what each of these nodes makes of its disk: it ends by itself, tells of it, or serves
    /// as if nothing had been.
    pub(crate) async fn reactions(&mut self, nodes: &[usize]) -> Result<String> {
        let before = self.since();
        self.start_all()?;
        let deadline = Instant::now() + ANSWER_PATIENCE;
        let mut reactions = Vec::new();
        for node in nodes {
            let reaction = self.reaction(*node, before.logs[*node], deadline).await?;
            reactions.push(format!("{} {reaction}", self.names[*node]));
        }
        Ok(reactions.join("; "))
    }

    async fn reaction(&mut self, node: usize, told: u64, deadline: Instant) -> Result<String> {
        loop {
            if let Some(ended) = self.nodes[node].look()? {
                let reaction = format!("ended by itself, saying: {}", ended.said);
                self.judge(node, Some(ended));
                return Ok(reaction);
            }
            let serves = self.connections[node].has_quorum().await;
            if let Some(line) = self.nodes[node].said_since(told, &NOTICED)? {
                return Ok(format!("said: {line}"));
            }
            if serves {
                return Ok("serves, and has told of nothing so far".to_owned());
            }
            if Instant::now() >= deadline {
                return Ok("neither serves nor says why".to_owned());
            }
            sleep(PACE).await;
        }
    }
}
