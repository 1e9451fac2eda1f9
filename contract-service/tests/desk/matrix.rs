//! Who may call what: every route × the owner of the thing, another TDP, another TDC, an auditor, a person of the SRO,
//! and nobody in particular. A route without a row fails.

use std::collections::BTreeSet;
use std::sync::Arc;

use contract_service::openapi::Access;
use contract_service::{Verb, routes};
use schemas::party::Kind;
use signing::FileKey;

use crate::house::House;
use crate::http::{bearer, client};
use crate::room::Run;

/// Needs nothing: what everybody may read, and where tokens come from.
const OPEN: &str = "
    GET /livez
    GET /healthz
    GET /readyz
    GET /openapi.json
    GET /docs
    GET /docs/style.css
    GET /
    GET /auth/enrol
    GET /portal
    GET /portal/{tail}
    GET /.well-known/depa-configuration
    GET /.well-known/did.json
    GET /v1/trust
    GET /v1/log/keys
    POST /oauth/token
    GET /v1/participants
    GET /v1/participants/{did}
    GET /v1/participants/{did}/keys
    GET /v1/image-sets
    GET /v1/image-sets/{id}
    GET /v1/templates
    GET /v1/templates/{name}
    GET /v1/data-schemas
    GET /v1/datasets
    GET /v1/datasets/{id}
    GET /v1/datasets/{id}/versions
    GET /v1/datasets/{id}/renewals
    GET /v1/datasets/{id}/croissant
    GET /v1/status-list
    GET /log/checkpoint
    GET /log/checkpoint/cosigned
    GET /log/tile/entries/{tail}
    GET /log/tile/{level}/{tail}
    GET /v1/log/proof
    GET /entries/txIds
    GET /entries/{id}
    GET /entries/{id}/receipt
    GET /entries/{id}/statement
    GET /operations
    GET /operations/{id}
    GET /.well-known/scitt-keys
    GET /.well-known/scitt-keys/{kid}
    GET /.well-known/transparency-configuration
    GET /parameters
    GET /parameters/historic
    GET /jwks
    GET /version
    GET /time
    GET /configuration
    GET /did
    GET /did/{did}
    POST /auth/enrol/options
    POST /auth/enrol
    POST /auth/passkey/options
    POST /auth/passkey
    POST /auth/recovery
    POST /auth/oidc
    GET /auth/oidc/callback
";

/// For people who have signed in; a token of a key is no session. The tests of people show what they may.
const PERSON: &str = "
    POST /v1/people/{id}/suspend
    GET /v1/people/me
    GET /v1/people/me/passkeys
    POST /v1/people/me/passkeys/options
    POST /v1/people/me/passkeys
    POST /v1/people/me/passkeys/{id}/remove
    POST /v1/people/me/recovery-codes
    POST /auth/step-up/options
    POST /auth/step-up
    POST /auth/sign-out
    POST /auth/sign-out-everywhere
";

/// Takes documents that say by their signatures who acts; an unsigned one is refused, whoever brings it.
const SIGNED: &str = "
    POST /v1/participants
    POST /v1/participants/decisions
    POST /v1/participants/keys
    POST /v1/participants/withdrawals
    POST /v1/image-sets
    POST /v1/image-sets/revocations
    POST /v1/templates
    POST /v1/data-schemas
    POST /v1/log/keys
    POST /v1/erasures
    POST /v1/datasets
    POST /v1/datasets/{id}/acts
    POST /v1/datasets/{id}/renewals
    POST /v1/contracts
    POST /v1/contracts/{id}/signatures
    POST /v1/contracts/{id}/decline
    POST /v1/contracts/{id}/withdraw
    POST /v1/contracts/{id}/suspend
    POST /v1/contracts/{id}/resume
    POST /v1/contracts/{id}/revoke
    POST /v1/contracts/{id}/terminate
    POST /provision
    POST /attest
    POST /data
    POST /key
    POST /authorize
    POST /v1/run-orders
    POST /v1/runs/challenges
    POST /v1/runs
    POST /v1/runs/{id}/admission
    POST /v1/runs/{id}/progress
    POST /v1/runs/{id}/receipts
    POST /v1/runs/{id}/events
    POST /v1/runs/{id}/abort
    POST /v1/runs/{id}/completion
    POST /payment-callbacks
    POST /payment-callbacks/unmatched
    POST /v1/revenue-statements
    POST /v1/disputes
    POST /v1/disputes/{id}/answer
    POST /v1/disputes/{id}/ruling
    POST /v1/disputes/{id}/close
    POST /v1/datasets/{id}/payouts
    POST /entries
