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

    /// A guest agent that answers each request in turn and tells what it was asked.
    fn agent(answers: Vec<String>) -> (String, std::sync::mpsc::Receiver<(String, serde_json::Value)>) {
        use std::io::{BufRead as _, BufReader, Read as _, Write as _};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://127.0.0.1:{}", listener.local_addr().unwrap().port());
        let (tell, asked) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for answer in answers {
                let mut stream = BufReader::new(listener.accept().unwrap().0);
                let (mut first, mut length) = (String::new(), 0);
                stream.read_line(&mut first).unwrap();
                loop {
                    let mut line = String::new();
                    stream.read_line(&mut line).unwrap();
                    let Some((name, value)) = line.trim_end().split_once(':') else { break };
                    if name.eq_ignore_ascii_case("content-length") {
                        length = value.trim().parse().unwrap();
                    }
                }
                let mut body = vec![0; length];
                stream.read_exact(&mut body).unwrap();
                tell.send((first, serde_json::from_slice(&body).unwrap())).unwrap();
                let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n";
                let answer = format!("{head}Content-Length: {}\r\n\r\n{answer}", answer.len());
                stream.get_mut().write_all(answer.as_bytes()).unwrap();
            }
        });
        (url, asked)
    }

    fn transcript() -> Transcript {
        let key = |curve: &str| serde_json::json!({"kty": "OKP", "crv": curve, "x": Bytes(vec![9; 32])});
        let id = |kind: &str| format!("{kind}_01900000-0000-7000-8000-000000000001");
        let zero = schemas::Digest([0; 32]);
        let text = serde_json::json!({
            "v": 1, "aud": "https://kms.example", "nonce": Bytes(vec![1; 32]), "challenge_id": id("chl"),
            "run_id": id("run"), "job_sha256": zero, "contracts": [{"id": id("ctr"), "sha256": zero}],
            "image_set_id": id("img"), "enc_jwk": key("X25519"), "run_jwk": key("Ed25519"),
            "admission_sha256": zero, "checkpoint": {"size": 1, "root": zero},
        });
        serde_json::from_value(text).unwrap()
    }

    #[test]
    fn the_agent_is_asked_for_this_transcript_and_opens_with_the_tokens_key() {
        let answers = vec![
            r#"{"token":"a.b.c","key_id":"tpm-1","bits":2048}"#.to_owned(),
            format!(r#"{{"plain":"{}"}}"#, Bytes(vec![5; 32]).text()),
            r#"{"token":"a.b.c","key_id":"tpm-2","bits":512}"#.to_owned(),
        ];
        let (url, asked) = agent(answers);
        let agent = Agent::new(&Settings { url: "https://maa.example".into(), agent: url }, None).unwrap();
        let transcript = transcript();
        let pass = agent.pass(&transcript).unwrap();
        assert_eq!((pass.token.as_str(), pass.transport.block()), ("a.b.c", 256));
        let (line, body) = asked.recv().unwrap();
        assert!(line.starts_with("POST /maa/token "), "{line}");
        let bound = attestation::user_data(&attestation::binding(&transcript).unwrap());
        assert_eq!(body, serde_json::json!({"maa": "https://maa.example", "user_data": Bytes(bound.to_vec())}));
        assert_eq!(*pass.transport.open(&[7; 256]).unwrap(), vec![5; 32]);
        let (line, body) = asked.recv().unwrap();
        assert!(line.starts_with("POST /maa/open "), "{line}");
        assert_eq!(body, serde_json::json!({"key_id": "tpm-1", "block": Bytes(vec![7; 256])}));
        assert_eq!(agent.pass(&transcript).unwrap_err().code, Code::PeerFault, "a key too short");
        assert_eq!(format!("{pass:?}"), "Pass(hidden)");
    }
}
