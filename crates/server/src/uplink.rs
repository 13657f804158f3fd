//! The egress self-check over the network stack of the probes.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use wise_net::{Host, IpPreference, Net, Target, Trace};
use wise_orchestrator::UplinkCheck;

use crate::settings::Egress;

/// Connects to the configured addresses; as many must answer as the quorum asks.
pub(crate) struct Addresses {
    net: Arc<Net>,
    targets: Vec<Target>,
    quorum: usize,
    timeout: Duration,
}

impl Addresses {
    /// The self-check of the settings; `None` when no address is configured.
    pub(crate) fn new(egress: &Egress, net: Arc<Net>) -> Option<Self> {
        let targets: Vec<Target> = egress
            .addresses
            .iter()
            .filter_map(|address| {
                let (host, port) = address.rsplit_once(':')?;
                Some(Target {
                    host: Host::parse(host),
                    port: port.parse().ok()?,
                    prefer: IpPreference::Any,
                    fixed: None,
                })
            })
            .collect();
        let quorum = if egress.quorum == 0 { targets.len() / 2 + 1 } else { egress.quorum };
        (!targets.is_empty()).then_some(Self { net, targets, quorum, timeout: egress.timeout.0 })
    }
}

impl UplinkCheck for Addresses {
    fn alive(&self) -> BoxFuture<'_, bool> {
        Box::pin(async move {
            let mut tries: FuturesUnordered<_> = self
                .targets
                .iter()
                .map(|target| async {
                    let mut trace = Trace::default();
                    let connecting = self.net.connect(target, &mut trace);
                    // A closed port has answered: the way there works.
                    match tokio::time::timeout(self.timeout, connecting).await {
                        Ok(Ok(_)) => true,
                        Ok(Err(failure)) => failure.class.name == "refused" || failure.class.name == "reset",
                        Err(_) => false,
                    }
                })
                .collect();
            let mut answered = 0;
            while let Some(is_alive) = tries.next().await {
                answered += usize::from(is_alive);
                if answered >= self.quorum {
                    return true;
                }
            }
            false
        })
    }
}
