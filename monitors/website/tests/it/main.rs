//! The website monitor against real local servers: healthy ones, and every way in which one can fail.

mod bodies;
mod certificates;
mod connections;
mod credentials;
mod proxies;
mod redirects;
mod server;
mod settings;
mod tls;
