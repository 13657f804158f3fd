//! The HTTP API. It translates between HTTP and the services, and decides nothing.
//!
//! [`Services`] is what it works with, [`configure`] puts every route onto an app, [`Live`] carries changes to the
//! browsers. One file a resource is under `routes`; `view` has what is shown, `problem` every error.

mod access;
mod app;
mod body;
mod collector;
mod csv;
mod cursor;
mod event_view;
mod guard;
mod live;
mod openapi;
mod problem;
mod readings;
mod routes;
mod sources;
mod summary;
mod view;

pub use access::{Access, Authenticator, EveryoneIsOperator, Permission, permission};
pub use app::{Info, Services, SourceKinds, app, configure};
pub use collector::register as register_metrics;
pub use guard::HostRules;
pub use live::{Live, LiveEvents};
pub use openapi::openapi;
pub use problem::{Kind, Problem};

#[cfg(test)]
mod tests;
