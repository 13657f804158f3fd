//! All definitions at once: out as TOML or JSON, and in again.

use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpResponse, get, post, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use wise_catalog::{Catalog, CatalogError, Conflict, Format, Imported, export, read_export};
use wise_core::FieldError;

use super::blocking;
use crate::access::Access;
use crate::access::permission::{MonitorsRead, MonitorsWrite};
use crate::body::DefinitionsBody;
use crate::problem::{Kind, Problem, ProblemDocument};

/// How to write them.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExportParams {
    /// `json` or `toml`. Default: json.
    format: Option<String>,
}

/// What to do with them.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct ImportParams {
    /// What to do with a monitor whose name is taken by another: `fail`, which changes nothing at all, `replace` or
    /// `skip`. Default: fail.
    on_conflict: Option<String>,
    /// Only say what would be done.
    dry_run: Option<bool>,
}

/// What was done.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Imported)]
pub(crate) struct ImportedView {
    /// Monitors that are new.
    created: usize,
    /// Monitors that were changed.
    replaced: usize,
    /// Monitors that were there as they were wanted.
    unchanged: usize,
    /// Monitors that were left as they are.
    skipped: usize,
    /// Whether nothing was done, and this is what would have been.
    dry_run: bool,
}

/// Every definition, secrets as references.
#[utoipa::path(
    tag = "monitors",
    params(ExportParams),
    responses((status = 200, description = "The definitions, which can be imported or be a file of monitors", body = String))
)]
#[get("/api/v1/export/monitors")]
pub(crate) async fn export_monitors(
    access: Access<MonitorsRead>,
    params: web::Query<ExportParams>,
    catalog: web::Data<Catalog>,
) -> Result<HttpResponse, Problem> {
    let format = match params.format.as_deref() {
        None => Format::Json,
        Some(name) => Format::from_name(name).ok_or_else(|| {
            let error = FieldError::new("format", "there is no such format").value(name);
            Problem::field(Kind::Invalid, error.hint("json or toml"))
        })?,
    };
    let content = match format {
        Format::Json => "application/json",
        Format::Toml => "application/toml",
    };
    let text = blocking(move || {
        let definitions: Vec<_> =
            catalog.visible(&access.principal).into_iter().map(|entry| (*entry.definition).clone()).collect();
        export(catalog.registry(), &definitions, format).map_err(CatalogError::from)
    })
    .await?;
    Ok(HttpResponse::Ok().insert_header((CONTENT_TYPE, content)).body(text))
}

/// Takes in definitions, all of them or none. The body is an export, as JSON or TOML, of at most 16 MiB.
#[utoipa::path(
    tag = "monitors",
    params(ImportParams),
    request_body(content = Object, content_type = "application/json"),
    responses(
        (status = 200, description = "What was done", body = ImportedView),
        (status = 422, description = "Something is wrong, and nothing was changed", body = ProblemDocument)
    )
)]
#[post("/api/v1/import/monitors")]
pub(crate) async fn import_monitors(
    access: Access<MonitorsWrite>,
    params: web::Query<ImportParams>,
    body: DefinitionsBody,
    catalog: web::Data<Catalog>,
) -> Result<HttpResponse, Problem> {
    let conflict = match params.on_conflict.as_deref() {
        None => Conflict::default(),
        Some(name) => Conflict::from_name(name).ok_or_else(|| {
            let error = FieldError::new("on_conflict", "there is no such choice").value(name);
            Problem::field(Kind::Invalid, error.hint("fail, replace or skip"))
        })?,
    };
    let dry_run = params.dry_run.unwrap_or(false);
    let done = blocking(move || {
        let all = read_export(&body.text, body.format)?;
        catalog.import(&all, conflict, dry_run, &access.principal)
    })
    .await?;
    let Imported { created, replaced, unchanged, skipped } = done;
    Ok(HttpResponse::Ok().json(ImportedView { created, replaced, unchanged, skipped, dry_run }))
}
