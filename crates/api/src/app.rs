//! The app: every route, and what the handlers are given.

use std::sync::Arc;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::middleware::{Compress, from_fn};
use actix_web::{App, Error, web};
use utoipa_actix_web::AppExt;
use wise_catalog::Catalog;
use wise_core::{Clock, SourceKind};
use wise_overview::Overview;
use wise_storage::ports::Store;
use wise_telemetry::{HealthChecks, HttpMetrics, Metrics, track};

use crate::access::Authenticator;
use crate::guard::{HostRules, refuse_foreign};
use crate::live::Live;
use crate::problem::{Kind, Problem};
use crate::routes;

/// What the API works with.
#[derive(Clone)]
pub struct Services {
    /// Definitions.
    pub catalog: Arc<Catalog>,
    /// The store.
    pub store: Arc<dyn Store>,
    /// The live view.
    pub overview: Arc<Overview>,
    /// The stream of changes.
    pub live: Arc<Live>,
    /// The server's own metrics.
    pub metrics: Metrics,
    /// Metrics of the API itself.
    pub http_metrics: HttpMetrics,
    /// Kinds of sources that are no monitors.
    pub source_kinds: SourceKinds,
    /// Health of the server.
    pub health: HealthChecks,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// When the server was started.
    pub started: wise_core::Timestamp,
    /// What may be told about the settings.
    pub info: Info,
    /// Hosts and origins that are answered.
    pub hosts: HostRules,
    /// Tells who makes a request.
    pub authenticator: Arc<dyn Authenticator>,
}

/// The kinds of sources that are no monitors, with their metrics.
#[derive(Clone, Copy, Debug)]
pub struct SourceKinds(pub &'static [&'static SourceKind]);

impl SourceKinds {
    /// A kind by its name.
    pub(crate) fn get(self, kind: &str) -> Option<&'static SourceKind> {
        self.0.iter().copied().find(|known| known.kind == kind)
    }
}

/// What may be told about the settings.
#[derive(Clone, Debug)]
pub struct Info {
    /// The zone in which times are shown.
    pub time_zone: String,
    /// Version of the server.
    pub version: &'static str,
    /// Where checks are made.
    pub location: String,
    /// The process that makes them.
    pub worker: String,
    /// The address at which people reach the server, for links; `None` where it was not told.
    pub public_url: Option<String>,
    /// Path below which everything is served; empty, or with a leading and without a trailing slash.
    pub base_path: String,
}

/// The app, with its middleware.
pub fn app(
    services: Services,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody>,
        Error = Error,
        InitError = (),
    >,
> {
    let base = services.info.base_path.clone();
    App::new()
        // The last is the outermost: every answer is tracked, a refused one too.
        .wrap(Compress::default())
        .wrap(from_fn(refuse_foreign))
        .wrap(from_fn(track))
        .into_utoipa_app()
        .configure(|config| configure(config, services, &base))
        .into_app()
}

/// Puts every route onto an app.
pub fn configure(
    config: &mut utoipa_actix_web::service_config::ServiceConfig<'_>,
    services: Services,
    base: &str,
) {
    // Taken apart, so that a service that is added is not forgotten here.
    let Services {
        catalog,
        store,
        overview,
        live,
        metrics,
        http_metrics,
        source_kinds,
        health,
        clock,
        started,
        info,
        hosts,
        authenticator,
    } = services;
    config
        .app_data(web::Data::from(catalog))
        .app_data(web::Data::from(store))
        .app_data(web::Data::from(overview))
        .app_data(web::Data::from(live))
        .app_data(web::Data::new(metrics))
        .app_data(web::Data::new(http_metrics))
        .app_data(web::Data::new(source_kinds))
        .app_data(web::Data::new(health))
        .app_data(web::Data::from(clock))
        .app_data(web::Data::new(routes::Started(started)))
        .app_data(web::Data::new(info))
        .app_data(web::Data::new(hosts))
        .app_data(web::Data::from(authenticator))
        .app_data(web::QueryConfig::default().error_handler(|error, request| {
            let problem = Problem::new(Kind::Malformed, format!("a parameter cannot be read: {error}"));
            let answer = problem.answer(Some(request));
            actix_web::error::InternalError::from_response(problem, answer).into()
        }));
    config.service(routes::all(base));
    config.default_service(web::to(routes::fallback));
}
