//! What the last checks of a monitor measured, part by part.

use actix_web::{HttpResponse, get, web};
use wise_catalog::Catalog;
use wise_overview::Overview;

use super::history::entry;
use crate::access::{Access, permission::MonitorsRead};
use crate::problem::{Problem, ProblemDocument};
use crate::readings::ReadingsView;

/// The readings of each probe's last check: values with their labels and quality, or why there is none.
#[utoipa::path(
    tag = "monitors",
    params(("id" = String, Path, description = "Id of the monitor")),
    responses(
        (status = 200, description = "The readings", body = ReadingsView),
        (status = 404, body = ProblemDocument)
    )
)]
#[get("/api/v1/monitors/{id}/readings")]
pub(crate) async fn show_readings(
    access: Access<MonitorsRead>,
    id: web::Path<String>,
    catalog: web::Data<Catalog>,
    overview: web::Data<Overview>,
) -> Result<HttpResponse, Problem> {
    let (id, _) = entry(&catalog, &id, &access.principal)?;
    let item = overview.item(id).ok_or_else(|| Problem::not_found("monitor"))?;
    Ok(HttpResponse::Ok().json(ReadingsView::new(&item)))
}
