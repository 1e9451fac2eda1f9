//! Acts that count at once, or once a second person of the SRO has signed.

use schemas::R;
use schemas::desk::TwoPeople;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::http::{Client, read};

/// What became of an act.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(untagged)]
pub enum Acted<T> {
    /// It was entered.
    Entered(T),
    /// It waits for a second person of the SRO.
    Waiting(Box<TwoPeople>),
}

impl Client {
    /// Posts an act; 202 says that it waits.
    pub(crate) fn post_act<B: Serialize, T: DeserializeOwned>(&self, path: &str, body: &B) -> R<Acted<T>> {
        let answer = self.call(&self.posted(path, body, false)?)?;
        if answer.status == 202 {
            read(answer).map(|waiting| Acted::Waiting(Box::new(waiting)))
        } else {
            read(answer).map(Acted::Entered)
        }
    }
}
