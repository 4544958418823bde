//! The options about who may reach the server, and what of it. Layer 3, beside `main`.

use super::options::{Group, Kind, Setting, about, checked, never};
use crate::config::Switch;
use crate::http::guard::{is_host, is_origin};
use crate::net::address::Net;

/// `--allow-origin`.
pub(super) const ALLOW_ORIGIN: Setting = Setting {
    name: "allow-origin",
    short: None,
    group: Group::Access,
    doc: "Web pages that may connect, beside this server's own: https://example.com, null, or * for all. Keeps \
          foreign pages from driving this server through a visitor's browser.",
    kind: Kind::List {
        placeholder: "ORIGIN",
        continues: never,
        get: |settings| settings.config.allow_origin.clone(),
        set: |settings, texts| {
            let form = "expected SCHEME://HOST or SCHEME://HOST:PORT without a path, null, or * for all";
            settings.config.allow_origin = checked(texts, form, is_origin)?;
            Ok(())
        },
    },
};

/// `--allow-host`.
pub(super) const ALLOW_HOST: Setting = Setting {
    name: "allow-host",
    short: None,
    group: Group::Access,
    doc: "Host names that requests may use, beside localhost, this machine's own and any address: example.com, \
          *.example.com, or * for all. Prevents DNS rebinding.",
    kind: Kind::List {
        placeholder: "HOST",
        continues: never,
        get: |settings| settings.config.allow_host.clone(),
        set: |settings, texts| {
            let form = "expected HOST or HOST:PORT without a scheme, *.DOMAIN, or * for all";
            settings.config.allow_host = checked(texts, form, is_host)?;
            Ok(())
        },
    },
};

/// `--trusted-proxy`.
pub(super) const TRUSTED_PROXY: Setting = Setting {
    name: "trusted-proxy",
    short: None,
    group: Group::Access,
    doc: "Proxies in front of this server, by address or range: 10.0.0.5, 127.0.0.0/8 or fd00::/8. For what comes \
          from them, Forwarded and X-Forwarded-For say who the client is: whose limits count, who the log names. \
          They may speak to proxy+ listeners, as this machine always may. What comes from them without such a field \
          is the proxy's own, and never an administrator's (--admin).",
    kind: Kind::List {
        placeholder: "CIDR",
        continues: never,
        get: |settings| settings.config.trusted_proxy.clone(),
        set: |settings, texts| {
            for text in texts {
                text.parse::<Net>().map_err(|wrong| about(text, texts, wrong.to_string()))?;
            }
            settings.config.trusted_proxy = texts.iter().map(ToString::to_string).collect();
            Ok(())
        },
    },
};

/// `--without`.
pub(super) const WITHOUT: Setting = Setting {
    name: "without",
    short: None,
    group: Group::Protocols,
    doc: "Switches a protocol off: webshare, pocket, p2p (Socket.IO), named, ws2s, tcp or network. Its paths answer \
          404, and nobody becomes its client at `/`.",
    kind: Kind::List {
        placeholder: "PROTOCOL",
        continues: never,
        get: |settings| settings.config.without.iter().map(|switch| switch.name().to_owned()).collect(),
        set: |settings, texts| {
            let read = |text: &&str| Switch::ALL.into_iter().find(|switch| switch.name() == *text);
            let form = "expected webshare, pocket, p2p, named, ws2s, tcp or network";
            let switches = texts.iter().map(|text| read(text).ok_or_else(|| about(text, texts, form.to_owned())));
            settings.config.without = switches.collect::<Result<_, _>>()?;
            Ok(())
        },
    },
};
