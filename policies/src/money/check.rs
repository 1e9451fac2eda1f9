//! What must be true of books at any time, whatever they are about.

use schemas::{Code, R, Refusal};

use super::Books;

/// Checks the books against their own transfers, in this order:
///
/// 1. each transfer, one after the other, is one that could be added there (`BOOKS_TRANSFER`), and overdraws no account that
///    holds money for others (`BOOKS_OVERDRAWN`); the first that does not is named;
/// 2. every balance is the sum of its transfers (`BOOKS_BALANCE`); the account is named;
/// 3. in each currency debits equal credits (`BOOKS_UNBALANCED`).
///
/// What the transfers say of the log is `State::check_books`'s.
pub fn check(books: &Books) -> R<()> {
    let mut again = Books::default();
    for (place, transfer) in books.transfers() {
        again.put(*place, transfer.clone())?;
    }
    let wrong = |what: String| Err(Refusal::new(Code::BooksBalance, what));
    for (id, account) in books.accounts() {
        if again.account(id) != *account {
            return wrong(format!("the balance of {id} is not the sum of its transfers"));
        }
        account.may_stand(id)?;
    }
    if let Some((id, _)) = again.accounts().find(|(id, account)| books.account(id) != **account) {
        return wrong(format!("{id} is missing, which has transfers"));
    }
    if again.resolved != books.resolved {
        return wrong("what is pending is not what the transfers leave pending".into());
    }
    match books.sums().iter().find(|(_, (debits, credits))| debits != credits) {
        None => Ok(()),
        Some((currency, _)) => {
            Err(Refusal::new(Code::BooksUnbalanced, format!("debits and credits in {currency} differ")))
        }
    }
}
