//! Errors as RFC 9457 problem documents: one table of types.

use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpMessage, HttpRequest, HttpResponse, ResponseError};
use serde::Serialize;
use utoipa::ToSchema;
use wise_catalog::CatalogError;
use wise_core::{FieldError, FieldErrors};
use wise_storage::StoreError;
use wise_telemetry::RequestId;

const TYPES: &str = "https://wise-monitoring.dev/problems/";

/// The kinds of problem: name, title and status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The request cannot be read.
    Malformed,
    /// No one is known by the credentials that were given, or none were.
    Unauthenticated,
    /// Who asks may not do this.
    Forbidden,
    /// The host or origin is not this server.
    ForbiddenOrigin,
    /// There is no such thing.
    NotFound,
    /// The path does not take this method.
    MethodNotAllowed,
    /// It contradicts what is there.
    Conflict,
    /// Someone else has changed it meanwhile.
    StaleVersion,
    /// The body is too large.
    TooLarge,
    /// The body is of a type that is not read.
    UnsupportedMediaType,
    /// Fields are wrong.
    Invalid,
    /// A fault of ours.
    Internal,
    /// It cannot be done now.
    Unavailable,
}

impl Kind {
    fn row(self) -> (&'static str, &'static str, StatusCode) {
        match self {
            Self::Malformed => ("malformed", "Malformed request", StatusCode::BAD_REQUEST),
            Self::Unauthenticated => ("unauthenticated", "Not logged in", StatusCode::UNAUTHORIZED),
            Self::Forbidden => ("forbidden", "Not allowed", StatusCode::FORBIDDEN),
            Self::ForbiddenOrigin => ("forbidden-origin", "Foreign host or origin", StatusCode::FORBIDDEN),
            Self::NotFound => ("not-found", "Not found", StatusCode::NOT_FOUND),
            Self::MethodNotAllowed => {
                ("method-not-allowed", "Method not allowed", StatusCode::METHOD_NOT_ALLOWED)
            }
            Self::Conflict => ("conflict", "Conflict", StatusCode::CONFLICT),
            Self::StaleVersion => ("stale-version", "Stale version", StatusCode::PRECONDITION_FAILED),
            Self::TooLarge => ("too-large", "Body too large", StatusCode::PAYLOAD_TOO_LARGE),
            Self::UnsupportedMediaType => {
                ("unsupported-media-type", "Unsupported media type", StatusCode::UNSUPPORTED_MEDIA_TYPE)
            }
            Self::Invalid => ("invalid", "Invalid request", StatusCode::UNPROCESSABLE_ENTITY),
            Self::Internal => ("internal", "Internal error", StatusCode::INTERNAL_SERVER_ERROR),
            Self::Unavailable => ("unavailable", "Unavailable", StatusCode::SERVICE_UNAVAILABLE),
        }
    }
}

/// An error of the API.
#[derive(Debug)]
pub struct Problem {
    pub(crate) kind: Kind,
    pub(crate) detail: String,
    pub(crate) errors: Vec<FieldError>,
}

/// An error, as RFC 9457 has it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemDocument {
    /// Kind of problem.
    r#type: String,
    /// Its title.
    title: &'static str,
    /// HTTP status.
    status: u16,
    /// What happened this time.
    detail: String,
    /// Each wrong field.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<FieldErrorView>)]
    errors: Vec<FieldError>,
    /// Id of the request, to be found in the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
}

/// What is wrong with one field.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FieldError)]
pub(crate) struct FieldErrorView {
    /// Path of the field.
    field: String,
    /// The value given.
    value: Option<String>,
    /// Why it is wrong.
    reason: String,
    /// What to write instead.
    hint: Option<String>,
}

impl Problem {
    /// A problem without single fields.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), errors: Vec::new() }
    }

    pub(crate) fn field(kind: Kind, error: FieldError) -> Self {
        Self { kind, detail: error.to_string(), errors: vec![error] }
    }

    pub(crate) fn not_found(what: &str) -> Self {
        Self::new(Kind::NotFound, format!("there is no such {what}"))
    }

    pub(crate) fn invalid(errors: FieldErrors) -> Self {
        let count = errors.0.len();
        let fields = if count == 1 { "1 field is".to_owned() } else { format!("{count} fields are") };
        Self { kind: Kind::Invalid, detail: format!("nothing was changed: {fields} wrong"), errors: errors.0 }
    }

    /// The answer, with the request's id.
    pub(crate) fn answer(&self, request: Option<&HttpRequest>) -> HttpResponse {
        let (name, title, status) = self.kind.row();
        let request_id = request.and_then(|r| r.extensions().get::<RequestId>().map(|id| id.0.to_string()));
        let document = ProblemDocument {
            r#type: format!("{TYPES}{name}"),
            title,
            status: status.as_u16(),
            detail: self.detail.clone(),
            errors: self.errors.clone(),
            request_id,
        };
        let body = serde_json::to_string(&document).unwrap_or_default();
        HttpResponse::build(status).insert_header((CONTENT_TYPE, "application/problem+json")).body(body)
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.kind.row().2
    }

    fn error_response(&self) -> HttpResponse {
        self.answer(None)
    }
}

impl From<CatalogError> for Problem {
    fn from(error: CatalogError) -> Self {
        let detail = error.to_string();
        match error {
            CatalogError::Invalid(errors) => Self::invalid(errors),
            CatalogError::NameTaken(name) => Self {
                kind: Kind::Conflict,
                detail,
                errors: vec![
                    FieldError::new("name", "is taken by another monitor").value(name).hint("choose another"),
                ],
            },
            CatalogError::InUse(_) => Self {
                kind: Kind::Conflict,
                detail: format!("nothing was changed: {detail}; remove it from their depends_on first"),
                errors: Vec::new(),
            },
            CatalogError::KeptInFile(_) | CatalogError::NotRemoved => Self::new(Kind::Conflict, detail),
            CatalogError::NotFound => Self::not_found("monitor"),
            CatalogError::Stale { .. } => Self::new(
                Kind::StaleVersion,
                format!("nothing was changed: {detail}; read it again and repeat the change"),
            ),
            CatalogError::Partly(..) => Self::new(Kind::Unavailable, detail),
            CatalogError::Store(error) => error.into(),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let text = error.to_string();
        tracing::error!("the store failed a request: {text}");
        // Paths of the server are for its log, not for anyone who asks.
        let detail = match error {
            StoreError::DiskFull { .. } => "nothing was changed: the server's disk is full",
            StoreError::NotWritable { .. } => "nothing was changed: the server's store cannot be written",
            StoreError::Away { .. } => {
                "MongoDB cannot be reached: nothing was changed; checks go on, and the last two days can be read"
            }
            StoreError::Superseded { .. } => "another process has taken the store over: ask that one",
            StoreError::Damaged { .. } => "the server's store is damaged: see its log",
            _ => "the server's store failed: see its log",
        };
        Self::new(Kind::Unavailable, detail)
    }
}
