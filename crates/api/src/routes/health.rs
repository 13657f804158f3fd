//! How the server itself fares.

use actix_web::{HttpResponse, get, web};
use serde_json::{Map, Value, json};
use wise_core::Clock;
use wise_telemetry::{HealthChecks, HealthReport, HealthStatus};

use super::Started;
use crate::access::{Access, permission::Public};
use crate::app::Info;

fn answer(report: &HealthReport, clock: &dyn Clock, started: &Started, info: &Info) -> HttpResponse {
    let checks: Map<String, Value> = report
        .checks
        .iter()
        .map(|(name, result)| {
            ((*name).to_owned(), json!({"status": result.status.name(), "message": result.message}))
        })
        .collect();
    let now = clock.now();
    let body = json!({
        "status": report.status.name(),
        "time": now,
        "version": info.version,
        "uptime_seconds": now.since(started.0).as_secs(),
        "checks": checks,
    });
    let mut answer = match report.status {
        HealthStatus::Unhealthy => HttpResponse::ServiceUnavailable(),
        HealthStatus::Healthy | HealthStatus::Degraded => HttpResponse::Ok(),
    };
    answer.insert_header(("Cache-Control", "no-store")).json(body)
}

/// Health of every part of the server.
#[utoipa::path(responses((status = 200, description = "Healthy or degraded"), (status = 503, description = "Unhealthy")))]
#[get("/health")]
pub(crate) async fn show_health(
    _: Access<Public>,
    health: web::Data<HealthChecks>,
    clock: web::Data<dyn Clock>,
    started: web::Data<Started>,
    info: web::Data<Info>,
) -> HttpResponse {
    answer(&health.run().await, clock.get_ref(), &started, &info)
}

/// Whether the process can answer at all.
#[utoipa::path(responses((status = 200, description = "It can")))]
#[get("/health/live")]
pub(crate) async fn show_live(_: Access<Public>) -> HttpResponse {
    HttpResponse::Ok().insert_header(("Cache-Control", "no-store")).json(json!({"status": "healthy"}))
}

/// Whether the server can do its work: not while it stops or is without its store.
#[utoipa::path(responses((status = 200, description = "Ready"), (status = 503, description = "Not ready")))]
#[get("/health/ready")]
pub(crate) async fn show_ready(
    _: Access<Public>,
    health: web::Data<HealthChecks>,
    clock: web::Data<dyn Clock>,
    started: web::Data<Started>,
    info: web::Data<Info>,
) -> HttpResponse {
    answer(&health.run().await, clock.get_ref(), &started, &info)
}
