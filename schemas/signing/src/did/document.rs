//! The document of a did:web: written in our shape, read in ours and in the DEPA reference's.

use schemas::id::Did;
use schemas::jwk::Jwk;
use schemas::{Code, R, Refusal};
use serde_json::{Map, Value, json};

/// The largest document that is read.
const MAX_DOCUMENT: usize = 128 * 1024;
/// The most methods that a document may list.
const MAX_METHODS: usize = 32;
/// Members of a public key; what else stands beside them (alg, kid, use, x5c) names no key and is not read.
const PUBLIC: [&str; 6] = ["kty", "crv", "x", "y", "n", "e"];
/// Members that only a private key has.
const PRIVATE: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "k"];

fn bad(why: &str) -> Refusal {
    Refusal::new(Code::DidUnresolved, format!("the did:web document {why}"))
}

/// The document that a did:web host serves for one key.
pub fn web_document(did: &Did, jwk: &Jwk) -> Value {
    web_document_of(did, std::slice::from_ref(jwk))
}

/// The document that a did:web host serves for its keys.
pub fn web_document_of(did: &Did, keys: &[Jwk]) -> Value {
    let id = |jwk: &Jwk| format!("{did}#{}", jwk.thumbprint());
    let method = |k: &Jwk| json!({"id": id(k), "type": "JsonWebKey", "controller": did, "publicKeyJwk": k});
    let ids: Vec<String> = keys.iter().map(id).collect();
    json!({
        "@context": ["https://www.w3.org/ns/did/v1"],
        "id": did,
        "verificationMethod": keys.iter().map(method).collect::<Vec<_>>(),
        "assertionMethod": ids, "authentication": ids,
    })
}

/// The keys with which a DID may assert, each under its id without DID and `#`: methods that `assertionMethod` refers to,
/// and methods embedded in it (the DEPA shape). Keys of types that the house does not know are left out.
///
/// # Errors
/// `DID_UNRESOLVED` where the document is not the DID's own, lists none or more than 32 methods, or holds a private key.
pub fn assertion_keys(document: &[u8], did: &Did) -> R<Vec<(String, Jwk)>> {
    if document.len() > MAX_DOCUMENT {
        return Err(bad("is larger than 128 KiB"));
    }
    let value = schemas::canonical::parse_value(document)?;
    if value.get("id").and_then(Value::as_str) != Some(did.as_str()) {
        return Err(bad("names another id"));
    }
    let empty = Vec::new();
    let methods = value.get("verificationMethod").and_then(Value::as_array).unwrap_or(&empty);
    let assertions =
        value.get("assertionMethod").and_then(Value::as_array).ok_or_else(|| bad("asserts with no key"))?;
    if methods.len() > MAX_METHODS || assertions.len() > MAX_METHODS {
        return Err(bad("lists more than 32 methods"));
    }
    let mut keys = Vec::new();
    for assertion in assertions {
        let method = match assertion {
            Value::String(id) => {
                let name = fragment(id, did);
                methods.iter().find(|m| name.is_some() && method_name(m, did) == name)
            }
            embedded => Some(embedded),
        };
        let Some((name, method)) = method.and_then(|m| Some((method_name(m, did)?, m))) else {
            continue;
        };
        if let Some(jwk) = method.get("publicKeyJwk").and_then(Value::as_object).map(public_part).transpose()? {
            keys.extend(jwk.map(|jwk| (name.to_owned(), jwk)));
        }
    }
    Ok(keys)
}

/// Checks that a fetched document is the DID's own and names this key for assertions.
pub fn document_names_key(document: &[u8], did: &Did, jwk: &Jwk) -> R<()> {
    let named = assertion_keys(document, did)?.iter().any(|(_, key)| key == jwk);
    if named { Ok(()) } else { Err(bad("does not name the key")) }
}

