//! A bank that takes pain.001 files away as soon as they lie there, and reports by pain.002 and camt files.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;

use payment_adapter::Engine;
use payment_adapter::config::{Config, Kind, Pain001Settings};
use payment_adapter::iso::xml::{self, Node};
use schemas::R;

use super::{Ending, System};
use crate::scene::Scene;

#[derive(Default)]
struct Kept {
    /// Amount and currency by EndToEndId, how often it came, and whether it was reported.
    paid: BTreeMap<String, (String, String, usize, bool)>,
    rounds: usize,
}

pub struct Bank {
    outbox: PathBuf,
    work: PathBuf,
    inbox: PathBuf,
    kept: Mutex<Kept>,
    ending: Ending,
}

impl Bank {
    pub fn start(scene: &Scene, ending: Ending) -> Bank {
        let dir = scene.dir.join("bank");
        let (outbox, work, inbox) = (dir.join("out"), dir.join("work"), dir.join("in"));
        for dir in [&outbox, &work, &inbox] {
            fs::create_dir_all(dir).unwrap();
        }
        Bank { outbox, work, inbox, kept: Mutex::new(Kept::default()), ending }
    }

    /// Takes the files away and pays what they say.
    fn takes(&self) {
        for entry in fs::read_dir(&self.outbox).unwrap() {
            let path = entry.unwrap().path();
            let root = xml::read(&fs::read(&path).unwrap()).unwrap();
            fs::remove_file(&path).unwrap();
            let message = root.child("CstmrCdtTrfInitn").unwrap();
            for transaction in message.all("PmtInf").flat_map(|p| p.all("CdtTrfTxInf")) {
                let id = transaction.text_at("PmtId/EndToEndId").unwrap().to_owned();
                let amount: &Node = transaction.at("Amt/InstdAmt").unwrap();
                let (text, currency) = (amount.text.clone(), amount.currency.clone().unwrap());
                let mut kept = self.kept.lock().unwrap();
                kept.paid.entry(id).or_insert((text, currency, 0, false)).2 += 1;
            }
        }
    }

    fn says(&self, name: &str, text: &str) {
        fs::write(self.inbox.join(name), text).unwrap();
    }
}

impl System for Bank {
    fn name(&self) -> &'static str {
        "pain001"
    }

    fn config(&self, scene: &Scene) -> Config {
        let pain001 = Pain001Settings {
            outbox: self.outbox.clone(),
            work: self.work.clone(),
            inbox: Some(self.inbox.clone()),
            own: toml::from_str("name = \"Payments Ltd\"\nnumber = \"00112233\"\nifsc = \"HDFC0001234\"").unwrap(),
            most: 100,
            gather_seconds: 0,
        };
        Config { pain001: Some(pain001), ..scene.config(Kind::Pain001) }
    }

    fn paid(&self, id: &str) -> usize {
        self.takes();
        self.kept.lock().unwrap().paid.get(id).map_or(0, |(_, _, count, _)| *count)
    }

    fn tell(&self, _: &Scene, _: &Engine) -> R<()> {
        self.takes();
        let mut kept = self.kept.lock().unwrap();
        kept.rounds += 1;
        if self.ending == Ending::Delay && kept.rounds < 6 {
            return Ok(());
        }
        for (id, (amount, currency, _, told)) in kept.paid.iter_mut().filter(|(_, (.., told))| !*told) {
            *told = true;
            let debit = entry(id, amount, currency, "DBIT", "BOOK", "");
            match self.ending {
                Ending::Fail => {
                    let status = format!(
                        "<TxInfAndSts><OrgnlEndToEndId>{id}</OrgnlEndToEndId><TxSts>RJCT</TxSts><StsRsnInf>\
                        <Rsn><Cd>AC04</Cd></Rsn></StsRsnInf></TxInfAndSts>"
                    );
                    self.says(&format!("{id}.xml"), &pain002(&format!("S{}", &id[..8]), "B", "", &status));
                }
                Ending::Return => {
                    self.says(&format!("1{id}.xml"), &camt("053", "Stmt", &format!("A{}", &id[..8]), &debit));
                    let back = entry(id, amount, currency, "CRDT", "BOOK", "<RtrInf><Rsn><Cd>AC04</Cd></Rsn></RtrInf>");
                    self.says(&format!("2{id}.xml"), &camt("054", "Ntfctn", &format!("B{}", &id[..8]), &back));
                }
                Ending::Duplicate => {
                    let intraday = entry(id, amount, currency, "DBIT", "PDNG", "");
                    self.says(&format!("1{id}.xml"), &camt("052", "Rpt", &format!("A{}", &id[..8]), &intraday));
                    for (at, kind) in [("052", "Rpt"), ("053", "Stmt"), ("054", "Ntfctn")].iter().enumerate() {
                        let name = format!("{}{id}.xml", at + 2);
                        self.says(&name, &camt(kind.0, kind.1, &format!("C{at}{}", &id[..8]), &debit));
                    }
                }
                _ => self.says(&format!("{id}.xml"), &camt("053", "Stmt", &format!("A{}", &id[..8]), &debit)),
            }
        }
        Ok(())
    }
}

