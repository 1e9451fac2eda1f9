//! A payment system for tests and demos that pays nothing: it keeps in a file what it was told, and fails, delays and
//! repeats itself by a script. Refused in production.
//!
//! The script is a list of words, one for each instruction in the order in which they first come, from the beginning
//! again at its end: `settle`, `at_once` (settled in the answer), `fail`, `decline` (failed in the answer), `return`
//! (settled, then returned), `lose` (paid, and the first answer is lost), `refuse N` (no answer N times, nothing done),
//! `delay N` (N questions before it settles), `duplicate` (told twice), `late` (told to be accepted after it settled),
//! `other_amount` (one minor unit more than asked for).

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::Mutex;

use policies::instruction::Standing;
use schemas::money::Minor;
use schemas::{Code, R, Refusal};
use serde::{Deserialize, Serialize};

use crate::instruction::Instruction;
use crate::provider::{Batch, News, PaymentProvider};

/// The payment system.
pub struct Recording {
    journal: PathBuf,
    script: Vec<Word>,
    lock: Mutex<()>,
}

/// What happens to an instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Word {
    Settle,
    AtOnce,
    Fail,
    Decline,
    Return,
    Lose,
    Refuse(usize),
    Delay(usize),
    Duplicate,
    Late,
    OtherAmount,
}

impl Word {
    fn parse(text: &str) -> R<Word> {
        let bad = || Refusal::new(Code::ConfigInvalid, format!("recording.script: {text:?} is not understood"));
        let (word, count) = text.split_once(' ').map_or((text, None), |(word, count)| (word, Some(count)));
        let count = count.map(|c| c.parse::<usize>().map_err(|_| bad())).transpose()?;
        Ok(match (word, count) {
            ("settle", None) => Word::Settle,
            ("at_once", None) => Word::AtOnce,
            ("fail", None) => Word::Fail,
            ("decline", None) => Word::Decline,
            ("return", None) => Word::Return,
            ("lose", None) => Word::Lose,
            ("refuse", Some(count)) => Word::Refuse(count),
            ("delay", Some(count)) => Word::Delay(count),
            ("duplicate", None) => Word::Duplicate,
            ("late", None) => Word::Late,
            ("other_amount", None) => Word::OtherAmount,
            _ => return Err(bad()),
        })
    }
}

/// A line of the journal.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Line {
    /// It was asked to pay.
    Submitted {
        /// The instruction.
        id: String,
    },
    /// It paid: once for each id.
    Paid {
        /// The instruction.
        id: String,
        /// Minor units.
        amount_minor: i64,
        /// ISO 4217.
        currency: String,
    },
    /// It was asked how an instruction stands.
    Asked {
        /// The instruction.
        id: String,
    },
}

impl Line {
    fn id(&self) -> &str {
        match self {
            Line::Submitted { id } | Line::Paid { id, .. } | Line::Asked { id } => id,
        }
    }
}

impl Recording {
    /// One that keeps its journal in this file, and follows this script; an empty one settles everything.
    pub fn new(journal: PathBuf, script: &[String]) -> R<Recording> {
        let mut words = script.iter().map(|text| Word::parse(text)).collect::<R<Vec<Word>>>()?;
        if words.is_empty() {
            words.push(Word::Settle);
        }
        Ok(Recording { journal, script: words, lock: Mutex::new(()) })
    }

    /// What it was told, in order.
    pub fn lines(&self) -> R<Vec<Line>> {
        let text = std::fs::read_to_string(&self.journal).unwrap_or_default();
        // A line that a crash cut off was never acted on.
        Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
    }

    fn keep(&self, line: &Line) -> R<()> {
        let fault = |e: std::io::Error| Refusal::new(Code::Unavailable, format!("{}: {e}", self.journal.display()));
        let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(&self.journal).map_err(fault)?;
        let text = serde_json::to_string(line).map_err(|e| Refusal::new(Code::Internal, e.to_string()))?;
        // The line before may have been cut off without its end.
        file.write_all(format!("\n{text}\n").as_bytes()).and_then(|()| file.sync_data()).map_err(fault)
    }

