//! What is taken for a token, and what is not.

use proptest::prelude::*;

use super::*;

fn judged(claims: &str) -> Result<Grant, Refusal> {
    one_key().verify(&signed(claims), now())
}

#[test]
fn claims_say_what_is_permitted() {
    let grant = judged(
        r#"{"sub":"alice","jti":"t1","exp":1800000060,"other":{"x":1},"jackfield":{"pair":true,"publish":["/local/demo"],
            "subscribe":["/local/*"],"device":["lamp"],"tcp":["redis","127.0.0.1:6379"]}}"#,
    )
    .expect("a good token");
    assert!(grant.rights.pair && !grant.rights.admin);
    assert!(grant.may_publish("/local/demo") && !grant.may_publish("/local/other"));
    assert!(grant.may_subscribe("/local/other") && !grant.may_subscribe("/broadcast/demo"));
    assert!(grant.may_claim("lamp") && !grant.may_claim("lamp2"));
    assert!(grant.may_dial("127.0.0.1", 6379, [].into_iter()));
    assert!(grant.may_dial("10.0.0.1", 1, ["redis"].into_iter()));
    assert!(!grant.may_dial("10.0.0.1", 6379, ["other"].into_iter()));
    assert_eq!(grant.identity().as_deref(), Some("\nalice"));
    assert_eq!(grant.remaining(now()), Some(Duration::from_secs(60)));
    assert_eq!(judged(r#"{"exp":1800000001,"jackfield":{}}"#).expect("a poor token").rights, Rights::default());
}

#[test]
fn bad_claims_refuse_the_whole_token() {
    let expired = |claims| assert_eq!(judged(claims), Err(Refusal::Expired), "{claims}");
    expired(r#"{"exp":1800000000,"jackfield":{}}"#);
    expired(r#"{"exp":0,"jackfield":{}}"#);
    expired(r#"{"exp":-5.5,"jackfield":{}}"#);
    expired(r#"{"exp":1800000000.9,"jackfield":{}}"#);
    let not_yet = |claims| assert_eq!(judged(claims), Err(Refusal::NotYet), "{claims}");
    not_yet(r#"{"exp":1900000000,"nbf":1800000011,"jackfield":{}}"#);
    not_yet(r#"{"exp":1900000000,"nbf":1800000010.1,"jackfield":{}}"#);
    assert!(judged(r#"{"exp":1900000000,"nbf":1800000010,"jackfield":{}}"#).is_ok());
    assert!(judged(r#"{"exp":18446744073709551615,"jackfield":{}}"#).is_ok());
    assert!(judged(r#"{"exp":1e300,"jackfield":{}}"#).is_ok());
    for claims in [
        r#"{"exp":1900000000}"#,
        r#"{"jackfield":{}}"#,
        r#"{"exp":"1900000000","jackfield":{}}"#,
        r#"{"exp":null,"jackfield":{}}"#,
        r#"{"exp":[1900000000],"jackfield":{}}"#,
        r#"{"exp":-1,"exp":1900000000,"jackfield":{}}"#,
        // A claim of the wrong type is not an absent one (CVE-2026-25537 of the library that reads it).
        r#"{"exp":1900000000,"nbf":"1800009999","jackfield":{}}"#,
        r#"{"exp":1900000000,"iss":["x"],"jackfield":{}}"#,
        r#"{"exp":1900000000,"sub":7,"jackfield":{}}"#,
        r#"{"exp":1900000000,"aud":7,"jackfield":{}}"#,
        r#"{"exp":1900000000,"sub":"a\nb","jackfield":{}}"#,
        r#"{"exp":1900000000,"sub":"","jackfield":{}}"#,
        r#"{"exp":1900000000,"jti":"\u0000","jackfield":{}}"#,
        // What no list of the revoked could name.
        r##"{"exp":1900000000,"jti":"#1","jackfield":{}}"##,
        r#"{"exp":1900000000,"sub":" alice","jackfield":{}}"#,
        r#"{"exp":1900000000,"jti":"t1\u00a0","jackfield":{}}"#,
        r#"{"exp":1900000000,"sub":"\ufeffalice","jackfield":{}}"#,
        r#"{"exp":1900000000,"jackfield":null}"#,
        r#"{"exp":1900000000,"jackfield":[]}"#,
        r#"{"exp":1900000000,"jackfield":{"pair":"yes"}}"#,
        r#"{"exp":1900000000,"jackfield":{"pair":1}}"#,
        r#"{"exp":1900000000,"jackfield":{"publish":"*"}}"#,
        r#"{"exp":1900000000,"jackfield":{"publish":["a*b"]}}"#,
        r#"{"exp":1900000000,"jackfield":{"publish":[""]}}"#,
        r#"{"exp":1900000000,"jackfield":{"tcp":["h:0"]}}"#,
        r#"{"exp":1900000000,"jackfield":{"only_on_mondays":true,"pair":true}}"#,
        r#"{"exp":1900000000,"jackfield":{"pair":true},"jackfield":{}}"#,
        r#"{"exp":1900000000,"jackfield":[true]}"#,
        r#"[null,null,null,null,null,1900000000,{"pair":true}]"#,
        "[]",
        "7",
        "",
        "{",
    ] {
        let refusal = judged(claims).expect_err(claims);
        assert!(matches!(refusal, Refusal::Claims(_)), "{claims}: {refusal:?}");
    }
}

#[test]
fn a_token_is_for_whom_it_says() {
    for (audience, is_for_us) in [
        (r#""jackfield""#, true),
        (r#"["x","jackfield"]"#, true),
        ("null", true),
        (r#""Jackfield""#, false),
        (r#"["x"]"#, false),
        ("[]", false),
        (r#""""#, false),
    ] {
        let judged = judged(&format!(r#"{{"exp":1900000000,"aud":{audience},"jackfield":{{}}}}"#));
        assert_eq!(judged.map(|_| ()), if is_for_us { Ok(()) } else { Err(Refusal::Audience) }, "{audience}");
    }
}

const CLAIMS: &str = r#"{"exp":1900000000,"jackfield":{"pair":true}}"#;

#[test]
fn the_key_says_which_algorithm() {
    let (_, public_pem, public) = ed25519(7);
    let ring = ring_of(&[("k", None, SECRET), ("ed", None, public_pem.as_bytes())]);
    let verify = |header: &str, sign: &dyn Fn(&[u8]) -> Vec<u8>| ring.verify(&forge(header, CLAIMS, sign), now());
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("32 bytes");
    let by_pair = |message: &[u8]| pair.sign(message).as_ref().to_vec();
    assert!(verify(r#"{"alg":"EdDSA","kid":"ed"}"#, &by_pair).is_ok());
    assert!(verify(r#"{"alg":"HS256","kid":"k"}"#, &with_secret(SECRET)).is_ok());
    // The public key as a secret, in each form in which somebody may know it.
    for known in [&public[..], public_pem.as_bytes(), public_pem.trim().as_bytes()] {
        let sign = |message: &[u8]| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, known), message).as_ref().to_vec();
        assert_eq!(verify(r#"{"alg":"HS256","kid":"ed"}"#, &sign), Err(Refusal::Algorithm));
        assert_eq!(verify(r#"{"alg":"HS256","kid":"k"}"#, &sign), Err(Refusal::Signature));
    }
    assert_eq!(verify(r#"{"alg":"EdDSA","kid":"k"}"#, &by_pair), Err(Refusal::Algorithm));
    for alg in ["none", "None", "nOnE", "", "RS256 ", "HS256\u{0}"] {
        for sign in [&(|_: &[u8]| Vec::new()) as &dyn Fn(&[u8]) -> Vec<u8>, &with_secret(SECRET)] {
            let header = format!(r#"{{"alg":{:?},"kid":"k"}}"#, alg);
            assert!(verify(&header, sign).is_err(), "{alg}");
        }
    }
    for alg in ["HS384", "HS512", "RS256", "ES256", "PS512"] {
        let header = format!(r#"{{"alg":"{alg}","kid":"k"}}"#);
        assert_eq!(verify(&header, &with_secret(SECRET)), Err(Refusal::Algorithm), "{alg}");
    }
    for header in [
        r#"{"kid":"k"}"#,
        r#"{"alg":"HS256","alg":"none","kid":"k"}"#,
        r#"{"alg":["HS256"],"kid":"k"}"#,
        r#"{"alg":"HS256","kid":7}"#,
        "[]",
        "null",
        "",
    ] {
        assert_eq!(verify(header, &with_secret(SECRET)), Err(Refusal::NotAToken), "{header}");
    }
    for header in [
        r#"{"alg":"HS256","kid":"k","crit":["b64"],"b64":false}"#,
        r#"{"alg":"HS256","kid":"k","crit":[]}"#,
        r#"{"alg":"HS256","kid":"k","typ":"secevent+jwt"}"#,
    ] {
        assert_eq!(verify(header, &with_secret(SECRET)), Err(Refusal::Header), "{header}");
    }
}

#[test]
fn t17_one_key_id_and_two_issuers_are_two_keys() {
    let ring = ring_of(&[("k", Some("a"), SECRET), ("k", Some("b"), OTHER_SECRET), ("k", None, &[1; 40])]);
    let claims = |issuer: &str| format!(r#"{{"exp":1900000000,{issuer}"jackfield":{{"pair":true}}}}"#);
    let sign = |key: usize, message: &[u8]| {
        let key: &[u8] = [SECRET, OTHER_SECRET, &[1; 40]][key];
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message).as_ref().to_vec()
    };
    let issuers = [r#""iss":"a","#, r#""iss":"b","#, "", r#""iss":"c","#, r#""iss":"","#];
    for key in 0..3 {
        for (number, issuer) in issuers.iter().enumerate() {
            let judged = ring.verify(&forge(HEADER, &claims(issuer), |message| sign(key, message)), now());
            let expected = if number == key { Ok(()) } else { Err(Refusal::Issuer) };
            assert_eq!(judged.map(|_| ()), expected, "key {key} says {issuer}");
        }
    }
    // The same subject of two issuers is two.
    let claims = |issuer| format!(r#"{{"exp":1900000000,"sub":"x","iss":"{issuer}","jackfield":{{}}}}"#);
    let of = |key, issuer| ring.verify(&forge(HEADER, &claims(issuer), |message| sign(key, message)), now());
    assert_ne!(of(0, "a").expect("good").identity(), of(1, "b").expect("good").identity());
}

#[test]
fn keys_are_named_unless_there_is_only_one() {
    let nameless = forge(r#"{"alg":"HS256"}"#, CLAIMS, with_secret(SECRET));
    let other = forge(r#"{"alg":"HS256","kid":"other"}"#, CLAIMS, with_secret(SECRET));
    assert!(one_key().verify(&nameless, now()).is_ok());
    assert_eq!(one_key().verify(&other, now()), Err(Refusal::UnknownKey));
    let two = ring_of(&[("k", None, SECRET), ("l", None, OTHER_SECRET)]);
    assert_eq!(two.verify(&nameless, now()), Err(Refusal::UnknownKey));
    assert_eq!(KeyRing::default().verify(&nameless, now()), Err(Refusal::UnknownKey));
}

/// T16: what a token claims is not looked at before its signature is right.
#[test]
fn t16_claims_of_a_token_with_a_wrong_signature_are_nothing() {
    for claims in [CLAIMS, "{", "", r#"{"exp":0}"#, r#"{"exp":1900000000,"jackfield":{"pair":"x"}}"#] {
        let token = forge(HEADER, claims, with_secret(OTHER_SECRET));
        assert_eq!(one_key().verify(&token, now()), Err(Refusal::Signature), "{claims}");
    }
}

#[test]
fn every_changed_byte_is_noticed() {
    let (_, public, _) = ed25519(7);
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("32 bytes");
    let by_pair = forge(r#"{"alg":"EdDSA","kid":"k"}"#, CLAIMS, |message| pair.sign(message).as_ref().to_vec());
    let token = signed(CLAIMS);
    for (token, keys) in [(&token, one_key()), (&by_pair, ring_of(&[("k", None, public.as_bytes())]))] {
        assert!(keys.verify(token, now()).is_ok(), "{token}");
        for place in 0..token.len() {
            for byte in [b'A', b'b', b'.', b'=', 0] {
                let mut changed = token.clone().into_bytes();
                if changed[place] == byte {
                    continue;
                }
                changed[place] = byte;
                let changed = String::from_utf8(changed).expect("ASCII");
                assert!(keys.verify(&changed, now()).is_err(), "{changed}");
            }
        }
    }
    for changed in [format!("{token}."), format!(".{token}"), format!("{token}A"), format!(" {token}")] {
        assert!(one_key().verify(&changed, now()).is_err(), "{changed}");
    }
    let long = format!("{token}{}", "A".repeat(MAX_TOKEN_BYTES));
    assert_eq!(one_key().verify(&long, now()), Err(Refusal::TooLong));
}

/// T20, T35: a key that is none is said to be none; nothing panics.
#[test]
fn t35_bad_keys_are_refused() {
    let (private, public, _) = ed25519(1);
    let rsa =
        "-----BEGIN PUBLIC KEY-----\nMFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAKj34GkxFhD90vcN\n-----END PUBLIC KEY-----\n";
    for (file, wrong) in [
        (&b""[..], BadKey::Empty),
        (b"\n", BadKey::Empty),
        (b"short", BadKey::Short(5)),
        (&[b'x'; 31], BadKey::Short(31)),
        (b"0123456789012345678901234567890\n", BadKey::Short(31)),
        (&[0; 4097], BadKey::Long),
        (private.as_bytes(), BadKey::Private),
        (rsa.as_bytes(), BadKey::Pem),
        (b"-----BEGIN PUBLIC KEY-----", BadKey::Pem),
        (b"-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----", BadKey::Pem),
        (b"-----BEGIN X-----\n-----END X-----", BadKey::Pem),
        (b"\n\n-----nonsense of more than thirty-two bytes", BadKey::Pem),
        (public.replace("END PUBLIC", "END PRIVATE").as_bytes(), BadKey::Pem),
        ([public.as_str(), public.as_str()].concat().as_bytes(), BadKey::Pem),
        (&public.as_bytes()[..60], BadKey::Pem),
    ] {
        let mut ring = KeyRing::default();
        assert_eq!(ring.add(key_name("k", None), file), Err(wrong), "{}", file.escape_ascii());
        assert!(ring.is_empty());
    }
    let mut ring = one_key();
    assert_eq!(ring.add(key_name("k", None), OTHER_SECRET), Err(BadKey::Twice));
    assert_eq!(ring.add(key_name("k", Some("issuer")), OTHER_SECRET), Ok(()));
    assert_eq!(SigningKey::new(key_name("k", None), public.as_bytes()).expect_err("public"), BadKey::Public);
}

#[test]
fn a_line_break_at_the_end_is_no_part_of_a_secret_that_is_text() {
    let token = signed(CLAIMS);
    for end in ["", "\n", "\r\n"] {
        let file = [SECRET, end.as_bytes()].concat();
        assert!(ring_of(&[("k", None, &file)]).verify(&token, now()).is_ok(), "{end:?}");
    }
    let binary = [&[0xFF; 31][..], b"\n"].concat();
    assert!(KeyRing::default().add(key_name("k", None), &binary).is_ok());
}

#[test]
fn what_is_signed_is_accepted() {
    let (private, public, _) = ed25519(9);
    for (signing, verifying, issuer) in [
        (SECRET, SECRET, None),
        (SECRET, SECRET, Some("https://login.example")),
        (private.as_bytes(), public.as_bytes(), None),
    ] {
        let key = SigningKey::new(key_name("k", issuer), signing).expect("a good key");
        let rights = Rights {
            pair: true,
            publish: vec![Pattern::parse("/local/*").expect("good")],
            tcp: vec![TargetPattern::parse("*:443").expect("good")],
            ..Rights::default()
        };
        let order = Order { rights, expires: NOW + 60, subject: Some("alice".into()), id: Some("1".into()) };
        let token = key.sign(&order, now()).expect("signed");
        let grant = ring_of(&[("k", issuer, verifying)]).verify(&token, now()).expect("accepted");
        assert_eq!(grant.rights, order.rights);
        assert!(grant.is_backed_by(&ring_of(&[("k", issuer, verifying)])));
        assert!(!grant.is_backed_by(&ring_of(&[("k", issuer, OTHER_SECRET)])));
        assert!(!grant.is_backed_by(&ring_of(&[("l", issuer, verifying)])));
        for bad in [
            Order { expires: NOW, ..order.clone() },
            Order { subject: Some("a\nb".into()), ..order.clone() },
            Order { id: Some("x".repeat(5000)), ..order.clone() },
            Order { id: Some("#1".into()), ..order.clone() },
            Order { subject: Some("alice ".into()), ..order.clone() },
        ] {
            assert!(key.sign(&bad, now()).is_err());
        }
    }
}

#[test]
fn lists_of_the_revoked() {
    let grant = judged(r#"{"exp":1900000000,"sub":"alice","jti":"t1","jackfield":{}}"#).expect("good");
    for (file, is_revoked) in [
        ("# nobody\n", false),
        ("alice\n", true),
        ("t1", true),
        ("  t1  \r\nx\n", true),
        ("ALICE\nalic\nalice2\nt", false),
        ("#alice\n", false),
        ("\u{feff}alice\nt2\n", true),
        ("\u{feff}#alice\n", false),
        ("\u{feff}\u{feff}alice\n", false),
    ] {
        assert_eq!(Revoked::parse(file.as_bytes()).expect(file).has(&grant), is_revoked, "{file:?}");
    }
    for (file, wrong) in [
        (&b""[..], BadList::Empty),
        (b"\n \n\n", BadList::Empty),
        ("\u{feff}".as_bytes(), BadList::Empty),
        (b"alice\n\xFF", BadList::NotText),
        (b"alice\n\x00\n", BadList::Line(2)),
        (&[b'x'; 513], BadList::Line(1)),
    ] {
        assert_eq!(Revoked::parse(file), Err(wrong), "{}", file.escape_ascii());
    }
    assert!(!Revoked::default().has(&grant));
    let anybody = Grant::anonymous(Rights::default());
    assert!(!Revoked::parse(b"alice").expect("good").has(&anybody), "nobody is no one by name");
}

#[test]
fn keys_are_not_shown() {
    let (private, ..) = ed25519(3);
    let signing = SigningKey::new(key_name("k", None), private.as_bytes()).expect("a key");
    let shown = format!("{:?} {:?} {:?}", one_key(), signing, judged(CLAIMS));
    assert!(!shown.contains("example secret"), "{shown}");
    assert_eq!(format!("{signing:?}"), "SigningKey(k)");
}

proptest! {
    #[test]
    fn t35_garbage_is_refused_and_nothing_panics(text in "\\PC{0,200}", header in "\\PC{0,60}", claims in "\\PC{0,80}") {
        let ring = one_key();
        prop_assert!(ring.verify(&text, now()).is_err());
        prop_assert!(ring.verify(&forge(&header, &claims, with_secret(SECRET)), now()).is_err());
        let _ = ring.verify(&signed(&claims), now());
    }

    #[test]
    fn t35_garbage_is_no_key_or_a_secret(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut ring = KeyRing::default();
        let added = ring.add(key_name("k", None), &bytes).is_ok();
        prop_assert!(!added || bytes.len() >= 32);
        let _ = SigningKey::new(key_name("k", None), &bytes);
        let _ = Revoked::parse(&bytes);
    }
}
