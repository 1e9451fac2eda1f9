//! A customer credit transfer initiation (pain.001.001.09): one payment information per debtor and currency, one
//! transaction per instruction, whose id is the EndToEndId.

use quick_xml::escape::escape;
use schemas::{Code, R, Refusal};

use super::{part_id, parts};
use crate::accounts::{Account, Accounts};
use crate::instruction::{End, Instruction};
use crate::money;
use crate::provider::Batch;

/// Namespace of the message.
pub const NAMESPACE: &str = "urn:iso:std:iso:20022:tech:xsd:pain.001.001.09";

/// Who initiates: the adapter's own account and name.
#[derive(Clone, Copy, Debug)]
pub struct Initiator<'a> {
    /// The holder of blocked money, and the initiating party.
    pub account: &'a Account,
    /// Everybody else's accounts.
    pub accounts: &'a Accounts,
}

impl<'a> Initiator<'a> {
    /// The account at an end of a payment; refused where it has no account number and bank that a transfer could name.
    pub fn account(&self, end: End<'_>) -> R<&'a Account> {
        let account = match end {
            End::Holder => self.account,
            End::Participant(did) => self.accounts.of(did)?,
        };
        if account.iban.is_none() && (account.number.is_none() || account.ifsc.is_none() && account.bic.is_none()) {
            let why = "a transfer needs an iban, or a number with ifsc or bic";
            return Err(Refusal::new(Code::ConfigInvalid, format!("account of {}: {why}", account.name)));
        }
        Ok(account)
    }
}

/// The file of a batch; the same batch always gives the same bytes.
pub fn write(batch: &Batch, initiator: &Initiator) -> R<String> {
    let mut out = Out(String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"));
    out.0.push_str(&format!("<Document xmlns=\"{NAMESPACE}\">\n<CstmrCdtTrfInitn>\n"));
    out.open("GrpHdr");
    out.text("MsgId", &batch.id);
    out.text("CreDtTm", &batch.planned_at.whole().to_string());
    out.text("NbOfTxs", &batch.instructions.len().to_string());
    out.text("CtrlSum", &sum(batch.instructions.iter())?);
    out.open("InitgPty");
    out.text("Nm", &initiator.account.name);
    out.close("InitgPty");
    out.close("GrpHdr");
    for (at, part) in parts(&batch.instructions).into_iter().enumerate() {
        payment(&mut out, batch, &part_id(&batch.id, at + 1), &part, initiator)?;
    }
    out.0.push_str("</CstmrCdtTrfInitn>\n</Document>\n");
    Ok(out.0)
}

fn payment(out: &mut Out, batch: &Batch, id: &str, part: &[&Instruction], initiator: &Initiator) -> R<()> {
    let Some(first) = part.first() else { return Ok(()) };
    let debtor = initiator.account(first.ends().0)?;
    out.open("PmtInf");
    out.text("PmtInfId", id);
    out.text("PmtMtd", "TRF");
    out.text("BtchBookg", "false");
    out.text("NbOfTxs", &part.len().to_string());
    out.text("CtrlSum", &sum(part.iter().copied())?);
    out.open("ReqdExctnDt");
    out.text("Dt", batch.planned_at.to_string().get(..10).unwrap_or_default());
    out.close("ReqdExctnDt");
    out.open("Dbtr");
    out.text("Nm", &debtor.name);
    out.close("Dbtr");
    account(out, "DbtrAcct", debtor);
    agent(out, "DbtrAgt", debtor);
    out.text("ChrgBr", "SLEV");
    for instruction in part {
        let creditor = initiator.account(instruction.ends().1)?;
        out.open("CdtTrfTxInf");
        out.open("PmtId");
        out.text("InstrId", &instruction.id);
        out.text("EndToEndId", &instruction.id);
        out.close("PmtId");
        out.open("Amt");
        let amount = money::decimal(instruction.amount_minor, instruction.currency)?;
        out.0.push_str(&format!("<InstdAmt Ccy=\"{}\">{amount}</InstdAmt>\n", instruction.currency));
        out.close("Amt");
        agent(out, "CdtrAgt", creditor);
        out.open("Cdtr");
        out.text("Nm", &creditor.name);
        out.close("Cdtr");
        account(out, "CdtrAcct", creditor);
        out.open("RmtInf");
        out.text("Ustrd", &format!("DEPA {}", instruction.id));
        out.close("RmtInf");
        out.close("CdtTrfTxInf");
    }
    out.close("PmtInf");
    Ok(())
}

fn account(out: &mut Out, tag: &str, account: &Account) {
    out.open(tag);
    out.open("Id");
    match (&account.iban, &account.number) {
        (Some(iban), _) => out.text("IBAN", iban),
        (None, number) => {
            out.open("Othr");
            out.text("Id", number.as_deref().unwrap_or_default());
            out.close("Othr");
        }
    }
    out.close("Id");
    out.close(tag);
}

fn agent(out: &mut Out, tag: &str, account: &Account) {
    out.open(tag);
    out.open("FinInstnId");
    match (&account.bic, &account.ifsc) {
        (Some(bic), _) => out.text("BICFI", bic),
        (None, Some(ifsc)) => {
            out.open("ClrSysMmbId");
            out.open("ClrSysId");
            // External code of the Indian Financial System Code.
            out.text("Cd", "INFSC");
            out.close("ClrSysId");
            out.text("MmbId", ifsc);
            out.close("ClrSysMmbId");
        }
        (None, None) => {
            out.open("Othr");
            out.text("Id", "NOTPROVIDED");
            out.close("Othr");
        }
    }
    out.close("FinInstnId");
    out.close(tag);
}

/// The control sum: the amounts as decimals added up whatever their currency, as the message defines it.
fn sum<'a>(instructions: impl Iterator<Item = &'a Instruction>) -> R<String> {
    // Ten-thousandths: no currency has more than four decimals.
    let mut total: i128 = 0;
    for instruction in instructions {
        let places = money::exponent(instruction.currency)?;
        total += i128::from(instruction.amount_minor.get()) * 10i128.pow(4u32.saturating_sub(places));
    }
    let text = format!("{}.{:04}", total / 10_000, total % 10_000);
    let cut = text.trim_end_matches('0');
    // Two decimals at least, as banks show it.
    Ok(text.get(..cut.len().max(text.len() - 2)).unwrap_or(&text).to_owned())
}

struct Out(String);

impl Out {
    fn open(&mut self, tag: &str) {
        self.0.push_str(&format!("<{tag}>\n"));
    }

    fn close(&mut self, tag: &str) {
        self.0.push_str(&format!("</{tag}>\n"));
    }

    fn text(&mut self, tag: &str, text: &str) {
        self.0.push_str(&format!("<{tag}>{}</{tag}>\n", escape(text)));
    }
}
