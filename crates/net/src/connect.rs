//! Resolve and connect, with a time and an outcome for each address.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::net::{TcpSocket, TcpStream, UnixStream};
use tokio::time::Instant;
use wise_core::{ErrorClass, Failure, common};

use crate::Net;
use crate::classify::classify_io;
use crate::resolve::resolve;
use crate::trace::{Attempt, Stage, Trace};

/// Head start of an address over the next one (RFC 8305, section 5, "Connection Attempt Delay").
const HEAD_START: Duration = Duration::from_millis(250);
/// Addresses tried at most: a name may have hundreds.
const MAX_ADDRESSES: usize = 8;

/// Which family of addresses to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum IpPreference {
    /// In the order of the answer, families alternating, IPv6 first.
    #[default]
    Any,
    /// IPv4 first.
    PreferV4,
    /// IPv6 first.
    PreferV6,
    /// Only IPv4.
    OnlyV4,
    /// Only IPv6.
    OnlyV6,
}

/// A host by name or by address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// A name that has to be resolved.
    Name(String),
    /// An address.
    Address(IpAddr),
}

impl Host {
    /// Reads a host as it stands in a URL; IPv6 addresses may be in brackets.
    pub fn parse(text: &str) -> Self {
        let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
        bare.parse().map_or_else(|_| Self::Name(text.to_owned()), Self::Address)
    }
}

/// Where to connect to.
#[derive(Clone, Debug)]
pub struct Target {
    /// The host.
    pub host: Host,
    /// The port.
    pub port: u16,
    /// Which addresses to use.
    pub prefer: IpPreference,
    /// Use this address and do not resolve the name.
    pub fixed: Option<IpAddr>,
}

impl Net {
    /// Resolves and connects. Stages, times and addresses go into the trace.
    ///
    /// The connection is closed with a reset: after a check nothing is left to say, and an orderly close would keep
    /// the local port for a minute, so that ports run out at a few hundred checks a second to one address.
    ///
    /// # Errors
    /// Why there is no connection, with its class; of several addresses, the failure that says most about the target.
    pub async fn connect(&self, target: &Target, trace: &mut Trace) -> Result<TcpStream, Failure> {
        let addresses = self.resolve(target, trace).await?;
        trace.begin(Stage::Connect);
        let first = trace.attempts.len();
        let (stream, address) = match addresses.as_slice() {
            // The common case needs neither the race nor its bookkeeping.
            [address] => (open(*address, first, trace).await?, *address),
            addresses => race(addresses, first, trace).await?,
        };
        trace.connect = Some(trace.elapsed());
        trace.address = Some(address);
        Ok(stream)
    }

    /// Resolves, and asks the egress policy about each address: for drivers that open their connections themselves,
    /// and are given these addresses to do so.
    ///
    /// # Errors
    /// The name does not resolve, or an address is forbidden.
    pub async fn resolve(&self, target: &Target, trace: &mut Trace) -> Result<Vec<SocketAddr>, Failure> {
        trace.begin(Stage::Dns);
        let addresses = match (target.fixed, &target.host) {
            (Some(fixed), _) => vec![fixed],
            (None, Host::Address(address)) => vec![*address],
            (None, Host::Name(name)) => order(resolve(name).await?, target.prefer, name)?,
        };
        trace.dns = Some(if addresses.len() == 1 && trace_needs_no_dns(target) {
            Duration::ZERO
        } else {
            trace.elapsed()
        });
        let addresses: Vec<SocketAddr> = addresses
            .into_iter()
            .take(MAX_ADDRESSES)
            .map(|address| SocketAddr::new(address, target.port))
            .collect();
        for address in &addresses {
            if let Err(rule) = self.policy.allow(address.ip(), address.port()) {
                trace.attempts.push(Attempt { address: *address, took: None, error: Some(rule.clone()) });
                return Err(Failure::new(
                    &common::EGRESS_DENIED,
                    format!("{address} is not allowed: {rule}"),
                )
                .code("policy"));
            }
        }
        Ok(addresses)
    }

