//! Clients over TLS, and certificates made for one test.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use jackfield::config::{Config, Listen, Root};
use rcgen::{CertificateParams, DnType, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};
use tungstenite::{Message, WebSocket};

use super::DEADLINE;
use super::server::free_port;

/// A client's end of a TLS connection.
pub(crate) type TlsStream = StreamOwned<ClientConnection, TcpStream>;

/// A certificate for localhost and 127.0.0.1 with its key, in files that go when it is dropped.
pub(crate) struct Identity {
    folder: PathBuf,
}

impl Identity {
    /// A good one, by the name `common`.
    pub(crate) fn new(common: &str) -> Self {
        Self::with(common, |_| {})
    }

    /// As `adjust` makes it.
    pub(crate) fn with(common: &str, adjust: impl FnOnce(&mut CertificateParams)) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("jackfield-tls-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder for temporary files");
        let identity = Self { folder };
        identity.replace(common, adjust);
        identity
    }

    /// Another certificate and another key in the same files.
    pub(crate) fn replace(&self, common: &str, adjust: impl FnOnce(&mut CertificateParams)) {
        let key = KeyPair::generate().expect("the system has randomness");
        let mut params = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()]).expect("names");
        params.distinguished_name.push(DnType::CommonName, common);
        adjust(&mut params);
        let cert = params.self_signed(&key).expect("the parameters are good");
        fs::write(self.cert(), cert.pem()).expect("writable");
        fs::write(self.key(), key.serialize_pem()).expect("writable");
        set_mode(&self.key(), 0o600);
    }

    pub(crate) fn cert(&self) -> PathBuf {
        self.folder.join("cert.pem")
    }

    pub(crate) fn key(&self) -> PathBuf {
        self.folder.join("key.pem")
    }

    /// The certificate as it is sent.
    pub(crate) fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_file(self.cert()).expect("we wrote it")
    }

    /// The options that have a program listen with it on a free port, behind its plain one.
    pub(crate) fn options(&self) -> Vec<String> {
        let path = |path: PathBuf| path.to_str().expect("UTF-8").to_owned();
        ["--listen", "tls+127.0.0.1:0", "--tls-cert", &path(self.cert()), "--tls-key", &path(self.key())]
            .map(str::to_owned)
            .into()
    }

    /// A second listener, behind the plain one, that speaks TLS.
    pub(crate) fn listen(&self, config: &mut Config) {
        config.listen.push(Listen { tls: true, ..free_port(Root::Auto) });
        (config.tls_cert, config.tls_key) = (Some(self.cert()), Some(self.key()));
    }

    /// What a client that trusts this certificate uses.
    pub(crate) fn client(&self) -> ClientConfig {
        self.client_of(&[&rustls::version::TLS13, &rustls::version::TLS12])
    }

    /// The same in these versions.
    pub(crate) fn client_of(&self, versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.der()).expect("a certificate");
        let builder = ClientConfig::builder_with_provider(ring::default_provider().into());
        builder.with_protocol_versions(versions).expect("versions").with_root_certificates(roots).with_no_client_auth()
    }

    /// A connection with a completed handshake.
    pub(crate) fn connect(&self, address: SocketAddr) -> TlsStream {
        connect(self.client(), address, "localhost").unwrap_or_else(|error| panic!("no handshake: {error}"))
    }

    /// A WebSocket on `target`.
    pub(crate) fn socket(&self, address: SocketAddr, target: &str) -> Socket {
        Socket::over(self.connect(address), target)
    }
}

impl Drop for Identity {
    fn drop(&mut self) {
        // What stays is in a folder for temporary files.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Who may read a file.
pub(crate) fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("our own file");
}

/// A TCP connection that gives up at the deadline.
pub(crate) fn dial(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the server accepts");
    stream.set_nodelay(true).expect("a live socket");
    stream.set_read_timeout(Some(DEADLINE)).expect("a live socket");
    stream.set_write_timeout(Some(DEADLINE)).expect("a live socket");
    stream
}

/// A handshake for the name `host`.
pub(crate) fn connect(config: ClientConfig, address: SocketAddr, host: &str) -> io::Result<TlsStream> {
    let name = ServerName::try_from(host.to_owned()).expect("a name");
    let client = ClientConnection::new(Arc::new(config), name).expect("a configuration");
    over(client, dial(address))
}

/// A handshake over a TCP connection that exists.
pub(crate) fn over(client: ClientConnection, tcp: TcpStream) -> io::Result<TlsStream> {
    let mut stream = StreamOwned::new(client, tcp);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    Ok(stream)
}

/// An independent WebSocket client over TLS.
pub(crate) struct Socket(pub(crate) WebSocket<TlsStream>);

impl Socket {
    /// Opens `target`.
    pub(crate) fn over(stream: TlsStream, target: &str) -> Self {
        let address = stream.sock.peer_addr().expect("connected");
        match tungstenite::client(format!("ws://{address}{target}"), stream) {
            Ok((socket, _)) => Self(socket),
            Err(error) => panic!("{target} does not open: {error}"),
        }
    }

    pub(crate) fn send(&mut self, message: impl Into<Message>) {
        self.0.send(message.into()).expect("the server takes our message");
    }

    /// The next message that is not a control frame.
    pub(crate) fn next(&mut self) -> Message {
        loop {
            match self.0.read() {
                Ok(Message::Ping(_) | Message::Pong(_)) => {}
                Ok(message) => return message,
                Err(error) => panic!("instead of a message: {error}"),
            }
        }
    }

    /// The next message, which is text.
    pub(crate) fn text(&mut self) -> String {
        self.next().to_text().expect("text").to_owned()
    }

    /// The next message is binary with this payload.
    pub(crate) fn expect_binary(&mut self, payload: &[u8]) {
        let message = self.next();
        assert!(message.is_binary() && message.into_data() == payload, "another message than expected");
    }

    /// Everything sent before has been processed.
    pub(crate) fn round_trip(&mut self) {
        self.0.send(Message::Ping(b"round trip"[..].into())).expect("the server takes our message");
        loop {
            match self.0.read().expect("a live connection") {
                Message::Pong(payload) if &payload[..] == b"round trip" => return,
                Message::Ping(_) | Message::Pong(_) => {}
                message => panic!("instead of a pong: {message}"),
            }
        }
    }
}

/// A request and its whole response, on a connection that ends with it.
pub(crate) fn get(stream: &mut TlsStream, path: &str) -> String {
    let address = stream.sock.peer_addr().expect("connected");
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("the server takes it");
    let mut response = String::new();
    // Ends without an error only if the server announces the end.
    stream.read_to_string(&mut response).expect("a whole response");
    response
}