    fn word(&self, lines: &[Line], id: &str) -> Word {
        let mut order: Vec<&str> = Vec::new();
        for line in lines {
            if !order.contains(&line.id()) {
                order.push(line.id());
            }
        }
        let at = order.iter().position(|known| *known == id).unwrap_or(order.len());
        self.script.get(at % self.script.len().max(1)).copied().unwrap_or(Word::Settle)
    }

    fn one(&self, instruction: &Instruction) -> R<Vec<News>> {
        self.keep(&Line::Submitted { id: instruction.id.clone() })?;
        let lines = self.lines()?;
        let asked = lines.iter().filter(|l| matches!(l, Line::Submitted { id } if *id == instruction.id)).count();
        let word = self.word(&lines, &instruction.id);
        let silent = || Refusal::new(Code::PeerUnreachable, "the payment system gave no answer");
        if matches!(word, Word::Refuse(times) if asked <= times) {
            return Err(silent());
        }
        if word == Word::Decline {
            return Ok(vec![News::of(&instruction.id, Standing::Failed).because("declined")]);
        }
        let paid = Line::Paid {
            id: instruction.id.clone(),
            amount_minor: instruction.amount_minor.get(),
            currency: instruction.currency.to_string(),
        };
        let before = lines.iter().find(|l| matches!(l, Line::Paid { id, .. } if *id == instruction.id));
        match before {
            Some(before) if *before != paid => {
                return Err(Refusal::new(Code::IdempotencyKeyReused, "this reference was used for another payment"));
            }
            Some(_) => {}
            None => self.keep(&paid)?,
        }
        match word {
            Word::Lose if asked == 1 => Err(silent()),
            Word::AtOnce => Ok(vec![settled(instruction, 0)?]),
            _ => Ok(vec![News::of(&instruction.id, Standing::Accepted)]),
        }
    }
}

impl PaymentProvider for Recording {
    fn name(&self) -> &'static str {
        "recording"
    }

    fn ready(&self, _: &Instruction) -> R<()> {
        Ok(())
    }

    fn submit(&self, batch: &Batch) -> R<Vec<News>> {
        let _one = self.lock.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut news = Vec::new();
        for instruction in &batch.instructions {
            news.extend(self.one(instruction)?);
        }
        Ok(news)
    }

    fn can_be_asked(&self) -> bool {
        true
    }

    fn ask(&self, instruction: &Instruction) -> R<Vec<News>> {
        let _one = self.lock.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        self.keep(&Line::Asked { id: instruction.id.clone() })?;
        let lines = self.lines()?;
        let asked = lines.iter().filter(|l| matches!(l, Line::Asked { id } if *id == instruction.id)).count();
        let settled = |more| settled(instruction, more);
        Ok(match self.word(&lines, &instruction.id) {
            Word::Fail | Word::Decline => vec![News::of(&instruction.id, Standing::Failed).because("no funds")],
            Word::Return => {
                let settled = settled(0)?;
                vec![settled.clone(), News { standing: Standing::Returned, ..settled }]
            }
            Word::Delay(times) if asked <= times => Vec::new(),
            Word::Duplicate => vec![settled(0)?, settled(0)?],
            Word::Late => vec![settled(0)?, News::of(&instruction.id, Standing::Accepted)],
            Word::OtherAmount => vec![settled(1)?],
            _ => vec![settled(0)?],
        })
    }
}

fn settled(instruction: &Instruction, more: i64) -> R<News> {
    let amount = Minor::new(instruction.amount_minor.get() + more)?;
    let reference = format!("SIMULATED-{}", instruction.id);
    Ok(News::of(&instruction.id, Standing::Settled).referred(reference).amount(amount, instruction.currency))
}