";

/// Needs a token. Columns: owner (the TDC of the contract, run and endpoint), other TDP, other TDC, auditor, person of
/// the SRO, anonymous. `o` 2xx, `n` 404, `f` 403, `u` 401, `d` let in and the empty document refused, `.` let in.
const TOKEN: &str = "
    POST /v1/datasets/croissant                                      .....u
    GET  /v1/sro/pending                                             ffffou
    GET  /v1/datasets/{id}/offer                                     dddddu
    POST /v1/contracts/check                                         dddddu
    GET  /v1/contracts                                               ooooou
    GET  /v1/contracts/{id}                                          onnoou
    GET  /v1/contracts/{id}/events                                   onnoou
    GET  /v1/contracts/{id}/receipt                                  onnoou
    GET  /v1/contracts/{id}/bundle                                   onnoou
    POST /v1/drafts                                                  dddffu
    POST /v1/drafts/import                                           dddffu
    GET  /v1/drafts                                                  oooffu
    GET  /v1/drafts/{id}                                             nnnffu
    GET  /v1/drafts/{id}/original                                    nnnffu
    PUT  /v1/drafts/{id}                                             dddffu
    DELETE /v1/drafts/{id}                                           dddffu
    POST /v1/drafts/{id}/check                                       dddffu
    POST /create_contract/{auth_key}                                 dddffu
    GET  /find_contract                                              .....u
    PUT  /update_contract/{contract_id}                              .....u
    PUT  /commit_contract/{contract_id}/{entity_id}/{committer}      .....u
    PUT  /revoke_contract/{contract_id}/{entity_id}/{revoker}        .....u
    GET  /validate_contract/{contract_id}                            .....u
    POST /v1/run-orders/lease                                        fffffu
    GET  /v1/run-orders/{job_sha256}                                 onnoou
    GET  /v1/runs                                                     ooooou
    GET  /v1/runs/{id}/record                                         onnoou
    GET  /v1/datasets/{id}/budget                                     dddddu
    GET  /v1/forecast                                                 dddddu
    GET  /v1/runs/{id}                                               onnoou
    GET  /v1/runs/{id}/content-key                                   dnnffu
    GET  /v1/runs/{id}/events                                        onnoou
    GET  /v1/payments                                                ooooou
    GET  /v1/payments/journal                                        ooooou
    GET  /v1/disputes                                                ooooou
    GET  /v1/disputes/{id}                                           dddddu
    GET  /v1/datasets/{id}/payouts                                   dddddu
    POST /v1/webhooks/endpoints                                      dddffu
    GET  /v1/webhooks/endpoints                                      ooooou
    GET  /v1/webhooks/endpoints/{id}                                 onnnnu
    PUT  /v1/webhooks/endpoints/{id}                                 dddddu
    DELETE /v1/webhooks/endpoints/{id}                               dddddu
    POST /v1/webhooks/endpoints/{id}/pause                           dddddu
    POST /v1/webhooks/endpoints/{id}/resume                          dddddu
    POST /v1/webhooks/endpoints/{id}/disable                         dddddu
    POST /v1/webhooks/endpoints/{id}/rotate                          dddddu
    POST /v1/webhooks/endpoints/{id}/ping                            onnnnu
    POST /v1/webhooks/endpoints/{id}/replay                          dddddu
    POST /v1/webhooks/endpoints/{id}/recover                         onnnnu
    GET  /v1/webhooks/deliveries                                     ooooou
    GET  /v1/webhooks/deliveries/{id}                                nnnnnu
    POST /v1/webhooks/deliveries/{id}/replay                         nnnnnu
    GET  /v1/events                                                  ooooou
    GET  /v1/log/entries                                             dddddu
    GET  /v1/log/lines                                               ooooou
    GET  /v1/log/entries/{index}                                     onnoou
    GET  /v1/log/receipts/{index}                                    onnoou
    POST /v1/log/anchors                                             dddddu
    GET  /v1/audit/export                                            fffoou
    POST /v1/people/enrolments                                       dddddu
    GET  /v1/people                                                  ooooou
";

fn named(list: &str) -> BTreeSet<String> {
    list.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// The rows of the table: route, six letters.
fn rows() -> Vec<(String, Vec<char>)> {
    let rows = TOKEN.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).filter(|row| !row.is_empty());
    rows.map(|row| (format!("{} {}", row[0], row[1]), row[2].chars().collect())).collect()
}

