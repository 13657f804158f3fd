//! The stream of changes, as server-sent events.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE};
use actix_web::{HttpRequest, HttpResponse, get, web};
use tokio::sync::broadcast::error::RecvError;

use crate::access::{Access, permission::MonitorsRead};
use crate::live::{Live, Subscription};
use crate::problem::{Kind, Problem};

/// Silence after which a comment is sent, so that proxies keep the connection.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Clients at most; each costs a connection.
const MAX_CLIENTS: usize = 1000;
/// Tells browsers how long to wait before they come back, in milliseconds.
const RETRY: &str = "retry: 3000\n\n";

/// Changes as they happen: `snapshot`, `update` and `event` events.
#[utoipa::path(
    tag = "monitors",
    params(("Last-Event-ID" = Option<String>, Header, description = "Id of the last event seen")),
    responses((status = 200, description = "Server-sent events", body = String, content_type = "text/event-stream"))
)]
#[get("/api/v1/events")]
pub(crate) async fn stream_events(
    access: Access<MonitorsRead>,
    request: HttpRequest,
    live: web::Data<Live>,
) -> Result<HttpResponse, Problem> {
    if live.clients() >= MAX_CLIENTS {
        return Err(Problem::new(
            Kind::Unavailable,
            "too many clients listen; poll /api/v1/overview instead",
        ));
    }
    let last = request.headers().get("Last-Event-ID").and_then(|value| value.to_str().ok());
    let principal = access.principal;
    let Subscription { first, rest, sequence } = live.subscribe(last, &principal);
    let mut queue = VecDeque::from([Arc::<str>::from(RETRY)]);
    queue.extend(first);
    let state = (live, queue, rest, sequence, principal);
    let stream = futures_util::stream::unfold(
        state,
        |(live, mut queue, mut rest, mut sequence, principal)| async move {
            loop {
                if let Some(text) = queue.pop_front() {
                    let bytes = web::Bytes::copy_from_slice(text.as_bytes());
                    return Some((
                        Ok::<_, actix_web::Error>(bytes),
                        (live, queue, rest, sequence, principal),
                    ));
                }
                match tokio::time::timeout(KEEP_ALIVE, rest.recv()).await {
                    Err(_) => queue.push_back(": keep-alive\n\n".into()),
                    // What was in the first part is not sent again.
                    Ok(Ok(frame)) if frame.sequence > sequence => {
                        sequence = frame.sequence;
                        queue.extend(live.shown(&frame, &principal));
                    }
                    Ok(Ok(_)) => {}
                    // Too slow to follow: everything again is less than all that was missed.
                    Ok(Err(RecvError::Lagged(_))) => queue.push_back(live.snapshot_frame(&principal)),
                    Ok(Err(RecvError::Closed)) => return None,
                }
            }
        },
    );
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/event-stream"))
        .insert_header((CACHE_CONTROL, "no-cache, no-transform"))
        .insert_header((CONTENT_ENCODING, "identity"))
        .insert_header(("X-Accel-Buffering", "no"))
        .streaming(Box::pin(stream)))
}
