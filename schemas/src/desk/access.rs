//! Asking for a token, and answers that every act gets.

use serde::{Deserialize, Serialize};

use super::messages;
use crate::log::Receipt;

messages! {
    /// Asks for an access token (RFC 6749 client credentials with RFC 7523 assertion).
    TokenRequest {
        /// `client_credentials`.
        grant_type: String,
        /// `urn:ietf:params:oauth:client-assertion-type:jwt-bearer`.
        client_assertion_type: String,
        /// The assertion, signed by the caller's own key; `aud` is the service's base URL.
        client_assertion: String,
    }
    /// An access token.
    TokenAnswer {
        /// The token.
        access_token: String,
        /// `Bearer`.
        token_type: String,
        /// Seconds it lives.
        expires_in: i64,
    }
    /// A document was entered.
    Receipted {
        /// Receipt of its entry.
        receipt: Receipt,
    }
    /// Several documents were entered.
    ReceiptedAll {
        /// One receipt per document, in the order sent.
        receipts: Vec<Receipt>,
    }
    /// A document that needs two people: counted so far, and entered once both have signed.
    TwoPeople {
        /// SRO people who have signed.
        signatures: u32,
        /// Receipt of the entry, once it stands.
        receipt: Option<Receipt>,
    }
}
