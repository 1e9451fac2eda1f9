//! The second gate of a key service: another keeper that judges this room by itself, by a token of Microsoft Azure
//! Attestation (MAA), before it lets go of its half.
//!
//! Only a guest's TPM holds the key that such a token names, and only the guest agent of the image (Microsoft's guest
//! attestation library, or its like) makes one. `ccr` speaks to that agent on loopback and never to MAA itself.

use std::fmt;
use std::sync::Arc;

use contract_client::{Client, Hook};
use schemas::evidence::Transcript;
use schemas::text::Bytes;
use schemas::{Code, R, Refusal};
use sealing::gate::TransportKey;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// What passes a room: a token, and the use of the key that it names.
pub struct Pass {
    /// Compact JWS.
    pub token: String,
    /// The key that the token names, or the way to it.
    pub transport: Box<dyn TransportKey>,
}

impl fmt::Debug for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pass(hidden)")
    }
}

/// Gets passes.
pub trait SecondGate: Send + Sync {
    /// A pass for the machine whose report carries this transcript's user data now: evidence under it was shown just
    /// before.
    fn pass(&self, transcript: &Transcript) -> R<Pass>;
}

/// The table `[maa]` of a room's configuration.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The MAA instance: `https://NAME.REGION.attest.azure.net`.
    pub url: String,
    /// The guest agent: `http://127.0.0.1:PORT`.
    pub agent: String,
}

impl Settings {
    /// Refuses an instance without TLS and an agent that is not on this machine.
    pub fn check(&self) -> R<()> {
        let bad = |why: &str| Err(Refusal::new(Code::ConfigInvalid, format!("maa.{why}")).at("maa"));
        if !self.url.starts_with("https://") {
            return bad("url is https:// and a name");
        }
        let port = ["http://127.0.0.1:", "http://localhost:"].iter().find_map(|host| self.agent.strip_prefix(host));
        match port.map(str::parse::<u16>) {
            Some(Ok(_)) => Ok(()),
            _ => bad("agent is http://127.0.0.1 and a port: the key of the token stays on this machine"),
        }
    }
}

/// The guest agent.
///
/// `POST /maa/token {maa, user_data}` gives `{token, key_id, bits}`; `POST /maa/open {key_id, block}` gives `{plain}`.
/// Bytes are base64url.
pub struct Agent {
    maa: String,
    http: Client,
}

#[derive(Serialize)]
struct TokenRequest<'a> {
    maa: &'a str,
    user_data: Bytes,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Token {
    token: String,
    key_id: String,
    bits: usize,
}

#[derive(Serialize)]
struct OpenRequest<'a> {
    key_id: &'a str,
    block: Bytes,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Plain {
    plain: Bytes,
}

impl Agent {
    /// The agent of these settings. Asks nobody.
    pub fn new(settings: &Settings, hook: Option<Arc<dyn Hook>>) -> R<Agent> {
        settings.check()?;
        Ok(Agent { maa: settings.url.clone(), http: Client::new(&settings.agent, hook)? })
    }
}

impl SecondGate for Agent {
    fn pass(&self, transcript: &Transcript) -> R<Pass> {
        let user_data = Bytes(attestation::user_data(&attestation::binding(transcript)?).to_vec());
        let token: Token = self.http.post_once("/maa/token", &TokenRequest { maa: &self.maa, user_data })?;
        let odd = !(2048..=4096).contains(&token.bits) || token.token.len() > schemas::release::MOST_TOKEN;
        if odd {
            return Err(Refusal::new(Code::PeerFault, "the guest agent answered a token that cannot be used"));
        }
        let transport = InAgent { http: self.http.clone(), key_id: token.key_id, block: token.bits.div_ceil(8) };
        Ok(Pass { token: token.token, transport: Box::new(transport) })
    }
}

/// A key that the agent uses for us.
struct InAgent {
    http: Client,
    key_id: String,
    block: usize,
}

impl TransportKey for InAgent {
    fn block(&self) -> usize {
        self.block
    }

    fn open(&self, block: &[u8]) -> R<Zeroizing<Vec<u8>>> {
        let request = OpenRequest { key_id: &self.key_id, block: Bytes(block.to_vec()) };
        let answer: Plain = self.http.post_once("/maa/open", &request)?;
        Ok(Zeroizing::new(answer.plain.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agent_is_on_this_machine_and_the_instance_behind_tls() {
        let settings = |url: &str, agent: &str| Settings { url: url.into(), agent: agent.into() };
        settings("https://maa.example", "http://127.0.0.1:9000").check().unwrap();
        for (url, agent) in [
            ("http://maa.example", "http://127.0.0.1:9000"),
            ("https://maa.example", "http://192.0.2.1:9000"),
            ("https://maa.example", "http://127.0.0.1:9000.evil.example"),
            ("https://maa.example", "http://127.0.0.1"),
            ("https://maa.example", "https://agent.example"),
        ] {
            assert_eq!(settings(url, agent).check().unwrap_err().code, Code::ConfigInvalid, "{url} {agent}");
        }
    }
}