#[test]
fn every_route_has_its_row_and_every_row_its_route() {
    for (access, listed) in [
        (Access::Open, named(OPEN)),
        (Access::Signed, named(SIGNED)),
        (Access::Person, named(PERSON)),
        (Access::Token, rows().into_iter().map(|(route, _)| route).collect()),
    ] {
        let routes = routes::list().into_iter().filter(|route| route.access == access);
        let there: BTreeSet<String> = routes.map(|r| format!("{} {}", r.verb.name(), r.written())).collect();
        assert_eq!(there, listed, "{access:?}");
    }
}

/// The things of the owner.
struct Things {
    contract: String,
    run: Run,
    endpoint: String,
    proposal: u64,
}

impl Things {
    fn path(&self, route: &str) -> String {
        let id = match route {
            _ if route.contains("/contracts/{id}") => self.contract.clone(),
            _ if route.contains("/runs/{id}") => self.run.run_id.to_string(),
            _ if route.contains("/endpoints/{id}") => self.endpoint.clone(),
            _ => uuid::Uuid::nil().to_string(),
        };
        let path = route.replace("{id}", &id).replace("{job_sha256}", &self.run.job_sha256.to_string());
        path.replace("{index}", &self.proposal.to_string()).replace(['{', '}'], "")
    }
}

fn answer(house: &House, verb: Verb, path: &str, token: Option<&str>) -> u16 {
    let url = format!("{}{path}", house.url());
    let request = match verb {
        Verb::Get => client().get(url),
        Verb::Post => client().post(url).header("idempotency-key", uuid::Uuid::now_v7().to_string()),
        Verb::Put => client().put(url),
        Verb::Delete => client().delete(url),
    };
    let request =
        if verb == Verb::Get { request } else { request.header("content-type", "application/json").body("{}") };
    let request = token.into_iter().fold(request, |request, token| request.bearer_auth(token));
    request.send().unwrap().status().as_u16()
}

fn fits(letter: char, status: u16) -> bool {
    match letter {
        'o' => (200..300).contains(&status),
        'n' => status == 404,
        'f' => status == 403,
        'u' => status == 401,
        'd' => matches!(status, 400 | 404 | 409 | 412 | 415 | 422 | 428),
        '.' => status < 500 && !matches!(status, 401 | 403),
        _ => false,
    }
}

#[test]
fn every_route_answers_each_caller_as_the_table_says() {
    let house = House::furnished();
    let run = house.running();
    let (tdp, tdc, auditor) =
        (newcomer(&house, Kind::Tdp), newcomer(&house, Kind::Tdc), newcomer(&house, Kind::Auditor));
    let endpoint = house.as_(&house.tdc).create_endpoint("http://localhost:9/", &["run.completed"]).unwrap();
    let contract = run.job.contracts[0].id.to_string();
    let entries = house.as_(&house.sro[0]).export(0, 200).unwrap().entries;
    let proposal = entries.iter().find(|entry| entry.record.kind == "contract_proposed").unwrap().index;
    let things = Things { contract, run, endpoint: endpoint.endpoint_id.to_string(), proposal };
    let callers = [&house.tdc, &tdp, &tdc, &auditor, &house.sro[0]].map(|who| Some(bearer(&house, who)));
    let callers: Vec<Option<String>> = callers.into_iter().chain([None]).collect();
    let names = ["owner", "other TDP", "other TDC", "auditor", "SRO", "anonymous"];
    let mut rows = rows();
    rows.extend(named(OPEN).into_iter().map(|route| (route, vec!['.'; 6])));
    rows.extend(named(PERSON).into_iter().filter(|r| !r.ends_with("/suspend")).map(|route| (route, vec!['u'; 6])));
    rows.extend(named(SIGNED).into_iter().map(|route| (route, vec!['d'; 6])));
    let mut wrong = Vec::new();
    for (route, letters) in rows {
        let (verb, path) = route.split_once(' ').unwrap();
        let verb = [Verb::Get, Verb::Post, Verb::Put, Verb::Delete].into_iter().find(|v| v.name() == verb).unwrap();
        for ((token, letter), name) in callers.iter().zip(letters).zip(names) {
            // Documents that are refused unread may be refused with 403 for who signed them; nobody signed these.
            let status = answer(&house, verb, &things.path(path), token.as_deref());
            if !fits(letter, status) {
                wrong.push(format!("{route} by {name}: {status}, expected {letter}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn newcomer(house: &House, kind: Kind) -> Arc<FileKey> {
    let key = Arc::new(FileKey::generate().unwrap());
    house.admit(&key, kind);
    key
}
