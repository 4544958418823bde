//! Requests as text, responses checked strictly (RFC 9112).

use std::fmt;
use std::net::SocketAddr;

/// The key of RFC 6455's own example (§1.3).
pub(crate) const SAMPLE_KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// What the server must answer to `SAMPLE_KEY` (RFC 6455 §1.3).
pub(crate) const SAMPLE_ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// A correct opening handshake of a client that is not a browser.
pub(crate) fn upgrade_request(address: SocketAddr, target: &str) -> String {
    format!(
        "GET {target} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {SAMPLE_KEY}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
}

/// A request without a body.
pub(crate) fn request(method: &str, address: SocketAddr, target: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nHost: {address}\r\n\r\n")
}

/// A response, complete with its body.
#[derive(Clone)]
pub(crate) struct Response {
    /// Status code.
    pub(crate) status: u16,
    /// Names in lower case, in order.
    pub(crate) headers: Vec<(String, String)>,
    /// Body, empty where there is none by definition.
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// Takes one response to a request with `method` off the front of `bytes`; `None` while it is incomplete.
    ///
    /// # Errors
    /// A status line or header that is not exactly as RFC 9112 says, or a body whose length is not declared.
    pub(crate) fn take(bytes: &mut Vec<u8>, method: &str) -> Result<Option<Self>, String> {
        let Some(head_len) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
        let head = String::from_utf8(bytes[..head_len].to_vec()).map_err(|_| "a head that is not UTF-8")?;
        let mut lines = head.split("\r\n");
        let status_line = lines.next().unwrap_or_default();
        let status = status_line
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.split_once(' '))
            .and_then(|(code, _)| code.parse().ok())
            .ok_or_else(|| format!("status line {status_line:?}"))?;
        let mut headers = Vec::new();
        for line in lines {
            let (name, value) = line.split_once(':').ok_or_else(|| format!("header line {line:?}"))?;
            if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
                return Err(format!("header name {name:?}"));
            }
            if line.contains(['\r', '\n', '\0']) {
                return Err(format!("control characters in {line:?}"));
            }
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut response = Self { status, headers, body: Vec::new() };
        let body_len = match response.all("content-length")[..] {
            _ if method == "HEAD" || matches!(status, 100..=199 | 204 | 304) => 0,
            [len] => len.parse().map_err(|_| format!("content-length {len:?}"))?,
            [] => return Err(format!("no content-length: {head:?}")),
            _ => return Err(format!("several content-lengths: {head:?}")),
        };
        let end = head_len + 4 + body_len;
        if bytes.len() < end {
            return Ok(None);
        }
        response.body = bytes[head_len + 4..end].to_vec();
        bytes.drain(..end);
        Ok(Some(response))
    }

    /// All values of a header.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(known, _)| known == name).map(|(_, value)| &value[..]).collect()
    }

    /// The value of a header that must not come twice.
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() <= 1, "{name} comes {} times: {self:?}", all.len());
        all.first().copied()
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Whether the server will close the connection after this response.
    pub(crate) fn closes(&self) -> bool {
        self.all("connection").iter().any(|value| value.eq_ignore_ascii_case("close"))
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?} {:?}", self.status, self.headers, self.text())
    }
}
