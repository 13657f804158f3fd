//! The routes, one file a resource.

mod dashboard;
mod definitions;
mod events;
mod export;
mod health;
mod history;
mod metrics;
mod monitors;
mod overview;
mod plugins;
mod query;
mod readings;
mod settings;
mod uptime;

use actix_web::http::Method;
use actix_web::{HttpRequest, HttpResponse, web};
use utoipa_actix_web::scope;
use wise_core::{MonitorId, Timestamp};

pub(crate) use query::{chosen as chosen_monitors, list};

use crate::app::Info;
use crate::problem::{Kind, Problem};

/// When the server was started.
pub(crate) struct Started(pub(crate) Timestamp);

/// Every route below the base path.
pub(crate) fn all(
    base: &str,
) -> scope::Scope<
    impl actix_web::dev::ServiceFactory<
        actix_web::dev::ServiceRequest,
        Config = (),
        Response = actix_web::dev::ServiceResponse,
        Error = actix_web::Error,
        InitError = (),
    > + use<>,
> {
    scope::scope(base).configure(register)
}

fn register(config: &mut utoipa_actix_web::service_config::ServiceConfig<'_>) {
    config
        .service(health::show_health)
        .service(health::show_live)
        .service(health::show_ready)
        .service(metrics::show_metrics)
        .service(metrics::show_prometheus)
        .service(metrics::reset_metrics)
        .service(plugins::list_plugins)
        .service(plugins::show_plugin)
        .service(settings::show_settings)
        .service(settings::show_openapi)
        .service(overview::show_overview)
        .service(events::stream_events)
        .service(monitors::list_monitors)
        .service(monitors::create_monitor)
        .service(monitors::try_monitor)
        .service(monitors::list_removed)
        .service(monitors::restore_monitor)
        .service(monitors::show_monitor)
        .service(monitors::replace_monitor)
        .service(monitors::patch_monitor)
        .service(monitors::delete_monitor)
        .service(monitors::check_monitor)
        .service(readings::show_readings)
        .service(query::run_query)
        .service(export::export_history)
        .service(definitions::export_monitors)
        .service(definitions::import_monitors)
        .service(history::show_history)
        .service(history::list_results)
        .service(history::list_events)
        .service(uptime::show_uptime)
        .service(uptime::show_days)
        .service(uptime::list_incidents)
        .service(uptime::report_sla);
}

/// The OpenAPI document of all routes.
pub(crate) fn document() -> utoipa::openapi::OpenApi {
    use utoipa_actix_web::AppExt;
    let (_, document) = actix_web::App::new().into_utoipa_app().configure(register).split_for_parts();
    document
}

/// What no route takes: a page of the dashboard, or an error that says which.
pub(crate) async fn fallback(request: HttpRequest, info: web::Data<Info>) -> HttpResponse {
    let full = request.path();
    let Some(path) = full.strip_prefix(info.base_path.as_str()) else {
        return Problem::not_found("path").answer(Some(&request));
    };
    let known = methods_of(path);
    if !known.is_empty() {
        let text = format!("{} is not possible here; use {}", request.method(), known.join(" or "));
        let mut answer = Problem::new(Kind::MethodNotAllowed, text).answer(Some(&request));
        if let Ok(value) = known.join(", ").parse() {
            answer.headers_mut().insert(actix_web::http::header::ALLOW, value);
        }
        return answer;
    }
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    if is_read && !path.starts_with("/api/") {
        return dashboard::serve(&request, path, &info.base_path);
    }
    Problem::not_found("path").answer(Some(&request))
}

/// The methods of the route that has this path, whatever method was asked for.
fn methods_of(path: &str) -> Vec<String> {
    static ROUTES: std::sync::OnceLock<Vec<(Vec<String>, Vec<String>)>> = std::sync::OnceLock::new();
    let routes = ROUTES.get_or_init(|| {
        let json = serde_json::to_value(document()).unwrap_or_default();
        let paths = json.get("paths").and_then(|paths| paths.as_object()).cloned().unwrap_or_default();
        paths
            .into_iter()
            .map(|(path, item)| {
                let methods = item.as_object().map(|item| item.keys().map(|m| m.to_uppercase()).collect());
                (path.split('/').map(str::to_owned).collect(), methods.unwrap_or_default())
            })
            .collect()
    });
    let parts: Vec<&str> = path.split('/').collect();
    let fits = |pattern: &[String]| {
        pattern.len() == parts.len()
            && pattern.iter().zip(&parts).all(|(p, part)| p.starts_with('{') || p == part)
    };
    routes.iter().find(|(pattern, _)| fits(pattern)).map(|(_, methods)| methods.clone()).unwrap_or_default()
}

/// Reads a monitor's id from a path. What is no id names no monitor.
pub(crate) fn monitor_id(text: &str) -> Result<MonitorId, Problem> {
    text.parse().map_err(|_| Problem::not_found("monitor"))
}

/// Moves blocking work away from the threads that answer requests.
pub(crate) async fn blocking<T, E>(work: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, Problem>
where
    T: Send + 'static,
    E: Into<Problem> + Send + 'static,
{
    match web::block(work).await {
        Ok(result) => result.map_err(Into::into),
        Err(_) => Err(Problem::new(Kind::Unavailable, "the server is stopping")),
    }
}
