//! Query strings: `?name=value&…` with everything escaped that is not unreserved (RFC 3986 2.3).

/// The query string of these parameters, leaving out those without a value; empty if none has one.
pub(crate) fn query(parameters: &[(&str, Option<String>)]) -> String {
    let mut out = String::new();
    for (name, value) in parameters {
        if let Some(value) = value {
            out.push(if out.is_empty() { '?' } else { '&' });
            out.push_str(name);
            out.push('=');
            escape(value, &mut out);
        }
    }
    out
}

fn escape(text: &str, out: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_but_the_unreserved_is_escaped() {
        let given = |text: &str| Some(text.to_owned());
        assert_eq!(query(&[("a", None)]), "");
        assert_eq!(
            query(&[("q", given("a b&c=ü/~")), ("n", None), ("z", given("1"))]),
            "?q=a%20b%26c%3D%C3%BC%2F~&z=1"
        );
    }
}