    /// Opens a Unix socket.
    ///
    /// # Errors
    /// Nothing listens there, or this process may not use it.
    pub async fn connect_unix(&self, path: &str, trace: &mut Trace) -> Result<UnixStream, Failure> {
        trace.begin(Stage::Connect);
        trace.socket = Some(path.to_owned());
        let stream = UnixStream::connect(path).await.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                Failure::new(&common::REFUSED, format!("there is no socket {path}")).code("no_socket")
            }
            io::ErrorKind::ConnectionRefused => {
                Failure::new(&common::REFUSED, format!("nothing listens on the socket {path}"))
                    .code("refused")
            }
            io::ErrorKind::PermissionDenied => {
                Failure::new(&common::LOCAL_RESOURCES, format!("this process may not use the socket {path}"))
                    .code("socket_permission")
            }
            _ => {
                let (class, code) = classify_io(&error, None);
                Failure::new(class, format!("no connection with the socket {path}: {error}")).code(code)
            }
        })?;
        trace.connect = Some(trace.elapsed());
        Ok(stream)
    }
}

fn trace_needs_no_dns(target: &Target) -> bool {
    target.fixed.is_some() || matches!(target.host, Host::Address(_))
}

async fn open(address: SocketAddr, index: usize, trace: &mut Trace) -> Result<TcpStream, Failure> {
    trace.attempts.push(Attempt { address, took: None, error: None });
    let started = Instant::now();
    let result = dial(address).await;
    if let Some(attempt) = trace.attempts.get_mut(index) {
        attempt.took = Some(started.elapsed());
        attempt.error = result.as_ref().err().map(ToString::to_string);
    }
    result.map_err(|error| failure(&error, address))
}

