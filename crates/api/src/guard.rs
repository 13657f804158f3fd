//! Foreign hosts and origins are refused: without a login, the loopback address is the only wall, and a web page in
//! the operator's browser can reach across it (by DNS rebinding, or by a form that posts here).

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{ACCEPT, HOST, ORIGIN};
use actix_web::middleware::Next;
use actix_web::{Error, web};
use wise_telemetry::Format;

use crate::app::Info;
use crate::problem::{Kind, Problem};

/// The names that this server answers to.
#[derive(Clone, Debug, Default)]
pub struct HostRules {
    /// Names besides `localhost` and addresses of the loopback network, in lower case, without port.
    pub names: Vec<String>,
}

impl HostRules {
    fn allows(&self, authority: &str) -> bool {
        let host = match authority.strip_prefix('[') {
            Some(rest) => rest.split(']').next().unwrap_or(""),
            None => authority.rsplit_once(':').map_or(authority, |(host, _)| host),
        };
        let host = host.to_ascii_lowercase();
        host == "localhost"
            || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
            || self.names.contains(&host)
    }
}

/// The middleware, for `actix_web::middleware::from_fn`.
///
/// # Errors
/// Those of the inner service.
pub(crate) async fn refuse_foreign(
    mut request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<EitherBody<impl MessageBody>>, Error> {
    // RFC 9110, section 9.3.2: HEAD is GET without the body, which the connection leaves out by itself.
    if *request.method() == Method::HEAD {
        request.head_mut().method = Method::GET;
    }
    let rules = request.app_data::<web::Data<HostRules>>().cloned();
    let header = |name| request.headers().get(name).map(|value| value.to_str().unwrap_or(""));
    let host = header(HOST).unwrap_or("");
    let trouble = rules.and_then(|rules| {
        // A kubelet, or a Prometheus, asks by the address of a pod. What it gets is open to everyone.
        if !rules.allows(host) && !is_open(&request) {
            return Some(format!("the host `{}` is not this server", host.escape_debug()));
        }
        // Browsers send Origin with every request that changes something; `null` is a page without one.
        let origin = header(ORIGIN)?;
        let authority = origin.split_once("://").map_or("", |(_, rest)| rest);
        (!rules.allows(authority) || authority != host)
            .then(|| format!("the origin `{}` is not this server", origin.escape_debug()))
    });
    match trouble {
        None => {
            let response = next.call(request).await?;
            // A handler's problem does not know its request: the id is added here.
            let again = response.response().error().and_then(|error| error.as_error::<Problem>());
            match again.map(|problem| problem.answer(Some(response.request()))) {
                Some(answer) => Ok(response.into_response(answer).map_into_right_body()),
                None => Ok(response.map_into_left_body()),
            }
        }
        Some(detail) => {
            let answer = Problem::new(Kind::ForbiddenOrigin, detail).answer(Some(request.request()));
            Ok(request.into_response(answer).map_into_right_body())
        }
    }
}

/// Whether health or metrics are asked for; statistics of requests, which are JSON, take a permission.
fn is_open(request: &ServiceRequest) -> bool {
    let base = request.app_data::<web::Data<Info>>().map_or("", |info| info.base_path.as_str());
    let Some(path) = request.path().strip_prefix(base) else { return false };
    let is_below =
        |root: &str| path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let accept = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok());
    let is_for_everyone = is_below("/health") || (is_below("/metrics") && !Format::prefers_json(accept));
    *request.method() == Method::GET && is_for_everyone
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_and_configured_names() {
        let rules = HostRules { names: vec!["mon.example".to_owned()] };
        for host in
            ["localhost", "LOCALHOST:8080", "127.0.0.1:8080", "[::1]:8080", "127.9.9.9", "mon.example:443"]
        {
            assert!(rules.allows(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example:8080",
            "10.0.0.1",
            "[2001:db8::1]:80",
            "127.0.0.1.nip.io",
        ] {
            assert!(!rules.allows(host), "{host}");
        }
    }
}
