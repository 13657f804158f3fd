//! The kinds of monitor that this server knows.

use actix_web::{HttpResponse, get, web};
use wise_catalog::Catalog;

use crate::access::{Access, permission::MonitorsRead};
use crate::cursor::Page;
use crate::problem::{Problem, ProblemDocument};
use crate::view;

/// Every plugin: schema of its settings, probes, metrics, error classes.
#[utoipa::path(tag = "plugins", responses((status = 200, description = "The plugins", body = Page<Object>)))]
#[get("/api/v1/plugins")]
pub(crate) async fn list_plugins(_: Access<MonitorsRead>, catalog: web::Data<Catalog>) -> HttpResponse {
    HttpResponse::Ok().json(Page::whole(catalog.registry().plugins().map(view::plugin).collect()))
}

/// One plugin.
#[utoipa::path(
    tag = "plugins",
    params(("kind" = String, Path, description = "Kind of monitor")),
    responses((status = 200, description = "The plugin", body = Object), (status = 404, body = ProblemDocument))
)]
#[get("/api/v1/plugins/{kind}")]
pub(crate) async fn show_plugin(
    _: Access<MonitorsRead>,
    kind: web::Path<String>,
    catalog: web::Data<Catalog>,
) -> Result<HttpResponse, Problem> {
    let plugin = catalog.registry().plugin(&kind).ok_or_else(|| Problem::not_found("kind of monitor"))?;
    Ok(HttpResponse::Ok().json(view::plugin(plugin)))
}
