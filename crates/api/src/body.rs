//! Reading JSON bodies: at most 1 MiB, the right media type, and errors that say where.

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::{FromRequest, HttpRequest, web};
use futures_util::StreamExt;
use serde_json::Value;

use crate::problem::{Kind, Problem};

/// Largest body.
pub(crate) const MAX_BODY: usize = 1024 * 1024;

/// A JSON body.
pub(crate) struct JsonBody(pub(crate) Value);

impl FromRequest for JsonBody {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let is_json =
            request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(|text| {
                let kind = text.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
                kind == "application/json" || kind.ends_with("+json")
            });
        let mut payload = payload.take();
        Box::pin(async move {
            if !is_json {
                let text = "the body must be JSON: send it with `Content-Type: application/json`";
                return Err(Problem::new(Kind::UnsupportedMediaType, text));
            }
            let mut bytes = web::BytesMut::new();
            while let Some(chunk) = payload.next().await {
                let chunk = chunk.map_err(|error| {
                    Problem::new(Kind::Malformed, format!("the body cannot be read: {error}"))
                })?;
                if bytes.len() + chunk.len() > MAX_BODY {
                    return Err(Problem::new(Kind::TooLarge, "the body is larger than 1 MiB"));
                }
                bytes.extend_from_slice(&chunk);
            }
            serde_json::from_slice(&bytes)
                .map(Self)
                .map_err(|error| Problem::new(Kind::Malformed, format!("the body is no JSON: {error}")))
        })
    }
}
