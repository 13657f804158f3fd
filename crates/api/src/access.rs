//! Who asks, and what they may do. Every handler's signature names a permission, so that none can be forgotten.

use std::future::{Ready, ready};
use std::marker::PhantomData;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use wise_core::{Principal, Role};

use crate::problem::{Kind, Problem};

/// Tells who makes a request. The one place that a login changes.
pub trait Authenticator: Send + Sync {
    /// Who makes it.
    ///
    /// # Errors
    /// It is no one that is known.
    fn principal(&self, request: &HttpRequest) -> Result<Principal, Problem>;
}

/// Until there is a login, everyone who reaches the loopback address is the operator.
#[derive(Clone, Copy, Debug)]
pub struct EveryoneIsOperator;

impl Authenticator for EveryoneIsOperator {
    fn principal(&self, _: &HttpRequest) -> Result<Principal, Problem> {
        Ok(Principal::unlimited("operator"))
    }
}

/// Something that may be done.
pub trait Permission: 'static {
    /// Its name, such as `monitors:write`; also the scope of a token.
    const NAME: &'static str;
    /// The role that it takes; `None` for what is open to everyone, without a login too.
    const NEEDS: Option<Role>;
}

/// The permissions.
pub mod permission {
    use super::{Permission, Role};

    macro_rules! permissions {
        ($($(#[$doc:meta])* $name:ident = $text:literal, $needs:expr;)*) => {
            $(
                $(#[$doc])*
                #[derive(Clone, Copy, Debug)]
                pub struct $name;

                impl Permission for $name {
                    const NAME: &'static str = $text;
                    const NEEDS: Option<Role> = $needs;
                }
            )*
        };
    }

    permissions! {
        /// Open to everyone, also once there is a login: health, metrics, the dashboard's files.
        Public = "public", None;
        /// See monitors and their history.
        MonitorsRead = "monitors:read", Some(Role::Viewer);
        /// Add, change and remove monitors.
        MonitorsWrite = "monitors:write", Some(Role::Editor);
        /// Have checks made by hand.
        MonitorsCheck = "monitors:check", Some(Role::Editor);
        /// See statistics of the requests to the server, and set them back.
        MetricsAdmin = "metrics:admin", Some(Role::Admin);
        /// See settings of the server.
        SettingsRead = "settings:read", Some(Role::Viewer);
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
    type Error = Problem;
    type Future = Ready<Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(access::<P>(request))
    }
}

fn access<P: Permission>(request: &HttpRequest) -> Result<Access<P>, Problem> {
    let Some(needs) = P::NEEDS else {
        return Ok(Access { principal: Principal::unlimited("anyone"), permission: PhantomData });
    };
    let Some(authenticator) = request.app_data::<web::Data<dyn Authenticator>>() else {
        return Err(Problem::new(
            Kind::Internal,
            "no one is known here: the server was put together wrongly",
        ));
    };
    let principal = authenticator.principal(request)?;
    if principal.may(P::NAME, needs) {
        return Ok(Access { principal, permission: PhantomData });
    }
    let text = format!("{} may not do this: it takes the permission {}", principal.name, P::NAME);
    Err(Problem::new(Kind::Forbidden, text))
}
