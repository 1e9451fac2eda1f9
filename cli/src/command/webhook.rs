use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Subcommand;
use depa::webhook::{self, Payer, Receiver, receiver::Check};
use schemas::{Code, R, Refusal};
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
    /// Make and list endpoints.
    #[command(
        subcommand,
        after_help = "Example:\n  depa webhook endpoint add --url http://127.0.0.1:9100/ --event payment.instructed --out endpoint.json --key psp.key --registry URL"
    )]
    Endpoint(Endpoint),
    /// List what was delivered.
    #[command(after_help = "Example:\n  depa webhook deliveries --key psp.key --registry URL")]
    Deliveries,
}

#[derive(Subcommand)]
pub enum Endpoint {
    /// Make an endpoint; its secret goes to a new file that you alone may read.
    #[command(
        after_help = "Example:\n  depa webhook endpoint add --url https://psp.example/hook --event payment.instructed --out endpoint.json --key psp.key --registry URL"
    )]
    Add {
        /// Where deliveries go.
        #[arg(long)]
        url: String,
        /// An event type; may stand several times.
        #[arg(long = "event", required = true)]
        events: Vec<String>,
        /// The new file.
        #[arg(long)]
        out: PathBuf,
    },
    /// List your endpoints.
    #[command(after_help = "Example:\n  depa webhook endpoint list --key psp.key --registry URL")]
    List,
}

pub fn run(verb: Verb, global: &Global) -> R<Answer> {
    match verb {
        Verb::Listen { address, endpoint, journal, pay } => {
            let check = Check::Secret(webhook::read_endpoint(&endpoint)?.secret);
            let payer = match pay {
                true => Some(Payer { client: global.desk()?, key: global.key()?.into(), trust: global.trust()? }),
                false => None,
            };
            let receiver = Receiver { address, journal, check, payer, clock: contract_client::system_clock() };
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
        Verb::Endpoint(Endpoint::Add { url, events, out }) => {
            let events: Vec<&str> = events.iter().map(String::as_str).collect();
            let created = webhook::add_endpoint(&global.desk_as()?.0, &url, &events, &out)?;
            say(&format!("the secret is in {} only", out.display()));
            let public = json!({"endpoint_id": created.endpoint_id, "public_key": created.public_key});
            Ok(Answer::new(&public, format!("{}\n{}", created.endpoint_id, created.public_key)))
        }
        Verb::Endpoint(Endpoint::List) => Ok(Answer::value(&webhook::endpoints(&global.desk_as()?.0)?)),
        Verb::Deliveries => Ok(Answer::value(&webhook::deliveries(&global.desk_as()?.0)?)),
    }
}