/// The part of a method's id after `#`, if the method is the DID's own.
fn fragment<'a>(id: &'a str, did: &Did) -> Option<&'a str> {
    let (holder, name) = id.split_once('#')?;
    ((holder.is_empty() || holder == did.as_str()) && !name.is_empty()).then_some(name)
}

fn method_name<'a>(method: &'a Value, did: &Did) -> Option<&'a str> {
    fragment(method.get("id")?.as_str()?, did)
}

/// The public key among the members of a JWK; nothing for a type that the house does not know.
fn public_part(members: &Map<String, Value>) -> R<Option<Jwk>> {
    if PRIVATE.iter().any(|m| members.contains_key(*m)) {
        return Err(bad("publishes a private key"));
    }
    let kept = members.iter().filter(|(name, _)| PUBLIC.contains(&name.as_str()));
    let kept: Map<String, Value> = kept.map(|(n, v)| (n.clone(), v.clone())).collect();
    Ok(serde_json::from_value(Value::Object(kept)).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::did::did_key;

    fn keys() -> (Jwk, Did) {
        let did = Did::parse("did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp").unwrap();
        (did_key(&did).unwrap(), Did::parse("did:web:tdp.example").unwrap())
    }

    fn read(document: &Value) -> R<Vec<(String, Jwk)>> {
        assertion_keys(&serde_json::to_vec(document).unwrap(), &keys().1)
    }

    #[test]
    fn a_document_must_name_the_key_it_vouches_for() {
        let (jwk, did) = keys();
        let second = Jwk::ed25519([9; 32]);
        let text = serde_json::to_vec(&web_document(&did, &jwk)).unwrap();
        assert!(document_names_key(&text, &did, &jwk).is_ok());
        assert!(document_names_key(&text, &Did::parse("did:web:other.example").unwrap(), &jwk).is_err());
        assert!(document_names_key(&text, &did, &second).is_err());
        let both = web_document_of(&did, &[jwk.clone(), second.clone()]);
        let names = vec![(jwk.thumbprint(), jwk), (second.thumbprint(), second)];
        assert_eq!(read(&both).unwrap(), names);
    }

    /// The shape of the DEPA reference: the methods stand inside `assertionMethod`, with alg, kid and certificates.
    #[test]
    fn embedded_methods_of_the_reference_are_read() {
        let (jwk, did) = keys();
        let mut public = serde_json::to_value(&jwk).unwrap();
        for (name, value) in [("alg", json!("EdDSA")), ("kid", json!("#finger")), ("x5c", json!(["MII"]))] {
            public[name] = value;
        }
        let method =
            json!({"id": format!("{did}#finger"), "type": "JsonWebKey2020", "controller": did, "publicKeyJwk": public});
        let exotic = json!({"id": "#k1", "publicKeyJwk": {"kty": "EC", "crv": "secp256k1", "x": "AQ", "y": "AQ"}});
        let document = json!({"id": did, "assertionMethod": [method, exotic]});
        assert_eq!(read(&document).unwrap(), [("finger".to_owned(), jwk)]);
    }

    #[test]
    fn documents_that_are_not_what_they_seem_are_refused() {
        let (jwk, did) = keys();
        let good = web_document(&did, &jwk);
        let mut strange = good.clone();
        strange["assertionMethod"] = json!(["did:web:other.example#k"]);
        assert!(read(&strange).unwrap().is_empty());
        let mut private = good.clone();
        private["verificationMethod"][0]["publicKeyJwk"]["d"] = json!("AQ");
        let mut many = good.clone();
        many["assertionMethod"] = json!(vec!["#k"; 33]);
        let mut other = good.clone();
        other["id"] = json!("did:web:other.example");
        let mut none = good;
        none.as_object_mut().unwrap().remove("assertionMethod");
        for bad in [private, many, other, none] {
            assert_eq!(read(&bad).unwrap_err().code, Code::DidUnresolved);
        }
        assert!(assertion_keys(&vec![b' '; MAX_DOCUMENT + 1], &did).is_err());
    }
}
