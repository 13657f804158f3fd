//! Counting and timing HTTP requests.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, web};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use crate::requests::{BUCKETS, RequestSummary, Requests, RouteStatistics, Thresholds, is_error};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const PROCESS_TIME: HeaderName = HeaderName::from_static("x-process-time");
/// The endpoint of what no route takes.
const UNMATCHED: &str = "unmatched";

/// Metrics of HTTP requests: `http_requests_total`, `http_request_duration_seconds`, `http_errors_total` and
/// `active_requests` for Prometheus, and the same by method and endpoint for a store of history. The endpoint is the
/// route's pattern, so that ids in paths make no series.
#[derive(Clone, Debug)]
pub struct HttpMetrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    requests: Requests,
    active: AtomicI64,
}

impl HttpMetrics {
    /// Makes the metrics and registers them.
    pub fn register(registry: &mut Registry, thresholds: Thresholds) -> Self {
        let inner = Inner { requests: Requests::new(thresholds), active: AtomicI64::new(0) };
        let metrics = Self(Arc::new(inner));
        registry.register_collector(Box::new(metrics.clone()));
        metrics
    }

    /// What is known of each method and endpoint that had a request: counts since the start, which begin at zero with the
    /// process, and how long requests took since this was last called. It is for one caller, which keeps them.
    pub fn take(&self) -> Vec<RouteStatistics> {
        self.0.requests.take()
    }

    /// All requests together, since the start or [`HttpMetrics::reset`].
    pub fn summary(&self) -> RequestSummary {
        self.0.requests.summary()
    }

    /// Lets the summary begin now. What is counted for Prometheus and for history goes on: a counter that is set back would
    /// look like a restart there.
    pub fn reset(&self) {
        self.0.requests.reset();
    }

    /// Requests that are being answered.
    pub fn active(&self) -> i64 {
        self.0.active.load(Ordering::Relaxed)
    }

    /// Counts a request. [`track`] does it; this is for a service with a middleware of its own. The endpoint is the route's
    /// pattern, and never a path.
    pub fn record(&self, method: &str, endpoint: &str, status: u16, duration: Duration) {
        self.0.requests.record(method, endpoint, status, duration);
    }
}

impl Collector for HttpMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let requests = &self.0.requests;
        // One family after the other: what is counted in between is in the later ones only.
        let mut counter = |name: &str, help: &str, is_counted: fn(u16) -> bool| {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            requests.try_each(|method, endpoint, counted| {
                for (status, count) in counted.by_status.iter().filter(|(status, _)| is_counted(*status)) {
                    let status = status.to_string();
                    let labels = [("method", method), ("endpoint", &**endpoint), ("status", &*status)];
                    ConstCounter::new(*count).encode(family.encode_family(&labels)?)?;
                }
                Ok(())
            })
        };
        counter("http_requests", "HTTP requests answered", |_| true)?;
        counter("http_errors", "HTTP requests answered with a status of 400 or above", is_error)?;
        let help = "Time to answer an HTTP request";
        let mut family =
            encoder.encode_descriptor("http_request_duration_seconds", help, None, MetricType::Histogram)?;
        requests.try_each(|method, endpoint, counted| {
            let bounds = BUCKETS.into_iter().chain([f64::INFINITY]);
            let buckets: Vec<(f64, u64)> = bounds.zip(counted.buckets).collect();
            let labels = [("method", method), ("endpoint", &**endpoint)];
            let (sum, count) = (counted.duration, counted.requests());
            family.encode_family(&labels)?.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
        })?;
        let active = ConstGauge::new(self.active());
        let help = "HTTP requests being answered";
        active.encode(encoder.encode_descriptor("active_requests", help, None, MetricType::Gauge)?)
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
    let method = request.method().clone();
    let _active = metrics.as_ref().map(|metrics| Active::enter(HttpMetrics::clone(metrics)));
    let result = next.call(request).await;
    let elapsed = started.elapsed();
    match result {
        Ok(mut response) => {
            if let Some(metrics) = metrics {
                let pattern = response.request().match_pattern();
                let endpoint = pattern.as_deref().unwrap_or(UNMATCHED);
                metrics.record(method.as_str(), endpoint, response.status().as_u16(), elapsed);
            }
            stamp(response.headers_mut(), &id, elapsed);
            Ok(response)
        }
        Err(error) => {
            // An error of the service becomes its answer here, so that it carries the headers too.
            let mut response = error.error_response();
            if let Some(metrics) = metrics {
                metrics.record(method.as_str(), UNMATCHED, response.status().as_u16(), elapsed);
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

/// Counts down also when the request is dropped in the middle.
struct Active(HttpMetrics);

impl Active {
    fn enter(metrics: HttpMetrics) -> Self {
        metrics.0.active.fetch_add(1, Ordering::Relaxed);
        Self(metrics)
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.0.0.active.fetch_sub(1, Ordering::Relaxed);
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
        let metrics =
            Metrics::new(|registry| http = Some(HttpMetrics::register(registry, Thresholds::default())));
        let app = test::init_service(
            App::new()
                .app_data(web::Data::new(http.clone().unwrap()))
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
        let bucket =
            r#"http_request_duration_seconds_bucket{le="+Inf",method="GET",endpoint="/items/{id}"} 1"#;
        assert!(text.contains(bucket), "{text}");
        let http = http.unwrap();
        assert_eq!((http.summary().requests, http.summary().errors, http.active()), (2, 1, 0));
        http.reset();
        assert_eq!(http.summary().requests, 0);
        assert_eq!(metrics.render(Format::Prometheus).unwrap(), text, "what is scraped is never set back");
    }
}
