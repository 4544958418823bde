//! The options about tokens: which keys, which capabilities without one. Layer 3, beside `main`.

use std::path::{Path, PathBuf};

use super::options::{Group, Kind, Setting, about, never};
use crate::access::Rights;
use crate::config::{Config, TokenKey};

/// `--token-key`.
pub(super) const TOKEN_KEY: Setting = Setting {
    name: "token-key",
    short: None,
    group: Group::Access,
    doc: "A file with a key that tokens may be signed with: a secret of 32 bytes or more (HS256), or a public Ed25519 \
          key in PEM. KID is the tokens' `kid` (without it, the file's name up to its first dot), ISSUER their `iss`. \
          With a key, whoever connects must show a token; see Access.",
    kind: Kind::List {
        placeholder: "[KID[@ISSUER]=]FILE",
        continues: never,
        get: |settings| settings.config.token_key.iter().map(written).collect(),
        set: |settings, texts| {
            let read = |text: &&str| key(text).map_err(|wrong| about(text, texts, wrong));
            settings.config.token_key = texts.iter().map(read).collect::<Result<_, _>>()?;
            Ok(())
        },
    },
};

/// `--token-revoked`.
pub(super) const TOKEN_REVOKED: Setting = Setting {
    name: "token-revoked",
    short: None,
    group: Group::Access,
    doc: "A file that lists tokens which are worth nothing any more: the `jti` or the `sub` of one on each line. HUP \
          reads it and the keys again; sessions under such a token end.",
    kind: Kind::List {
        placeholder: "FILE",
        continues: never,
        get: |settings| settings.config.token_revoked.iter().map(|path| path.display().to_string()).collect(),
        set: |settings, texts| {
            settings.config.token_revoked = texts.iter().map(PathBuf::from).collect();
            Ok(())
        },
    },
};

/// `--token-in-query`.
pub(super) const TOKEN_IN_QUERY: Setting = Setting {
    name: "token-in-query",
    short: None,
    group: Group::Access,
    doc: "A token may stand in the URL (?token=JWT), where the logs of proxies keep it.",
    kind: Kind::Switch {
        get: |settings| settings.config.token_in_query,
        set: |settings, on| settings.config.token_in_query = on,
    },
};

/// `--anonymous`.
pub(super) const ANONYMOUS: Setting = Setting {
    name: "anonymous",
    short: None,
    group: Group::Access,
    doc: "What may be done without a token where --token-key asks for one: pair, publish=PATTERN, subscribe=PATTERN, \
          device=PATTERN, tcp=TARGET, or all. Without it, nothing.",
    kind: Kind::List {
        placeholder: "CAPABILITY",
        continues: never,
        get: |settings| settings.config.anonymous.clone(),
        set: |settings, texts| {
            settings.config.anonymous = anonymous(texts)?;
            Ok(())
        },
    },
};

/// Bytes of a key's id.
const MAX_ID_BYTES: usize = 64;

/// Reads `FILE`, `KID=FILE` or `KID@ISSUER=FILE`. A file alone is called by its name up to the first dot.
///
/// # Errors
/// What is wrong with it.
pub(super) fn key(text: &str) -> Result<TokenKey, String> {
    if let Some((name, path)) = text.split_once('=') {
        let (id, issuer) = match name.split_once('@') {
            Some((id, issuer)) => (id, Some(issuer)),
            None => (name, None),
        };
        // Otherwise it is a file with such a name.
        if is_id(id) {
            if path.is_empty() || issuer.is_some_and(|issuer| issuer.is_empty() || issuer.chars().any(char::is_control))
            {
                return Err("expected KID=FILE or KID@ISSUER=FILE, none of them empty".to_owned());
            }
            return Ok(TokenKey { id: id.to_owned(), issuer: issuer.map(str::to_owned), path: PathBuf::from(path) });
        }
    }
    let path = Path::new(text);
    let id = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.split('.').next());
    match id {
        Some(id) if is_id(id) => Ok(TokenKey { id: id.to_owned(), issuer: None, path: path.to_owned() }),
        _ => Err("expected FILE, KID=FILE or KID@ISSUER=FILE; KID takes 1 to 64 of A-Z a-z 0-9 . _ -".to_owned()),
    }
}

/// What [`key`] reads.
pub(super) fn written(key: &TokenKey) -> String {
    match &key.issuer {
        Some(issuer) => format!("{}@{issuer}={}", key.id, key.path.display()),
        None => format!("{}={}", key.id, key.path.display()),
    }
}

/// Whether these are capabilities that nobody needs a token for.
///
/// # Errors
/// What is wrong with which.
pub(super) fn anonymous(words: &[&str]) -> Result<Vec<String>, String> {
    let rights = Rights::read(words.iter().copied())?;
    if rights.admin {
        return Err("nobody is an administrator without a token".to_owned());
    }
    Ok(words.iter().map(ToString::to_string).collect())
}

/// The line of the start-up block, where clients must show tokens.
pub(super) fn line(config: &Config) -> Option<String> {
    let keys: Vec<String> = config.token_key.iter().map(|key| key.id.clone()).collect();
    let anonymous = if config.anonymous.is_empty() { "nothing".to_owned() } else { config.anonymous.join(", ") };
    (!keys.is_empty()).then(|| format!("with a token (keys: {}); without one: {anonymous}", keys.join(", ")))
}

/// An option about tokens that is set while they are off: by itself it would read as if they were asked for.
pub(super) fn idle(config: &Config) -> Option<&'static str> {
    let set = [
        (!config.anonymous.is_empty(), "--anonymous"),
        (!config.token_revoked.is_empty(), "--token-revoked"),
        (config.token_in_query, "--token-in-query"),
    ];
    let idle = set.into_iter().find(|(is_set, _)| *is_set).map(|(_, name)| name);
    idle.filter(|_| config.token_key.is_empty())
}

fn is_id(text: &str) -> bool {
    (1..=MAX_ID_BYTES).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_files_with_names() {
        for (text, id, issuer, path) in [
            ("/etc/jackfield/site.pub.pem", "site", None, "/etc/jackfield/site.pub.pem"),
            ("key", "key", None, "key"),
            ("a=key", "a", None, "key"),
            ("a=b=c", "a", None, "b=c"),
            ("./a=b", "./a=b", None, ""),
            ("a@https://login.example/x=/k", "a", Some("https://login.example/x"), "/k"),
        ] {
            let read = key(text);
            if path.is_empty() {
                assert!(read.is_err(), "{text}");
                continue;
            }
            let expected = TokenKey { id: id.to_owned(), issuer: issuer.map(str::to_owned), path: PathBuf::from(path) };
            assert_eq!(read, Ok(expected.clone()), "{text}");
            assert_eq!(key(&written(&expected)), Ok(expected), "{text}");
        }
        for text in ["", "a=", "a@=f", "a@i=", "/", ".pem", "dir/..", "a b", &"a".repeat(65)] {
            assert!(key(text).is_err(), "{text}");
        }
    }

    #[test]
    fn nobody_administers_anonymously() {
        assert!(anonymous(&["pair", "subscribe=/local/*", "all"]).is_ok());
        for words in [&["admin"][..], &["pair", "admin"], &["publish"], &["publish="], &["pairs"], &["pair=1"], &[""]] {
            assert!(anonymous(words).is_err(), "{words:?}");
        }
    }
}
