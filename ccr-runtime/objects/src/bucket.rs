//! Buckets by `object_store`: read part by part under one version of the object, written once.

use std::io::Read;
use std::sync::Arc;

use bytes::Bytes;
use object_store::aws::AmazonS3Builder;
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GcpCredential, GoogleCloudStorageBuilder};
use object_store::path::Path;
use object_store::{
    BackoffConfig, Error, GetOptions, GetRange, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt as _, PutMode,
    RetryConfig, StaticCredentialProvider,
};
use schemas::bucket::{BucketAddress, BucketKind};
use schemas::{Code, R, Refusal};
use url::Url;

use crate::crypto::Crypto;
use crate::door::{self, Door};
use crate::secrets::{self, Credentials};
use crate::told::Act;
use crate::{Counted, Objects, PART, Patience, Store, next_part, source_short};

/// The largest object that goes up in one call, in bytes.
pub const SINGLE: u64 = 16 << 20;

/// Where a machine of Amazon's or Azure's asks for its own credentials.
const METADATA: &str = "http://169.254.169.254";

/// One object of one bucket.
pub struct Bucket {
    store: Box<dyn ObjectStore>,
    path: Path,
    /// How the object is called in messages.
    place: String,
    door: Door,
}

impl Bucket {
    /// Reads the store's credentials and makes its client. Calls nobody.
    pub fn open(address: &BucketAddress<'_>, store: &Store, objects: &Objects) -> R<Bucket> {
        let place = format!("{} object {}/{}", name(address.kind), address.bucket, address.key);
        let path = Path::parse(address.key)
            .map_err(|_| Refusal::new(Code::AddressRefused, format!("{place}: no key of an object")))?;
        let (base, metadata) = (store.base()?, Url::parse(METADATA));
        let mut hosts = vec![&base];
        if let (true, Ok(own)) = (store.instance, &metadata) {
            hosts.push(own);
        }
        // The operator's own endpoint may lie on this machine: it is no document that leads there.
        let client = door::client(&objects.patience, true)?;
        let door = Door::new(client, &hosts);
        let credentials = store.credentials.as_deref().map(|file| secrets::load(file, store.kind)).transpose()?;
        let made = match store.kind {
            BucketKind::S3 => s3(address, store, &base, credentials, &door, &objects.patience),
            BucketKind::Azure => azure(address, store, &base, credentials, &door, &objects.patience),
            BucketKind::Gcs => gcs(address, &base, credentials, &door, &objects.patience),
        };
        // A library's message could quote what the credentials say.
        let store = made.map_err(|_| {
            Refusal::new(Code::StorageCredential, format!("{place}: no client can be made of the store's credentials"))
        })?;
        Ok(Bucket { store, path, place, door })
    }

    /// Reads part by part, each under the version (ETag) of the first.
    pub(crate) async fn read(&self, count: &mut Counted<'_, '_>) -> R<()> {
        let (mut at, mut first): (u64, Option<ObjectMeta>) = (0, None);
        loop {
            let end = first.as_ref().map_or(PART, |meta| meta.size.min(at + PART));
            let wanted = GetOptions {
                range: Some(GetRange::Bounded(at..end)),
                if_match: first.as_ref().and_then(|meta| meta.e_tag.clone()),
                ..GetOptions::default()
            };
            let got = self.store.get_opts(&self.path, wanted).await.map_err(|e| self.fault(Act::Read, &e))?;
            let meta = got.meta.clone();
            let same = first.as_ref().is_none_or(|first| {
                (first.size, &first.e_tag, first.last_modified) == (meta.size, &meta.e_tag, meta.last_modified)
            });
            if !same {
                return Err(self.refuse(Code::ObjectChanged, "the object changed while it was read"));
            }
            count.announced(meta.size)?;
            let length = got.range.end - got.range.start;
            let part = got.bytes().await.map_err(|e| self.fault(Act::Read, &e))?;
            if part.len() as u64 != length {
                return Err(self.refuse(Code::ObjectTruncated, "storage sent another number of bytes than it said"));
            }
            count.part(&part, Some(meta.size))?;
            at += length;
            if at >= meta.size {
                return Ok(());
            }
            first.get_or_insert(meta);
        }
    }

    /// Writes a new object: in one call that storage refuses where something stands there, or, above [`SINGLE`], in
    /// parts after a look.
    pub(crate) async fn write_new(&self, source: &mut dyn Read, bytes: u64) -> R<()> {
        if bytes <= SINGLE {
            let whole = next_part(source, bytes)?;
            if whole.len() as u64 != bytes {
                return Err(source_short());
            }
            let done = self.store.put_opts(&self.path, Bytes::from(whole).into(), PutMode::Create.into()).await;
            return done.map(|_| ()).map_err(|e| self.fault(Act::Write, &e));
        }
        match self.store.head(&self.path).await {
            Ok(_) => return Err(self.refuse(Code::ObjectExists, "an object stands there already")),
            Err(Error::NotFound { .. }) => {}
            Err(e) => return Err(self.fault(Act::Write, &e)),
        }
        let mut upload = self.store.put_multipart(&self.path).await.map_err(|e| self.fault(Act::Write, &e))?;
        let done = self.parts(&mut *upload, source, bytes).await;
        if done.is_err() {
            // What is left behind costs its owner money; if this fails too, the bucket's own rules clear it away.
            let _ = upload.abort().await;
        }
        done
    }

