//! Monitors: their definitions, and checks made by hand.

use actix_web::http::header::{ETAG, IF_MATCH, LOCATION};
use actix_web::{HttpRequest, HttpResponse, delete, get, patch, post, put, web};
use serde::Deserialize;
use utoipa::IntoParams;
use wise_catalog::{Catalog, CatalogEntry, RESTORABLE};
use wise_core::{FieldError, MonitorId, Status};
use wise_overview::Overview;

use super::{blocking, monitor_id};
use crate::access::{Access, permission::MonitorsCheck, permission::MonitorsRead, permission::MonitorsWrite};
use crate::app::Info;
use crate::body::JsonBody;
use crate::cursor::{self, Page};
use crate::problem::{Kind, Problem, ProblemDocument};
use crate::view::{MonitorView, RemovedView, ResultView};

/// Filters of the list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListParams {
    /// Items at most, 1 to 1000.
    limit: Option<usize>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
    /// Only monitors with this status.
    status: Option<String>,
    /// Only monitors of this kind.
    kind: Option<String>,
    /// Only monitors whose name or tags hold this text.
    q: Option<String>,
}

fn answer(
    mut response: actix_web::HttpResponseBuilder,
    catalog: &Catalog,
    overview: &Overview,
    entry: &CatalogEntry,
) -> HttpResponse {
    response
        .insert_header((ETAG, format!("\"{}\"", entry.definition.version)))
        .json(MonitorView::new(catalog, overview, entry))
}

/// The version that a change expects, from `If-Match`.
fn expected(request: &HttpRequest) -> Result<Option<u64>, Problem> {
    let Some(value) = request.headers().get(IF_MATCH) else { return Ok(None) };
    let text = value.to_str().unwrap_or("").trim();
    if text == "*" {
        return Ok(None);
    }
    text.trim_matches('"').parse().map(Some).map_err(|_| {
        let error = FieldError::new("If-Match", "is no version")
            .value(text)
            .hint("use the ETag of the object, such as \"3\"");
        Problem::field(Kind::Malformed, error)
    })
}

/// Monitors, in the order of their ids: those made through the API in the order in which they were made.
#[utoipa::path(
    tag = "monitors",
    params(ListParams),
    responses((status = 200, description = "The monitors", body = Page<MonitorView>))
)]
#[get("/api/v1/monitors")]
pub(crate) async fn list_monitors(
    access: Access<MonitorsRead>,
    params: web::Query<ListParams>,
    catalog: web::Data<Catalog>,
    overview: web::Data<Overview>,
) -> Result<HttpResponse, Problem> {
    let limit = cursor::limit(params.limit)?;
    let after = cursor::read::<MonitorId>(params.cursor.as_deref())?;
    let status = params
        .status
        .as_deref()
        .map(|name| {
            Status::from_name(name).ok_or_else(|| {
                let known: Vec<_> = Status::ALL.iter().map(|status| status.name()).collect();
                let error = FieldError::new("status", "there is no such status").value(name);
                Problem::field(Kind::Malformed, error.hint(format!("use one of {}", known.join(", "))))
            })
        })
        .transpose()?;
    let wanted = params.q.as_deref().map(str::to_lowercase);
    let found = catalog.visible(&access.principal).into_iter().filter(|entry| {
        let spec = &entry.definition.spec;
        let holds = |text: &str| wanted.as_deref().is_none_or(|wanted| text.to_lowercase().contains(wanted));
        after.is_none_or(|after| entry.definition.id > after)
            && params.kind.as_deref().is_none_or(|kind| spec.kind == kind)
            && (holds(&spec.name) || spec.tags.iter().any(|(key, value)| holds(key) || holds(value)))
            && status.is_none_or(|status| {
                overview.item(entry.definition.id).is_some_and(|item| item.status == status)
            })
    });
    let mut entries: Vec<CatalogEntry> = found.take(limit + 1).collect();
    let has_more = entries.len() > limit;
    entries.truncate(limit);
    let next_cursor = entries.last().filter(|_| has_more).map(|entry| entry.definition.id.to_string());
    let items = entries.iter().map(|entry| MonitorView::new(&catalog, &overview, entry)).collect();
    Ok(HttpResponse::Ok().json(Page::<MonitorView> { items, next_cursor }))
}

