//! stub
fn main() {
    let mut config = jackfield::config::Config::default();
    config.listen[0].address.set_port(std::env::args().nth(1).map_or(0, |p| p.parse().unwrap()));
    let mut server = jackfield::server::Server::bind(config).unwrap();
    for address in server.addresses() {
        println!("http://{address}/");
    }
    server.watch_signals().unwrap();
    server.run().unwrap();
}
