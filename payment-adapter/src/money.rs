//! Amounts as payment systems write them: decimals with the currency's own number of places, to and from minor units.
//! Integers only.

use iso_currency::Currency as Iso;
use schemas::money::{Currency, Minor};
use schemas::{Code, R, Refusal};

/// How many decimals the currency has (ISO 4217): 2 for INR, 0 for JPY, 3 for KWD. Refuses codes that name no money with
/// minor units, like XAU or XXX (`SCHEMA_MISMATCH`).
pub fn exponent(currency: Currency) -> R<u32> {
    let places = Iso::from_code(currency.as_str()).and_then(|iso| iso.exponent());
    let unknown = || Refusal::new(Code::SchemaMismatch, format!("{currency} is no currency with minor units"));
    places.map(u32::from).ok_or_else(|| unknown().at("currency"))
}

/// `123456` INR as `1234.56`; `5` JPY as `5`.
pub fn decimal(amount: Minor, currency: Currency) -> R<String> {
    let places = exponent(currency)?;
    let unit = 10i64.pow(places.min(9));
    let (whole, part) = (amount.get() / unit, amount.get() % unit);
    if places == 0 {
        return Ok(whole.to_string());
    }
    Ok(format!("{whole}.{part:0width$}", width = places as usize))
}

/// Reads a decimal without sign, exponent or blanks into minor units. More decimals than the currency has are taken where
/// they are zeros; anything else is refused (`MALFORMED_NUMBER`), never rounded.
pub fn minor(text: &str, currency: Currency) -> R<Minor> {
    let bad = || Refusal::new(Code::MalformedNumber, "an amount is digits, and a point with decimals of its currency");
    let places = exponent(currency)? as usize;
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || text.len() > 24 || !digits(whole) || !digits(part) || text.ends_with('.') {
        return Err(bad());
    }
    let (kept, rest) = part.split_at_checked(places.min(part.len())).ok_or_else(bad)?;
    if rest.bytes().any(|b| b != b'0') {
        return Err(bad());
    }
    let minor: i64 = format!("{whole}{kept:0<places$}").parse().map_err(|_| bad())?;
    Minor::new(minor).map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn currency(code: &str) -> Currency {
        Currency::parse(code).unwrap()
    }

    #[test]
    fn amounts_go_there_and_back_by_the_places_of_their_currency() {
        for (amount, code, text) in [
            (500_000, "INR", "5000.00"),
            (7, "INR", "0.07"),
            (0, "EUR", "0.00"),
            (5, "JPY", "5"),
            (1_234_567, "KWD", "1234.567"),
            (9_007_199_254_740_991, "INR", "90071992547409.91"),
        ] {
            let (amount, currency) = (Minor::new(amount).unwrap(), currency(code));
            assert_eq!(decimal(amount, currency).unwrap(), text);
            assert_eq!(minor(text, currency).unwrap(), amount, "{text} {code}");
        }
        assert_eq!(minor("5000", currency("INR")).unwrap().get(), 500_000);
        assert_eq!(minor("5000.5", currency("INR")).unwrap().get(), 500_050);
        assert_eq!(minor("5000.5000", currency("INR")).unwrap().get(), 500_050);
    }

    #[test]
    fn what_is_no_exact_amount_is_refused() {
        for text in [
            "",
            ".5",
            "5.",
            "-5",
            "+5",
            "1e3",
            "5,00",
            " 5",
            "5.001",
            "1.2.3",
            "90071992547409.92",
            "99999999999999999999",
        ] {
            assert_eq!(minor(text, currency("INR")).unwrap_err().code, Code::MalformedNumber, "{text:?}");
        }
        assert_eq!(minor("5.5", currency("JPY")).unwrap_err().code, Code::MalformedNumber);
        for code in ["XXX", "XAU", "QQQ"] {
            assert_eq!(exponent(currency(code)).unwrap_err().code, Code::SchemaMismatch, "{code}");
        }
    }
}
