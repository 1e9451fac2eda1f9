//! The list of routes, and nothing else. The server and the OpenAPI document are made of it.

pub mod anchors;
pub mod audit;
pub mod contract_acts;
pub mod contracts;
pub mod datasets;
pub mod disputes;
pub mod drafts;
pub mod health;
pub mod image_sets;
pub mod lines;
pub mod log;
pub mod offers;
pub mod orders;
pub mod parties;
pub mod payments;
pub mod payouts;
pub mod pending;
pub mod people;
pub mod receipts;
pub mod rules;
pub mod run_acts;
pub mod runs;
pub mod story;
pub mod tags;
pub mod two_people;
pub mod watch;
pub mod webhooks;

use schemas::bundle::Logged;
use schemas::contract::{
    Contract, ContractDecline, ContractResume, ContractRevoke, ContractSuspend, ContractTerminate, ContractWithdraw,
};
use schemas::dataset::{DatasetAct, DatasetOffer};
use schemas::desk;
use schemas::dispute::{Dispute, DisputeAnswer, DisputeClose, DisputeRuling, PaymentUnmatched};
use schemas::event::{Abort, Completion, PaymentCallback, RunEvent};
use schemas::evidence::ImageSet;
use schemas::lineage::LogLineage;
use schemas::party::{KeyEvent, Kind, Participant, ParticipantDecision, ParticipantWithdrawal};
use schemas::payout::PayoutBatch;
use schemas::release::{Admission, Challenge, ChallengeRequest, RunRequest, StatusList};
use schemas::renewal::BudgetRenewal;
use schemas::rules::{DataSchema, Erasure, ImageSetRevocation, LogKey, Template};
use schemas::term::RevenueStatement;
use schemas::{Code, Envelope, R, Refusal};
use serde::Serialize;

