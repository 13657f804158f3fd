//! The server's metrics, and every monitor's last readings, for Prometheus.

use actix_web::http::header::{ACCEPT, CONTENT_TYPE, VARY};
use actix_web::{HttpRequest, HttpResponse, get, web};
use wise_telemetry::{Format, Metrics};

use crate::access::{Access, permission::Public};
use crate::problem::{Kind, Problem};

fn render(request: &HttpRequest, metrics: &Metrics) -> Result<HttpResponse, Problem> {
    let accept = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok());
    let format = Format::negotiate(accept);
    let text =
        metrics.render(format).map_err(|_| Problem::new(Kind::Internal, "the metrics cannot be written"))?;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, format.content_type()))
        .insert_header((VARY, "Accept"))
        .body(text))
}

/// Metrics as Prometheus text 0.0.4 or OpenMetrics 1.0, as `Accept` asks.
#[utoipa::path(responses((status = 200, description = "Metrics", body = String, content_type = "text/plain")))]
#[get("/metrics")]
pub(crate) async fn show_metrics(
    _: Access<Public>,
    request: HttpRequest,
    metrics: web::Data<Metrics>,
) -> Result<HttpResponse, Problem> {
    render(&request, &metrics)
}

/// The same as `/metrics`.
#[utoipa::path(responses((status = 200, description = "Metrics", body = String, content_type = "text/plain")))]
#[get("/metrics/prometheus")]
pub(crate) async fn show_prometheus(
    _: Access<Public>,
    request: HttpRequest,
    metrics: web::Data<Metrics>,
) -> Result<HttpResponse, Problem> {
    render(&request, &metrics)
}
