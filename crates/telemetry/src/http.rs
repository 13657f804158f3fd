//! Counting and timing HTTP requests.

use std::sync::Arc;
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, web};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const PROCESS_TIME: HeaderName = HeaderName::from_static("x-process-time");
/// Upper bounds in seconds.
const BUCKETS: [f64; 11] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RequestLabels {
    method: &'static str,
    endpoint: String,
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct EndpointLabels {
    method: &'static str,
    endpoint: String,
}

/// Metrics of HTTP requests: `http_requests_total`, `http_request_duration_seconds`, `http_errors_total` and
/// `active_requests`. The endpoint is the route's pattern, so that ids in paths make no series.
#[derive(Clone, Debug)]
pub struct HttpMetrics {
    requests: Family<RequestLabels, Counter>,
    errors: Family<RequestLabels, Counter>,
    durations: Family<EndpointLabels, Histogram, fn() -> Histogram>,
    active: Gauge,
}

impl HttpMetrics {
    /// Makes the metrics and registers them.
    pub fn register(registry: &mut Registry) -> Self {
        let histogram: fn() -> Histogram = || Histogram::new(BUCKETS);
        let metrics = Self {
            requests: Family::default(),
            errors: Family::default(),
            durations: Family::new_with_constructor(histogram),
            active: Gauge::default(),
        };
        registry.register("http_requests", "HTTP requests answered", metrics.requests.clone());
        registry.register(
            "http_errors",
            "HTTP requests answered with a status of 400 or above",
            metrics.errors.clone(),
        );
        registry.register(
            "http_request_duration_seconds",
            "Time to answer an HTTP request",
            metrics.durations.clone(),
        );
        registry.register("active_requests", "HTTP requests being answered", metrics.active.clone());
        metrics
    }

    fn observe(&self, method: &'static str, endpoint: String, status: u16, duration: Duration) {
        let labels = RequestLabels { method, endpoint: endpoint.clone(), status };
        if status >= 400 {
            self.errors.get_or_create(&labels).inc();
        }
        self.requests.get_or_create(&labels).inc();
        self.durations.get_or_create(&EndpointLabels { method, endpoint }).observe(duration.as_secs_f64());
    }
}

/// The id of a request, among its extensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(pub Arc<str>);

/// The middleware: gives each request an id, counts and times it, and puts `X-Request-ID` and `X-Process-Time`
/// (milliseconds) on the answer. For `actix_web::middleware::from_fn`; wants [`HttpMetrics`] among the app's data.
///
/// # Errors
/// Those of the inner service.
pub async fn track(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let started = actix_web::rt::time::Instant::now();
    let id = RequestId(request_id(&request).into());
    request.extensions_mut().insert(id.clone());
    let metrics = request.app_data::<web::Data<HttpMetrics>>().cloned();
    let method = known_method(request.method().as_str());
    let _active = metrics.as_ref().map(|metrics| Active::enter(metrics.active.clone()));
    let result = next.call(request).await;
    let elapsed = started.elapsed();
    match result {
        Ok(mut response) => {
            let endpoint = response.request().match_pattern().unwrap_or_else(|| "unmatched".to_owned());
            if let Some(metrics) = metrics {
                metrics.observe(method, endpoint, response.status().as_u16(), elapsed);
            }
            stamp(response.headers_mut(), &id, elapsed);
            Ok(response)
        }
        Err(error) => {
            // An error of the service becomes its answer here, so that it carries the headers too.
            let mut response = error.error_response();
            if let Some(metrics) = metrics {
                metrics.observe(method, "unmatched".to_owned(), response.status().as_u16(), elapsed);
            }
            stamp(response.headers_mut(), &id, elapsed);
            Err(actix_web::error::InternalError::from_response(error, response).into())
        }
    }
}

fn stamp(headers: &mut actix_web::http::header::HeaderMap, id: &RequestId, elapsed: Duration) {
    if let Ok(value) = HeaderValue::from_str(&id.0) {
        headers.insert(REQUEST_ID, value);
    }
    if let Ok(value) = HeaderValue::from_str(&format!("{:.2}", elapsed.as_secs_f64() * 1e3)) {
        headers.insert(PROCESS_TIME, value);
    }
}

/// The caller's id when it is short and plain, so that it cannot forge lines in a log; a new one otherwise.
fn request_id(request: &ServiceRequest) -> String {
    let given = request.headers().get(REQUEST_ID).and_then(|value| value.to_str().ok());
    let is_plain = |text: &&str| {
        (1..=64).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    };
    given.filter(is_plain).map_or_else(|| uuid::Uuid::now_v7().to_string(), str::to_owned)
}

/// Methods as labels: whatever else a client makes up is one series.
fn known_method(method: &str) -> &'static str {
    ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
        .into_iter()
        .find(|known| *known == method)
        .unwrap_or("other")
}

/// Counts down also when the request is dropped in the middle.
struct Active(Gauge);

impl Active {
    fn enter(gauge: Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Format, Metrics};
    use actix_web::{App, HttpResponse, middleware::from_fn, test};

    #[actix_web::test]
    async fn answers_carry_id_and_time_and_are_counted() {
        let mut http = None;
        let metrics = Metrics::new(|registry| http = Some(HttpMetrics::register(registry)));
        let app = test::init_service(
            App::new()
                .app_data(web::Data::new(http.unwrap()))
                .wrap(from_fn(track))
                .route("/items/{id}", web::get().to(|| async { HttpResponse::Ok().finish() })),
        )
        .await;
        let given =
            test::TestRequest::get().uri("/items/7").insert_header(("X-Request-ID", "abc-1")).to_request();
        let response = test::call_service(&app, given).await;
        assert_eq!(response.headers().get("x-request-id").unwrap(), "abc-1");
        assert!(response.headers().contains_key("x-process-time"));
        let forged =
            test::TestRequest::get().uri("/nothing").insert_header(("X-Request-ID", "a b")).to_request();
        let response = test::call_service(&app, forged).await;
        assert_ne!(response.headers().get("x-request-id").unwrap(), "a b");
        let text = metrics.render(Format::Prometheus).unwrap();
        assert!(
            text.contains(r#"http_requests_total{method="GET",endpoint="/items/{id}",status="200"} 1"#),
            "{text}"
        );
        assert!(text.contains("http_errors_total") && text.contains("active_requests 0"), "{text}");
    }
}
