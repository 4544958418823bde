//! T24: no redirects but those between the two forms of a page of ours, no files, no way up.

use super::common::client::Client;
use super::common::server::TestServer;

#[test]
fn t24_no_path_leads_elsewhere() {
    let server = TestServer::start();
    for path in [
        "//evil.example",
        "//evil.example/%2e%2e",
        "///evil.example",
        "/%2f%2fevil.example",
        "/%5cevil.example",
        "/\\evil.example",
        "/..",
        "/../../etc/passwd",
        "/client/../../etc/passwd",
        "/client/..%2f..%2fetc%2fpasswd",
        "/client/%2e%2e/console",
        "/client//",
        "//client",
        "/client//webshare.js",
        "/client/./webshare.js",
        "/client/webshare.js/",
        "/client/webshare.js%00",
        "/console//",
        "//console/",
        "/evil.example/console/",
        "/console/../metrics",
        "/etc/passwd",
        "/.git/config",
        "/Cargo.toml",
        "/socket.io/socket.io.js",
    ] {
        for method in ["GET", "HEAD"] {
            let mut client = Client::connect(server.address());
            client.write(format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes());
            let response = client.response_to(method);
            assert!(matches!(response.status, 400 | 404), "{method} {path}: {response:?}");
            assert_eq!(response.header("location"), None, "{method} {path}");
            assert!(!response.text().contains("evil") && !response.text().contains("root:"), "{path}: {response:?}");
        }
    }
}