use crate::auth::token;
use crate::call::Call;
use crate::depa;
use crate::error::fault;
use crate::openapi::{Access::*, Route, delete, feed, get, later, post, put};
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
        get("/v1/log/keys", health::log_keys, Open, "How the log's key in use follows from earlier ones")
            .gives::<LogLineage>(200),
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
        post("/v1/participants/keys", parties::change_key, Signed, "Change a key: its participant or two SRO people")
            .takes::<Envelope<KeyEvent>>()
            .gives::<desk::Receipted>(201)
            .gives::<desk::TwoPeople>(202),
        post("/v1/participants/withdrawals", parties::withdraw, Signed, "Leave the register")
            .takes::<Envelope<ParticipantWithdrawal>>()
            .gives::<desk::Receipted>(201),
        get("/v1/participants", parties::list, Open, "A page of participants")
            .query(&["limit", "cursor", "kind", "state", "q"])
            .gives::<desk::ParticipantList>(200),
        get("/v1/participants/{did}", parties::read, Open, "A participant").gives::<desk::ParticipantView>(200),
        get("/v1/participants/{did}/keys", parties::keys, Open, "The keys of a participant")
            .gives::<desk::KeyList>(200),
        post("/v1/image-sets", image_sets::approve, Signed, "Approve an image set: two SRO people")
            .takes::<Envelope<ImageSet>>()
            .gives::<desk::TwoPeople>(201)
            .gives::<desk::TwoPeople>(202),
        post("/v1/image-sets/revocations", image_sets::revoke, Signed, "Revoke an image set: two SRO people")
            .takes::<Envelope<ImageSetRevocation>>()
            .gives::<desk::TwoPeople>(201)
            .gives::<desk::TwoPeople>(202),
        get("/v1/image-sets", image_sets::list, Open, "A page of image sets")
            .query(&["limit", "cursor", "state"])
            .gives::<desk::ImageSetList>(200),
        get("/v1/image-sets/{id}", image_sets::read, Open, "An approved image set").gives::<Logged<ImageSet>>(200),
        // Rules of the SRO.
        post("/v1/templates", rules::approve_template, Signed, "Approve a contract template: two SRO people")
            .takes::<Envelope<Template>>()
            .gives::<desk::TwoPeople>(201)
            .gives::<desk::TwoPeople>(202),
        get("/v1/templates", rules::templates, Open, "The approved templates").gives::<desk::TemplateList>(200),
        get("/v1/templates/{name}", rules::template, Open, "An approved template").gives::<Logged<Template>>(200),
        post("/v1/data-schemas", rules::approve_data_schema, Signed, "Approve a data schema: two SRO people")
            .takes::<Envelope<DataSchema>>()
            .gives::<desk::TwoPeople>(201)
            .gives::<desk::TwoPeople>(202),
        get("/v1/data-schemas", rules::data_schemas, Open, "The approved data schemas")
            .query(&["uri"])
            .gives::<desk::DataSchemaList>(200),
        post("/v1/erasures", rules::erase, Signed, "Erase the bodies of one subject: two SRO people")
            .takes::<Envelope<Erasure>>()
            .gives::<desk::TwoPeople>(201)
            .gives::<desk::TwoPeople>(202),
        post("/v1/log/keys", rules::rotate_log_key, Signed, "Put the log's next key in use: two SRO people")
            .takes::<Envelope<LogKey>>()
            .gives::<desk::TwoPeople>(201)
            .gives::<desk::TwoPeople>(202),
        get("/v1/sro/pending", pending::list, Token, "What waits for a second person of the SRO")
            .gives::<desk::PendingActs>(200)
            .only(&[Kind::Sro]),
        // Datasets.
        post("/v1/datasets", datasets::register, Signed, "Register an offer")
            .takes::<Envelope<DatasetOffer>>()
            .gives::<desk::Receipted>(201),
        get("/v1/datasets", datasets::list, Open, "A page of registered datasets")
            .query(datasets::QUERY)
            .gives::<desk::DatasetList>(200),
        post("/v1/datasets/croissant", datasets::import, Token, "A Croissant document as the beginning of an offer")
            .takes::<serde_json::Value>()
            .takes_media(&["application/json", "application/ld+json"])
            .gives::<desk::CroissantDraft>(200),
        get("/v1/datasets/{id}", datasets::read, Open, "The newest offer of a dataset").gives::<desk::DatasetView>(200),
        get(
            "/v1/datasets/{id}/offer",
            offers::read,
            Token,
            "The newest offer as signed, with the reference of its key",
        )
        .gives::<Logged<DatasetOffer>>(200),
        get("/v1/datasets/{id}/versions", datasets::versions, Open, "Every offer of a dataset")
            .gives::<desk::DatasetVersions>(200),
        get("/v1/datasets/{id}/croissant", datasets::export, Open, "The newest offer as Croissant 1.1, or as DCAT")
            .gives_media(200, "application/ld+json"),
        post("/v1/datasets/{id}/acts", datasets::change, Signed, "Change a version: its provider or two SRO people")
            .takes::<Envelope<DatasetAct>>()
            .gives::<desk::Receipted>(201)
            .gives::<desk::TwoPeople>(202),
        post("/v1/datasets/{id}/renewals", datasets::renew, Signed, "Renew a privacy budget: its provider")
            .takes::<Envelope<BudgetRenewal>>()
            .gives::<desk::Receipted>(201),
        get("/v1/datasets/{id}/renewals", datasets::renewals, Open, "The renewals of a dataset's privacy budget")
            .gives::<desk::BudgetRenewals>(200),
        get("/v1/datasets/{id}/budget", watch::budget, Token, "What is left of a privacy budget, as the log shows it")
            .gives::<desk::BudgetView>(200),
        get("/v1/forecast", watch::forecast, Token, "What a private training would cost")
            .query(&["epsilon", "delta", "sample_rate", "steps"])
            .gives::<desk::Forecast>(200),
        // Contracts.
        post(
            "/v1/contracts",
            contracts::propose,
            Signed,
            "Propose a contract; with supersedes a counter-offer or amendment",
        )
        .takes::<Envelope<Contract>>()
        .takes_media(&[crate::call::JSON, drafts::COSE])
        .gives::<desk::ContractAnswer>(201),
        post("/v1/contracts/check", contracts::check, Token, "All that stands in the way of a proposal")
            .takes::<Contract>()
            .gives::<desk::ContractChecked>(200),
        get("/v1/contracts", contracts::list, Token, "A page of the caller's contracts; with state, next versions too")
            .query(&["limit", "cursor", "state", "party", "dataset", "q"])
            .gives::<desk::ContractList>(200),
        get("/v1/contracts/{id}", contracts::read, Token, "A contract with the signatures so far")
            .query(&["version"])
            .gives::<desk::ContractView>(200)
            .tagged(tags::contract)
            .inline(),
        get("/v1/contracts/{id}/events", contracts::events, Token, "A page of a contract's entries with receipts")
            .query(&["limit", "cursor"])
            .gives::<desk::ContractEvents>(200),
        get("/v1/contracts/{id}/receipt", contracts::receipt, Token, "The receipt of the fully signed contract")
            .gives::<desk::Receipted>(200),
        get("/v1/contracts/{id}/bundle", contracts::bundle, Token, "A contract with everything around it")
            .gives::<desk::ContractBundle>(200),
        later("/v1/contracts/{id}/signatures", contracts::sign, Signed, "Sign a proposed contract")
            .takes::<desk::ContractSignature>()
            .gives::<desk::ContractAnswer>(201)
            .tagged(tags::contract)
            .deduped(),
        act("/v1/contracts/{id}/decline", contract_acts::decline, "Decline to sign")
            .takes::<Envelope<ContractDecline>>(),
        act("/v1/contracts/{id}/withdraw", contract_acts::withdraw, "Take a proposal back")
            .takes::<Envelope<ContractWithdraw>>(),
        act("/v1/contracts/{id}/suspend", contract_acts::suspend, "Stop a contract for now")
            .takes::<Envelope<ContractSuspend>>(),
        act("/v1/contracts/{id}/resume", contract_acts::resume, "End a suspension").takes::<Envelope<ContractResume>>(),
        act("/v1/contracts/{id}/revoke", contract_acts::revoke, "End a contract early")
            .takes::<Envelope<ContractRevoke>>(),
        act("/v1/contracts/{id}/terminate", contract_acts::terminate, "End a contract by all parties")
            .takes::<Envelope<ContractTerminate>>(),
        get("/v1/status-list", contracts::status_list, Open, "Contracts that are not in force, signed now")
            .gives::<Envelope<StatusList>>(200)
            .inline(),
        // Drafts.
        post("/v1/drafts", drafts::create, Token, "Keep a draft of a contract")
            .takes::<desk::DraftRequest>()
            .gives::<desk::DraftView>(201)
            .only(&[Kind::Tdc, Kind::Tdp]),
        post("/v1/drafts/import", drafts::import, Token, "Make a draft of a contract in one of DEPA's shapes")
            .takes_media(&[crate::call::JSON, drafts::COSE])
            .gives::<desk::DraftView>(201)
            .only(&[Kind::Tdc, Kind::Tdp]),
        get("/v1/drafts", drafts::list, Token, "A page of the caller's drafts")
            .query(&["limit", "cursor"])
            .gives::<desk::DraftList>(200)
            .only(&[Kind::Tdc, Kind::Tdp]),
        get("/v1/drafts/{id}", drafts::read, Token, "A draft, with what stands in the way of a proposal")
            .gives::<desk::DraftView>(200)
            .only(&[Kind::Tdc, Kind::Tdp]),
        get("/v1/drafts/{id}/original", drafts::original, Token, "The file that a draft was made of, byte for byte")
            .bytes()
            .only(&[Kind::Tdc, Kind::Tdp]),
        put("/v1/drafts/{id}", drafts::replace, Token, "Write a draft anew")
            .query(&["rev"])
            .takes::<desk::DraftRequest>()
            .gives::<desk::DraftView>(200)
            .only(&[Kind::Tdc, Kind::Tdp]),
        delete("/v1/drafts/{id}", drafts::discard, Token, "Throw a draft away")
            .nothing(204)
            .only(&[Kind::Tdc, Kind::Tdp]),
        post("/v1/drafts/{id}/check", drafts::check, Token, "All that stands in the way of proposing a draft")
            .gives::<desk::ContractChecked>(200)
            .only(&[Kind::Tdc, Kind::Tdp]),
        // DEPA's event face.
        post("/provision", depa::provision, Signed, "DEPA: provisioning").json().also_json(400),
        post("/attest", depa::attest, Signed, "DEPA: attestation").json().also_json(400),
        post("/data", depa::data, Signed, "DEPA: data").json().also_json(400),
        post("/key", depa::key, Signed, "DEPA: keys").json().also_json(400),
        post("/authorize", depa::authorize, Signed, "DEPA: authorisation").json().also_json(400),
        post("/create_contract/{auth_key}", depa::create, Token, "DEPA: a contract of its shape becomes a draft")
            .takes_media(&[crate::call::JSON, drafts::COSE])
            .gives::<desk::DraftView>(200)
            .only(&[Kind::Tdc, Kind::Tdp]),
        get("/find_contract", depa::find, Token, "DEPA: contracts of the caller")
            .query(&["contract_id", "start_date", "expiry_date", "tdp", "tdc", "limit"])
            .json(),
        put("/update_contract/{contract_id}", depa::update, Token, "DEPA: says where a newer version is proposed")
            .also_json(400),
        put(
            "/commit_contract/{contract_id}/{entity_id}/{committer}",
            depa::commit,
            Token,
            "DEPA: says where a contract is signed",
        )
        .also_json(400),
        put(
            "/revoke_contract/{contract_id}/{entity_id}/{revoker}",
            depa::revoke,
            Token,
            "DEPA: says where a contract is revoked",
        )
        .also_json(400),
        get("/validate_contract/{contract_id}", depa::validate, Token, "DEPA: whether a contract may be used now")
            .json()
            .also_json(400),
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
        get("/v1/runs", watch::runs, Token, "A page of the runs that the caller may read about, newest first")
            .query(&["limit", "cursor", "contract"])
            .gives::<desk::RunList>(200),
        get("/v1/runs/{id}/record", watch::record, Token, "What the log holds about a run")
            .gives::<desk::RunRecord>(200),
        get("/v1/runs/{id}", run_acts::read, Token, "A run").gives::<desk::RunView>(200),
        post("/v1/runs/{id}/admission", runs::refresh, Signed, "A fresh Admission")
            .takes::<Envelope<RunRequest>>()
            .gives::<Envelope<Admission>>(200),
        post(
            "/v1/runs/{id}/progress",
            runs::progress,
            Signed,
            "How far the training is, told by the room; kept nowhere",
        )
        .takes::<Envelope<RunRequest>>()
        .nothing(204)
        .deduped(),
        post("/v1/runs/{id}/receipts", run_acts::receipts, Signed, "Receipts of key services")
            .takes::<desk::KmsReceipts>()
            .gives::<desk::ReceiptedAll>(201),
        post("/v1/runs/{id}/events", run_acts::report, Signed, "An event of the room")
            .takes::<Envelope<RunEvent>>()
            .gives::<desk::Receipted>(201),
        post("/v1/runs/{id}/abort", run_acts::abort, Signed, "Stop a run: TDC, a TDP or two SRO people")
            .takes::<Envelope<Abort>>()
            .gives::<desk::Receipted>(201)
            .gives::<desk::TwoPeople>(202),
        post("/v1/runs/{id}/completion", run_acts::complete, Signed, "Complete a run")
            .takes::<Envelope<Completion>>()
            .gives::<desk::CompletionAnswer>(201)
            .gives::<desk::CompletionAnswer>(200),
        get("/v1/runs/{id}/content-key", run_acts::content_key, Token, "The wrapped content key, for the consumer")
            .gives::<desk::ContentKey>(200),
        // Payments and webhooks.
        get("/v1/payments", payments::list, Token, "A page of the payments of the caller's contracts")
            .query(&["contract", "limit", "cursor"])
            .gives::<desk::PaymentList>(200),
        post("/v1/revenue-statements", payments::state_revenue, Signed, "State a period's revenue, as the consumer")
            .takes::<Envelope<RevenueStatement>>()
            .gives::<desk::Receipted>(201),
        post("/payment-callbacks", payments::callback, Signed, "The payment system's answer")
            .takes::<Envelope<PaymentCallback>>()
            .gives::<desk::PaymentAnswer>(200),
        post("/payment-callbacks/unmatched", disputes::unmatched, Signed, "Money that no instruction explains")
            .takes::<Envelope<PaymentUnmatched>>()
            .gives::<desk::DisputeReceipt>(200),
        get("/v1/payments/journal", payouts::journal, Token, "A page of the transfers that the caller may read")
            .query(&["contract", "limit", "cursor"])
            .gives::<desk::JournalPage>(200),
        get("/v1/disputes", disputes::list, Token, "A page of the disputes that the caller may read about")
            .query(&["contract", "limit", "cursor"])
            .gives::<desk::DisputeList>(200),
        post("/v1/disputes", disputes::open, Signed, "Dispute an obligation, as a party of its contract")
            .takes::<Envelope<Dispute>>()
            .gives::<desk::DisputeReceipt>(201),
        get("/v1/disputes/{id}", disputes::read, Token, "A dispute").gives::<desk::DisputeView>(200),
        post("/v1/disputes/{id}/answer", disputes::answer, Signed, "Answer a dispute, as the other side")
            .takes::<Envelope<DisputeAnswer>>()
            .gives::<desk::DisputeReceipt>(201),
        post("/v1/disputes/{id}/ruling", disputes::rule, Signed, "Rule on a dispute: two SRO people")
            .takes::<Envelope<DisputeRuling>>()
            .gives::<desk::DisputeReceipt>(201)
            .gives::<desk::DisputeReceipt>(202),
        post("/v1/disputes/{id}/close", disputes::close, Signed, "Close a ruled dispute: its opener or two SRO people")
            .takes::<Envelope<DisputeClose>>()
            .gives::<desk::DisputeReceipt>(201)
            .gives::<desk::DisputeReceipt>(202),
        get("/v1/datasets/{id}/payouts", payouts::read, Token, "How payouts to data principals stand")
            .query(&["version"])
            .gives::<desk::PayoutView>(200),
        post("/v1/datasets/{id}/payouts", payouts::enter, Signed, "Enter a batch of payouts, as the provider")
            .takes::<Envelope<PayoutBatch>>()
            .gives::<desk::Receipted>(201),
        post("/v1/webhooks/endpoints", webhooks::create, Token, "Make a webhook endpoint")
            .takes::<desk::EndpointRequest>()
            .gives::<desk::EndpointCreated>(201)
            .shows_secret()
            .only(&[Kind::Psp, Kind::Tdp, Kind::Tdc]),
        get("/v1/webhooks/endpoints", webhooks::list, Token, "The caller's endpoints").gives::<desk::EndpointList>(200),
        get("/v1/webhooks/endpoints/{id}", webhooks::read, Token, "One of the caller's endpoints")
            .gives::<desk::EndpointView>(200)
            .tagged(tags::endpoint),
        put("/v1/webhooks/endpoints/{id}", webhooks::change, Token, "Change address, events or order of an endpoint")
            .takes::<desk::EndpointRequest>()
            .gives::<desk::EndpointView>(200)
            .must_match(tags::endpoint),
        delete("/v1/webhooks/endpoints/{id}", webhooks::delete, Token, "Forget an endpoint with its deliveries")
            .nothing(204)
            .must_match(tags::endpoint),
        post("/v1/webhooks/endpoints/{id}/pause", webhooks::pause, Token, "Let messages to an endpoint wait")
            .gives::<desk::EndpointView>(200)
            .must_match(tags::endpoint),
        post("/v1/webhooks/endpoints/{id}/resume", webhooks::resume, Token, "Switch an endpoint on again")
            .gives::<desk::EndpointView>(200)
            .must_match(tags::endpoint),
        post("/v1/webhooks/endpoints/{id}/disable", webhooks::disable, Token, "Switch an endpoint off")
            .gives::<desk::EndpointView>(200)
            .must_match(tags::endpoint),
        post(
            "/v1/webhooks/endpoints/{id}/rotate",
            webhooks::rotate,
            Token,
            "A new secret and key, the former ones for a time beside",
        )
        .takes::<desk::RotateRequest>()
        .gives::<desk::EndpointRotated>(200)
        .shows_secret()
        .must_match(tags::endpoint),
        post("/v1/webhooks/endpoints/{id}/ping", webhooks::ping, Token, "Send an endpoint a test")
            .gives::<desk::DeliveryView>(201),
        post(
            "/v1/webhooks/endpoints/{id}/replay",
            webhooks::replay_since,
            Token,
            "Send everything since a time once more",
        )
        .takes::<desk::ReplayRequest>()
        .gives::<desk::Replayed>(200),
        post("/v1/webhooks/endpoints/{id}/recover", webhooks::recover, Token, "Send what was given up once more")
            .takes::<desk::RecoverRequest>()
            .gives::<desk::Replayed>(200),
        get("/v1/webhooks/deliveries", webhooks::deliveries, Token, "A page of the caller's deliveries, newest first")
            .query(&["limit", "cursor", "endpoint", "state"])
            .gives::<desk::DeliveryList>(200),
        get("/v1/webhooks/deliveries/{id}", webhooks::delivery, Token, "One of the caller's deliveries")
            .gives::<desk::DeliveryView>(200),
        post("/v1/webhooks/deliveries/{id}/replay", webhooks::replay, Token, "Send a delivery once more")
            .gives::<desk::DeliveryView>(200),
        // Streams.
        feed("/v1/events", events::all, Token, "What happens to the caller's contracts and runs"),
        feed("/v1/runs/{id}/events", events::of_run, Token, "What happens to a run"),
        // The log.
        get("/log/checkpoint", log::checkpoint, Open, "The newest checkpoint note with cosignatures").text(),
        get("/log/checkpoint/cosigned", log::cosigned, Open, "The newest checkpoint that enough witnesses cosigned")
            .refuses(&[404])
            .text(),
        get("/log/tile/entries/{tail:.*}", log::entries, Open, "A tile of public records (C2SP tlog-tiles)").bytes(),
        get("/log/tile/{level}/{tail:.*}", log::tile, Open, "A tile of the log (C2SP tlog-tiles)").bytes(),
        get("/v1/log/proof", log::consistency, Open, "A consistency proof between two sizes")
            .query(&["old", "new"])
            .gives::<desk::ConsistencyProof>(200),
        get("/v1/log/entries", story::entries, Token, "The entries about a contract, a dataset or a party, by index")
            .query(story::QUERY)
            .gives::<story::LogStory>(200),
        get("/v1/log/lines", lines::page, Token, "Who acted in the entries that concern the caller, and what about")
            .query(&["from", "limit"])
            .gives::<lines::EntryLines>(200),
        get("/v1/log/entries/{index}", log::entry, Token, "An act with what it says, for those whom it concerns")
            .gives::<desk::ContractEvent>(200),
        get(
            "/v1/log/receipts/{index}",
            log::receipt,
            Token,
            "The receipt of an entry: JSON, tlog-proof, COSE or bundle",
        )
        .query(&["form", "vds"])
        .gives::<desk::Receipted>(200)
        .gives_media(200, "text/plain")
        .gives_media(200, scitt::RECEIPT)
        .gives_media(200, receipts::BUNDLE),
        later("/v1/log/anchors", anchors::anchor, Token, "Anchor the digest of something of the caller's own")
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
        get("/operations/{id}", operations::read, Open, "How a registration ended")
            .json()
            .gives_media(200, scitt::CBOR),
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
    all.extend(crate::portal::paths());
    all
}

