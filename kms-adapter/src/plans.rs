//! Plans already made. Reserve and release of a run ask for the plan of the same documents, and it takes milliseconds.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use policies::Facts;
use schemas::privacy::Plan;
use schemas::{Digest, R};

/// Plans kept at most. A run needs its own from reserve to release; the oldest goes first.
const MOST: usize = 256;

/// Every document that a plan is made of, by the digest of its signed bytes, in the order of the bundle.
///
/// The lists are compared as lists: no two different sets of documents have the same key.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Documents {
    job: Digest,
    contracts: Vec<Digest>,
    offers: Vec<Digest>,
    image_set: Digest,
}

impl Documents {
    fn of(facts: &Facts<'_>) -> Documents {
        Documents {
            job: facts.job.digest(),
            contracts: facts.contracts.iter().map(|contract| contract.digest()).collect(),
            offers: facts.offers.iter().map(|offer| offer.digest()).collect(),
            image_set: facts.image_set.digest(),
        }
    }
}

#[derive(Default)]
struct Kept {
    plans: HashMap<Documents, Plan>,
    /// The oldest first.
    order: VecDeque<Documents>,
}

/// The plans that this process made lately. They are facts of their documents alone: nothing makes one untrue.
#[derive(Default)]
pub(crate) struct Plans(Mutex<Kept>);

impl Plans {
    /// The plan of these documents, as [`policies::privacy::plan`] makes it; a refusal is not kept.
    pub(crate) fn of(&self, facts: &Facts<'_>) -> R<Plan> {
        self.kept(Documents::of(facts), || policies::privacy::plan(facts))
    }

    /// The kept plan, or the one made now. The lock is not held while it is made: two requests that come together may
    /// both make it, which gives the same plan twice.
    fn kept(&self, documents: Documents, make: impl FnOnce() -> R<Plan>) -> R<Plan> {
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(plan) = lock().plans.get(&documents) {
            return Ok(plan.clone());
        }
        let plan = make()?;
        let mut kept = lock();
        if kept.plans.insert(documents.clone(), plan.clone()).is_none() {
            kept.order.push_back(documents);
        }
        while kept.order.len() > MOST {
            if let Some(oldest) = kept.order.pop_front() {
                kept.plans.remove(&oldest);
            }
        }
        Ok(plan)
    }
}

#[cfg(test)]
mod tests {
    use schemas::text::Real;
    use schemas::{Code, Refusal};

    use super::*;

    fn digest(of: &str) -> Digest {
        Digest::of(of.as_bytes())
    }

    fn documents() -> Documents {
        Documents {
            job: digest("job"),
            contracts: vec![digest("a"), digest("b")],
            offers: vec![digest("c")],
            image_set: digest("images"),
        }
    }

    /// A plan that says by its steps which it is.
    fn plan(steps: u32) -> Plan {
        let real = |text: &str| Real::parse(text).unwrap();
        Plan {
            without_differential_privacy: false,
            noise_multiplier: real("1.5"),
            sample_rate: real("0.1"),
            steps,
            expected_batch: real("10"),
            most_expected_batch: None,
            metrics_noise_multiplier: None,
            curve: None,
            loss: None,
            charges: Vec::new(),
        }
    }

    #[test]
    fn the_same_documents_give_the_plan_made_before() {
        let plans = Plans::default();
        assert_eq!(plans.kept(documents(), || Ok(plan(1))).unwrap(), plan(1));
        let again = plans.kept(documents(), || Err(Refusal::new(Code::Internal, "made twice")));
        assert_eq!(again.unwrap(), plan(1));
    }

    #[test]
    fn one_other_document_gives_another_plan() {
        let plans = Plans::default();
        plans.kept(documents(), || Ok(plan(1))).unwrap();
        let spoiled: [fn(&mut Documents); 7] = [
            |d| d.job = digest("other"),
            |d| d.contracts[1] = digest("other"),
            |d| d.contracts.swap(0, 1),
            |d| d.offers[0] = digest("other"),
            |d| d.offers.push(digest("other")),
            // The same digests in one row, divided otherwise.
            |d| d.offers.insert(0, d.contracts.pop().unwrap()),
            |d| d.image_set = digest("other"),
        ];
        for (at, spoil) in (2..).zip(spoiled) {
            let mut other = documents();
            spoil(&mut other);
            assert_eq!(plans.kept(other, || Ok(plan(at))).unwrap(), plan(at));
        }
    }

    #[test]
    fn a_refusal_is_not_kept() {
        let plans = Plans::default();
        let refused = plans.kept(documents(), || Err(Refusal::new(Code::EpsilonOutOfRange, "too little"))).unwrap_err();
        assert_eq!(refused.code, Code::EpsilonOutOfRange);
        assert_eq!(plans.kept(documents(), || Ok(plan(1))).unwrap(), plan(1));
    }

    #[test]
    fn no_more_than_the_bound_are_kept_and_the_oldest_goes() {
        let plans = Plans::default();
        let nth = |n: usize| Documents { job: digest(&n.to_string()), ..documents() };
        for n in 0..=MOST {
            plans.kept(nth(n), || Ok(plan(1))).unwrap();
        }
        let kept = plans.0.lock().unwrap();
        assert_eq!((kept.plans.len(), kept.order.len()), (MOST, MOST));
        assert!(!kept.plans.contains_key(&nth(0)) && kept.plans.contains_key(&nth(1)));
        assert!(kept.plans.contains_key(&nth(MOST)));
    }

    #[test]
    fn threads_get_the_plans_of_their_own_documents() {
        let plans = Plans::default();
        std::thread::scope(|scope| {
            for thread in 0..16_u32 {
                let plans = &plans;
                scope.spawn(move || {
                    // More than are kept, each asked for by several threads.
                    for round in 0..2000_u32 {
                        let n = (round * 7 + thread) % 400;
                        let documents = Documents { job: digest(&n.to_string()), ..documents() };
                        assert_eq!(plans.kept(documents, || Ok(plan(n))).unwrap().steps, n);
                    }
                });
            }
        });
        let kept = plans.0.lock().unwrap();
        assert!(kept.plans.len() == MOST && kept.order.iter().all(|key| kept.plans.contains_key(key)));
    }
}
