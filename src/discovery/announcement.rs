//! What is announced of a channel, and what is understood of announcements of others. Layer 2: names and texts; DNS is
//! somebody else's work.
//!
//! A channel is one instance of the service `_ws._tcp`, called `<8 digits>.<name>._bws` as by the original (namedwebsockets,
//! generation A), so that original proxies recognise it, with the TXT entry `path=/broadcast/<name>`. Ours carry `v`,
//! `id` (which server) and `key` (which channel) as well. Where there is a secret, the key takes the name's place.
//! Instances that originals should not try to link with (network channels, keys, names that are too long for a label)
//! end in `._jackfield`.
//!
//! Everything that is read comes from strangers: what is not exactly of its form is no announcement.

use std::fmt::Write as _;

use crate::hub::shared::{ChannelKey, InstanceId, Sharing};

/// The version of what we announce and of links.
const VERSION: &str = "1";

/// Bytes of an instance's name (RFC 6763 §4.1.1: a label).
const MAX_LABEL_BYTES: usize = 63;

/// Bytes of one entry of a TXT record (RFC 6763 §6.1).
const MAX_ENTRY_BYTES: usize = 255;

/// What is announced of one channel.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Announcement {
    /// The instance's name, one label.
    pub instance: String,
    /// Keys and values of the TXT record.
    pub txt: Vec<(&'static str, String)>,
}

impl Announcement {
    /// Of the channel `path`, which is a path that is routed to one.
    #[must_use]
    pub fn of(path: &str, sharing: &Sharing) -> Self {
        let key = sharing.key(path).to_string();
        let (kind, name) = split(path).unwrap_or_default();
        let mut instance = String::with_capacity(MAX_LABEL_BYTES);
        // DNS does not mind case and channels do: what makes an instance this server's makes it this channel's as well.
        for (one, other) in sharing.id().bytes().iter().zip(sharing.key(path).bytes()).take(4) {
            write!(instance, "{:02x}", one ^ other).expect("writing to a string does not fail");
        }
        let shown = if sharing.secret().is_some() { &key[..32] } else { name };
        let is_for_originals = sharing.secret().is_none() && kind == "broadcast";
        let room = MAX_LABEL_BYTES - instance.len() - ".._jackfield".len();
        let (shown, ending) = match shown {
            shown if shown.len() <= room && is_for_originals => (shown, "_bws"),
            shown => (&shown[..shown.len().min(room)], "_jackfield"),
        };
        write!(instance, ".{shown}.{ending}").expect("writing to a string does not fail");
        let mut txt = Vec::with_capacity(4);
        let open = if sharing.secret().is_some() { format!("/{kind}/{key}") } else { path.to_owned() };
        if "path=".len() + open.len() <= MAX_ENTRY_BYTES {
            txt.push(("path", open));
        }
        txt.extend([("v", VERSION.to_owned()), ("id", sharing.id().to_string()), ("key", key)]);
        Self { instance, txt }
    }
}

/// Who announces, and which channel.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sighting {
    /// Which channel.
    pub key: ChannelKey,
    /// Which server, if it is one of ours.
    pub id: Option<InstanceId>,
}

impl Sighting {
    /// Understands a TXT record, whose entries `entry` finds. `None` for whatever is not exactly of the form, and for
    /// original proxies where there is a secret: they cannot prove that they know it.
    pub fn read<'t>(entry: impl Fn(&str) -> Option<&'t [u8]>, sharing: &Sharing, max_name: usize) -> Option<Self> {
        let text = |key: &str| entry(key).and_then(|value| std::str::from_utf8(value).ok());
        if entry("id").is_some() || entry("v").is_some() {
            let id = InstanceId::parse(text("id")?)?;
            let key = ChannelKey::parse(text("key")?)?;
            return (text("v")? == VERSION).then_some(Self { key, id: Some(id) });
        }
        let path = text("path")?;
        let (kind, name) = split(path)?;
        let is_channel = kind == "broadcast" && is_name(name, max_name) && sharing.secret().is_none();
        is_channel.then(|| Self { key: sharing.key(path), id: None })
    }
}

