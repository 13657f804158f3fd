//! Who asks, and what they may do. Every handler's signature names a permission, so that none can be forgotten.

use std::future::{Ready, ready};
use std::marker::PhantomData;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};

/// Who makes a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The name that goes into `created_by`.
    pub name: String,
}

/// Something that may be done.
pub trait Permission: 'static {
    /// Its name, such as `monitors:write`.
    const NAME: &'static str;
}

/// The permissions.
pub mod permission {
    use super::Permission;

    macro_rules! permissions {
        ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
            $(
                $(#[$doc])*
                #[derive(Clone, Copy, Debug)]
                pub struct $name;

                impl Permission for $name {
                    const NAME: &'static str = $text;
                }
            )*
        };
    }

    permissions! {
        /// Open to everybody, also once there is a login: health, metrics, the dashboard's files.
        Public = "public";
        /// See monitors and their history.
        MonitorsRead = "monitors:read";
        /// Add, change and remove monitors.
        MonitorsWrite = "monitors:write";
        /// Have checks made by hand.
        MonitorsCheck = "monitors:check";
        /// See settings of the server.
        SettingsRead = "settings:read";
    }
}

/// Proof that the principal has a permission.
#[derive(Clone, Debug)]
pub struct Access<P> {
    /// Who asks.
    pub principal: Principal,
    permission: PhantomData<P>,
}

impl<P: Permission> FromRequest for Access<P> {
    type Error = actix_web::Error;
    type Future = Ready<Result<Self, Self::Error>>;

    fn from_request(_: &HttpRequest, _: &mut Payload) -> Self::Future {
        // Until there is a login, everybody who reaches the loopback address is the operator.
        let principal = Principal { name: "operator".to_owned() };
        ready(Ok(Self { principal, permission: PhantomData }))
    }
}
