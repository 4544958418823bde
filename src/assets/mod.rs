//! The files that the server hands out: JavaScript clients with their types, the console, the page at `/`.
//!
//! They are compiled into the binary, so that it stays one file. This module only knows which text belongs to which
//! path; who may ask, tags, conditional requests and security headers are the server's. Everybody may import it; only
//! the server does.

/// One file as it is served.
#[derive(Clone, Copy, Debug)]
pub struct Asset {
    /// The request path, without query.
    pub path: &'static str,
    /// The value of `Content-Type`, with its character set.
    pub content_type: &'static str,
    /// The content, unencoded.
    pub body: &'static [u8],
    /// Whether pages of other origins may load it: true for the clients, which exist to be included elsewhere.
    pub cross_origin: bool,
}

/// The value of `Content-Security-Policy` for every page: nothing inline, nothing from elsewhere, and connections only
/// to the server itself (in CSP Level 3 `'self'` covers `ws:` and `wss:` of the same host and port).
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
     img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml; charset=utf-8";
/// TypeScript has no media type of its own.
const TEXT: &str = "text/plain; charset=utf-8";

/// The page of all clients, with a place for the list of them: what only the server knows, it puts in.
pub const CLIENTS_PAGE: &str = include_str!("clients.html");

/// What the page of clients says of one.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    /// What it exports.
    pub names: &'static str,
    /// What it is for, as HTML.
    pub about: &'static str,
    /// A line of a program that uses it; a path in quotes is one on this server.
    pub usage: &'static str,
}

/// The client of this file name (without its ending).
#[must_use]
pub fn client(file: &str) -> Client {
    let (names, about, usage) = match file {
        "webshare" => (
            "WebShare",
            "Pairs a page with one other by key, and relays between the two.",
            "new WebShare('/webshare').onkey = (ok, code, { key }) => console.log('my key is', key);",
        ),
        "pocket.socket" => (
            "pocket",
            "Channels and events between everybody on a server, or on several at once.",
            "pocket.socket.makeSocket('/pocket').onmessage = ({ data }) => console.log(data);",
        ),
        "p2p" => (
            "connectP2p, p2pClientPlugin",
            "Devices that find each other by id: events with answers, rooms, streams, services.",
            "connectP2p('/', 'kitchen').on('message', (data) => console.log(data));",
        ),
        "named" => (
            "LocalWebSocket, BroadcastWebSocket, NetworkWebSocket",
            "A WebSocket to everybody who uses the same name, on this server or on the local network; or to each of them.",
            "new LocalWebSocket('demo').onmessage = ({ data }) => console.log(data);",
        ),
        "ws2s" => (
            "WS2S",
            "TCP sockets for a page, and a redis client, to where the operator allows.",
            "new WS2S('/ws2s').newSocket().connect('127.0.0.1', 6379).catch(console.log);",
        ),
        _ => ("", "", ""),
    };
    Client { names, about, usage }
}

