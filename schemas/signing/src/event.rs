//! DEPA's event envelopes: signed as a compact JWS whose payload is left out (RFC 7515 appendix F) and stands beside it,
//! the canonical bytes of the envelope without its signature.

use schemas::envelope::Usage;
use schemas::id::KeyId;
use schemas::text::Bytes;
use schemas::{Code, KeyBook, R, Refusal, Signer, canonical};

use crate::check::{self, Alg};
use crate::header::Header;

/// The type that keeps these signatures apart from those of documents and tokens.
const TYPE: &str = "depa-event+jws";
/// The largest signature text.
const MAX: usize = 4096;

/// Signs these bytes.
pub fn sign(payload: &[u8], signer: &dyn Signer) -> R<String> {
    let head = Header::part(TYPE, signer)?;
    let sig = signer.sign_bytes(input(&head, payload).as_bytes())?;
    Ok(format!("{head}..{}", Bytes(sig.to_vec()).text()))
}

/// Verifies a signature over these bytes with a participant's key; returns whose. `SIGNATURE_FORM` for what is no such
/// JWS, `SIGNER_UNKNOWN` for a key that does not count.
pub fn verify(signature: &str, payload: &[u8], keys: &dyn KeyBook) -> R<KeyId> {
    let form =
        || Refusal::new(Code::SignatureForm, "a compact JWS with alg, kid and typ and without payload is expected");
    let parts: Vec<&str> = signature.split('.').collect();
    let (head, sig) = match parts.as_slice() {
        [head, "", sig] if signature.len() <= MAX => (*head, Bytes::parse(sig).map_err(|_| form())?),
        _ => return Err(form()),
    };
    let header: Header = Bytes::parse(head).and_then(|bytes| canonical::parse(&bytes.0)).map_err(|_| form())?;
    if header.typ != TYPE {
        return Err(Refusal::new(Code::SignatureContext, "the signature is for something else than an event"));
    }
    let alg = Alg::of_jws(&header.alg)?;
    let unknown = || Refusal::new(Code::SignerUnknown, format!("no active key {} is known", header.kid));
    let jwk = keys.key(&header.kid, Usage::Party).ok_or_else(unknown)?;
    check::verify(&jwk, alg, input(head, payload).as_bytes(), &sig.0)?;
    Ok(header.kid)
}

fn input(head: &str, payload: &[u8]) -> String {
    format!("{head}.{}", Bytes(payload.to_vec()).text())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FileKey;
    use schemas::jwk::Jwk;

    struct One(FileKey);

    impl KeyBook for One {
        fn key(&self, kid: &KeyId, usage: Usage) -> Option<Jwk> {
            (usage == Usage::Party && kid == self.0.kid()).then(|| self.0.jwk().clone())
        }
    }

    #[test]
    fn an_event_verifies_as_it_was_signed_and_not_otherwise() {
        let book = One(FileKey::from_seed("did:web:tdc.example", &[7; 32]));
        let signed = sign(b"{}", &book.0).unwrap();
        assert_eq!(verify(&signed, b"{}", &book).unwrap(), *book.0.kid());
        let code = |text: &str, payload: &[u8]| verify(text, payload, &book).unwrap_err().code;
        assert_eq!(code(&signed, b"{ }"), Code::SignatureInvalid);
        let stranger = sign(b"{}", &FileKey::from_seed("did:web:x.example", &[8; 32])).unwrap();
        assert_eq!(code(&stranger, b"{}"), Code::SignerUnknown);
        for bad in ["", "a.b.c", "a..b", &signed.replace("..", "."), &signed.replacen("..", ".e30.", 1)] {
            assert_eq!(code(bad, b"{}"), Code::SignatureForm, "{bad}");
        }
        let head = |json: &str| format!("{}..{}", Bytes(json.as_bytes().to_vec()).text(), Bytes(vec![0; 64]).text());
        let kid = book.0.kid();
        assert_eq!(
            code(&head(&format!(r#"{{"alg":"EdDSA","kid":"{kid}","typ":"JWT"}}"#)), b"{}"),
            Code::SignatureContext
        );
        assert_eq!(
            code(&head(&format!(r#"{{"alg":"none","kid":"{kid}","typ":"{TYPE}"}}"#)), b"{}"),
            Code::AlgorithmRefused
        );
    }
}