/// Adds a monitor. Its probes run at once.
#[utoipa::path(
    tag = "monitors",
    request_body(content = ref("#/components/schemas/MonitorDefinition"), content_type = "application/json"),
    responses(
        (status = 201, description = "The monitor", body = MonitorView),
        (status = 409, description = "The name is taken", body = ProblemDocument),
        (status = 422, description = "Fields are wrong", body = ProblemDocument)
    )
)]
#[post("/api/v1/monitors")]
pub(crate) async fn create_monitor(
    access: Access<MonitorsWrite>,
    body: JsonBody,
    request: HttpRequest,
    catalog: web::Data<Catalog>,
    overview: web::Data<Overview>,
) -> Result<HttpResponse, Problem> {
    let service = catalog.clone();
    let entry = blocking(move || service.create(body.0, &access.principal)).await?;
    let mut response = HttpResponse::Created();
    let path = request.path().trim_end_matches('/').to_owned();
    response.insert_header((LOCATION, format!("{path}/{}", entry.definition.id)));
    Ok(answer(response, &catalog, &overview, &entry))
}

/// Checks a definition without saving it. Masked secrets are taken from the saved monitor of the same name.
#[utoipa::path(
    tag = "monitors",
    request_body(content = ref("#/components/schemas/MonitorDefinition"), content_type = "application/json"),
    responses(
        (status = 200, description = "The check", body = ResultView),
        (status = 422, description = "Fields are wrong", body = ProblemDocument)
    )
)]
#[post("/api/v1/monitors/check")]
pub(crate) async fn try_monitor(
    access: Access<MonitorsCheck>,
    body: JsonBody,
    catalog: web::Data<Catalog>,
    info: web::Data<Info>,
) -> Result<HttpResponse, Problem> {
    let outcome = catalog.try_out(body.0, &access.principal).await?;
    let outcome = outcome.ok_or_else(|| Problem::new(Kind::Unavailable, "the server is stopping"))?;
    Ok(HttpResponse::Ok().json(ResultView::fresh(&outcome.record, &info.location, &info.worker)))
}

/// One monitor.
#[utoipa::path(
    tag = "monitors",
    params(("id" = String, Path, description = "Id of the monitor")),
    responses((status = 200, description = "The monitor", body = MonitorView), (status = 404, body = ProblemDocument))
)]
#[get("/api/v1/monitors/{id}")]
pub(crate) async fn show_monitor(
    access: Access<MonitorsRead>,
    id: web::Path<String>,
    catalog: web::Data<Catalog>,
    overview: web::Data<Overview>,
) -> Result<HttpResponse, Problem> {
    let entry =
        catalog.seen(monitor_id(&id)?, &access.principal).ok_or_else(|| Problem::not_found("monitor"))?;
    Ok(answer(HttpResponse::Ok(), &catalog, &overview, &entry))
}

/// Replaces a monitor's definition.
#[utoipa::path(
    tag = "monitors",
    params(
        ("id" = String, Path, description = "Id of the monitor"),
        ("If-Match" = Option<String>, Header, description = "The version that is replaced")
    ),
    request_body(content = ref("#/components/schemas/MonitorDefinition"), content_type = "application/json"),
    responses(
        (status = 200, description = "The monitor", body = MonitorView),
        (status = 409, description = "The name is taken, or a file keeps it", body = ProblemDocument),
        (status = 412, description = "It has another version", body = ProblemDocument),
        (status = 422, description = "Fields are wrong", body = ProblemDocument)
    )
)]
#[put("/api/v1/monitors/{id}")]
pub(crate) async fn replace_monitor(
    access: Access<MonitorsWrite>,
    id: web::Path<String>,
    body: JsonBody,
    request: HttpRequest,
    catalog: web::Data<Catalog>,
    overview: web::Data<Overview>,
) -> Result<HttpResponse, Problem> {
    let (id, expected, service) = (monitor_id(&id)?, expected(&request)?, catalog.clone());
    let entry = blocking(move || service.replace(id, body.0, expected, &access.principal)).await?;
    Ok(answer(HttpResponse::Ok(), &catalog, &overview, &entry))
}

/// Changes parts of a monitor's definition by a JSON merge patch (RFC 7396).
#[utoipa::path(
    tag = "monitors",
    params(
        ("id" = String, Path, description = "Id of the monitor"),
        ("If-Match" = Option<String>, Header, description = "The version that is changed")
    ),
    request_body(content = Object, content_type = "application/merge-patch+json"),
    responses(
        (status = 200, description = "The monitor", body = MonitorView),
        (status = 409, description = "The name is taken, or a file keeps it", body = ProblemDocument),
        (status = 412, description = "It has another version", body = ProblemDocument),
        (status = 422, description = "Fields are wrong", body = ProblemDocument)
    )
)]
#[patch("/api/v1/monitors/{id}")]
pub(crate) async fn patch_monitor(
    access: Access<MonitorsWrite>,
    id: web::Path<String>,
    body: JsonBody,
    request: HttpRequest,
    catalog: web::Data<Catalog>,
    overview: web::Data<Overview>,
) -> Result<HttpResponse, Problem> {
    let (id, expected, service) = (monitor_id(&id)?, expected(&request)?, catalog.clone());
    let entry = blocking(move || service.patch(id, &body.0, expected, &access.principal)).await?;
    Ok(answer(HttpResponse::Ok(), &catalog, &overview, &entry))
}

