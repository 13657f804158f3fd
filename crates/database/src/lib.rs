//! What monitors of databases share, so that an operator meets the same words everywhere.
//!
//! `address` reads connection URLs, `tls` has the five modes of TLS, `classes` the error classes, `stages` times a
//! login, `keep` holds a session from check to check, `probe` is what all probes have in common, `queries` has custom
//! queries, `text` makes statements fit to be shown, `delta` turns counters into ratios.

mod address;
pub mod classes;
mod delta;
mod keep;
mod probe;
mod queries;
mod stages;
mod text;
mod tls;

pub use address::{Address, AddressRules, Place};
pub use delta::{Delta, Ratio};
pub use keep::{Keep, Kept, Reusable};
pub use probe::{Run, Step, Steps, Watched};
pub use queries::{Cell, CustomQuery, FoundMetrics, Limits, QueryRules, check_queries, read_rows};
pub use stages::Stages;
pub use text::{shape, shorten};
pub use tls::{Tls, TlsFiles, TlsMode};
