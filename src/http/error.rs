//! Why a request head is refused, with the status and the sentence that the client gets. Layer 0.
//!
//! One enum for [`end_of_head`](super::end_of_head) and [`parse`](super::parse), as the second continues what the first
//! began. Refusals for other reasons are [`UpgradeError`](super::UpgradeError) and [`Refusal`](super::Refusal).

use std::fmt;

/// Why a request is not served. The connection must be closed after the answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RequestError {
    /// A line that ends with LF alone.
    BareLf,
    /// CR without LF.
    BareCr,
    /// A control byte, NUL included.
    ControlByte,
    /// A header line that continues the one before it.
    Folded,
    /// A request line that is none.
    RequestLine,
    /// A target in the wrong form, or with bytes that need escaping.
    Target,
    /// CONNECT.
    Connect,
    /// HTTP, but neither 1.0 nor 1.1.
    Version,
    /// No end of the head within `--max-head`.
    HeadTooLong,
    /// Not even an end of the request line within `--max-head`.
    TargetTooLong,
    /// More fields than `--max-headers`.
    TooManyHeaders,
    /// A field name that is no token, or space before the colon.
    HeaderName,
    /// A field value with forbidden bytes.
    HeaderValue,
    /// HTTP/1.1 without Host.
    MissingHost,
    /// Several Host fields.
    DuplicateHost,
    /// A Host that is not `host[:port]`.
    BadHost,
    /// An absolute target that names another host than Host does.
    HostMismatch,
    /// Several Origin fields.
    DuplicateOrigin,
    /// An Origin that is not ASCII.
    BadOrigin,
    /// Several Content-Length fields.
    DuplicateContentLength,
    /// A Content-Length that is not a number of 64 bits.
    BadContentLength,
    /// Both ways to say how long the body is.
    TransferEncodingWithLength,
    /// A body in a transfer coding.
    TransferEncoding,
}

impl RequestError {
    pub(super) fn from_httparse(error: httparse::Error, head: &[u8]) -> Self {
        let start = head.strip_prefix(b"\r\n").unwrap_or(head);
        let line = start.split(|&b| b == b'\r').next().unwrap_or_default();
        let is_http = |version: &[u8]| {
            matches!(version, [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit())
        };
        match error {
            httparse::Error::TooManyHeaders => Self::TooManyHeaders,
            httparse::Error::HeaderName => Self::HeaderName,
            httparse::Error::HeaderValue => Self::HeaderValue,
            httparse::Error::Token if !line.is_ascii() => Self::Target,
            httparse::Error::Version
                if line.split(|&b| b == b' ').count() == 3
                    && line.rsplit(|&b| b == b' ').next().is_some_and(is_http) =>
            {
                Self::Version
            }
            _ => Self::RequestLine,
        }
    }

    /// The HTTP status to answer with.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::TargetTooLong => 414,
            Self::HeadTooLong | Self::TooManyHeaders => 431,
            Self::TransferEncoding => 501,
            Self::Version => 505,
            _ => 400,
        }
    }

    /// One sentence for the client and the log.
    #[must_use]
    pub fn message(self) -> &'static str {
        match self {
            Self::BareLf => "A line of the request ends with LF alone; HTTP/1.1 lines end with CR LF.",
            Self::BareCr => "The request contains a CR that is not followed by LF.",
            Self::ControlByte => "The request contains a control byte; is this TLS on a plain port?",
            Self::Folded => "A header line continues on the next line, which is obsolete and refused.",
            Self::RequestLine => "The request line is not METHOD TARGET HTTP/1.1 with single spaces.",
            Self::Target => "The request target is neither /path nor http://host/path in printable ASCII.",
            Self::Connect => "CONNECT is not served: this is no proxy.",
            Self::Version => "Only HTTP/1.0 and HTTP/1.1 are spoken here.",
            Self::HeadTooLong => "The request head is longer than --max-head allows.",
            Self::TargetTooLong => "The request line is longer than --max-head allows for the whole head.",
            Self::TooManyHeaders => "The request has more header fields than --max-headers allows.",
            Self::HeaderName => "A header line is not NAME: VALUE without spaces before the colon.",
            Self::HeaderValue => "A header value contains a forbidden byte.",
            Self::MissingHost => "The Host header is missing.",
            Self::DuplicateHost => "There is more than one Host header.",
            Self::BadHost => "The Host header is not HOST or HOST:PORT.",
            Self::HostMismatch => "The request target names another host than the Host header.",
            Self::DuplicateOrigin => "There is more than one Origin header.",
            Self::BadOrigin => "The Origin header is not ASCII.",
            Self::DuplicateContentLength => "There is more than one Content-Length header.",
            Self::BadContentLength => "The Content-Length header is not a decimal number of bytes.",
            Self::TransferEncodingWithLength => "Transfer-Encoding and Content-Length exclude each other.",
            Self::TransferEncoding => "Bodies in a transfer coding are not accepted; send Content-Length instead.",
        }
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl std::error::Error for RequestError {}
