//! The principals' part of a price, split among them: exactly, nobody below the floor, too few not at all.

use std::collections::BTreeSet;

use schemas::canonical::{self, MAX_INTEGER};
use schemas::log::{inclusion_root, node_hash};
use schemas::money::Minor;
use schemas::payout::{PayoutBatch, PayoutLine, PayoutProof, PrincipalPool};
use schemas::text::Bytes;
use schemas::{Code, Digest, R, Refusal};

use super::shares::shares;

/// The least that `at_least` of an offer may be.
pub const AT_LEAST: u32 = 10;
/// The most settled obligations of one batch.
pub const MOST_SETTLED: usize = 1_000;

/// A principal as its provider knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The provider's pseudonym, 1 to 200 characters.
    pub principal: String,
    /// 32 random bytes, kept for as long as the dataset version is paid for.
    pub salt: Bytes,
    /// Its weight, up to 2^53 - 1.
    pub weight: u64,
    /// What earlier batches carried forward.
    pub carried: Minor,
}

/// The lines of a batch with their sums.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// By salt, so that a place tells nothing about a principal.
    pub lines: Vec<PayoutLine>,
    /// Carried into it.
    pub carried_in: Minor,
    /// Paid.
    pub paid: Minor,
    /// Carried forward.
    pub carried_out: Minor,
    /// How many are paid.
    pub paid_principals: u64,
}

/// Splits a pool among principals by their weights, by largest remainder in the order of their salts. Each is paid all that
/// it has, carried amounts included, once that reaches the offer's minimum; where fewer than `at_least` would be paid, nobody
/// is. Refuses too few principals (`PAYOUT_PRINCIPALS`); ids, salts and weights of another form, or that stand twice, and sums
/// beyond 2^53 - 1 (`SCHEMA_MISMATCH`).
pub fn split(pool: Minor, people: &[Principal], terms: &PrincipalPool) -> R<Split> {
    let mut people: Vec<&Principal> = people.iter().collect();
    people.sort_by(|a, b| a.salt.0.cmp(&b.salt.0));
    well_formed(&people)?;
    if (people.len() as u64) < u64::from(terms.at_least) {
        let sentence = format!("{} principals are fewer than the {} of the offer", people.len(), terms.at_least);
        return Err(Refusal::new(Code::PayoutPrincipals, sentence));
    }
    let weights: Vec<u64> = people.iter().map(|p| p.weight).collect();
    let parts = shares(pool.get(), &weights)?;
    let floor = floor(terms);
    let has = |p: &Principal, share: i64| p.carried.get().checked_add(share);
    let enough = people.iter().zip(&parts).filter(|(p, share)| has(p, **share).is_some_and(|sum| sum >= floor)).count();
    let pays = enough as u64 >= u64::from(terms.at_least);
    let mut lines = Vec::with_capacity(people.len());
    for (person, share) in people.into_iter().zip(parts) {
        let too_much = || Refusal::new(Code::SchemaMismatch, "a principal's sum is too large");
        let sum = has(person, share).ok_or_else(too_much)?;
        let paid = if pays && sum >= floor { sum } else { 0 };
        lines.push(PayoutLine {
            principal: person.principal.clone(),
            salt: person.salt.clone(),
            weight: person.weight,
            carried_in_minor: person.carried,
            share_minor: Minor::new(share)?,
            paid_minor: Minor::new(paid)?,
            carried_out_minor: Minor::new(sum - paid)?,
        });
    }
    Ok(Split {
        carried_in: total(&lines, |line| line.carried_in_minor)?,
        paid: total(&lines, |line| line.paid_minor)?,
        carried_out: total(&lines, |line| line.carried_out_minor)?,
        paid_principals: lines.iter().filter(|line| line.paid_minor.get() > 0).count() as u64,
        lines,
    })
}

/// The digest by which every batch of a dataset version names the same weights. It covers the salts, so it can be shown.
pub fn weights_sha256(lines: &[PayoutLine]) -> R<Digest> {
    let weights: Vec<_> = lines.iter().map(|line| (&line.principal, &line.salt, line.weight)).collect();
    Ok(Digest::of(&canonical::to_bytes(&("payout-weights.v1", weights))?))
}

/// What a batch says of itself: sums that add up and counts that are possible under the offer's terms (`PAYOUT_SUMS`), and
/// enough principals, in all and among those who are paid (`PAYOUT_PRINCIPALS`).
pub fn batch_stands(batch: &PayoutBatch, terms: &PrincipalPool) -> R<()> {
    let sums = |why: &str, field: &str| Err(Refusal::new(Code::PayoutSums, why.to_owned()).at(field));
    let few = |why: &str, field: &str| Err(Refusal::new(Code::PayoutPrincipals, why.to_owned()).at(field));
    let [pool, carried_in, paid, carried_out] =
        [batch.pool_minor, batch.carried_in_minor, batch.paid_minor, batch.carried_out_minor]
            .map(|amount| i128::from(amount.get()));
    if pool + carried_in != paid + carried_out {
        return sums("what is paid and carried forward is not the pool and what was carried in", "paid_minor");
    }
    let at_least = u64::from(terms.at_least.max(AT_LEAST));
    if batch.principals < at_least {
        return few("there are fewer principals than the offer asks for", "principals");
    }
    let paid_principals = batch.paid_principals;
    if paid_principals > 0 && paid_principals < at_least {
        return few("of so few who are paid the sum tells too much: carry it forward", "paid_principals");
    }
    let floor = i128::from(floor(terms));
    let unpaid = i128::from(batch.principals) - i128::from(paid_principals);
    if unpaid < 0 || paid < i128::from(paid_principals) * floor || (paid_principals == 0 && paid > 0) {
        return sums("so many principals are not paid by this sum", "paid_principals");
    }
    if paid_principals > 0 && carried_out > unpaid * (floor - 1) {
        return sums("more is carried forward than principals below the minimum can have", "carried_out_minor");
    }
    Ok(())
}

