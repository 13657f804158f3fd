//! Connection URLs.

use std::collections::BTreeMap;

use url::Url;
use wise_core::{BuildContext, FieldError, FieldErrors, Masker, Secret};
use wise_net::{Host, IpPreference, Target, percent_decode};
use zeroize::Zeroizing;

/// What a kind of database accepts.
#[derive(Clone, Copy, Debug)]
pub struct AddressRules {
    /// Schemes, the preferred one first.
    pub schemes: &'static [&'static str],
    /// Port where the URL has none.
    pub port: u16,
    /// The parameter that names a Unix socket, where the kind has them.
    pub socket: Option<&'static str>,
    /// Other parameters that the kind reads.
    pub parameters: &'static [&'static str],
    /// An address for error messages.
    pub example: &'static str,
}

/// Where the server is.
#[derive(Clone, Debug)]
pub enum Place {
    /// A host and port.
    Tcp(Target),
    /// The path of a Unix socket.
    Socket(String),
}

/// A connection URL taken apart. Not `Debug`: it holds the password.
#[derive(Clone)]
pub struct Address {
    /// Scheme of the URL.
    pub scheme: String,
    /// Where the server is.
    pub place: Place,
    /// The host as the URL has it, for TLS and for messages; the path of a socket.
    pub host: String,
    /// User name.
    pub username: Option<String>,
    /// Password.
    pub password: Option<Zeroizing<String>>,
    /// Path of the URL without its slash.
    pub database: Option<String>,
    /// Parameters.
    pub parameters: BTreeMap<String, String>,
    /// Takes the password out of texts.
    pub masker: Masker,
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Address")
            .field("scheme", &self.scheme)
            .field("host", &self.host)
            .finish_non_exhaustive()
    }
}

impl Address {
    /// Reads the settings `url`, `username` and `password`. Errors never show the URL: it may hold a password.
    ///
    /// # Errors
    /// Each field that is wrong.
    pub fn read(
        rules: &AddressRules,
        url: &str,
        username: Option<&str>,
        password: Option<&Secret>,
        cx: &BuildContext,
    ) -> Result<Self, FieldErrors> {
        let mut errors = FieldErrors::default();
        let wrong = |reason: String| FieldError::new("url", reason).hint(format!("use {}", rules.example));
        let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme);
        if !rules.schemes.contains(&scheme) {
            let shown = if scheme.is_empty() || scheme.len() > 20 {
                "no scheme".to_owned()
            } else {
                format!("the scheme {scheme}")
            };
            return Err(wrong(format!("has {shown}, and must begin with {}", list(rules.schemes))).into());
        }
        let authority = url[scheme.len() + 3..].split(['/', '?', '#']).next().unwrap_or("");
        let hosts = authority.rsplit_once('@').map_or(authority, |(_, hosts)| hosts);
        if hosts.contains(',') {
            return Err(FieldError::new("url", "names several hosts")
                .hint("name one member, and add a monitor for each of the others")
                .into());
        }
        // A socket needs no host, and a URL with a user name cannot do without.
        let completed;
        let text = if hosts.is_empty() {
            let start = scheme.len() + 3 + authority.len();
            completed = Zeroizing::new(format!("{}localhost{}", &url[..start], &url[start..]));
            completed.as_str()
        } else {
            url
        };
        let parsed =
            Url::parse(text).map_err(|error| FieldErrors::from(wrong(format!("is no URL: {error}"))))?;
        let parameters: BTreeMap<String, String> =
            parsed.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
        for name in parameters.keys() {
            if !rules.parameters.contains(&name.as_str()) && rules.socket != Some(name.as_str()) {
                let known: Vec<&str> = rules.parameters.iter().copied().chain(rules.socket).collect();
                errors.push(
                    FieldError::new("url", format!("has the parameter `{name}`, which is not known here"))
                        .hint(if known.is_empty() {
                            "remove it".to_owned()
                        } else {
                            format!("known are {}", list(&known))
                        }),
                );
            }
        }
        let mut masker = Masker::default();
        let in_url = parsed.password().filter(|text| !text.is_empty());
        if let Some(text) = in_url {
            masker.add(text);
        }
        let password = match (password, in_url) {
            (Some(_), Some(_)) => {
                errors.push(
                    FieldError::new("password", "the URL has a password too").hint("keep one of the two"),
                );
                None
            }
            (Some(secret), None) => match secret.resolve(cx.secrets()) {
                Ok(text) => Some(text),
                Err(error) => {
                    errors.push(FieldError::new("password", error.to_string()));
                    None
                }
            },
            (None, Some(text)) => Some(Zeroizing::new(percent_decode(text))),
            (None, None) => None,
        };
        if let Some(password) = &password {
            masker.add(password);
        }
        let name_in_url = Some(percent_decode(parsed.username())).filter(|name| !name.is_empty());
        if username.is_some() && name_in_url.is_some() {
            errors
                .push(FieldError::new("username", "the URL has a user name too").hint("keep one of the two"));
        }
        let port = parsed.port().unwrap_or(rules.port);
        let socket = rules.socket.and_then(|name| parameters.get(name));
        let host = percent_decode(parsed.host_str().unwrap_or(""));
        let (place, host) = match socket {
            Some(path) if !path.starts_with('/') => {
                errors.push(wrong("names a socket by a path that does not begin with /".to_owned()));
                (Place::Socket(path.clone()), path.clone())
            }
            Some(path) => (Place::Socket(path.clone()), path.clone()),
            None => {
                if hosts.is_empty() || host.is_empty() || port == 0 {
                    errors.push(wrong("has no host, or the port 0".to_owned()));
                }
                let target =
                    Target { host: Host::parse(&host), port, prefer: IpPreference::Any, fixed: None };
                (Place::Tcp(target), host)
            }
        };
        let database =
            Some(percent_decode(parsed.path().trim_start_matches('/'))).filter(|name| !name.is_empty());
        let username = username.map(str::to_owned).or(name_in_url);
        errors.into_result()?;
        let scheme = scheme.to_owned();
        Ok(Self { scheme, place, host, username, password, database, parameters, masker })
    }

    /// The port.
    pub fn port(&self) -> Option<u16> {
        match &self.place {
            Place::Tcp(target) => Some(target.port),
            Place::Socket(_) => None,
        }
    }
}

