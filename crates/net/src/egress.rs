//! The egress gate: which addresses checks may go to.

use std::fmt;
use std::net::IpAddr;

/// Decides where checks may go. Asked after a name is resolved and again for each redirect, so that a name cannot be
/// used to reach an address that is forbidden.
pub trait EgressPolicy: Send + Sync + fmt::Debug {
    /// Whether a check may connect to the address.
    ///
    /// # Errors
    /// The rule that forbids it, for the operator.
    fn allow(&self, address: IpAddr, port: u16) -> Result<(), String>;
}

/// Nothing is allowed. Where no policy was given, someone has forgotten it: that must not open every door.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DenyAll;

impl EgressPolicy for DenyAll {
    fn allow(&self, _: IpAddr, _: u16) -> Result<(), String> {
        Err("no egress policy was given to this monitor: a fault of the program that runs it".to_owned())
    }
}

/// Everything is allowed. Only for those who say so.
#[derive(Clone, Copy, Debug, Default)]
pub struct AllowAll;

impl EgressPolicy for AllowAll {
    fn allow(&self, _: IpAddr, _: u16) -> Result<(), String> {
        Ok(())
    }
}
