//! Whose cosignatures a relying party asks for: a C2SP tlog-policy file.
//!
//! ```text
//! log <vkey> [<url>]
//! witness <name> <vkey> [<url>]
//! group <name> <any|all|number> <witness or group>…
//! quorum <witness or group|none>
//! ```

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemas::jwk::Jwk;
use schemas::log::Checkpoint;
use schemas::{Code, Digest, R, Refusal};
use signing::note;

use super::quorum::Cosigned;

/// A key as C2SP signed notes write it: name, id, type and public key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NoteKey {
    /// The name on signature lines.
    pub name: String,
    /// The Ed25519 key.
    pub jwk: Jwk,
}

/// A policy.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Policy {
    logs: Vec<NoteKey>,
    members: BTreeMap<String, Member>,
    quorum: Option<String>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Member {
    Witness(NoteKey),
    Group { most: usize, members: Vec<String> },
}

const TYPE_LOG: u8 = 0x01;
const TYPE_COSIGNATURE: u8 = 0x04;
/// The longest policy that is read.
const MAX_TEXT: usize = 64 * 1024;

impl Policy {
    /// Reads a policy. Members are named before they are used, so there is no circle.
    pub fn parse(text: &str) -> R<Policy> {
        if text.len() > MAX_TEXT {
            return Err(bad(0, "the policy is too long"));
        }
        let mut policy = Policy { logs: Vec::new(), members: BTreeMap::new(), quorum: None };
        let mut quorum_seen = false;
        for (n, line) in text.lines().enumerate() {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                [] => {}
                [first, ..] if first.starts_with('#') => {}
                ["log", key] | ["log", key, _] => policy.logs.push(vkey(key, TYPE_LOG, n)?),
                ["witness", name, key] | ["witness", name, key, _] => {
                    policy.add(name, Member::Witness(vkey(key, TYPE_COSIGNATURE, n)?), n)?;
                }
                ["group", name, most, members @ ..] => {
                    let members: Vec<String> = members.iter().map(|m| (*m).to_owned()).collect();
                    let most = match *most {
                        "any" => 1,
                        "all" => members.len(),
                        number => number.parse().map_err(|_| bad(n, "a group has any, all or a number"))?,
                    };
                    let known = members.iter().all(|m| policy.members.contains_key(m));
                    if most == 0 || most > members.len() || !known {
                        return Err(bad(n, "a group names known members, and asks for some of them"));
                    }
                    policy.add(name, Member::Group { most, members }, n)?;
                }
                ["quorum", name] if !quorum_seen => {
                    quorum_seen = true;
                    if *name != "none" && !policy.members.contains_key(*name) {
                        return Err(bad(n, "the quorum is no member that was named before"));
                    }
                    policy.quorum = (*name != "none").then(|| (*name).to_owned());
                }
                _ => return Err(bad(n, "log, witness, group or one quorum is expected")),
            }
        }
        if quorum_seen { Ok(policy) } else { Err(bad(text.lines().count(), "no quorum is named; write none for none")) }
    }

    fn add(&mut self, name: &str, member: Member, line: usize) -> R<()> {
        if name == "none" || self.members.insert(name.to_owned(), member).is_some() {
            return Err(bad(line, "the name is taken"));
        }
        Ok(())
    }

    /// Requires that a checkpoint satisfies the policy: of one of its logs, where it names any, and cosigned by its
    /// quorum. Returns whose cosignatures hold.
    pub fn require(&self, checkpoint: &Checkpoint) -> R<Vec<Cosigned>> {
        let text = checkpoint.text();
        let by = |log: &NoteKey| note::verify_checkpoint(&text, &log.name, &log.jwk).is_ok();
        if !self.logs.is_empty() && !self.logs.iter().any(by) {
            return Err(Refusal::new(Code::CheckpointInvalid, "the checkpoint is of no log that the policy names"));
        }
        let mut cosigned = BTreeMap::new();
        for (name, member) in &self.members {
            if let Member::Witness(key) = member
                && let Ok(at) = note::verify_cosignature(checkpoint, &key.name, &key.jwk)
            {
                cosigned.insert(name.as_str(), Cosigned { witness: key.name.clone(), at });
            }
        }
        if let Some(quorum) = &self.quorum
            && !self.holds(quorum, &|name| cosigned.contains_key(name))
        {
            let sentence = format!("the policy's quorum {quorum} is not met: {} witnesses cosigned", cosigned.len());
            return Err(Refusal::new(Code::CosignaturesMissing, sentence));
        }
        Ok(cosigned.into_values().collect())
    }

    fn holds(&self, name: &str, cosigned: &dyn Fn(&str) -> bool) -> bool {
        match self.members.get(name) {
            Some(Member::Witness(_)) => cosigned(name),
            Some(Member::Group { most, members }) => {
                members.iter().filter(|m| self.holds(m, cosigned)).count() >= *most
            }
            None => false,
        }
    }
}

