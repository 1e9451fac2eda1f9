//! Objects behind plain HTTP: one GET, one PUT; presigned addresses among them.

use std::io::Read;

use schemas::R;
use url::Url;

use crate::told::{Act, Told};
use crate::{Counted, Objects, door, next_part, place, source_short};

/// Reads an object as it comes.
pub(crate) async fn read(url: &Url, objects: &Objects, count: &mut Counted<'_, '_>) -> R<()> {
    let place = place(url.as_str());
    let fault = |e: reqwest::Error| Told::of_transport(&e).refusal(Act::Read, &place);
    let call = door::client(&objects.patience, objects.loopback)?.get(url.clone());
    let mut answer = call.send().await.map_err(fault)?;
    if !answer.status().is_success() {
        return Err(Told::of_answer(answer.status(), answer.headers(), &[]).refusal(Act::Read, &place));
    }
    let size = answer.content_length();
    count.announced(size.unwrap_or(0))?;
    while let Some(part) = answer.chunk().await.map_err(fault)? {
        count.part(&part, size)?;
    }
    Ok(())
}

/// Writes a new object; a service that knows conditions refuses one that stands there.
pub(crate) async fn write_new(url: &Url, objects: &Objects, source: &mut dyn Read, bytes: u64) -> R<()> {
    let place = place(url.as_str());
    let whole = next_part(source, bytes)?;
    if whole.len() as u64 != bytes {
        return Err(source_short());
    }
    let call = door::client(&objects.patience, objects.loopback)?.put(url.clone()).header("if-none-match", "*");
    let answer = call.body(whole).send().await.map_err(|e| Told::of_transport(&e).refusal(Act::Write, &place))?;
    match answer.status() {
        status if status.is_success() => Ok(()),
        status => Err(Told::of_answer(status, answer.headers(), &[]).refusal(Act::Write, &place)),
    }
}
