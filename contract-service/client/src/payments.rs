//! Payments.

use schemas::desk::{PaymentAnswer, PaymentList, Receipted};
use schemas::event::PaymentCallback;
use schemas::id::ContractId;
use schemas::term::RevenueStatement;
use schemas::{Envelope, R};

use crate::http::Client;
use crate::query::query;

/// The path of a page of a list, of one contract where it is asked for.
pub(crate) fn page(path: &str, contract: Option<&ContractId>, limit: Option<usize>, cursor: Option<&str>) -> String {
    let (contract, limit) = (contract.map(ToString::to_string), limit.map(|limit| limit.to_string()));
    let parameters = [("contract", contract), ("limit", limit), ("cursor", cursor.map(str::to_owned))];
    format!("{path}{}", query(&parameters))
}

/// Everything on a list: `read` gives the page after the one that its cursor ended, and the cursor that this one ends with.
pub(crate) fn every<T>(read: impl Fn(Option<&str>) -> R<(Vec<T>, Option<String>)>) -> R<Vec<T>> {
    let (mut all, mut next) = read(None)?;
    while let Some(cursor) = next {
        let (page, after) = read(Some(&cursor))?;
        all.extend(page);
        next = after;
    }
    Ok(all)
}

impl Client {
    /// Payments of one contract, or of all of the caller's: every page of them.
    pub fn payments(&self, contract: Option<&ContractId>) -> R<PaymentList> {
        let read =
            |cursor: Option<&str>| self.payments_page(contract, None, cursor).map(|page| (page.payments, page.next));
        Ok(PaymentList { payments: every(read)?, next: None })
    }

    /// A page of payments, after the one that `cursor` ended.
    pub fn payments_page(
        &self,
        contract: Option<&ContractId>,
        limit: Option<usize>,
        cursor: Option<&str>,
    ) -> R<PaymentList> {
        self.get_as(&page("/v1/payments", contract, limit, cursor))
    }

    /// Enters what a consumer earned in a period.
    pub fn revenue_statement(&self, statement: &Envelope<RevenueStatement>) -> R<Receipted> {
        self.post("/v1/revenue-statements", statement)
    }

    /// Answers an instruction, as the payment system.
    pub fn payment_callback(&self, callback: &Envelope<PaymentCallback>) -> R<PaymentAnswer> {
        self.post("/payment-callbacks", callback)
    }
}

#[cfg(test)]
mod tests {
    use schemas::{Code, Refusal};

    use super::*;

    #[test]
    fn every_page_is_read_in_its_order_and_a_refusal_ends_it() {
        let pages = [(vec![1, 2], Some("2")), (vec![], Some("two")), (vec![3], None)];
        let read = |cursor: Option<&str>| {
            let at = match cursor {
                None => 0,
                Some("2") => 1,
                Some("two") => 2,
                Some(other) => panic!("{other}"),
            };
            let (page, next) = pages[at].clone();
            Ok((page, next.map(str::to_owned)))
        };
        assert_eq!(every(read).unwrap(), [1, 2, 3]);
        let refused = every(|cursor| match cursor {
            None => read(None),
            Some(_) => Err(Refusal::new(Code::PeerUnreachable, "it went away")),
        });
        assert_eq!(refused.unwrap_err().code, Code::PeerUnreachable);
    }
}
