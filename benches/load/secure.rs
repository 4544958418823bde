//! TLS for the load generator: a certificate for the server that is started, and the client's side of a connection.

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;

use mio::net::TcpStream;
use rcgen::{CertificateParams, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use crate::Outcome;

/// A certificate for this machine in a folder of its own, which goes with it.
pub(crate) struct Certificate {
    folder: PathBuf,
    /// What clients use that trust it.
    pub(crate) client: Arc<ClientConfig>,
}

impl Certificate {
    pub(crate) fn make() -> Outcome<Self> {
        let key = KeyPair::generate()?;
        let cert = CertificateParams::new(["localhost".to_owned()])?.self_signed(&key)?;
        let mut roots = RootCertStore::empty();
        roots.add(cert.der().clone())?;
        let builder = ClientConfig::builder_with_provider(ring::default_provider().into());
        let mut client =
            builder.with_safe_default_protocol_versions()?.with_root_certificates(roots).with_no_client_auth();
        // Every handshake is a whole one.
        client.resumption = rustls::client::Resumption::disabled();
        let folder = std::env::temp_dir().join(format!("jackfield-load-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let certificate = Self { folder, client: client.into() };
        fs::write(certificate.file("cert"), cert.pem())?;
        fs::write(certificate.file("key"), key.serialize_pem())?;
        fs::set_permissions(certificate.file("key"), fs::Permissions::from_mode(0o600))?;
        Ok(certificate)
    }

    fn file(&self, name: &str) -> String {
        self.folder.join(format!("{name}.pem")).display().to_string()
    }

    /// What has the server listen with it.
    pub(crate) fn arguments(&self) -> [String; 6] {
        ["--listen", "tls+127.0.0.1:0", "--tls-cert", &self.file("cert"), "--tls-key", &self.file("key")]
            .map(str::to_owned)
    }
}

impl Drop for Certificate {
    fn drop(&mut self) {
        // It is in a folder for temporary files.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The TLS of a client.
pub(crate) struct Secure(ClientConnection);

impl Secure {
    pub(crate) fn new(config: &Arc<ClientConfig>) -> Outcome<Self> {
        let mut conn = ClientConnection::new(Arc::clone(config), ServerName::try_from("localhost")?)?;
        conn.set_buffer_limit(None);
        Ok(Self(conn))
    }

    /// Encrypts these bytes and sends what the kernel takes of everything that waits.
    pub(crate) fn send(&mut self, stream: &mut TcpStream, bytes: &[u8]) -> io::Result<()> {
        self.0.writer().write_all(bytes)?;
        while self.0.wants_write() {
            match self.0.write_tls(stream) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => drop(result?),
            }
        }
        Ok(())
    }

    /// Reads until the socket is empty or the scratch is full; `None` when nothing came.
    pub(crate) fn read(&mut self, stream: &mut TcpStream, scratch: &mut [u8]) -> io::Result<Option<usize>> {
        let mut filled = 0;
        while filled < scratch.len() {
            match self.0.reader().read(&mut scratch[filled..]) {
                Ok(0) => return Ok(Some(filled)),
                Ok(read) => {
                    filled += read;
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            match self.0.read_tls(stream) {
                Ok(0) => return Ok(Some(filled)),
                Ok(_) => {
                    self.0.process_new_packets().map_err(io::Error::other)?;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            self.send(stream, &[])?;
        }
        Ok((filled > 0).then_some(filled))
    }
}