    async fn parts(&self, upload: &mut dyn MultipartUpload, source: &mut dyn Read, bytes: u64) -> R<()> {
        let fault = |e: Error| self.fault(Act::Write, &e);
        let mut left = bytes;
        while left > 0 {
            let part = next_part(source, left.min(PART))?;
            if part.len() as u64 != left.min(PART) {
                return Err(source_short());
            }
            left -= part.len() as u64;
            upload.put_part(Bytes::from(part).into()).await.map_err(fault)?;
        }
        upload.complete().await.map_err(fault)?;
        let size = self.store.head(&self.path).await.map_err(fault)?.size;
        if size == bytes {
            return Ok(());
        }
        Err(self.refuse(Code::UploadFailed, "storage has another number of bytes than were sent"))
    }

    fn refuse(&self, code: Code, why: &str) -> Refusal {
        Refusal::new(code, format!("{}: {why}", self.place))
    }

    /// By what storage told; by the library's kind of error where it refused by itself.
    fn fault(&self, act: Act, error: &Error) -> Refusal {
        if let Some(told) = self.door.told() {
            return told.refusal(act, &self.place);
        }
        match (error, act) {
            (Error::Precondition { .. }, Act::Read) => self.refuse(Code::ObjectChanged, "the object changed"),
            (Error::AlreadyExists { .. } | Error::Precondition { .. }, Act::Write) => {
                self.refuse(Code::ObjectExists, "an object stands there already")
            }
            (_, Act::Read) => self.refuse(Code::PeerFault, "storage answers what was not asked for"),
            (_, Act::Write) => self.refuse(Code::UploadFailed, "storage answers what was not asked for"),
        }
    }
}

fn name(kind: BucketKind) -> &'static str {
    match kind {
        BucketKind::S3 => "S3",
        BucketKind::Azure => "Azure",
        BucketKind::Gcs => "GCS",
    }
}

fn retries(patience: &Patience) -> RetryConfig {
    let backoff = BackoffConfig { init_backoff: patience.pause, max_backoff: patience.pause * 16, base: 2.0 };
    RetryConfig { backoff, max_retries: 3, retry_timeout: patience.whole }
}

type Made = object_store::Result<Box<dyn ObjectStore>>;

fn s3(
    address: &BucketAddress<'_>,
    store: &Store,
    base: &Url,
    credentials: Option<Credentials>,
    door: &Door,
    patience: &Patience,
) -> Made {
    let builder = AmazonS3Builder::new()
        .with_bucket_name(address.bucket)
        .with_region(store.region.as_deref().unwrap_or_default())
        .with_endpoint(base.as_str().trim_end_matches('/'))
        .with_skip_signature(store.anonymous)
        .with_retry(retries(patience))
        .with_crypto_provider(Arc::new(Crypto))
        .with_http_connector(door.clone());
    let builder = match credentials {
        Some(Credentials::S3(keys)) => {
            let builder = builder
                .with_access_key_id(keys.access_key_id.expose())
                .with_secret_access_key(keys.secret_access_key.expose());
            match keys.session_token {
                Some(token) => builder.with_token(token.expose()),
                None => builder,
            }
        }
        _ => builder,
    };
    Ok(Box::new(builder.build()?))
}

fn azure(
    address: &BucketAddress<'_>,
    store: &Store,
    base: &Url,
    credentials: Option<Credentials>,
    door: &Door,
    patience: &Patience,
) -> Made {
    let builder = MicrosoftAzureBuilder::new()
        .with_account(store.account.as_deref().unwrap_or_default())
        .with_container_name(address.bucket)
        .with_endpoint(base.as_str().trim_end_matches('/').to_owned())
        .with_skip_signature(store.anonymous)
        .with_retry(retries(patience))
        .with_crypto_provider(Arc::new(Crypto))
        .with_http_connector(door.clone());
    let builder = match credentials {
        Some(Credentials::AzureKey(key)) => builder.with_access_key(key.expose()).with_credential_type("access_key"),
        Some(Credentials::AzureSas(sas)) => {
            builder.with_config(AzureConfigKey::SasKey, sas.expose()).with_credential_type("sas_token")
        }
        _ => builder.with_credential_type("managed_identity"),
    };
    Ok(Box::new(builder.build()?))
}

fn gcs(
    address: &BucketAddress<'_>,
    base: &Url,
    credentials: Option<Credentials>,
    door: &Door,
    patience: &Patience,
) -> Made {
    let builder = GoogleCloudStorageBuilder::new()
        .with_bucket_name(address.bucket)
        .with_base_url(base.as_str().trim_end_matches('/'))
        .with_retry(retries(patience))
        .with_crypto_provider(Arc::new(Crypto))
        .with_http_connector(door.clone());
    let builder = match credentials {
        Some(Credentials::Gcs(key)) => builder.with_service_account_key(key.expose()),
        // A bearer of nothing, so that the library looks for no credentials of its own on this machine.
        _ => {
            let nothing = GcpCredential { bearer: String::new() };
            builder.with_credentials(Arc::new(StaticCredentialProvider::new(nothing))).with_skip_signature(true)
        }
    };
    Ok(Box::new(builder.build()?))
}
