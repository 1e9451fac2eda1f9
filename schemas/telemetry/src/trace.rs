//! Spans: made of words of this program and typed attributes, exported by a thread of their own. Whoever makes one never
//! waits: what does not fit the queue is dropped.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use opentelemetry::context::{FutureExt as _, WithContext};
use opentelemetry::trace::{SpanKind, Status, TraceContextExt as _, Tracer as _, TracerProvider as _};
use opentelemetry::{Context, ContextGuard, KeyValue};
use opentelemetry_otlp::{Protocol, RetryPolicy, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider};
use schemas::{Code, R, Refusal};

use crate::attribute::Attribute;
use crate::line::{Line, TIMEOUT};
use crate::parent;
use crate::settings::Settings;

/// Spans that wait to be exported, at most.
const QUEUE: usize = 2048;
/// Spans in one post, at most.
const BATCH: usize = 256;
/// Time between two posts of fewer.
const PAUSE: Duration = Duration::from_secs(2);
/// What a stop leaves the collector for the last spans.
const LAST: Duration = Duration::from_secs(2);

/// Makes spans, or none where nothing is exported. Cheap to clone; clones share queue and thread.
#[derive(Clone, Default)]
pub struct Tracer(Option<Arc<Running>>);

struct Running {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

impl std::fmt::Debug for Tracer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "Tracer(on)" } else { "Tracer(off)" })
    }
}

impl Tracer {
    /// One that makes no spans.
    pub fn off() -> Tracer {
        Tracer::default()
    }

    /// One as configured, for a program of this name and version. The collector is not asked for: whether it can be reached
    /// shows at the first export, and decides nothing here. `CONFIG_INVALID` where the settings are wrong.
    pub fn start(settings: &Settings, program: &'static str, version: &'static str) -> R<Tracer> {
        settings.check()?;
        let Some(url) = settings.traces()? else { return Ok(Tracer::off()) };
        let invalid = |e| Refusal::new(Code::ConfigInvalid, format!("telemetry: {e}"));
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Line::to(&url)?)
            .with_endpoint(url.as_str())
            .with_protocol(Protocol::HttpBinary)
            .with_timeout(TIMEOUT)
            .with_retry_policy(RetryPolicy::disabled())
            .build()
            .map_err(invalid)?;
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(QUEUE)
            .with_max_export_batch_size(BATCH)
            .with_scheduled_delay(PAUSE)
            .build();
        let name = settings.service_name.clone().unwrap_or_else(|| program.to_owned());
        // An empty one: the other would read names and values out of the environment.
        let resource = Resource::builder_empty()
            .with_attributes([KeyValue::new("service.name", name), KeyValue::new("service.version", version)])
            .build();
        let provider = SdkTracerProvider::builder()
            .with_sampler(Sampler::TraceIdRatioBased(1.0 / f64::from(settings.one_in)))
            .with_span_processor(BatchSpanProcessor::builder(exporter).with_batch_config(batches).build())
            .with_resource(resource)
            .build();
        let tracer = provider.tracer("depa");
        Ok(Tracer(Some(Arc::new(Running { provider, tracer }))))
    }

    /// The span of a call that came in and whose handling began then: by method and route as this program knows them, never
    /// by the path that was called. It belongs to the trace that the caller named, or begins one.
    pub fn call(&self, method: &'static str, route: &'static str, caller: Option<&str>, began: Instant) -> Span {
        let caller = caller.and_then(parent::read);
        self.span(|running| {
            let above = match caller {
                Some(caller) => Context::new().with_remote_span_context(caller),
                None => Context::new(),
            };
            let attributes = vec![KeyValue::new("http.request.method", method), KeyValue::new("http.route", route)];
            let now = SystemTime::now();
            let builder = running
                .tracer
                .span_builder(format!("{method} {route}"))
                .with_kind(SpanKind::Server)
                .with_start_time(now.checked_sub(began.elapsed()).unwrap_or(now))
                .with_attributes(attributes);
            above.with_span(running.tracer.build_with_context(builder, &above))
        })
    }

    /// The span of an act of this program's own, below the span that this thread is in.
    pub fn act(&self, name: &'static str, peer: &'static str) -> Span {
        self.span(|running| {
            let above = Context::current();
            let builder = running.tracer.span_builder(name).with_kind(SpanKind::Client);
            let builder = builder.with_attributes([Attribute::Peer(peer).pair()]);
            above.with_span(running.tracer.build_with_context(builder, &above))
        })
    }

    fn span(&self, make: impl FnOnce(&Running) -> Context) -> Span {
        Span(self.0.as_deref().map(make))
    }

    /// Posts what waits; whether it was taken. For tests.
    pub fn flush(&self) -> bool {
        self.0.as_ref().is_none_or(|running| running.provider.force_flush().is_ok())
    }

    /// Posts what waits, for two seconds at most, and ends. Spans made afterwards go nowhere.
    pub fn end(&self) {
        if let Some(running) = &self.0 {
            let _ = running.provider.shutdown_with_timeout(LAST);
        }
    }
}

/// A span that goes on until it is dropped. Where nothing is exported it is nothing.
#[must_use]
pub struct Span(Option<Context>);

impl Span {
    /// Says something about it.
    pub fn set(&self, attribute: Attribute<'_>) {
        if let Some(context) = &self.0 {
            context.span().set_attribute(attribute.pair());
        }
    }

    /// Says what came of a call: its status, and the code of its refusal. From 500 on it failed.
    pub fn answered(&self, status: u16, code: Option<Code>) {
        let Some(context) = &self.0 else { return };
        context.span().set_attribute(Attribute::Status(status).pair());
        if let Some(code) = code {
            self.set(Attribute::Code(code));
        }
        if status >= 500 {
            context.span().set_status(Status::error(""));
        }
    }

    /// Says what came of an act.
    pub fn ended<T>(&self, done: &R<T>) {
        if let (Some(context), Err(refusal)) = (&self.0, done) {
            self.set(Attribute::Code(refusal.code));
            context.span().set_status(Status::error(""));
        }
    }

    /// Makes this thread be in it.
    pub fn enter(&self) -> Entered {
        Entered { _guard: self.0.clone().map(Context::attach) }
    }

    /// Makes whatever thread carries this future on be in it.
    pub fn around<F: Future>(&self, future: F) -> WithContext<F> {
        future.with_context(self.0.clone().unwrap_or_else(Context::current))
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if let Some(context) = &self.0 {
            context.span().end();
        }
    }
}

/// As long as it lives, its thread is in a span.
pub struct Entered {
    _guard: Option<ContextGuard>,
}

/// The span that this thread is in, to be entered on another one.
pub fn carried() -> Carried {
    Carried(Context::current())
}

/// A span on its way to another thread.
pub struct Carried(Context);

impl Carried {
    /// Makes this thread be in it.
    pub fn enter(self) -> Entered {
        Entered { _guard: Some(self.0.attach()) }
    }
}

/// The header `traceparent` for calls that go out from the span that this thread is in; none outside of spans.
pub fn traceparent() -> Option<String> {
    let context = Context::current();
    let span = context.span();
    Some(span.span_context()).filter(|span| span.is_valid()).map(parent::written)
}
