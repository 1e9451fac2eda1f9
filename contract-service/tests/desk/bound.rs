//! Tokens bound to a key (RFC 9449): good beside a fresh proof of that key, for one call.

use contract_service::config::Tokens;
use schemas::Code;
use schemas::desk::TokenAnswer;
use signing::{FileKey, dpop};

use crate::house::House;
use crate::http::{bearer, client, code, get, token_request};

fn jti() -> String {
    uuid::Uuid::now_v7().to_string()
}

fn proof(house: &House, key: &FileKey, verb: &str, path: &str, token: Option<&str>) -> String {
    dpop::proof(key, verb, &format!("{}{path}", house.url()), token, jti(), house.now()).unwrap()
}

/// A token of the consumer, bound to a key.
fn bound(house: &House, key: &FileKey) -> String {
    let request = client().post(format!("{}/oauth/token", house.url())).json(&token_request(house, &house.tdc));
    let answer = request.header("dpop", proof(house, key, "POST", "/oauth/token", None)).send().unwrap();
    let answer: TokenAnswer = answer.json().unwrap();
    assert_eq!(answer.token_type, "DPoP");
    answer.access_token
}

#[test]
fn a_bound_token_needs_a_fresh_proof_of_its_key_for_each_call() {
    let house = House::furnished();
    let (key, other) = (FileKey::generate().unwrap(), FileKey::generate().unwrap());
    let (path, token) = ("/v1/contracts", bound(&house, &key));
    let call = |scheme: &str, proof: Option<&str>| {
        let request = get(&house, path).header("authorization", format!("{scheme} {token}"));
        match proof {
            Some(proof) => request.header("dpop", proof).send().unwrap(),
            None => request.send().unwrap(),
        }
    };
    let good = proof(&house, &key, "GET", path, Some(&token));
    assert_eq!(call("DPoP", Some(&good)).status(), 200);
    let replayed = call("DPoP", Some(&good));
    assert!(crate::http::header(&replayed, "www-authenticate").starts_with("DPoP "));
    assert_eq!(code(replayed), Code::DpopInvalid);
    for (scheme, proof) in [
        ("DPoP", None),
        ("Bearer", None),
        ("Bearer", Some(proof(&house, &key, "GET", path, Some(&token)))),
        ("DPoP", Some(proof(&house, &other, "GET", path, Some(&token)))),
        ("DPoP", Some(proof(&house, &key, "POST", path, Some(&token)))),
        ("DPoP", Some(proof(&house, &key, "GET", "/v1/payments", Some(&token)))),
        ("DPoP", Some(proof(&house, &key, "GET", path, None))),
        ("DPoP", Some(proof(&house, &key, "GET", path, Some("other")))),
    ] {
        assert_eq!(code(call(scheme, proof.as_deref())), Code::DpopInvalid, "{scheme} {proof:?}");
    }
    let two = format!("{},{}", proof(&house, &key, "GET", path, Some(&token)), proof(&house, &key, "GET", path, None));
    assert_eq!(code(call("DPoP", Some(&two))), Code::DpopInvalid);
    let old = proof(&house, &key, "GET", path, Some(&token));
    house.skip(61);
    assert_eq!(code(call("DPoP", Some(&old))), Code::DpopInvalid);
}

#[test]
fn where_only_bound_tokens_count_unbound_ones_are_neither_given_nor_taken() {
    let house = House::furnished();
    let unbound = bearer(&house, &house.tdc);
    assert_eq!(get(&house, "/v1/contracts").bearer_auth(&unbound).send().unwrap().status(), 200);
    let as_dpop = get(&house, "/v1/contracts").header("authorization", format!("DPoP {unbound}")).send().unwrap();
    assert_eq!(code(as_dpop), Code::DpopInvalid);
    let strict = House::with(|config| config.tokens = Some(Tokens::Dpop)).furnish();
    let request = client().post(format!("{}/oauth/token", strict.url())).json(&token_request(&strict, &strict.tdc));
    assert_eq!(code(request.send().unwrap()), Code::DpopInvalid);
    let key = FileKey::generate().unwrap();
    let token = bound(&strict, &key);
    let proof = proof(&strict, &key, "GET", "/v1/contracts", Some(&token));
    let call = get(&strict, "/v1/contracts").header("authorization", format!("DPoP {token}")).header("dpop", proof);
    assert_eq!(call.send().unwrap().status(), 200);
    // Our own client finds out by itself.
    strict.as_(&strict.tdc).contracts().unwrap();
}
