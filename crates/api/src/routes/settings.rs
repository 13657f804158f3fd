//! What may be told about the server, and the document that describes this API.

use actix_web::{HttpResponse, get, web};
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::{Access, permission::SettingsRead};
use crate::app::Info;
use crate::openapi::openapi;

/// Settings that the dashboard needs.
#[derive(Debug, Serialize, ToSchema)]
struct Settings {
    /// The zone in which times are shown.
    time_zone: String,
    /// Version of the server.
    version: &'static str,
    /// Where checks are made.
    location: String,
    /// The process that makes them.
    worker: String,
    /// The address at which people reach the server; null where it was not told.
    public_url: Option<String>,
    /// Whether there is a login.
    login: bool,
}

/// Settings that the dashboard needs.
#[utoipa::path(tag = "settings", responses((status = 200, description = "The settings", body = Settings)))]
#[get("/api/v1/settings")]
pub(crate) async fn show_settings(_: Access<SettingsRead>, info: web::Data<Info>) -> HttpResponse {
    HttpResponse::Ok().json(Settings {
        time_zone: info.time_zone.clone(),
        version: info.version,
        location: info.location.clone(),
        worker: info.worker.clone(),
        public_url: info.public_url.clone(),
        login: false,
    })
}

/// This document.
#[utoipa::path(tag = "settings", responses((status = 200, description = "OpenAPI 3.1", body = Object)))]
#[get("/api/v1/openapi.json")]
pub(crate) async fn show_openapi(_: Access<SettingsRead>) -> HttpResponse {
    HttpResponse::Ok().json(openapi())
}
