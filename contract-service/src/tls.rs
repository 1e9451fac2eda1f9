//! TLS by OpenSSL, HTTP/1.1 alone, with certificates from files: when the files change, new connections get the new
//! certificate and open ones go on.

use std::path::Path;
use std::sync::{Arc, RwLock};
use std::time::SystemTime;

use openssl::ssl::{SniError, SslAcceptor, SslAcceptorBuilder, SslContext, SslFiletype, SslMethod, SslVersion};
use schemas::{Code, R, Refusal};

use crate::config::TlsFiles;
use crate::error::fault;

/// The certificate that is served now.
#[derive(Clone)]
pub struct Tls {
    files: TlsFiles,
    serving: Arc<RwLock<SslContext>>,
    seen: Arc<RwLock<Seen>>,
}

type Seen = (Option<SystemTime>, Option<SystemTime>);

impl Tls {
    /// Reads the files.
    pub fn load(files: &TlsFiles) -> R<Tls> {
        let seen = (changed(&files.cert_file), changed(&files.key_file));
        let context = builder(files)?.build().into_context();
        let (serving, seen) = (Arc::new(RwLock::new(context)), Arc::new(RwLock::new(seen)));
        Ok(Tls { files: files.clone(), serving, seen })
    }

    /// What the server accepts connections with: it takes the newest certificate for each.
    pub fn acceptor(&self) -> R<SslAcceptorBuilder> {
        let mut builder = builder(&self.files)?;
        let serving = self.serving.clone();
        // OpenSSL calls this in every handshake, with or without a name from the client.
        builder.set_servername_callback(move |ssl, _| {
            let context = serving.read().unwrap_or_else(|e| e.into_inner());
            ssl.set_ssl_context(&context).map_err(|_| SniError::ALERT_FATAL)
        });
        Ok(builder)
    }

    /// Reads the files anew where they have changed; says whether new ones are served now. Files that do not fit one
    /// another (only one of them is there yet) are refused, and the old ones go on being served.
    pub fn reload(&self) -> R<bool> {
        let now = (changed(&self.files.cert_file), changed(&self.files.key_file));
        if *self.seen.read().unwrap_or_else(|e| e.into_inner()) == now {
            return Ok(false);
        }
        let context = builder(&self.files)?.build().into_context();
        *self.serving.write().unwrap_or_else(|e| e.into_inner()) = context;
        *self.seen.write().unwrap_or_else(|e| e.into_inner()) = now;
        Ok(true)
    }
}

fn changed(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|about| about.modified()).ok()
}

fn builder(files: &TlsFiles) -> R<SslAcceptorBuilder> {
    let bad = |path: &Path, field: &'static str| {
        let sentence = format!("{} is no PEM file that fits the other one", path.display());
        move |e: openssl::error::ErrorStack| {
            tracing::debug!(cause = %e, "a certificate file was refused");
            Refusal::new(Code::ConfigInvalid, sentence).at(field)
        }
    };
    let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).map_err(fault)?;
    builder.set_min_proto_version(Some(SslVersion::TLS1_2)).map_err(fault)?;
    builder.set_certificate_chain_file(&files.cert_file).map_err(bad(&files.cert_file, "tls.cert_file"))?;
    builder.set_private_key_file(&files.key_file, SslFiletype::PEM).map_err(bad(&files.key_file, "tls.key_file"))?;
    builder.check_private_key().map_err(bad(&files.key_file, "tls.key_file"))?;
    Ok(builder)
}
