//! How a replica's store reaches the simulated network.

use std::{io, sync::Arc};

use keelson_store::peer::{Accepted, Duplex, Pending, Transport};
use tokio::sync::{Mutex, mpsc};

use super::{Incoming, Network, Node};

/// One replica's door to the network.
struct Door {
    network: Network,
    node: Node,
    incoming: Mutex<mpsc::UnboundedReceiver<Incoming>>,
}

pub(super) fn new(
    network: Network,
    node: Node,
    incoming: mpsc::UnboundedReceiver<Incoming>,
) -> Arc<dyn Transport> {
    Arc::new(Door { network, node, incoming: Mutex::new(incoming) })
}

impl Transport for Door {
    fn dial<'a>(&'a self, url: &'a str) -> Pending<'a, io::Result<Box<dyn Duplex>>> {
        Box::pin(async move {
            let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
            let peer = Node::of_url(url).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
            self.network.travel(self.node, peer).await;
            self.network.travel(peer, self.node).await;
            let listener = self.network.lock().listeners.get(&peer).cloned().ok_or_else(refused)?;
            let [near, far] = self.network.connect(self.node, peer);
            listener.send((self.node, Box::new(far))).map_err(|_| refused())?;
            Ok(Box::new(near) as Box<dyn Duplex>)
        })
    }

    fn accept(&self) -> Pending<'_, io::Result<Accepted>> {
        Box::pin(async move {
            match self.incoming.lock().await.recv().await {
                Some((from, stream)) => {
                    Ok(Accepted { from: from.to_string(), stream: Box::pin(async { Ok(stream) }) })
                }
                // Another process listens here now; this one is about to end.
                None => std::future::pending().await,
            }
        })
    }
}
