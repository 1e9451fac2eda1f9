use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use contract_client::EndpointAct;
use depa::webhook::{self, Payer, Receiver, receiver::Check};
use schemas::desk::{DeliveryView, EndpointRequest};
use schemas::id::EndpointId;
use schemas::{Code, R, Refusal, Timestamp};
use serde_json::json;
use signal_hook::consts::{SIGINT, SIGTERM};

use super::Global;
use crate::output::{Answer, say};

#[derive(Subcommand)]
pub enum Verb {
    /// Receive deliveries: every signature and time is checked, each id counts once, all are kept in a JSON Lines file.
    ///
    /// With --pay it stands for the payment system: each payment.instructed is answered as settled. Nothing is paid.
    #[command(
        after_help = "Example:\n  depa webhook listen --address 127.0.0.1:9100 --endpoint endpoint.json --journal webhooks.jsonl --pay --key psp.key --trust trust.json --registry URL"
    )]
    Listen {
        /// Where to listen; plain HTTP, loopback only.
        #[arg(long)]
        address: SocketAddr,
        /// The endpoint file of `depa webhook endpoint add`.
        #[arg(long)]
        endpoint: PathBuf,
        /// Where deliveries are kept.
        #[arg(long)]
        journal: PathBuf,
        /// Answer payment instructions as settled.
        #[arg(long)]
        pay: bool,
    },
    /// Make, list and change endpoints.
    #[command(
        subcommand,
        after_help = "Example:\n  depa webhook endpoint add --url http://127.0.0.1:9100/ --event payment.instructed --out endpoint.json --key psp.key --registry URL"
    )]
    Endpoint(Endpoint),
    /// List what was delivered, or waits, or was given up; newest first.
    #[command(after_help = "Example:\n  depa webhook deliveries --state dead --limit 20 --key psp.key --registry URL")]
    Deliveries {
        /// Of this endpoint only.
        #[arg(long)]
        endpoint: Option<EndpointId>,
        /// In this state only.
        #[arg(long)]
        state: Option<State>,
        /// At most so many, 1 to 200.
        #[arg(long)]
        limit: Option<u32>,
        /// Go on after the page before: its `next`.
        #[arg(long)]
        cursor: Option<String>,
    },
    /// Show a delivery with its attempts and the beginning of the last answer.
    #[command(
        after_help = "Example:\n  depa webhook show dlv_0123456789abcdef0123456789abcdef --key psp.key --registry URL"
    )]
    Show {
        /// The delivery.
        delivery: String,
    },
    /// Send once more: one delivery, or everything to an endpoint since a time.
    ///
    /// Receivers know a repetition by its id. With --since also messages of before the endpoint was made are sent.
    #[command(
        after_help = "Examples:\n  depa webhook replay dlv_0123456789abcdef0123456789abcdef --key psp.key --registry URL\n  depa webhook replay --endpoint whe_… --since 2026-12-01T00:00:00Z --key psp.key --registry URL"
    )]
    Replay {
        /// The delivery.
        #[arg(required_unless_present = "endpoint", conflicts_with = "endpoint")]
        delivery: Option<String>,
        /// Everything to this endpoint.
        #[arg(long, requires = "since")]
        endpoint: Option<EndpointId>,
        /// Messages made at or after this time.
        #[arg(long, requires = "endpoint", value_parser = time)]
        since: Option<Timestamp>,
    },
    /// Send what was given up once more, to one endpoint.
    #[command(after_help = "Example:\n  depa webhook recover --endpoint whe_… --key psp.key --registry URL")]
    Recover {
        /// The endpoint.
        #[arg(long)]
        endpoint: EndpointId,
        /// Messages made at or after this time; all without it.
        #[arg(long, value_parser = time)]
        since: Option<Timestamp>,
    },
}

#[derive(Clone, Copy, ValueEnum)]
pub enum State {
    Pending,
    Delivered,
    Dead,
}

