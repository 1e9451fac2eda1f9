//! Objects behind plain HTTP: one GET, one PUT; presigned addresses among them.

use std::io::Read;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use schemas::R;
use tokio::sync::mpsc;
use url::Url;

use crate::told::{Act, Told};
use crate::{Counted, Objects, PART, door, next_part, place, source_short};

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

/// Writes a new object part by part; a service that knows conditions refuses one that stands there.
pub(crate) async fn write_new(url: &Url, objects: &Objects, source: &mut dyn Read, bytes: u64) -> R<()> {
    let place = place(url.as_str());
    let (parts, taken) = mpsc::channel(1);
    let call = door::client(&objects.patience, objects.loopback)?.put(url.clone()).header("if-none-match", "*");
    let mut call = pin!(call.body(reqwest::Body::wrap(Sent { taken, left: bytes })).send());
    let mut feed = pin!(feed(source, bytes, parts));
    // The body asks for its last part before it ends, so an answer that comes first is to something cut short.
    let (answer, whole) = tokio::select! {
        biased;
        fed = &mut feed => {
            fed?;
            (call.await, true)
        }
        answer = &mut call => (answer, false),
    };
    let answer = answer.map_err(|e| Told::of_transport(&e).refusal(Act::Write, &place))?;
    match answer.status() {
        status if status.is_success() && whole => Ok(()),
        status if status.is_success() => Err(Told::Cut.refusal(Act::Write, &place)),
        status => Err(Told::of_answer(status, answer.headers(), &[]).refusal(Act::Write, &place)),
    }
}

/// Hands the source on, a part at a time; whoever takes no more has answered already.
async fn feed(source: &mut dyn Read, bytes: u64, parts: mpsc::Sender<Bytes>) -> R<()> {
    let mut left = bytes;
    while left > 0 {
        let part = next_part(source, left.min(PART))?;
        if part.len() as u64 != left.min(PART) {
            return Err(source_short());
        }
        left -= part.len() as u64;
        if parts.send(part.into()).await.is_err() {
            // The call's own end says why.
            std::future::pending::<()>().await;
        }
    }
    Ok(())
}

/// A body of a size that is known, out of parts that are not held.
struct Sent {
    taken: mpsc::Receiver<Bytes>,
    left: u64,
}

impl Body for Sent {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<std::io::Result<Frame<Bytes>>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        self.taken.poll_recv(cx).map(|part| {
            let part = part.ok_or_else(|| std::io::ErrorKind::UnexpectedEof.into());
            Some(part.map(|part| {
                self.left = self.left.saturating_sub(part.len() as u64);
                Frame::data(part)
            }))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
