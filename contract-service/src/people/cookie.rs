//! Cookies: their names, attributes and reading (RFC 6265bis).

use crate::call::Call;

/// How cookies are named and set. Over https they are `__Host-`: Secure, for this host alone, for every path.
pub struct Cookies {
    secure: bool,
}

/// A cookie of the service.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// The session; never sent with a call that another site began.
    Session,
    /// Binds a sign-in at the identity provider to this browser. The way back from there is begun by another site.
    Oidc,
}

impl Cookies {
    /// By the scheme of the service's URL; plain http is loopback only.
    pub fn new(url: &str) -> Cookies {
        Cookies { secure: url.starts_with("https://") }
    }

    fn name(&self, kind: Kind) -> &'static str {
        match (kind, self.secure) {
            (Kind::Session, true) => "__Host-depa",
            (Kind::Session, false) => "depa",
            (Kind::Oidc, true) => "__Host-depa-oidc",
            (Kind::Oidc, false) => "depa-oidc",
        }
    }

    /// The header `Set-Cookie` that sets a cookie for some seconds; zero removes it.
    pub fn set(&self, kind: Kind, value: &str, seconds: i64) -> String {
        let site = if kind == Kind::Session { "Strict" } else { "Lax" };
        let secure = if self.secure { "; Secure" } else { "" };
        format!("{}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite={site}{secure}", self.name(kind))
    }

    /// The value of a cookie. Two of one name are none: one of them was planted.
    pub fn read<'a>(&self, call: &'a Call, kind: Kind) -> Option<&'a str> {
        let name = self.name(kind);
        let pairs = call.header("cookie")?.split([';', ',']).filter_map(|pair| pair.trim().split_once('='));
        let mut found = pairs.filter(|(key, _)| *key == name).map(|(_, value)| value);
        let value = found.next().filter(|value| !value.is_empty() && value.len() <= 64)?;
        found.next().is_none().then_some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(cookie: &str) -> Call {
        Call { headers: [("cookie", cookie.to_owned())].into(), ..Call::default() }
    }

    #[test]
    fn a_cookie_of_https_is_for_the_host_alone() {
        let cookies = Cookies::new("https://sro.example");
        assert_eq!(
            cookies.set(Kind::Session, "v", 60),
            "__Host-depa=v; Path=/; Max-Age=60; HttpOnly; SameSite=Strict; Secure"
        );
        assert!(cookies.set(Kind::Oidc, "v", 60).contains("SameSite=Lax; Secure"));
        assert_eq!(cookies.read(&call("a=b; __Host-depa=x"), Kind::Session), Some("x"));
        assert_eq!(cookies.read(&call("depa=x"), Kind::Session), None, "a cookie without the prefix is none");
    }

    #[test]
    fn a_planted_second_cookie_counts_as_none() {
        let cookies = Cookies::new("http://localhost:8080");
        assert_eq!(cookies.set(Kind::Session, "", 0), "depa=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict");
        assert_eq!(cookies.read(&call("depa=x"), Kind::Session), Some("x"));
        for bad in ["depa=x; depa=y", "depa=x, depa=x", "depa=", "xdepa=x", "", &format!("depa={}", "x".repeat(65))] {
            assert_eq!(cookies.read(&call(bad), Kind::Session), None, "{bad}");
        }
    }
}