fn split(path: &str) -> Option<(&str, &str)> {
    path.strip_prefix('/')?.split_once('/')
}

/// What a channel may be called (namedwebsockets, last generation).
#[must_use]
pub fn is_name(name: &str, limit: usize) -> bool {
    (1..=limit).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._+=*-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sharing(secret: Option<&[u8]>) -> Sharing {
        Sharing::new(InstanceId::new([0xAB; 16]), secret)
    }

    fn read(txt: &[(&str, &[u8])], sharing: &Sharing) -> Option<Sighting> {
        Sighting::read(|key| txt.iter().find(|(name, _)| *name == key).map(|(_, value)| *value), sharing, 255)
    }

    fn reread(announcement: &Announcement, sharing: &Sharing) -> Option<Sighting> {
        let txt: Vec<_> = announcement.txt.iter().map(|(key, value)| (*key, value.as_bytes())).collect();
        read(&txt, sharing)
    }

    #[test]
    fn an_original_recognises_what_we_announce() {
        let announcement = Announcement::of("/broadcast/org.example", &sharing(None));
        assert_eq!(&announcement.instance[8..], ".org.example._bws");
        assert_eq!(announcement.txt[0], ("path", "/broadcast/org.example".to_owned()));
    }

    #[test]
    fn with_a_secret_the_name_is_nowhere() {
        let sharing = sharing(Some(b"a secret of some length"));
        for path in ["/broadcast/confidential", "/network/confidential"] {
            let announcement = Announcement::of(path, &sharing);
            assert!(!format!("{announcement:?}").contains("confidential"), "{announcement:?}");
            assert_eq!(reread(&announcement, &sharing).expect("ours").key, sharing.key(path));
        }
    }

    #[test]
    fn an_original_is_recognised_where_there_is_no_secret() {
        let txt: [(&str, &[u8]); 1] = [("path", b"/broadcast/a")];
        let open = sharing(None);
        assert_eq!(read(&txt, &open), Some(Sighting { key: open.key("/broadcast/a"), id: None }));
        assert_eq!(read(&txt, &sharing(Some(b"a secret of some length"))), None);
    }

    proptest! {
        #[test]
        fn every_channel_is_a_label_and_entries_that_are_read_again(
            name in "[A-Za-z0-9._+=*-]{1,255}",
            is_network: bool,
            has_secret: bool,
        ) {
            let sharing = sharing(has_secret.then_some(b"a secret of some length"));
            let path = format!("/{}/{name}", if is_network { "network" } else { "broadcast" });
            let announcement = Announcement::of(&path, &sharing);
            prop_assert!((1..=MAX_LABEL_BYTES).contains(&announcement.instance.len()));
            for (key, value) in &announcement.txt {
                prop_assert!(key.len() + 1 + value.len() <= MAX_ENTRY_BYTES);
            }
            let expected = Sighting { key: sharing.key(&path), id: Some(sharing.id()) };
            prop_assert_eq!(reread(&announcement, &sharing), Some(expected));
        }

        /// T32: whatever stands in a TXT record, what comes out is a key and an id, never a text.
        #[test]
        fn hostile_records_are_no_announcements(
            path in proptest::collection::vec(any::<u8>(), 0..300),
            id in proptest::option::of("[0-9a-f]{31,33}|.{0,40}"),
            key in proptest::option::of("[0-9a-f]{63,65}|.{0,70}"),
            version in proptest::option::of("[0-9]|.{0,3}"),
        ) {
            let sharing = sharing(None);
            let mut txt: Vec<(&str, &[u8])> = vec![("path", &path)];
            for (name, value) in [("id", &id), ("key", &key), ("v", &version)] {
                txt.extend(value.as_ref().map(|value| (name, value.as_bytes())));
            }
            if let Some(sighting) = read(&txt, &sharing) {
                let is_ours = sighting.id.is_some() && version.as_deref() == Some("1");
                let is_original = id.is_none()
                    && version.is_none()
                    && std::str::from_utf8(&path).is_ok_and(|path| path.starts_with("/broadcast/"));
                prop_assert!(is_ours || is_original);
            }
        }
    }
}