fn list(words: &[&str]) -> String {
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use wise_core::SecretLookup;

    use super::*;

    const RULES: AddressRules = AddressRules {
        schemes: &["postgresql", "postgres"],
        port: 5432,
        socket: Some("host"),
        parameters: &["sslmode"],
        example: "postgresql://monitor@db.example:5432/app",
    };

    struct Secrets;

    impl SecretLookup for Secrets {
        fn env(&self, name: &str) -> Option<String> {
            (name == "PW").then(|| "from-env".to_owned())
        }

        fn file(&self, _: &str) -> Result<String, String> {
            Err("no files here".to_owned())
        }
    }

    fn read(url: &str) -> Result<Address, String> {
        let cx = BuildContext::new(Arc::new(Secrets));
        Address::read(&RULES, url, None, None, &cx).map_err(|errors| errors.to_string())
    }

    #[test]
    fn urls_are_taken_apart() {
        let address = read("postgres://mon:p%40ss@db.example/app?sslmode=require").unwrap();
        assert_eq!((address.host.as_str(), address.port()), ("db.example", Some(5432)));
        assert_eq!(address.username.as_deref(), Some("mon"));
        assert_eq!(address.password.as_ref().unwrap().as_str(), "p@ss");
        assert_eq!(address.database.as_deref(), Some("app"));
        assert_eq!(address.parameters["sslmode"], "require");
        assert_eq!(address.masker.mask("x p@ss p%40ss"), "x ******** ********");
        assert!(!format!("{address:?}").contains("p@ss"));
        assert_eq!(read("postgresql://[::1]:6000").unwrap().port(), Some(6000));
        let address = read("postgresql://mon@/app?host=/run/postgresql").unwrap();
        assert!(matches!(address.place, Place::Socket(path) if path == "/run/postgresql"));
    }

    #[test]
    fn wrong_urls_say_what_is_wrong_and_show_no_password() {
        for (url, part) in [
            ("mysql://mon:hunter22@db/app", "scheme mysql"),
            ("db.example:5432", "must begin with"),
            ("postgres://mon:hunter22@a:1,b:2/app", "several hosts"),
            ("postgres://mon:hunter22@db:99999/app", "no URL"),
            ("postgres://mon:hunter22@/app", "no host"),
            ("postgres://mon:hunter22@db/app?colour=blue", "`colour`"),
            ("postgres://mon:hunter22@/app?host=run", "begin with /"),
        ] {
            let error = read(url).unwrap_err();
            assert!(error.contains(part) && !error.contains("hunter22"), "{url}: {error}");
        }
    }

    #[test]
    fn a_password_comes_from_one_place() {
        let cx = BuildContext::new(Arc::new(Secrets));
        let secret: Secret = serde_json::from_value(serde_json::json!({"env": "PW"})).unwrap();
        let read = |url, name, secret| Address::read(&RULES, url, name, secret, &cx);
        let address = read("postgres://db", Some("mon"), Some(&secret)).unwrap();
        assert_eq!(address.password.unwrap().as_str(), "from-env");
        let error = read("postgres://a:b@db", Some("mon"), Some(&secret)).unwrap_err().to_string();
        assert!(error.contains("password:") && error.contains("username:"), "{error}");
    }
}
