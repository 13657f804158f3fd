//! Names to addresses, without a cache: a cached answer would hide the trouble that a check is there to find.

use std::cell::RefCell;
use std::net::IpAddr;
use std::time::Duration;

use hickory_resolver::config::{LookupIpStrategy, ResolveHosts};
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::{Resolver, TokioResolver};
use tokio::time::Instant;
use wise_core::{Failure, common};

/// How long a name server may take before the next one is asked.
const SERVER_TIMEOUT: Duration = Duration::from_secs(2);
/// How often /etc/resolv.conf and /etc/hosts are read again.
const CONFIG_AGE: Duration = Duration::from_secs(30);

struct Cached {
    resolver: TokioResolver,
    made: Instant,
    runtime: tokio::runtime::Id,
}

thread_local! {
    // Probes run on single-threaded runtimes. A resolver of each runtime's own keeps its sockets and tasks there, so
    // that a stall of one runtime does not stop name resolution in the others.
    static RESOLVER: RefCell<Option<Cached>> = const { RefCell::new(None) };
}

/// The addresses of a name.
pub(crate) async fn resolve(name: &str) -> Result<Vec<IpAddr>, Failure> {
    let resolver = resolver()?;
    // A final dot asks for exactly this name: search domains would make the answer depend on where we run, except
    // for names of one label, which only search domains can resolve.
    let question =
        if name.ends_with('.') || !name.contains('.') { name.to_owned() } else { format!("{name}.") };
    match resolver.lookup_ip(question).await {
        Ok(found) => {
            let addresses: Vec<IpAddr> = found.iter().collect();
            if addresses.is_empty() {
                return Err(no_address(name));
            }
            Ok(addresses)
        }
        Err(error) => Err(classify(name, &error)),
    }
}

fn resolver() -> Result<TokioResolver, Failure> {
    let runtime = tokio::runtime::Handle::current().id();
    RESOLVER.with_borrow_mut(|cached| {
        if let Some(known) = cached
            && known.runtime == runtime
            && known.made.elapsed() < CONFIG_AGE
        {
            return Ok(known.resolver.clone());
        }
        let resolver = build().map_err(|error| {
            Failure::new(&common::RESOLVER, format!("the resolver configuration cannot be read: {error}"))
                .code("config")
        })?;
        *cached = Some(Cached { resolver: resolver.clone(), made: Instant::now(), runtime });
        Ok(resolver)
    })
}

fn build() -> Result<TokioResolver, NetError> {
    let mut builder = Resolver::builder_tokio()?;
    let options = builder.options_mut();
    options.cache_size = 0;
    options.timeout = SERVER_TIMEOUT;
    options.attempts = 2;
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    options.use_hosts_file = ResolveHosts::Always;
    builder.build()
}

fn no_address(name: &str) -> Failure {
    Failure::new(&common::DNS, format!("{name} has no address")).code("no_address")
}

fn classify(name: &str, error: &NetError) -> Failure {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => match none.response_code {
            ResponseCode::NXDomain => {
                Failure::new(&common::DNS, format!("{name} does not exist")).code("nxdomain")
            }
            ResponseCode::NoError => no_address(name),
            code => refused(name, code),
        },
        NetError::Dns(DnsError::ResponseCode(code)) => refused(name, *code),
        NetError::Proto(_) => {
            Failure::new(&common::DNS, format!("{name} is no name that can be resolved")).code("bad_name")
        }
        NetError::Io(error) => {
            let (class, code) = crate::classify::classify_io(error, None);
            // Out of files or ports keeps its own class; everything else on the way to a name server is ours too.
            let class = if class.name == common::LOCAL_RESOURCES.name { class } else { &common::RESOLVER };
            Failure::new(class, format!("the name servers cannot be reached to resolve {name}: {error}"))
                .code(code)
        }
        NetError::Busy => {
            Failure::new(&common::LOCAL_RESOURCES, "too many name lookups are under way").code("dns")
        }
        _ => Failure::new(&common::RESOLVER, format!("no name server answered for {name}")).code("no_answer"),
    }
}

/// SERVFAIL and the like come from a name server that works and cannot get an answer from the domain's own.
fn refused(name: &str, code: ResponseCode) -> Failure {
    let text = format!("the name server answers {code} for {name}");
    Failure::new(&common::DNS, text).code(format!("{code:?}").to_ascii_lowercase())
}
