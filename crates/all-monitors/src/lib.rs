//! Links every crate under `monitors/` into whatever says `use wise_all_monitors as _;`.
//!
//! A dependency that is only listed is not linked, and a plugin that is not linked registers nothing, without any
//! warning. So build.rs writes a `use` for each, and the lint below makes a forgotten one an error.
#![deny(unused_crate_dependencies)]

include!(concat!(env!("OUT_DIR"), "/link.rs"));