#[derive(Subcommand)]
pub enum Endpoint {
    /// Make an endpoint; its secret goes to a new file that you alone may read.
    #[command(
        after_help = "Examples:\n  depa webhook endpoint add --url https://psp.example/hook --event payment.instructed --out endpoint.json --key psp.key --registry URL\n  depa webhook endpoint add --url https://tdp.example/hook --event 'contract.*' --event 'run.*' --ordered --out endpoint.json --key tdp.key --registry URL"
    )]
    Add {
        /// Where deliveries go.
        #[arg(long)]
        url: String,
        /// An event type, a family like contract.*, or *; may stand several times.
        #[arg(long = "event", required = true)]
        events: Vec<String>,
        /// What concerns one contract comes in its order: the next only after the former was taken or given up.
        #[arg(long)]
        ordered: bool,
        /// The new file.
        #[arg(long)]
        out: PathBuf,
    },
    /// List your endpoints.
    #[command(after_help = "Example:\n  depa webhook endpoint list --key psp.key --registry URL")]
    List,
    /// Show one of your endpoints.
    #[command(after_help = "Example:\n  depa webhook endpoint show whe_… --key psp.key --registry URL")]
    Show {
        /// The endpoint.
        id: EndpointId,
    },
    /// Change what is given; the rest stays.
    #[command(
        after_help = "Example:\n  depa webhook endpoint change whe_… --event 'payment.*' --ordered true --key psp.key --registry URL"
    )]
    Change {
        /// The endpoint.
        id: EndpointId,
        /// Where deliveries go.
        #[arg(long)]
        url: Option<String>,
        /// Event types, in place of the former ones.
        #[arg(long = "event")]
        events: Vec<String>,
        /// Whether what concerns one contract comes in its order.
        #[arg(long)]
        ordered: Option<bool>,
    },
    /// Let messages wait.
    #[command(after_help = "Example:\n  depa webhook endpoint pause whe_… --key psp.key --registry URL")]
    Pause {
        /// The endpoint.
        id: EndpointId,
    },
    /// Switch an endpoint on again, paused or disabled; what waits is sent.
    #[command(after_help = "Example:\n  depa webhook endpoint resume whe_… --key psp.key --registry URL")]
    Resume {
        /// The endpoint.
        id: EndpointId,
    },
    /// Switch an endpoint off; messages are not even kept for it.
    #[command(after_help = "Example:\n  depa webhook endpoint disable whe_… --key psp.key --registry URL")]
    Disable {
        /// The endpoint.
        id: EndpointId,
    },
    /// Forget an endpoint with its deliveries.
    #[command(after_help = "Example:\n  depa webhook endpoint delete whe_… --key psp.key --registry URL")]
    Delete {
        /// The endpoint.
        id: EndpointId,
    },
    /// Make a new secret and key, into a new file; the former ones sign beside them for a time.
    #[command(
        after_help = "Example:\n  depa webhook endpoint rotate whe_… --overlap-hours 24 --out new.json --key psp.key --registry URL"
    )]
    Rotate {
        /// The endpoint.
        id: EndpointId,
        /// Hours in which the former ones still sign, at most 168.
        #[arg(long, default_value_t = 24)]
        overlap_hours: u32,
        /// The new file.
        #[arg(long)]
        out: PathBuf,
    },
    /// Send a test.
    #[command(after_help = "Example:\n  depa webhook endpoint ping whe_… --key psp.key --registry URL")]
    Ping {
        /// The endpoint.
        id: EndpointId,
    },
}

fn time(text: &str) -> R<Timestamp> {
    Timestamp::parse(text)
}

pub fn run(verb: Verb, global: &Global) -> R<Answer> {
    match verb {
        Verb::Listen { address, endpoint, journal, pay } => {
            let check = Check::Secret(webhook::read_endpoint(&endpoint)?.secret);
            let payer = match pay {
                true => Some(Payer { client: global.desk()?, key: global.key()?, trust: global.trust()? }),
                false => None,
            };
            listen(Receiver { address, journal, check, payer, clock: contract_client::system_clock() })
        }
        Verb::Endpoint(verb) => endpoint(verb, global),
        Verb::Deliveries { endpoint, state, limit, cursor } => {
            let state = state.map(|state| match state {
                State::Pending => "pending",
                State::Delivered => "delivered",
                State::Dead => "dead",
            });
            let client = global.desk_as()?.0;
            let page = client.deliveries_of(endpoint.as_ref(), state, limit, cursor.as_deref())?;
            Ok(Answer::new(&page, webhook::table(&page.deliveries).page(page.next.as_deref())))
        }
        Verb::Show { delivery } => Ok(Answer::value(&global.desk_as()?.0.delivery(&delivery)?)),
        Verb::Replay { delivery: Some(delivery), .. } => Ok(waits(&global.desk_as()?.0.replay_delivery(&delivery)?)),
        Verb::Replay { endpoint: Some(endpoint), since: Some(since), .. } => {
            Ok(replayed(&global.desk_as()?.0.replay_endpoint(&endpoint, since)?))
        }
        Verb::Replay { .. } => Err(Refusal::new(Code::ConfigInvalid, "name a delivery, or --endpoint and --since")),
        Verb::Recover { endpoint, since } => Ok(replayed(&global.desk_as()?.0.recover_endpoint(&endpoint, since)?)),
    }
}

