//! The server's metrics, and every monitor's last readings, for Prometheus; statistics of the requests to the server.

use actix_web::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, VARY};
use actix_web::{HttpRequest, HttpResponse, get, post, web};
use serde::Serialize;
use utoipa::ToSchema;
use wise_telemetry::{Format, HttpMetrics, Metrics};

use crate::access::{
    Access,
    permission::{MetricsAdmin, Public},
};
use crate::problem::{Kind, Problem, ProblemDocument};

/// Statistics of the requests to the server, since its start or since they were set back.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RequestStatistics)]
struct StatisticsView {
    /// Requests answered.
    total_requests: u64,
    /// Requests answered with a status of 400 or above.
    error_count: u64,
    /// Their share in percent, to two digits.
    error_rate_percent: f64,
    /// Requests that took as long as `server.slow_request_threshold` or longer.
    slow_request_count: u64,
    /// Mean time to answer in milliseconds, to two digits.
    avg_response_time_ms: f64,
    /// Requests that are being answered, this one among them.
    active_requests: i64,
}

impl StatisticsView {
    fn of(http: &HttpMetrics) -> Self {
        let two_digits = |value: f64| (value * 100.0).round() / 100.0;
        let summary = http.summary();
        Self {
            total_requests: summary.requests,
            error_count: summary.errors,
            error_rate_percent: two_digits(summary.error_rate_percent()),
            slow_request_count: summary.slow,
            avg_response_time_ms: two_digits(summary.avg_response_time_ms()),
            active_requests: http.active(),
        }
    }

    fn answer(&self) -> HttpResponse {
        HttpResponse::Ok()
            .insert_header((CACHE_CONTROL, "no-store"))
            .insert_header((VARY, "Accept"))
            .json(self)
    }
}

fn accept(request: &HttpRequest) -> Option<&str> {
    request.headers().get(ACCEPT).and_then(|value| value.to_str().ok())
}

fn render(request: &HttpRequest, metrics: &Metrics) -> Result<HttpResponse, Problem> {
    let format = Format::negotiate(accept(request));
    let text =
        metrics.render(format).map_err(|_| Problem::new(Kind::Internal, "the metrics cannot be written"))?;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, format.content_type()))
        .insert_header((VARY, "Accept"))
        .body(text))
}

/// Metrics as Prometheus text 0.0.4 or OpenMetrics 1.0, as `Accept` asks; when it asks for JSON, statistics of the requests
/// to the server, which take a permission.
#[utoipa::path(
    responses(
        (status = 200, description = "Metrics, or statistics of requests", content(
            (String = "text/plain"),
            (StatisticsView = "application/json"),
        )),
        (status = 403, description = "The statistics take the permission metrics:admin", body = ProblemDocument)
    )
)]
#[get("/metrics")]
pub(crate) async fn show_metrics(
    _: Access<Public>,
    for_json: Result<Access<MetricsAdmin>, Problem>,
    request: HttpRequest,
    metrics: web::Data<Metrics>,
    http: web::Data<HttpMetrics>,
) -> Result<HttpResponse, Problem> {
    if Format::prefers_json(accept(&request)) {
        for_json?;
        return Ok(StatisticsView::of(&http).answer());
    }
    render(&request, &metrics)
}

/// Metrics as Prometheus text 0.0.4 or OpenMetrics 1.0, as `Accept` asks.
#[utoipa::path(responses((status = 200, description = "Metrics", body = String, content_type = "text/plain")))]
#[get("/metrics/prometheus")]
pub(crate) async fn show_prometheus(
    _: Access<Public>,
    request: HttpRequest,
    metrics: web::Data<Metrics>,
) -> Result<HttpResponse, Problem> {
    render(&request, &metrics)
}

/// Sets the statistics of requests back, and answers them. Neither history nor the counters that Prometheus reads change: a
/// counter that is set back would be taken for a restart.
#[utoipa::path(
    responses(
        (status = 200, description = "The statistics from now on", body = StatisticsView),
        (status = 403, body = ProblemDocument)
    )
)]
#[post("/metrics/reset")]
pub(crate) async fn reset_metrics(_: Access<MetricsAdmin>, http: web::Data<HttpMetrics>) -> HttpResponse {
    http.reset();
    StatisticsView::of(&http).answer()
}
