//! The one way out: staged DNS, TCP and TLS, with a time for each stage, an error class by code, and certificate
//! evidence that survives a failed handshake.
//!
//! A probe makes a [`Trace`], runs its stages under one `tokio::time::timeout` for the whole check, asks
//! [`Trace::deadline_missed`] what a missed deadline means, and puts the trace into its evidence. The stages are
//! [`Net::connect`] (resolve and connect) and [`Net::handshake`] (TLS).

mod bounded;
mod certificate;
mod classify;
mod connect;
mod egress;
mod percent;
mod resolve;
mod tls;
mod trace;

pub use bounded::{Allowance, Bounded};
pub use certificate::Certificate;
pub use classify::{classify_io, classify_tls};
pub use connect::{Host, IpPreference, Target};
pub use egress::{AllowAll, EgressPolicy};
pub use percent::percent_decode;
pub use tls::{Alpn, ClientIdentity, TlsOptions, Verify};
pub use trace::{Attempt, Stage, Trace};

use std::sync::Arc;

use wise_core::BuildContext;

/// The network stack that monitors share: the egress policy and the TLS configurations.
#[derive(Debug)]
pub struct Net {
    policy: Arc<dyn EgressPolicy>,
    tls: tls::TlsConfigs,
}

impl Net {
    /// A stack under a policy.
    pub fn new(policy: Arc<dyn EgressPolicy>) -> Self {
        Self { policy, tls: tls::TlsConfigs::default() }
    }

    /// The stack that the composition root shares. Without one nothing can be reached.
    pub fn shared(cx: &BuildContext) -> Arc<Self> {
        cx.get::<Self>().unwrap_or_else(|| Arc::new(Self::new(Arc::new(egress::DenyAll))))
    }
}
