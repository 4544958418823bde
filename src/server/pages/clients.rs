//! The page at `/client/`: every client with its version, size and integrity hash, and how a page loads it. Layer 3.
//!
//! It is put together once, when the server starts, from the very bytes that are served, so its hashes are theirs.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha384};

use crate::assets::{ASSETS, Asset, CLIENTS_PAGE, Client, client};

/// Where the list goes in the page.
const PLACE: &str = "<!-- clients -->\n";

/// The page.
pub(super) fn page() -> String {
    let mut list = String::new();
    let scripts = ASSETS.iter().filter(|asset| asset.path.starts_with("/client/") && asset.path.ends_with(".js"));
    for script in scripts {
        push_entry(&mut list, script).expect("writing to memory does not fail");
    }
    CLIENTS_PAGE.replacen(PLACE, &list, 1)
}

/// The value of an `integrity` attribute (Subresource Integrity §3.1) for a file as it is served.
fn integrity(asset: &Asset) -> String {
    format!("sha384-{}", STANDARD.encode(Sha384::digest(asset.body)))
}

fn push_entry(out: &mut String, script: &Asset) -> std::fmt::Result {
    let file = &script.path["/client/".len()..script.path.len() - ".js".len()];
    let Client { names, about, usage } = client(file);
    let path = |kind: &str| format!("/client/{file}.{kind}");
    writeln!(out, "<section class=\"panel\" aria-labelledby=\"{file}\">")?;
    writeln!(out, "<header><h2 id=\"{file}\">{file}.js</h2>")?;
    writeln!(out, "<p class=\"version\">{} · {} bytes</p></header>", env!("CARGO_PKG_VERSION"), script.body.len())?;
    writeln!(out, "<p class=\"hint\">{about}</p>")?;
    let kinds = ["js", "mjs", "d.ts", "d.mts"].into_iter().filter(|kind| crate::assets::find(&path(kind)).is_some());
    let links: Vec<_> = kinds.map(|kind| format!("<a href=\"{file}.{kind}\">{file}.{kind}</a>")).collect();
    writeln!(out, "<p class=\"files\">{}</p>", links.join(" "))?;
    let hash = integrity(script);
    writeln!(out, "<p class=\"label\">Integrity</p>\n<p class=\"hash\"><code>{hash}</code></p>")?;
    let classic = format!(
        "<script src=\"/client/{file}.js\"\n        integrity=\"{hash}\"\n        crossorigin=\"anonymous\"></script>\n\
         <script>\n  {usage}\n</script>"
    );
    push_snippet(out, &format!("{file}.js, classic script"), &classic)?;
    if let Some(module) = crate::assets::find(&path("mjs")) {
        let preload = |kind: &str, hash: &str| {
            format!(
                "<link rel=\"modulepreload\" href=\"/client/{file}.{kind}\" crossorigin=\"anonymous\"\n      \
                 integrity=\"{hash}\">\n"
            )
        };
        let import = format!(
            "{}{}<script type=\"module\">\n  import {{ {names} }} from '/client/{file}.mjs';\n  {usage}\n</script>",
            preload("mjs", &integrity(module)),
            preload("js", &hash)
        );
        push_snippet(out, &format!("{file}.mjs, module"), &import)?;
    }
    writeln!(out, "</section>")
}

fn push_snippet(out: &mut String, what: &str, code: &str) -> std::fmt::Result {
    let code = code.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    writeln!(
        out,
        "<div class=\"snippet\"><div class=\"sub\"><p class=\"label\">{what}</p>\
         <button type=\"button\" class=\"copy small\" aria-label=\"Copy {what}\" hidden>Copy</button></div>\n\
         <pre tabindex=\"0\" role=\"region\" aria-label=\"{what}\"><code>{code}</code></pre></div>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_client_is_listed_with_the_hash_of_what_is_served() {
        let page = page();
        assert!(!page.contains(PLACE.trim_end()));
        for asset in ASSETS.iter().filter(|asset| asset.path.starts_with("/client/")) {
            assert!(page.contains(&asset.path["/client/".len()..]), "{}", asset.path);
            if asset.path.ends_with("js") {
                assert!(page.contains(&integrity(asset)), "{}", asset.path);
            }
        }
        assert_eq!(integrity(&Asset { body: b"", ..ASSETS[0] }).len(), "sha384-".len() + 64);
    }
}
