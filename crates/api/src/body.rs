//! Reading JSON bodies: at most 1 MiB, the right media type, and errors that say where.

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::{FromRequest, HttpRequest, web};
use futures_util::StreamExt;
use serde_json::Value;
use wise_catalog::Format;

use crate::problem::{Kind, Problem};

/// Largest body.
pub(crate) const MAX_BODY: usize = 1024 * 1024;

/// A JSON body.
pub(crate) struct JsonBody(pub(crate) Value);

impl FromRequest for JsonBody {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let kind = media_type(request);
        let is_json = kind == "application/json" || kind.ends_with("+json");
        let payload = payload.take();
        Box::pin(async move {
            if !is_json {
                let text = "the body must be JSON: send it with `Content-Type: application/json`";
                return Err(Problem::new(Kind::UnsupportedMediaType, text));
            }
            let bytes = read(payload, MAX_BODY).await?;
            serde_json::from_slice(&bytes)
                .map(Self)
                .map_err(|error| Problem::new(Kind::Malformed, format!("the body is no JSON: {error}")))
        })
    }
}

/// Largest body of an import: ten thousand definitions are about three megabytes.
const MAX_IMPORT: usize = 16 * 1024 * 1024;

/// Definitions as an export has them, JSON or TOML.
pub(crate) struct DefinitionsBody {
    pub(crate) format: Format,
    pub(crate) text: String,
}

impl FromRequest for DefinitionsBody {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let format = match media_type(request).as_str() {
            "application/json" => Some(Format::Json),
            "application/toml" => Some(Format::Toml),
            _ => None,
        };
        let payload = payload.take();
        Box::pin(async move {
            let Some(format) = format else {
                let text = "the body must be an export: send it with `Content-Type: application/json` or `application/toml`";
                return Err(Problem::new(Kind::UnsupportedMediaType, text));
            };
            let bytes = read(payload, MAX_IMPORT).await?;
            String::from_utf8(bytes.into())
                .map(|text| Self { format, text })
                .map_err(|_| Problem::new(Kind::Malformed, "the body is no UTF-8"))
        })
    }
}

fn media_type(request: &HttpRequest) -> String {
    let text = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    text.split(';').next().unwrap_or("").trim().to_ascii_lowercase()
}

/// The whole body, which may have so many bytes.
async fn read(mut payload: Payload, most: usize) -> Result<web::BytesMut, Problem> {
    let mut bytes = web::BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk
            .map_err(|error| Problem::new(Kind::Malformed, format!("the body cannot be read: {error}")))?;
        if bytes.len() + chunk.len() > most {
            let text = format!("the body is larger than {} MiB", most >> 20);
            return Err(Problem::new(Kind::TooLarge, text));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}