/// The lines of a batch, all of them, are what [`split`] makes of its pool, and what the batch says of them.
pub fn lines_fit(batch: &PayoutBatch, lines: &[PayoutLine], terms: &PrincipalPool) -> R<()> {
    let person = |line: &PayoutLine| Principal {
        principal: line.principal.clone(),
        salt: line.salt.clone(),
        weight: line.weight,
        carried: line.carried_in_minor,
    };
    let again = split(batch.pool_minor, &lines.iter().map(person).collect::<Vec<_>>(), terms)?;
    let wrong = |what: String| Err(Refusal::new(Code::PayoutProof, what));
    if let Some((at, _)) = again.lines.iter().zip(lines).enumerate().find(|(_, (own, shown))| own != shown) {
        return wrong(format!("line {at} is not what the split gives"));
    }
    if weights_sha256(lines)? != batch.weights_sha256 {
        return wrong("the weights are not those of the batch".into());
    }
    if Tree::of(batch, lines)?.root() != batch.root {
        return wrong("the lines do not have the root of the batch".into());
    }
    let said = (batch.carried_in_minor, batch.paid_minor, batch.carried_out_minor);
    let counts = (batch.principals, batch.paid_principals);
    if (again.carried_in, again.paid, again.carried_out) != said
        || (lines.len() as u64, again.paid_principals) != counts
    {
        return Err(Refusal::new(Code::PayoutSums, "the lines add up to other sums than the batch's"));
    }
    batch_stands(batch, terms)
}

/// A principal's line adds up and stands under the root of the batch, at its place (`PAYOUT_PROOF`). That the batch was
/// signed and stands in the log is the receipt's to show.
pub fn proof_fits(proof: &PayoutProof, batch: &PayoutBatch) -> R<()> {
    let wrong = |what: &str| Refusal::new(Code::PayoutProof, what.to_owned());
    let line = &proof.line;
    let [carried_in, share, paid, carried_out] =
        [line.carried_in_minor, line.share_minor, line.paid_minor, line.carried_out_minor]
            .map(|amount| i128::from(amount.get()));
    if carried_in + share != paid + carried_out || (paid > 0 && carried_out > 0) || line.salt.0.len() != 32 {
        return Err(wrong("the line does not add up"));
    }
    let root = inclusion_root(batch.leaf(line)?, proof.index, batch.principals, &proof.path)
        .map_err(|_| wrong("the way from the line to the root is not one"))?;
    if proof.v != 1 || root != batch.root {
        Err(wrong("the line does not stand under the root of the batch"))
    } else {
        Ok(())
    }
}

/// The Merkle tree over the lines of a batch (RFC 6962): level by level, a last node without a neighbour goes up as it is.
pub struct Tree(Vec<Vec<Digest>>);

impl Tree {
    /// The tree over lines in the order of their batch.
    pub fn of(batch: &PayoutBatch, lines: &[PayoutLine]) -> R<Tree> {
        let mut level = lines.iter().map(|line| batch.leaf(line)).collect::<R<Vec<_>>>()?;
        let mut levels = Vec::new();
        while level.len() > 1 {
            let above = level.chunks(2).filter_map(|pair| match pair {
                [left, right] => Some(node_hash(left, right)),
                [alone] => Some(*alone),
                _ => None,
            });
            let above = above.collect();
            levels.push(std::mem::replace(&mut level, above));
        }
        levels.push(level);
        Ok(Tree(levels))
    }

    /// The root; of no lines the hash of nothing.
    pub fn root(&self) -> Digest {
        self.0.last().and_then(|level| level.first()).copied().unwrap_or_else(|| Digest::of(&[]))
    }

    /// The inclusion path of a line.
    pub fn path(&self, index: usize) -> Vec<Digest> {
        let siblings = self.0.iter().enumerate().map(|(height, level)| level.get((index >> height) ^ 1));
        let last = self.0.len().saturating_sub(1);
        siblings.take(last).flatten().copied().collect()
    }
}

fn floor(terms: &PrincipalPool) -> i64 {
    terms.minimum_minor.get().max(1)
}

fn total(lines: &[PayoutLine], of: impl Fn(&PayoutLine) -> Minor) -> R<Minor> {
    let sum: i128 = lines.iter().map(|line| i128::from(of(line).get())).sum();
    let too_large = |_| Refusal::new(Code::SchemaMismatch, "the sum of a batch is too large");
    Minor::new(i64::try_from(sum).map_err(too_large)?)
}

fn well_formed(people: &[&Principal]) -> R<()> {
    let bad = |why: &str| Err(Refusal::new(Code::SchemaMismatch, why.to_owned()));
    let (mut ids, mut salts) = (BTreeSet::new(), BTreeSet::new());
    for person in people {
        if person.principal.is_empty() || person.principal.chars().count() > 200 {
            return bad("a principal's id has 1 to 200 characters");
        }
        if person.salt.0.len() != 32 {
            return bad("a salt has 32 bytes");
        }
        if !i64::try_from(person.weight).is_ok_and(|weight| weight <= MAX_INTEGER) {
            return bad("a weight is at most 2^53 - 1");
        }
        if !ids.insert(&person.principal) || !salts.insert(&person.salt.0) {
            return bad("each principal stands once, with a salt of its own");
        }
    }
    Ok(())
}