/// Reads `<name>+<key id in hex>+<base64 of type and key>` and checks the id.
fn vkey(text: &str, kind: u8, line: usize) -> R<NoteKey> {
    let wrong = || bad(line, "not a key of this kind: <name>+<id>+<base64>");
    // Base64 may hold a plus sign; a name may not.
    let (name, rest) = text.split_once('+').ok_or_else(wrong)?;
    let (id, key) = rest.split_once('+').ok_or_else(wrong)?;
    let bytes = STANDARD.decode(key).map_err(|_| wrong())?;
    let Some((first, point)) = bytes.split_first() else { return Err(wrong()) };
    let point: [u8; 32] = point.try_into().map_err(|_| wrong())?;
    let expected = &Digest::of_parts(&[name.as_bytes(), b"\n", &[kind], &point]).0[..4];
    if *first != kind || hex::encode(expected) != id || name.is_empty() {
        return Err(wrong());
    }
    Ok(NoteKey { name: name.to_owned(), jwk: Jwk::ed25519(point) })
}

fn bad(line: usize, why: &str) -> Refusal {
    Refusal::new(Code::ConfigInvalid, format!("policy, line {}: {why}", line + 1))
}

#[cfg(test)]
mod tests {
    use schemas::jwk::Curve;
    use schemas::log::CheckpointRef;
    use schemas::{Signer as _, Timestamp};
    use signing::FileKey;

    use super::*;

    fn written(name: &str, kind: u8, key: &FileKey) -> String {
        let point = key.jwk().point(Curve::Ed25519).unwrap();
        let id = hex::encode(&Digest::of_parts(&[name.as_bytes(), b"\n", &[kind], &point]).0[..4]);
        format!("{name}+{id}+{}", STANDARD.encode([&[kind], point.as_slice()].concat()))
    }

    fn checkpoint(log: &FileKey, witnesses: &[(&str, &FileKey)]) -> Checkpoint {
        let head = CheckpointRef { size: 3, root: Digest([7; 32]) };
        let mut note = note::sign_checkpoint("sro.example/log", &head, log).unwrap();
        for (name, key) in witnesses {
            let line = note::cosign(&note, name, *key, Timestamp::from_seconds(1_800_000_000)).unwrap();
            note.signatures.push(line);
        }
        note
    }

    #[test]
    fn a_quorum_of_groups_is_asked_for() {
        let [log, a, b, c] = [(); 4].map(|()| FileKey::generate().unwrap());
        let text = format!(
            "# ours\nlog {} https://sro.example\nwitness A {}\nwitness B {}\nwitness C {} https://c.example\n\ngroup two 2 A B\ngroup g any two C\nquorum g\n",
            written("sro.example/log", 1, &log),
            written("a.example", 4, &a),
            written("b.example", 4, &b),
            written("c.example", 4, &c),
        );
        let policy = Policy::parse(&text).unwrap();
        let by = |w: &[(&str, &FileKey)]| policy.require(&checkpoint(&log, w));
        assert_eq!(by(&[("c.example", &c)]).unwrap().len(), 1);
        assert_eq!(by(&[("a.example", &a), ("b.example", &b)]).unwrap().len(), 2);
        assert_eq!(by(&[("a.example", &a)]).unwrap_err().code, Code::CosignaturesMissing);
        assert_eq!(by(&[("c.example", &a)]).unwrap_err().code, Code::CosignaturesMissing);
        let other = policy.require(&checkpoint(&a, &[("c.example", &c)]));
        assert_eq!(other.unwrap_err().code, Code::CheckpointInvalid);
        let open = Policy::parse("quorum none").unwrap();
        assert!(open.require(&checkpoint(&log, &[])).unwrap().is_empty());
    }

    #[test]
    fn what_is_no_policy_is_refused() {
        let key = FileKey::generate().unwrap();
        let witness = written("w", 4, &key);
        let (spoilt, log) = (witness.replacen("w+", "v+", 1), written("w", 1, &key));
        for text in [
            String::new(),
            "quorum A".into(),
            "quorum none\nquorum none".into(),
            format!("witness A {log}\nquorum A"),
            format!("witness A {spoilt}\nquorum A"),
            format!("witness A {witness}\nwitness A {witness}\nquorum A"),
            format!("witness none {witness}\nquorum none"),
            format!("witness A {witness}\ngroup g 2 A\nquorum g"),
            format!("witness A {witness}\ngroup g 0 A\nquorum g"),
            format!("witness A {witness}\ngroup g any B\nquorum g"),
            "trust everybody\nquorum none".into(),
        ] {
            assert_eq!(Policy::parse(&text).unwrap_err().code, Code::ConfigInvalid, "{text}");
        }
    }
}