/// Removes a monitor. For 24 hours it can be brought back, with its history.
#[utoipa::path(
    tag = "monitors",
    params(
        ("id" = String, Path, description = "Id of the monitor"),
        ("If-Match" = Option<String>, Header, description = "The version that is removed")
    ),
    responses(
        (status = 204, description = "It is gone"),
        (status = 409, description = "Others depend on it, or a file keeps it", body = ProblemDocument),
        (status = 412, description = "It has another version", body = ProblemDocument)
    )
)]
#[delete("/api/v1/monitors/{id}")]
pub(crate) async fn delete_monitor(
    access: Access<MonitorsWrite>,
    id: web::Path<String>,
    request: HttpRequest,
    catalog: web::Data<Catalog>,
) -> Result<HttpResponse, Problem> {
    let (id, expected, service) = (monitor_id(&id)?, expected(&request)?, catalog.clone());
    blocking(move || service.delete(id, expected, &access.principal)).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Monitors that were removed and can be brought back, the last one first.
#[utoipa::path(
    tag = "monitors",
    responses((status = 200, description = "The monitors", body = Page<RemovedView>))
)]
#[get("/api/v1/monitors/removed")]
pub(crate) async fn list_removed(
    access: Access<MonitorsRead>,
    catalog: web::Data<Catalog>,
) -> Result<HttpResponse, Problem> {
    let service = catalog.clone();
    let removed = blocking(move || service.removed(&access.principal)).await?;
    let view = |(definition, at): (wise_core::MonitorDefinition, wise_core::Timestamp)| RemovedView {
        id: definition.id.to_string(),
        name: definition.spec.name,
        kind: definition.spec.kind,
        removed_at: at,
        restorable_until: at.plus(RESTORABLE),
    };
    Ok(HttpResponse::Ok().json(Page::<RemovedView>::whole(removed.into_iter().map(view).collect())))
}

/// Brings back a monitor that was removed less than 24 hours ago, with its id and history.
#[utoipa::path(
    tag = "monitors",
    params(("id" = String, Path, description = "Id of the monitor")),
    responses(
        (status = 200, description = "The monitor", body = MonitorView),
        (status = 404, description = "There is none, or it was removed too long ago", body = ProblemDocument),
        (status = 409, description = "It was not removed, or its name is taken", body = ProblemDocument),
        (status = 422, description = "Its definition is no longer valid", body = ProblemDocument)
    )
)]
#[post("/api/v1/monitors/{id}/restore")]
pub(crate) async fn restore_monitor(
    access: Access<MonitorsWrite>,
    id: web::Path<String>,
    catalog: web::Data<Catalog>,
    overview: web::Data<Overview>,
) -> Result<HttpResponse, Problem> {
    let (id, service) = (monitor_id(&id)?, catalog.clone());
    let entry = blocking(move || service.restore(id, &access.principal)).await?;
    Ok(answer(HttpResponse::Ok(), &catalog, &overview, &entry))
}

/// Checks a monitor now. The check is stored like any other.
#[utoipa::path(
    tag = "monitors",
    params(("id" = String, Path, description = "Id of the monitor")),
    responses(
        (status = 200, description = "The check", body = ResultView),
        (status = 404, body = ProblemDocument),
        (status = 409, description = "It is paused or cannot be built", body = ProblemDocument)
    )
)]
#[post("/api/v1/monitors/{id}/check")]
pub(crate) async fn check_monitor(
    access: Access<MonitorsCheck>,
    id: web::Path<String>,
    catalog: web::Data<Catalog>,
    info: web::Data<Info>,
) -> Result<HttpResponse, Problem> {
    let id = monitor_id(&id)?;
    let entry = catalog.seen(id, &access.principal).ok_or_else(|| Problem::not_found("monitor"))?;
    if !entry.definition.spec.enabled {
        return Err(Problem::new(Kind::Conflict, "the monitor is paused: set `enabled` to true first"));
    }
    if let Some(problem) = entry.problem {
        return Err(Problem::new(Kind::Conflict, format!("the monitor cannot be built: {problem}")));
    }
    let outcome = catalog.check_now(id).await;
    let outcome = outcome.ok_or_else(|| {
        Problem::new(Kind::Unavailable, "the monitor was changed or the server is stopping")
    })?;
    Ok(HttpResponse::Ok().json(ResultView::fresh(&outcome.record, &info.location, &info.worker)))
}