fn endpoint(verb: Endpoint, global: &Global) -> R<Answer> {
    let client = global.desk_as()?.0;
    let switched = |id: &EndpointId, act| -> R<Answer> {
        let view = client.switch_endpoint(id, act)?;
        Ok(Answer::new(&view, format!("{id} is {}", view.state)))
    };
    match verb {
        Endpoint::Add { url, events, ordered, out } => {
            let created = webhook::add(&client, &EndpointRequest { url, events, ordered }, &out)?;
            say(&format!("the secret is in {} only", out.display()));
            let public = json!({"endpoint_id": created.endpoint_id, "public_key": created.public_key});
            Ok(Answer::new(&public, format!("{}\n{}", created.endpoint_id, created.public_key)))
        }
        Endpoint::List => {
            let list = client.endpoints()?;
            Ok(Answer::new(&list, webhook::endpoint_table(&list.endpoints).text()))
        }
        Endpoint::Show { id } => Ok(Answer::value(&client.endpoint(&id)?)),
        Endpoint::Change { id, url, events, ordered } => {
            let wish = webhook::changed(client.endpoint(&id)?, url, events, ordered);
            Ok(Answer::value(&client.change_endpoint(&id, &wish)?))
        }
        Endpoint::Pause { id } => switched(&id, EndpointAct::Pause),
        Endpoint::Resume { id } => switched(&id, EndpointAct::Resume),
        Endpoint::Disable { id } => switched(&id, EndpointAct::Disable),
        Endpoint::Delete { id } => {
            client.delete_endpoint(&id)?;
            Ok(Answer::new(&json!({"deleted": id}), format!("{id} is deleted")))
        }
        Endpoint::Rotate { id, overlap_hours, out } => {
            let rotated = webhook::rotate(&client, &id, overlap_hours.saturating_mul(3_600), &out)?;
            say(&format!("the new secret is in {} only", out.display()));
            let until = rotated.former_until;
            let public = json!({"endpoint_id": id, "public_key": rotated.public_key, "former_until": until});
            Ok(Answer::new(&public, format!("{}\nthe former secret signs too until {until}", rotated.public_key)))
        }
        Endpoint::Ping { id } => Ok(waits(&client.ping_endpoint(&id)?)),
    }
}

fn waits(delivery: &DeliveryView) -> Answer {
    let next = format!("depa webhook show {}", delivery.delivery_id);
    Answer::new(delivery, format!("{} waits to be sent; see how it went:\n  {next}", delivery.delivery_id))
}

fn replayed(replayed: &schemas::desk::Replayed) -> Answer {
    let more = match (replayed.more, replayed.until) {
        (true, Some(until)) => format!("; there are more: call again with --since {until}"),
        _ => String::new(),
    };
    Answer::new(replayed, format!("{} deliveries wait to be sent{more}", replayed.deliveries))
}

fn listen(receiver: Receiver) -> R<Answer> {
    let fault = |e: std::io::Error| Refusal::new(Code::Internal, format!("signals cannot be handled: {e}"));
    let mut signals = signal_hook::iterator::Signals::new([SIGTERM, SIGINT]).map_err(fault)?;
    let running = receiver.start(say)?;
    say(&format!("listening at {}", running.url()));
    let _ = signals.forever().next();
    let counts = json!({
        "received": running.received(), "duplicates": running.duplicates(),
        "refused": running.refused(), "answered": running.answered(),
    });
    running.stop();
    Ok(Answer::new(&counts, counts.to_string()))
}