/// An entry of an account report.
pub fn entry(id: &str, amount: &str, currency: &str, way: &str, status: &str, more: &str) -> String {
    // At most 35 characters.
    let reference = format!("{}{id}", &way[..1]);
    format!(
        "<Ntry><Amt Ccy=\"{currency}\">{amount}</Amt><CdtDbtInd>{way}</CdtDbtInd><Sts><Cd>{status}</Cd></Sts>\
         <BookgDt><Dt>2026-12-01</Dt></BookgDt><AcctSvcrRef>{reference}</AcctSvcrRef><BkTxCd><Prtry><Cd>NTRF</Cd></Prtry></BkTxCd>\
         <NtryDtls><TxDtls><Refs>\
         <EndToEndId>{id}</EndToEndId></Refs><Amt Ccy=\"{currency}\">{amount}</Amt><CdtDbtInd>{way}</CdtDbtInd>{more}\
         </TxDtls></NtryDtls></Ntry>"
    )
}

/// A camt file.
pub fn camt(kind: &str, report: &str, id: &str, entries: &str) -> String {
    let message = match kind {
        "052" => "BkToCstmrAcctRpt",
        "053" => "BkToCstmrStmt",
        _ => "BkToCstmrDbtCdtNtfctn",
    };
    let balance = if kind == "053" {
        "<Bal><Tp><CdOrPrtry><Cd>CLBD</Cd></CdOrPrtry></Tp><Amt Ccy=\"INR\">0.00</Amt><CdtDbtInd>CRDT</CdtDbtInd>\
         <Dt><Dt>2026-12-01</Dt></Dt></Bal>"
    } else {
        ""
    };
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:camt.{kind}.001.08\">\
         <{message}><GrpHdr><MsgId>{id}</MsgId><CreDtTm>2026-12-01T20:00:00Z</CreDtTm></GrpHdr><{report}><Id>{id}</Id>\
         <CreDtTm>2026-12-01T20:00:00Z</CreDtTm><Acct><Id><Othr><Id>00112233</Id></Othr></Id></Acct>{balance}\
         {entries}</{report}></{message}></Document>"
    )
}

/// A pain.002 file about a batch; with a state of the whole group, or parts.
pub fn pain002(id: &str, batch: &str, group: &str, transactions: &str) -> String {
    let part = if transactions.is_empty() {
        String::new()
    } else {
        let part = payment_adapter::iso::part_id(batch, 1);
        format!("<OrgnlPmtInfAndSts><OrgnlPmtInfId>{part}</OrgnlPmtInfId>{transactions}</OrgnlPmtInfAndSts>")
    };
    let group = if group.is_empty() { String::new() } else { format!("<GrpSts>{group}</GrpSts>") };
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:pain.002.001.10\">\
         <CstmrPmtStsRpt><GrpHdr><MsgId>{id}</MsgId><CreDtTm>2026-12-01T20:00:00Z</CreDtTm></GrpHdr><OrgnlGrpInfAndSts>\
         <OrgnlMsgId>{batch}</OrgnlMsgId><OrgnlMsgNmId>pain.001.001.09</OrgnlMsgNmId>{group}</OrgnlGrpInfAndSts>{part}\
         </CstmrPmtStsRpt></Document>"
    )
}
