//! The dashboard's files: compressed ahead, cached by their hashes, under a strict policy.

use actix_web::http::StatusCode;
use actix_web::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH, REFERRER_POLICY,
    VARY, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::{HttpRequest, HttpResponse};
use wise_web_ui::Asset;

use crate::problem::Problem;

/// Scripts and styles come from here and nowhere else, and no text becomes markup.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; \
                      connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; \
                      frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// A file of the dashboard, or its page: the dashboard reads the path itself.
pub(crate) fn serve(request: &HttpRequest, path: &str, base: &str) -> HttpResponse {
    let name = path.trim_start_matches('/');
    if let Some(asset) = wise_web_ui::get(name).filter(|_| !name.is_empty()) {
        return file(request, asset, base);
    }
    // A missing script must be an error: as a page it would be a puzzle for the browser and for anyone who looks.
    let last = name.rsplit('/').next().unwrap_or("");
    if name.starts_with("assets/") || last.contains('.') {
        return Problem::not_found("file").answer(Some(request));
    }
    match wise_web_ui::get("index.html") {
        Some(page) => file(request, page, base),
        None => Problem::not_found("file").answer(Some(request)),
    }
}

fn file(request: &HttpRequest, asset: &'static Asset, base: &str) -> HttpResponse {
    // The page's own links begin at the root, so below a path they are written again.
    if !base.is_empty() && asset.path == "index.html" {
        let text = String::from_utf8_lossy(asset.plain).replace("=\"/", &format!("=\"{base}/"));
        return head(asset, None).insert_header((CONTENT_ENCODING, "identity")).body(text);
    }
    let accepted = request.headers().get(ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or("");
    let accepts = |name: &str| {
        accepted.split(',').any(|part| {
            let mut part = part.split(';').map(str::trim);
            part.next() == Some(name) && !part.any(|p| p == "q=0" || p == "q=0.0")
        })
    };
    let (encoding, body) = match (asset.brotli, asset.gzip) {
        (Some(body), _) if accepts("br") => (Some("br"), body),
        (_, Some(body)) if accepts("gzip") => (Some("gzip"), body),
        _ => (None, asset.plain),
    };
    let etag =
        format!("\"{}{}{}\"", asset.etag, if encoding.is_some() { "-" } else { "" }, encoding.unwrap_or(""));
    let known = request.headers().get(IF_NONE_MATCH).and_then(|value| value.to_str().ok()).unwrap_or("");
    let mut answer = head(asset, Some(&etag));
    if known.split(',').any(|tag| tag.trim().trim_start_matches("W/") == etag) {
        return answer.status(StatusCode::NOT_MODIFIED).finish();
    }
    // An encoding of its own, `identity` too, keeps the compressing middleware away.
    answer.insert_header((CONTENT_ENCODING, encoding.unwrap_or("identity"))).body(body)
}

fn head(asset: &Asset, etag: Option<&str>) -> actix_web::HttpResponseBuilder {
    let mut answer = HttpResponse::Ok();
    answer
        .insert_header((CONTENT_TYPE, asset.content_type))
        .insert_header((VARY, "Accept-Encoding"))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((REFERRER_POLICY, "same-origin"))
        .insert_header(("Cross-Origin-Opener-Policy", "same-origin"))
        .insert_header(("Permissions-Policy", "camera=(), microphone=(), geolocation=()"))
        .insert_header((
            CACHE_CONTROL,
            if asset.immutable { "public, max-age=31536000, immutable" } else { "no-cache" },
        ));
    if asset.path.ends_with(".html") {
        answer.insert_header(("Content-Security-Policy", POLICY));
    }
    if let Some(etag) = etag {
        answer.insert_header((ETAG, etag));
    }
    answer
}
