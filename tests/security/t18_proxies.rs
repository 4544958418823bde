//! T18 through a real nginx and a real HAProxy: WebSocket, polling, whom limits count, the PROXY protocol, and smuggling.
//! With `JACKFIELD_TEST_PROXIES=1`. The configurations are those of README's "Exposing it".

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::common::DEADLINE;
use super::common::client::{Client, Trouble};
use super::common::frame::{binary, text};
use super::common::http::{SAMPLE_KEY, upgrade_request};
use super::common::process::Process;
use super::common::server::Metrics;
use super::t18_smuggling::{HIDDEN, corpus};

fn is_asked_for() -> bool {
    std::env::var_os("JACKFIELD_TEST_PROXIES").is_some()
}

/// A port that was free a moment ago: these programs cannot say which one they were given.
fn free_port() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    listener.local_addr().expect("bound")
}

/// A proxy with its folder; killed when dropped.
struct Proxy {
    child: Child,
    folder: PathBuf,
}

impl Proxy {
    /// Starts `program` with `configuration`, in which `DIR` stands for a folder of its own, until it answers on `ports`.
    fn start(program: &str, configuration: &str, arguments: &[&str], ports: &[SocketAddr]) -> Self {
        let folder =
            std::env::temp_dir().join(format!("jackfield-{program}-{}-{}", std::process::id(), ports[0].port()));
        fs::create_dir_all(&folder).expect("a folder");
        let place = folder.to_str().expect("UTF-8");
        let file = folder.join("configuration");
        fs::write(&file, configuration.replace("DIR", place)).expect("a file");
        let child = Command::new(program)
            .args(arguments)
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{program} (the Debian package of this name): {error}"));
        let start = Instant::now();
        for port in ports {
            while TcpStream::connect(port).is_err() {
                assert!(start.elapsed() < DEADLINE, "{program} does not listen on {port}");
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        Self { child, folder }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn nginx(front: SocketAddr, back: SocketAddr) -> Proxy {
    let configuration = format!(
        "daemon off;\nmaster_process off;\npid DIR/pid;\nerror_log DIR/error.log;\nevents {{}}\nhttp {{\n\
         access_log off;\nclient_body_temp_path DIR/body;\nproxy_temp_path DIR/proxy;\nfastcgi_temp_path DIR/f;\n\
         uwsgi_temp_path DIR/u;\nscgi_temp_path DIR/s;\n\
         map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}\n\
         upstream jackfield {{ server {back}; keepalive 16; }}\n\
         server {{\n  listen {front};\n  location /hidden {{ return 403; }}\n  location / {{\n\
           proxy_pass http://jackfield;\n    proxy_http_version 1.1;\n\
           proxy_set_header Host $http_host;\n    proxy_set_header Upgrade $http_upgrade;\n\
           proxy_set_header Connection $connection_upgrade;\n\
           proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\n    proxy_set_header Forwarded \"\";\n\
           proxy_read_timeout 1h;\n    proxy_buffering off;\n  }}\n}}\n}}\n"
    );
    Proxy::start("nginx", &configuration, &["-e", "/dev/null", "-c"], &[front])
}

/// Frontends: with X-Forwarded-For, with PROXY version 1, with version 2. The last takes PROXY headers itself.
fn haproxy(fronts: [SocketAddr; 3], back: SocketAddr, proxied: SocketAddr) -> Proxy {
    let [fields, first, second] = fronts;
    let configuration = format!(
        "global\n  maxconn 500\ndefaults\n  mode http\n  timeout connect 5s\n  timeout client 1m\n  timeout server 1m\n  \
         timeout tunnel 1h\n\
         frontend fields\n  bind {fields}\n  http-request deny if {{ path /hidden }}\n  option forwardfor\n  \
         http-request del-header Forwarded\n  default_backend plain\n\
         frontend first\n  mode tcp\n  bind {first}\n  default_backend first\n\
         frontend second\n  mode tcp\n  bind {second} accept-proxy\n  default_backend second\n\
         backend plain\n  server jackfield {back}\n\
         backend first\n  mode tcp\n  server jackfield {proxied} send-proxy check-send-proxy\n\
         backend second\n  mode tcp\n  server jackfield {proxied} send-proxy-v2\n"
    );
    Proxy::start("haproxy", &configuration, &["-db", "-f"], &[fields, first])
}

/// The program with a plain listener, one for PROXY headers, and one for the observer, which is on the proxy's machine.
struct Jackfield {
    process: Process,
    proxied: SocketAddr,
    admin: SocketAddr,
}

fn jackfield(limit: &str) -> Jackfield {
    let (proxied, admin) = (free_port(), free_port());
    let (listen, observed) = (format!("proxy+{proxied}"), admin.to_string());
    let mut arguments = vec!["-vv", "--listen", &listen, "--admin", &observed, "--trusted-proxy", "127.0.0.0/8"];
    arguments.extend(["--max-per-address", limit]);
    Jackfield { process: Process::start(&arguments), proxied, admin }
}

/// All that clients do, through `front`.
fn use_everything(front: SocketAddr) {
    // WebSocket, in both directions, large and small, and its end.
    let mut one = Client::open(front, "/local/a");
    let mut other = Client::open(front, "/local/a");
    one.round_trip();
    other.round_trip();
    for size in [0, 1, 125, 70_000, 1024 * 1024] {
        one.send(&binary(vec![5; size]));
        other.expect_binary(vec![5; size]);
    }
    other.send(&text("and back"));
    one.expect_text("and back");
    one.close();
    // Long polling, and a page.
    let mut poller = Client::connect(front);
    poller.write(format!("GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: {front}\r\n\r\n").as_bytes());
    let opened = poller.response();
    assert_eq!(opened.status, 200, "{opened:?}");
    let sid = opened.text().split('"').nth(3).expect("an id").to_owned();
    let body = "40";
    poller.write(
        format!(
            "POST /socket.io/?EIO=4&transport=polling&sid={sid} HTTP/1.1\r\nHost: {front}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .as_bytes(),
    );
    assert_eq!(poller.response().text(), "ok");
    let mut page = Client::connect(front);
    page.write(format!("GET /client/webshare.js HTTP/1.1\r\nHost: {front}\r\n\r\n").as_bytes());
    assert_eq!(page.response().status, 200);
    // Nobody is an operator through a proxy, and foreign names and pages stay outside.
    for (target, host, origin, status) in [
        ("/metrics", "localhost", "", 404),
        ("/client/webshare.js", "evil.example", "", 403),
        ("/socket.io/?EIO=4&transport=polling", "localhost", "Origin: https://evil.example\r\n", 403),
    ] {
        let mut client = Client::connect(front);
        client.write(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n{origin}\r\n").as_bytes());
        assert_eq!(client.response().status, status, "{target} {host}");
    }
}

/// Connections of one client, which is named to the proxy, up to the limit of two.
fn count_by_client(front: SocketAddr, server: &Jackfield, preamble: &str, field: &str) {
    let open = |address: &str| {
        let mut client = Client::connect(front);
        let request = upgrade_request(front, "/local/counted");
        let field = field.replace("CLIENT", address);
        let request = request.replace("Upgrade: websocket", &format!("{field}Upgrade: websocket"));
        client.write(format!("{}{request}", preamble.replace("CLIENT", address)).as_bytes());
        let status = client.response().status;
        (client, status)
    };
    let (one, two, three, other) = (open("192.0.2.7"), open("192.0.2.7"), open("192.0.2.7"), open("192.0.2.8"));
    assert_eq!([one.1, two.1, three.1, other.1], [101, 101, 503, 101]);
    server.process.expect_output("192.0.2.7");
    drop((one, two, three, other));
    Metrics::of(server.admin).wait_for("all to be gone", |values| values["jackfield_counted_connections"] == 0.0);
}

/// Nothing that is hidden from the proxy reaches the server as a request.
fn smuggle(front: SocketAddr, server: Process) {
    let upgrade = |fields: &str| {
        format!(
            "GET /local/a HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{fields}\r\n{HIDDEN}"
        )
    };
    let key = format!("Sec-WebSocket-Key: {SAMPLE_KEY}\r\n");
    let mut attempts: Vec<(&str, String)> = corpus();
    attempts.push(("behind an upgrade", upgrade(&format!("{key}Sec-WebSocket-Version: 13\r\n"))));
    attempts.push(("behind an upgrade with a wrong version", upgrade(&format!("{key}Sec-WebSocket-Version: 7\r\n"))));
    attempts.push(("behind an upgrade without a key", upgrade("Sec-WebSocket-Version: 13\r\n")));
    attempts.push((
        "in the body of an upgrade",
        upgrade(&format!("{key}Sec-WebSocket-Version: 13\r\nContent-Length: {}\r\n", HIDDEN.len())),
    ));
    attempts.push((
        "h2c",
        format!(
            "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\
             Connection: Upgrade, HTTP2-Settings\r\n\r\n{HIDDEN}"
        ),
    ));
    for (what, bytes) in attempts {
        let mut client = Client::connect(front);
        client.set_patience(Duration::from_millis(300));
        client.write(bytes.as_bytes());
        while let Ok(response) = client.try_response("GET") {
            assert!(response.status != 200 || !response.text().contains("hidden"), "{what}: {response:?}");
            if response.status == 101 {
                break;
            }
        }
    }
    // It lives, and its log, which names every request, has none of that path.
    let mut last = Client::open(front, "/local/last");
    last.round_trip();
    server.expect_output("opened /local/last");
    server.signal(rustix::process::Signal::TERM);
    drop(last);
    let (_, printed) = server.wait();
    let found: Vec<&str> = printed.lines().filter(|line| line.contains("/hidden")).collect();
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn t18_nginx() {
    if !is_asked_for() {
        return;
    }
    let server = jackfield("2");
    let front = free_port();
    let _nginx = nginx(front, server.process.address());
    use_everything(front);
    count_by_client(front, &server, "", "X-Forwarded-For: 6.6.6.6, CLIENT\r\n");
    // What the client forges in the field that nginx does not write is removed by it.
    count_by_client(front, &server, "", "Forwarded: for=6.6.6.6\r\nX-Forwarded-For: CLIENT\r\n");
    smuggle(front, server.process);
}

#[test]
fn t18_haproxy() {
    if !is_asked_for() {
        return;
    }
    let server = jackfield("2");
    let fronts = [free_port(), free_port(), free_port()];
    let _haproxy = haproxy(fronts, server.process.address(), server.proxied);
    let [fields, first, second] = fronts;
    use_everything(fields);
    use_everything(first);
    count_by_client(fields, &server, "", "X-Forwarded-For: CLIENT\r\n");
    count_by_client(second, &server, "PROXY TCP4 CLIENT 127.0.0.1 4711 80\r\n", "");
    // The listener itself hears nobody who does not begin with the header.
    let mut client = Client::connect(server.proxied);
    client.write(upgrade_request(server.proxied, "/local/a").as_bytes());
    assert!(matches!(client.try_response("GET"), Err(Trouble::End | Trouble::Reset)));
    smuggle(fields, server.process);
}
