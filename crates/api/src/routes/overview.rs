//! Every monitor in short.

use actix_web::{HttpResponse, get, web};

use crate::access::{Access, permission::MonitorsRead};
use crate::live::Live;
use crate::view::OverviewView;

/// Every monitor, compactly: status, last latency, uptime, and the last hour.
#[utoipa::path(tag = "monitors", responses((status = 200, description = "The overview", body = OverviewView)))]
#[get("/api/v1/overview")]
pub(crate) async fn show_overview(access: Access<MonitorsRead>, live: web::Data<Live>) -> HttpResponse {
    HttpResponse::Ok().insert_header(("Cache-Control", "no-store")).json(live.snapshot(&access.principal))
}