/// Every file, by path.
pub static ASSETS: &[Asset] = &[
    page("/", HTML, include_bytes!("index.html")),
    page("/console", HTML, include_bytes!("console/index.html")),
    page("/console/channels.js", JAVASCRIPT, include_bytes!("console/channels.js")),
    page("/console/chart.js", JAVASCRIPT, include_bytes!("console/chart.js")),
    page("/console/clienttable.js", JAVASCRIPT, include_bytes!("console/clienttable.js")),
    page("/console/clients.js", JAVASCRIPT, include_bytes!("console/clients.js")),
    page("/console/console.css", CSS, include_bytes!("console/console.css")),
    page("/console/console.js", JAVASCRIPT, include_bytes!("console/console.js")),
    page("/console/conversation.js", JAVASCRIPT, include_bytes!("console/conversation.js")),
    page("/console/copy.js", JAVASCRIPT, include_bytes!("console/copy.js")),
    page("/console/devices.js", JAVASCRIPT, include_bytes!("console/devices.js")),
    page("/console/dom.js", JAVASCRIPT, include_bytes!("console/dom.js")),
    page("/console/icon.svg", SVG, include_bytes!("console/icon.svg")),
    page("/console/live.js", JAVASCRIPT, include_bytes!("console/live.js")),
    page("/console/name.js", JAVASCRIPT, include_bytes!("console/name.js")),
    page("/console/pair.js", JAVASCRIPT, include_bytes!("console/pair.js")),
    page("/console/qr.js", JAVASCRIPT, include_bytes!("console/qr.js")),
    page("/console/tcp.js", JAVASCRIPT, include_bytes!("console/tcp.js")),
    page("/console/token.js", JAVASCRIPT, include_bytes!("console/token.js")),
    // Browsers ask for it beside pages that name no icon; they look at the type, not at the path.
    page("/favicon.ico", SVG, include_bytes!("console/icon.svg")),
    script("/client/named.d.mts", TEXT, include_bytes!("client/named.d.mts")),
    script("/client/named.d.ts", TEXT, include_bytes!("client/named.d.ts")),
    script("/client/named.js", JAVASCRIPT, include_bytes!("client/named.js")),
    script("/client/named.mjs", JAVASCRIPT, include_bytes!("client/named.mjs")),
    script("/client/p2p.d.mts", TEXT, include_bytes!("client/p2p.d.mts")),
    script("/client/p2p.d.ts", TEXT, include_bytes!("client/p2p.d.ts")),
    script("/client/p2p.js", JAVASCRIPT, include_bytes!("client/p2p.js")),
    script("/client/p2p.mjs", JAVASCRIPT, include_bytes!("client/p2p.mjs")),
    script("/client/pocket.socket.d.mts", TEXT, include_bytes!("client/pocket.socket.d.mts")),
    script("/client/pocket.socket.d.ts", TEXT, include_bytes!("client/pocket.socket.d.ts")),
    script("/client/pocket.socket.js", JAVASCRIPT, include_bytes!("client/pocket.socket.js")),
    script("/client/pocket.socket.mjs", JAVASCRIPT, include_bytes!("client/pocket.socket.mjs")),
    script("/client/webshare.d.mts", TEXT, include_bytes!("client/webshare.d.mts")),
    script("/client/webshare.d.ts", TEXT, include_bytes!("client/webshare.d.ts")),
    script("/client/webshare.js", JAVASCRIPT, include_bytes!("client/webshare.js")),
    script("/client/webshare.mjs", JAVASCRIPT, include_bytes!("client/webshare.mjs")),
    script("/client/ws2s.d.mts", TEXT, include_bytes!("client/ws2s.d.mts")),
    script("/client/ws2s.d.ts", TEXT, include_bytes!("client/ws2s.d.ts")),
    script("/client/ws2s.js", JAVASCRIPT, include_bytes!("client/ws2s.js")),
    script("/client/ws2s.mjs", JAVASCRIPT, include_bytes!("client/ws2s.mjs")),
];

/// The file at exactly this path.
pub fn find(path: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.path == path)
}

const fn page(path: &'static str, content_type: &'static str, body: &'static [u8]) -> Asset {
    Asset { path, content_type, body, cross_origin: false }
}

const fn script(path: &'static str, content_type: &'static str, body: &'static [u8]) -> Asset {
    Asset { path, content_type, body, cross_origin: true }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::path::Path;

    /// The files below a folder of `src/assets`, as request paths.
    fn files(folder: &str) -> Vec<String> {
        let folder_path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/assets").join(folder);
        let names = folder_path.read_dir().expect("the folder is in the repository");
        names.map(|entry| format!("/{folder}/{}", entry.expect("readable").file_name().to_string_lossy())).collect()
    }

    #[test]
    fn every_file_is_served_at_its_path() {
        let pages = [String::from("/console/index.html")];
        for path in files("client").into_iter().chain(files("console")).filter(|path| !pages.contains(path)) {
            let on_disk = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/assets").join(&path[1..]);
            let asset = find(&path).unwrap_or_else(|| panic!("{path} is not served"));
            assert_eq!(asset.body, std::fs::read(on_disk).expect("it was listed"), "{path}");
            assert_eq!(asset.cross_origin, path.starts_with("/client/"), "{path}");
        }
    }

    #[test]
    fn paths_are_unique_and_absolute_and_nothing_else_is_found() {
        for (index, asset) in ASSETS.iter().enumerate() {
            assert!(asset.path.starts_with('/'), "{}", asset.path);
            assert!(ASSETS[index + 1..].iter().all(|other| other.path != asset.path), "{}", asset.path);
            assert!(asset.content_type.ends_with("; charset=utf-8"), "{}", asset.path);
            assert!(std::str::from_utf8(asset.body).is_ok_and(|text| text.ends_with('\n')), "{}", asset.path);
        }
        for path in
            ["", "/client", "/client/", "/console/", "/console/index.html", "/client/../console", "//", "/CONSOLE"]
        {
            assert!(find(path).is_none(), "{path}");
        }
    }

    #[test]
    fn pages_keep_to_the_policy_they_are_served_with() {
        for asset in ASSETS.iter().filter(|asset| asset.content_type == HTML) {
            let text = std::str::from_utf8(asset.body).expect("checked above");
            for inline in ["<style", " style=", " onclick=", " onload=", " onerror=", "javascript:", "<script>"] {
                assert!(!text.contains(inline), "{} has {inline}", asset.path);
            }
            for (_, rest) in text.match_indices("<script").map(|(at, _)| text.split_at(at)) {
                assert!(rest.starts_with("<script type=\"module\" src=\""), "{}", asset.path);
            }
        }
    }
}
