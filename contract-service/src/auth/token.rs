//! `POST /oauth/token`: a private_key_jwt assertion (RFC 7523) in, a ten-minute token out, bound to a key where a DPoP
//! proof (RFC 9449) comes with the request.

use schemas::desk::{TokenAnswer, TokenRequest};
use schemas::{Code, R, Refusal, Timestamp};
use signing::token;

use crate::app::App;
use crate::call::{Answer, Call};

/// Gives a token to whoever proves to hold the key of a verified participant or SRO person.
pub fn give(app: &App, call: &Call) -> R<Answer> {
    let request: TokenRequest = call.read()?;
    let grant = request.grant_type == "client_credentials";
    if !grant || request.client_assertion_type != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" {
        let sentence = "grant_type client_credentials with a jwt-bearer client assertion is expected";
        return Err(Refusal::new(Code::SchemaMismatch, sentence).at("grant_type"));
    }
    let now = app.now();
    let state = app.registry.state();
    let claims = token::check_assertion(&request.client_assertion, app.url(), &state.api_keys(), now)?;
    // Remembered for known clients alone: strangers could fill the memory of proofs.
    let bound = super::dpop::asked(app, call)?;
    app.registry.use_jti(&claims.iss, &claims.jti, Timestamp::from_seconds(claims.exp), now)?;
    let access_token =
        token::access(&*app.signer()?, app.url(), &claims.client()?, crate::ids::token()?, now, bound.clone())?;
    let token_type = if bound.is_some() { "DPoP" } else { "Bearer" };
    Answer::ok(&TokenAnswer { access_token, token_type: token_type.into(), expires_in: token::ACCESS_SECONDS })
}
