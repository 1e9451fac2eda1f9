//! How acts on one thing follow each other. Documents hold whole seconds, so time alone cannot order two of them: what
//! entered first stands first, and within a second each document counts once. An old one never comes back.

use schemas::{Digest, R, Timestamp};
use serde::{Deserialize, Serialize};

use super::transition;

/// The newest time written in acts that entered, and the acts that bear it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Latest {
    at: Option<Timestamp>,
    acts: Vec<Digest>,
}

impl Latest {
    /// May this act follow? Refused with `STATE_TRANSITION`, at this member, where it stands already or is older than
    /// one that does.
    pub(super) fn admits(&self, act: &Digest, at: Timestamp, member: &str) -> R<()> {
        match self.at {
            Some(last) if at == last && self.acts.contains(act) => {
                Err(transition("this very document stands in the log already").at(member))
            }
            Some(last) if at < last => Err(transition("a later act stands already").at(member)),
            _ => Ok(()),
        }
    }

    /// Notes an act that entered.
    pub(super) fn note(&mut self, act: Digest, at: Timestamp) {
        if self.at != Some(at) {
            (self.at, self.acts) = (Some(at), Vec::new());
        }
        self.acts.push(act);
    }
}

#[cfg(test)]
mod tests {
    use schemas::Code;

    use super::*;

    #[test]
    fn acts_of_one_second_follow_each_other_and_none_comes_back() {
        let at = Timestamp::from_seconds;
        let (one, two) = (Digest([1; 32]), Digest([2; 32]));
        let mut latest = Latest::default();
        latest.admits(&one, at(5), "at").unwrap();
        latest.note(one, at(5));
        latest.admits(&two, at(5), "at").unwrap();
        latest.note(two, at(5));
        for (act, when, why) in [(one, at(5), "this very"), (two, at(5), "this very"), (one, at(4), "a later act")] {
            let refused = latest.admits(&act, when, "at").unwrap_err();
            assert_eq!((refused.code, refused.field.as_deref()), (Code::StateTransition, Some("at")));
            assert!(refused.sentence.starts_with(why), "{refused}");
        }
        latest.note(Digest([3; 32]), at(6));
        assert!(latest.admits(&two, at(5), "at").unwrap_err().sentence.starts_with("a later act"));
    }
}
