//! What every route keeps to: tags and conditions, pages, methods, media types, numbers of calls, budgets.

use contract_service::config::{Budget, Rates};
use schemas::{Code, canonical};

use crate::house::{House, reference};
use crate::http::{bearer, client, code, get, header, post};
use crate::papers;

#[test]
fn a_contract_has_a_tag_that_changes_with_it() {
    let house = House::furnished();
    let contract = house.propose(&papers::contract(&house)).unwrap();
    let path = format!("/v1/contracts/{}", reference(&contract).id);
    let token = bearer(&house, &house.tdc);
    let read = || get(&house, &path).bearer_auth(&token);
    let first = read().send().unwrap();
    let tag = header(&first, "etag");
    assert!(tag.starts_with('"') && tag.ends_with('"'), "{tag}");
    let again = read().header("if-none-match", &tag).send().unwrap();
    assert_eq!((again.status().as_u16(), header(&again, "etag")), (304, tag.clone()));
    assert!(again.bytes().unwrap().is_empty());
    assert_eq!(read().header("if-none-match", "\"other\"").send().unwrap().status(), 200);
    // The first reader's tag is stale for an act once somebody else has signed.
    let sign = |who: &signing::FileKey, tag: &str| {
        let body = schemas::desk::ContractSignature {
            contract_sha256: contract.digest(),
            signature: signing::countersign(&contract, who, house.now()).unwrap(),
        };
        let request = post(&house, &format!("{path}/signatures"), &canonical::to_bytes(&body).unwrap());
        request.header("if-match", tag).send().unwrap()
    };
    assert_eq!(sign(&house.tdps[0], &tag).status(), 201);
    assert_eq!(code(sign(&house.tdps[1], &tag)), Code::PreconditionFailed);
    assert_eq!(code(sign(&house.tdps[1], &format!("W/{tag}"))), Code::PreconditionFailed);
    let now = header(&read().send().unwrap(), "etag");
    assert_ne!(now, tag);
    assert_eq!(sign(&house.tdps[1], &now).status(), 201);
    // A route that knows no tag takes no condition for granted.
    let blind = post(&house, "/v1/participants", b"{}").header("if-match", "\"x\"").send().unwrap();
    assert_eq!(code(blind), Code::PreconditionFailed);
}

#[test]
fn an_endpoint_is_changed_only_by_who_has_read_it() {
    let house = House::furnished();
    let token = bearer(&house, &house.psp);
    let made = house.as_(&house.psp).create_endpoint("http://localhost:9/", &["payment.instructed"]).unwrap();
    let path = format!("/v1/webhooks/endpoints/{}", made.endpoint_id);
    let disable = || post(&house, &format!("{path}/disable"), b"{}").bearer_auth(&token);
    assert_eq!(code(disable().send().unwrap()), Code::PreconditionRequired);
    assert_eq!(code(disable().header("if-match", "\"old\"").send().unwrap()), Code::PreconditionFailed);
    let tag = header(&get(&house, &path).bearer_auth(&token).send().unwrap(), "etag");
    let foreign = bearer(&house, &house.tdc);
    assert_eq!(code(get(&house, &path).bearer_auth(&foreign).send().unwrap()), Code::NotFound);
    let stranger = post(&house, &format!("{path}/disable"), b"{}").bearer_auth(&foreign).header("if-match", &tag);
    assert_eq!(code(stranger.send().unwrap()), Code::NotFound);
    let done = disable().header("if-match", &tag).send().unwrap();
    assert_eq!(done.status(), 200);
    assert_eq!(done.json::<schemas::desk::EndpointView>().unwrap().state, "disabled");
}

#[test]
fn a_page_names_the_next_one() {
    let house = House::furnished();
    let first = get(&house, "/v1/datasets?limit=1").send().unwrap();
    let link = header(&first, "link");
    let next = link.strip_prefix('<').and_then(|rest| rest.strip_suffix(">; rel=\"next\"")).unwrap();
    assert!(next.starts_with("/v1/datasets?limit=1&cursor="), "{next}");
    let last = get(&house, next).send().unwrap();
    assert_eq!((last.status().as_u16(), header(&last, "link")), (200, String::new()));
    assert_ne!(first.bytes().unwrap(), last.bytes().unwrap());
}

#[test]
fn what_is_read_can_be_asked_about_without_its_body() {
    let house = House::furnished();
    let contract = house.propose(&papers::contract(&house)).unwrap();
    let contract = format!("/v1/contracts/{}", reference(&contract).id);
    let token = bearer(&house, &house.tdc);
    for path in ["/livez", "/v1/trust", "/v1/datasets", "/log/checkpoint", contract.as_str()] {
        let whole = get(&house, path).bearer_auth(&token).send().unwrap();
        let head = client().head(format!("{}{path}", house.url())).bearer_auth(&token).send().unwrap();
        assert_eq!((head.status().as_u16(), whole.status().as_u16()), (200, 200), "{path}");
        for name in ["content-type", "content-length", "cache-control", "etag"] {
            assert_eq!(header(&head, name), header(&whole, name), "{path} {name}");
        }
        assert!(head.bytes().unwrap().is_empty() && !whole.bytes().unwrap().is_empty(), "{path}");
    }
    let head = |path: &str| client().head(format!("{}{path}", house.url())).send().unwrap().status().as_u16();
    // What needs a token needs it for the head too; where nothing is read there is none.
    assert_eq!((head(&contract), head("/v1/nothing"), head("/oauth/token")), (401, 404, 405));
}

#[test]
fn methods_media_types_and_numbers_of_calls() {
    let house = House::empty();
    let wrong = client().delete(format!("{}/v1/datasets", house.url())).send().unwrap();
    assert_eq!(header(&wrong, "allow"), "GET, POST, HEAD");
    assert_eq!(code(wrong), Code::MethodNotAllowed);
    for (accept, status) in
        [("application/json", 200), ("text/html, */*;q=0.1", 200), ("text/html", 406), ("application/json;q=0", 406)]
    {
        let answer = get(&house, "/v1/trust").header("accept", accept).send().unwrap();
        assert_eq!(answer.status(), status, "{accept}");
    }
    // Text is text, whatever is asked for.
    assert_eq!(get(&house, "/livez").header("accept", "application/json").send().unwrap().status(), 200);
    let (one, two) = (get(&house, "/livez").send().unwrap(), get(&house, "/livez").send().unwrap());
    assert_ne!(header(&one, "x-request-id"), header(&two, "x-request-id"));
    let refused = get(&house, "/v1/contracts").send().unwrap();
    let number = header(&refused, "x-request-id");
    let problem: schemas::problem::Problem = refused.json().unwrap();
    assert_eq!(problem.instance, Some(format!("urn:depa:request:{number}")));
}

#[test]
fn a_budget_is_told_and_ends_with_429() {
    let reads = Budget { per_second: 1, burst: 3 };
    let house = House::with(|config| config.rates = Rates { reads, ..Rates::default() });
    let first = get(&house, "/livez").send().unwrap();
    assert_eq!(header(&first, "ratelimit-policy"), "\"reads\";q=3;w=3");
    assert!(header(&first, "ratelimit").starts_with("\"reads\";r="), "{:?}", first.headers());
    let refused = (0..50).map(|_| get(&house, "/livez").send().unwrap()).find(|answer| answer.status() == 429).unwrap();
    assert!(header(&refused, "retry-after").parse::<u32>().unwrap() >= 1);
    assert_eq!(code(refused), Code::RateLimited);
    // Another class has its own budget.
    assert_eq!(code(post(&house, "/v1/participants", b"{").send().unwrap()), Code::MalformedJson);
}
