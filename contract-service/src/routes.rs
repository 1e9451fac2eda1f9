//! The list of routes, and nothing else. The server and the OpenAPI document are made of it.

pub mod anchors;
pub mod audit;
pub mod contracts;
pub mod datasets;
pub mod health;
pub mod image_sets;
pub mod log;
pub mod orders;
pub mod parties;
pub mod payments;
pub mod people;
pub mod receipts;
pub mod run_acts;
pub mod runs;
pub mod tags;
pub mod two_people;
pub mod webhooks;

use schemas::bundle::Logged;
use schemas::contract::{Contract, ContractDecline, ContractRevoke};
use schemas::dataset::DatasetOffer;
use schemas::desk;
use schemas::event::{Abort, Completion, PaymentCallback, RunEvent};
use schemas::evidence::ImageSet;
use schemas::party::{Kind, Participant, ParticipantDecision};
use schemas::release::{Admission, Challenge, ChallengeRequest, RunRequest, StatusList};
use schemas::{Envelope, R};
use serde::Serialize;

use crate::auth::token;
use crate::error::fault;
use crate::openapi::{Access::*, Route, feed, get, post};
use crate::scitt::{self, about, entries, operations};
use crate::{docs, events};

/// Every route of the contract service.
pub fn list() -> Vec<Route> {
    let mut all = vec![
        // The service itself.
        get("/livez", health::livez, Open, "Alive").text().inline(),
        get("/healthz", health::livez, Open, "Alive, by another name").text().inline(),
        get("/readyz", health::readyz, Open, "Ready to serve").text(),
        get("/openapi.json", health::openapi, Open, "This document").json(),
        get("/docs", docs::page, Open, "This document, for people").gives_media(200, "text/html"),
        get("/docs/style.css", docs::style, Open, "The style of the page").gives_media(200, "text/css").inline(),
        get("/.well-known/depa-configuration", health::configuration, Open, "Where everything is").json().inline(),
        get("/.well-known/did.json", health::did_document, Open, "The registry's did:web document").json(),
        get("/v1/trust", health::trust, Open, "What relying parties pin").json(),
        post("/oauth/token", token::give, Open, "A bearer token for ten minutes")
            .takes::<desk::TokenRequest>()
            .gives::<desk::TokenAnswer>(200),
        // Participants and image sets.
        post("/v1/participants", parties::apply, Signed, "Apply for registration")
            .takes::<Envelope<Participant>>()
            .gives::<desk::Receipted>(201),
        post("/v1/participants/decisions", parties::decide, Signed, "Decide about a participant: two SRO people")
            .takes::<Envelope<ParticipantDecision>>()
            .gives::<desk::TwoPeople>(201)
            .gives::<desk::TwoPeople>(202),
        get("/v1/participants/{did}", parties::read, Open, "A participant").gives::<desk::ParticipantView>(200),
        post("/v1/image-sets", image_sets::approve, Signed, "Approve an image set: two SRO people")
            .takes::<Envelope<ImageSet>>()
            .gives::<desk::TwoPeople>(201)
            .gives::<desk::TwoPeople>(202),
        get("/v1/image-sets/{id}", image_sets::read, Open, "An approved image set").gives::<Logged<ImageSet>>(200),
        // Datasets.
        post("/v1/datasets", datasets::register, Signed, "Register an offer")
            .takes::<Envelope<DatasetOffer>>()
            .gives::<desk::Receipted>(201),
        get("/v1/datasets", datasets::list, Open, "A page of registered datasets")
            .query(&["limit", "cursor"])
            .gives::<desk::DatasetList>(200),
        get("/v1/datasets/{id}", datasets::read, Open, "The newest offer of a dataset").gives::<desk::DatasetView>(200),
        // Contracts.
        post("/v1/contracts", contracts::propose, Signed, "Propose a contract")
            .takes::<Envelope<Contract>>()
            .gives::<desk::ContractAnswer>(201),
        get("/v1/contracts", contracts::list, Token, "The caller's contracts").gives::<desk::ContractList>(200),
        get("/v1/contracts/{id}", contracts::read, Token, "A contract with the signatures so far")
            .gives::<desk::ContractView>(200)
            .tagged(tags::contract)
            .inline(),
        get("/v1/contracts/{id}/bundle", contracts::bundle, Token, "A contract with everything around it")
            .gives::<desk::ContractBundle>(200),
        post("/v1/contracts/{id}/signatures", contracts::sign, Signed, "Sign a proposed contract")
            .takes::<desk::ContractSignature>()
            .gives::<desk::ContractAnswer>(201)
            .tagged(tags::contract)
            .deduped(),
        post("/v1/contracts/{id}/decline", contracts::decline, Signed, "Decline to sign")
            .takes::<Envelope<ContractDecline>>()
            .gives::<desk::ContractAnswer>(201)
            .tagged(tags::contract),
        post("/v1/contracts/{id}/revoke", contracts::revoke, Signed, "End a contract early")
            .takes::<Envelope<ContractRevoke>>()
            .gives::<desk::ContractAnswer>(201)
            .tagged(tags::contract),
        get("/v1/status-list", contracts::status_list, Open, "Contracts that are not in force, signed now")
            .gives::<Envelope<StatusList>>(200)
            .inline(),
        // Run orders and runs.
        post("/v1/run-orders", orders::order, Signed, "Order a run")
            .takes::<desk::OrderRequest>()
            .gives::<desk::OrderAnswer>(201),
        post("/v1/run-orders/lease", orders::lease, Token, "Take an order, as a clean-room provider")
            .takes::<desk::LeaseRequest>()
            .gives::<desk::Leased>(200)
            .nothing(204)
            .only(&[Kind::Ccrp]),
        get("/v1/run-orders/{job_sha256}", orders::read, Token, "How an order stands").gives::<desk::OrderView>(200),
        post("/v1/runs/challenges", runs::challenge, Signed, "A challenge; mints the run's id")
            .takes::<ChallengeRequest>()
            .gives::<Envelope<Challenge>>(200),
        post("/v1/runs", runs::check_in, Signed, "Check in with evidence")
            .takes::<desk::CheckIn>()
            .gives::<Envelope<Admission>>(201),
        get("/v1/runs/{id}", run_acts::read, Token, "A run").gives::<desk::RunView>(200),
        post("/v1/runs/{id}/admission", runs::refresh, Signed, "A fresh Admission")
            .takes::<Envelope<RunRequest>>()
            .gives::<Envelope<Admission>>(200),
        post("/v1/runs/{id}/receipts", run_acts::receipts, Signed, "Receipts of key services")
            .takes::<desk::KmsReceipts>()
            .gives::<desk::ReceiptedAll>(201),
        post("/v1/runs/{id}/events", run_acts::report, Signed, "An event of the room")
            .takes::<Envelope<RunEvent>>()
            .gives::<desk::Receipted>(201),
        post("/v1/runs/{id}/abort", run_acts::abort, Signed, "Stop a run: TDC, a TDP or two SRO people")
            .takes::<Envelope<Abort>>()
            .gives::<desk::Receipted>(201),
        post("/v1/runs/{id}/completion", run_acts::complete, Signed, "Complete a run")
            .takes::<Envelope<Completion>>()
            .gives::<desk::CompletionAnswer>(201)
            .gives::<desk::CompletionAnswer>(200),
        get("/v1/runs/{id}/content-key", run_acts::content_key, Token, "The wrapped content key, for the consumer")
            .gives::<desk::ContentKey>(200),
        // Payments and webhooks.
        get("/v1/payments", payments::list, Token, "Payments of the caller's contracts")
            .query(&["contract"])
            .gives::<desk::PaymentList>(200),
        post("/payment-callbacks", payments::callback, Signed, "The payment system's answer")
            .takes::<Envelope<PaymentCallback>>()
            .gives::<desk::PaymentAnswer>(200),
        post("/v1/webhooks/endpoints", webhooks::create, Token, "Make a webhook endpoint")
            .takes::<desk::EndpointRequest>()
            .gives::<desk::EndpointCreated>(201)
            .only(&[Kind::Psp, Kind::Tdp, Kind::Tdc]),
        get("/v1/webhooks/endpoints", webhooks::list, Token, "The caller's endpoints").gives::<desk::EndpointList>(200),
        get("/v1/webhooks/endpoints/{id}", webhooks::read, Token, "One of the caller's endpoints")
            .gives::<desk::EndpointView>(200)
            .tagged(tags::endpoint),
        post("/v1/webhooks/endpoints/{id}/disable", webhooks::disable, Token, "Switch an endpoint off")
            .gives::<desk::EndpointView>(200)
            .must_match(tags::endpoint),
        get("/v1/webhooks/deliveries", webhooks::deliveries, Token, "The caller's deliveries, newest first")
            .query(&["limit"])
            .gives::<desk::DeliveryList>(200),
        // Streams.
        feed("/v1/events", events::all, Token, "What happens to the caller's contracts and runs"),
        feed("/v1/runs/{id}/events", events::of_run, Token, "What happens to a run"),
        // The log.
        get("/log/checkpoint", log::checkpoint, Open, "The newest checkpoint note with cosignatures").text(),
        get("/log/checkpoint/cosigned", log::cosigned, Open, "The newest checkpoint that enough witnesses cosigned").text(),
        get("/log/tile/entries/{tail:.*}", log::entries, Open, "A tile of public records (C2SP tlog-tiles)").bytes(),
        get("/log/tile/{level}/{tail:.*}", log::tile, Open, "A tile of the log (C2SP tlog-tiles)").bytes(),
        get("/v1/log/proof", log::consistency, Open, "A consistency proof between two sizes")
            .query(&["old", "new"])
            .gives::<desk::ConsistencyProof>(200),
        get("/v1/log/receipts/{index}", log::receipt, Token, "The receipt of an entry: JSON, tlog-proof, COSE or bundle")
            .query(&["form", "vds"])
            .gives::<desk::Receipted>(200)
            .gives_media(200, "text/plain")
            .gives_media(200, scitt::RECEIPT)
            .gives_media(200, receipts::BUNDLE),
        post("/v1/log/anchors", anchors::anchor, Token, "Anchor the digest of something of the caller's own")
            .takes::<desk::AnchorRequest>()
            .gives::<desk::Receipted>(201)
            .deduped(),
        get("/v1/audit/export", audit::export, Token, "The log with bodies and salts, for the SRO")
            .query(&["from", "limit"])
            .gives::<desk::AuditExport>(200)
            .only(&[Kind::Sro, Kind::Auditor]),
        // SCITT: its clients bring their own forms.
        post("/entries", entries::register, Signed, "Register a signed statement, or take in a contract (COSE)")
            .takes_media(&[scitt::COSE])
            .gives_media(201, scitt::RECEIPT)
            .gives_media(202, scitt::CBOR)
            .nothing(303),
        get("/entries/txIds", entries::transactions, Open, "Transaction ids of statements and contracts")
            .query(&["from", "to"])
            .json(),
        get("/entries/{id}", entries::read, Open, "The receipt or the transparent statement of an entry")
            .query(&["embedReceipt", "api-version", "vds"])
            .gives_media(200, scitt::COSE)
            .gives_media(200, scitt::RECEIPT)
            .gives_media(200, scitt::STATEMENT),
        get("/entries/{id}/receipt", entries::receipt_of, Open, "The COSE receipt of an entry")
            .query(&["vds"])
            .gives_media(200, scitt::CBOR),
        get("/entries/{id}/statement", entries::statement_of, Open, "The statement of an entry with its receipt")
            .query(&["vds"])
            .gives_media(200, scitt::COSE),
        get("/operations", operations::list, Open, "Registrations that are still running: none").json(),
        get("/operations/{id}", operations::read, Open, "How a registration ended").json().gives_media(200, scitt::CBOR),
        get("/.well-known/scitt-keys", about::keys, Open, "Keys of receipts (COSE_Key_Set)")
            .gives_media(200, scitt::CBOR),
        get("/.well-known/scitt-keys/{kid}", about::key, Open, "One key of receipts").gives_media(200, scitt::CBOR),
        get("/.well-known/transparency-configuration", about::configuration, Open, "The transparency configuration")
            .json()
            .gives_media(200, scitt::CBOR),
        get("/parameters", about::parameters, Open, "The service certificate of CCF-shaped receipts").json(),
        get("/parameters/historic", about::parameters_historic, Open, "The same, as a list").json(),
        get("/jwks", about::jwks, Open, "Keys of receipts (JWK set)").json(),
        get("/version", about::version, Open, "The version of the service").json(),
        get("/time", about::time, Open, "The time of the service").json(),
        get("/configuration", about::policy, Open, "What statements may look like").json(),
        get("/did", about::issuers, Open, "Issuers whose statements count").json(),
        get("/did/{did}", about::issuer, Open, "The DID document of an issuer").json(),
    ];
    all.extend(people::paths());
    all
}

/// The word that a state is written as.
pub(crate) fn word<T: Serialize>(state: &T) -> R<String> {
    match serde_json::to_value(state).map_err(fault)? {
        serde_json::Value::String(word) => Ok(word),
        _ => Err(fault("a state that is no word")),
    }
}