async fn dial(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_zero_linger()?;
    let stream = socket.connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Tries the addresses one after the other, each with a head start, and takes the first that answers.
async fn race(
    addresses: &[SocketAddr],
    first: usize,
    trace: &mut Trace,
) -> Result<(TcpStream, SocketAddr), Failure> {
    let mut waiting = addresses.iter().copied();
    let mut running = FuturesUnordered::new();
    let mut worst: Option<Failure> = None;
    loop {
        let next = waiting.next();
        if let Some(address) = next {
            let index = trace.attempts.len() - first;
            trace.attempts.push(Attempt { address, took: None, error: None });
            let started = Instant::now();
            running.push(async move { (index, address, started, dial(address).await) });
        }
        let done = if next.is_some() && waiting.len() > 0 {
            tokio::time::timeout(HEAD_START, running.next()).await.ok().flatten()
        } else {
            match running.next().await {
                Some(done) => Some(done),
                None => break,
            }
        };
        let Some((index, address, started, result)) = done else { continue };
        if let Some(attempt) = trace.attempts.get_mut(first + index) {
            attempt.took = Some(started.elapsed());
            attempt.error = result.as_ref().err().map(ToString::to_string);
        }
        match result {
            Ok(stream) => return Ok((stream, address)),
            Err(error) => {
                let failure = failure(&error, address);
                if worst.as_ref().is_none_or(|known| telling(failure.class) > telling(known.class)) {
                    worst = Some(failure);
                }
            }
        }
    }
    Err(worst.unwrap_or_else(|| {
        Failure::new(&common::DNS, "there is no address to connect to").code("no_address")
    }))
}

/// How much a failure says about the target: a closed port says more than silence, our own trouble says nothing.
fn telling(class: &ErrorClass) -> u8 {
    match class.name {
        "refused" => 4,
        "reset" => 3,
        "timeout" => 2,
        "unreachable" => 1,
        _ => 0,
    }
}

fn failure(error: &io::Error, address: SocketAddr) -> Failure {
    let (class, code) = classify_io(error, Some(address));
    let message = match class.name {
        "refused" => format!("connection refused by {address}"),
        "unreachable" => format!("{address} is unreachable: {error}"),
        "timeout" => format!("no connection with {address}: {error}"),
        "no_egress" => format!("this machine has no way to {address}: {error}"),
        "local_resources" => format!("no socket for a connection to {address}: {error}"),
        _ => format!("no connection with {address}: {error}"),
    };
    Failure::new(class, message).code(code)
}

fn order(mut addresses: Vec<IpAddr>, prefer: IpPreference, name: &str) -> Result<Vec<IpAddr>, Failure> {
    let mut seen = std::collections::HashSet::new();
    addresses.retain(|address| seen.insert(*address));
    let (v4, v6): (Vec<IpAddr>, Vec<IpAddr>) = addresses.into_iter().partition(IpAddr::is_ipv4);
    let none =
        |family| Failure::new(&common::DNS, format!("{name} has no {family} address")).code("no_address");
    Ok(match prefer {
        IpPreference::OnlyV4 if v4.is_empty() => return Err(none("IPv4")),
        IpPreference::OnlyV6 if v6.is_empty() => return Err(none("IPv6")),
        IpPreference::OnlyV4 => v4,
        IpPreference::OnlyV6 => v6,
        IpPreference::PreferV4 => v4.into_iter().chain(v6).collect(),
        IpPreference::PreferV6 => v6.into_iter().chain(v4).collect(),
        IpPreference::Any => {
            let mut mixed = Vec::with_capacity(v4.len() + v6.len());
            let (mut v4, mut v6) = (v4.into_iter(), v6.into_iter());
            loop {
                let pair = (v6.next(), v4.next());
                mixed.extend(pair.0);
                mixed.extend(pair.1);
                if pair == (None, None) {
                    break mixed;
                }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_ordered_as_asked() {
        let list: Vec<IpAddr> = ["192.0.2.1", "192.0.2.2", "2001:db8::1", "192.0.2.1"]
            .iter()
            .map(|a| a.parse().unwrap())
            .collect();
        let text = |prefer| {
            order(list.clone(), prefer, "x")
                .unwrap()
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(text(IpPreference::Any), "2001:db8::1 192.0.2.1 192.0.2.2");
        assert_eq!(text(IpPreference::PreferV4), "192.0.2.1 192.0.2.2 2001:db8::1");
        assert_eq!(text(IpPreference::OnlyV6), "2001:db8::1");
        let only_v4 = vec!["192.0.2.1".parse().unwrap()];
        assert_eq!(order(only_v4, IpPreference::OnlyV6, "x").unwrap_err().class.name, "dns");
    }

    #[tokio::test]
    async fn the_first_address_that_answers_wins_and_all_are_in_the_trace() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let open = listener.local_addr().unwrap();
        let closed = {
            let closed = tokio::net::TcpListener::bind("127.0.0.2:0").await.unwrap();
            closed.local_addr().unwrap()
        };
        let mut trace = Trace::default();
        let (_, address) = race(&[closed, open], 0, &mut trace).await.unwrap();
        assert_eq!(address, open);
        assert_eq!(trace.attempts.len(), 2);
        assert!(trace.attempts[0].error.is_some() && trace.attempts[1].error.is_none());
        let mut trace = Trace::default();
        let failure = race(&[closed, closed], 0, &mut trace).await.unwrap_err();
        assert_eq!(failure.class.name, "refused");
    }

    #[derive(Debug)]
    struct Nowhere;
    impl crate::EgressPolicy for Nowhere {
        fn allow(&self, _: IpAddr, _: u16) -> Result<(), String> {
            Err("rule 7".to_owned())
        }
    }

    #[tokio::test]
    async fn a_forbidden_address_is_our_own_doing() {
        let net = Net::new(std::sync::Arc::new(Nowhere));
        let target =
            Target { host: Host::parse("127.0.0.1"), port: 9, prefer: IpPreference::Any, fixed: None };
        let mut trace = Trace::default();
        let failure = net.connect(&target, &mut trace).await.unwrap_err();
        assert_eq!(failure.class.name, "egress_denied");
        assert_eq!(failure.class.fault, wise_core::Fault::Own);
        assert!(failure.message.contains("rule 7"));
    }

    #[test]
    fn hosts_are_read_as_in_urls() {
        assert_eq!(Host::parse("[::1]"), Host::Address("::1".parse().unwrap()));
        assert_eq!(Host::parse("127.0.0.1"), Host::Address("127.0.0.1".parse().unwrap()));
        assert_eq!(Host::parse("example.com"), Host::Name("example.com".to_owned()));
    }
}