/// The word that a state is written as.
pub(crate) fn word<T: Serialize>(state: &T) -> R<String> {
    match serde_json::to_value(state).map_err(fault)? {
        serde_json::Value::String(word) => Ok(word),
        _ => Err(fault("a state that is no word")),
    }
}

/// An act on a contract; one that needs two SRO people answers 202 after the first signature.
fn act(path: &'static str, handler: crate::route::Handler, summary: &'static str) -> Route {
    let act = post(path, handler, Signed, summary).tagged(tags::contract);
    act.gives::<desk::ContractAnswer>(201).gives::<desk::TwoPeople>(202)
}

/// A word of the query that stands for a state or kind.
pub(crate) fn choice<T: serde::de::DeserializeOwned>(call: &Call, name: &str) -> R<Option<T>> {
    let read = |text: &String| {
        let bad = || Refusal::new(Code::SchemaMismatch, format!("this is no value of {name}")).at(name);
        serde_json::from_value(serde_json::Value::String(text.clone())).map_err(|_| bad())
    };
    call.query.get(name).map(read).transpose()
}

/// Words of a search, all of which must be found somewhere.
pub(crate) struct Words(Vec<String>);

/// The words in `q`.
pub(crate) fn words(call: &Call) -> R<Words> {
    let text = call.query.get("q").map(String::as_str).unwrap_or_default();
    if text.chars().count() > 200 {
        return Err(Refusal::new(Code::LimitExceeded, "a search has at most 200 characters").at("q"));
    }
    Ok(Words(text.split_whitespace().map(str::to_lowercase).collect()))
}

impl Words {
    /// Whether every word stands in one of these texts, in any case.
    pub(crate) fn fit(&self, texts: &[&str]) -> bool {
        self.0.is_empty() || {
            let texts: Vec<String> = texts.iter().map(|text| text.to_lowercase()).collect();
            self.0.iter().all(|word| texts.iter().any(|text| text.contains(word.as_str())))
        }
    }
}
