//! The problems of certificate files that cannot or should not be served.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, PKCS_ED25519};

use super::*;
use crate::config::{self, Source};

/// 2020-01-01, 2024-01-01 and 2030-01-01.
const OLD: i64 = 1_577_836_800;
const NOW: i64 = 1_704_067_200;
const LATER: i64 = 1_893_456_000;

const FILE: &str = "\
version: 1
listeners:
- {name: http, port: 1, tls: {cert_file: a.pem, key_file: a.key}}
";

struct Authority(Issuer<'static, KeyPair>, String);

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    (params.not_before, params.not_after) = (rcgen::date_time_ymd(2023, 1, 1), rcgen::date_time_ymd(2025, 1, 1));
    params
}

fn authority() -> Authority {
    let mut params = params("authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let pem = params.self_signed(&key).expect("a certificate").pem();
    Authority(Issuer::new(params, key), pem)
}

fn issued(authority: &Authority, key: &KeyPair) -> String {
    params("gateway.test").signed_by(key, &authority.0).expect("a certificate").pem()
}

/// Returns the problems of `FILE` with these files, as `line:column code`.
fn found(certificate: &str, key: &str, now: i64) -> (Vec<Secret>, Vec<String>) {
    let contents = [("a.pem", certificate), ("a.key", key)].map(|(path, text)| (path.to_owned(), Ok(text.into())));
    let (secrets, found) = check(&model(FILE), &contents.into(), now);
    (secrets, found.iter().map(|found| format!("{}:{} {}", found.at.line, found.at.column, found.code)).collect())
}

fn model(text: &str) -> Model {
    let source = Source { file: "gateway.yaml".into(), bytes: text.into() };
    config::load(&source, &|_| None).model.expect("a good file")
}

#[test]
fn a_good_pair_is_one_secret_with_the_chain_and_the_key_and_nothing_else() {
    let (authority, key) = (authority(), KeyPair::generate().expect("a key"));
    let certificate = issued(&authority, &key);
    let file = format!("a comment\n{certificate}{}{}", key.serialize_pem(), authority.1);
    let (secrets, found) = found(&file, &key.serialize_pem(), NOW);
    assert!(found.is_empty(), "{found:?}");
    let plain = |text: &str| text.replace('\r', "");
    let content = SecretContent::Certificate {
        chain: plain(&format!("{certificate}{}", authority.1)),
        key: Hidden(plain(&key.serialize_pem())),
    };
    assert_eq!(secrets.len(), 1);
    assert_eq!((secrets[0].name.as_str(), &secrets[0].content), ("listeners/http/cert_file", &content));
    assert!(!format!("{secrets:?}").contains("PRIVATE"), "{secrets:?}");
}

#[test]
fn what_cannot_be_served_is_an_error_at_its_field() {
    let (authority, key, other) =
        (authority(), KeyPair::generate().expect("a key"), KeyPair::generate().expect("a key"));
    let good = issued(&authority, &key);
    let ed25519 = KeyPair::generate_for(&PKCS_ED25519).expect("a key");
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let encrypted = key.serialize_pem().replace("PRIVATE", "ENCRYPTED PRIVATE");
    let (key, other) = (key.serialize_pem(), other.serialize_pem());
    for (certificate, key, expected) in [
        (good.as_str(), other.as_str(), "3:42 bad_certificate"),
        (&format!("{}{good}", authority.1), &key, "3:42 bad_certificate"),
        ("", &key, "3:42 bad_certificate"),
        (&key, &key, "3:42 bad_certificate"),
        (broken, &key, "3:42 bad_certificate"),
        (&good, "", "3:59 bad_private_key"),
        (&good, &good, "3:59 bad_private_key"),
        (&good, &encrypted, "3:59 bad_private_key"),
        (&issued(&authority, &ed25519), &ed25519.serialize_pem(), "3:59 bad_private_key"),
    ] {
        let (secrets, found) = found(certificate, key, NOW);
        assert_eq!((secrets, found), (vec![], vec![expected.to_owned()]), "{certificate}");
    }
}

#[test]
fn certificates_out_of_time_or_order_are_served_with_a_warning() {
    let (authority, key) = (authority(), KeyPair::generate().expect("a key"));
    let certificate = issued(&authority, &key);
    for (now, expected) in
        [(NOW, vec![]), (OLD, vec!["3:42 expired_certificate"]), (LATER, vec!["3:42 expired_certificate"])]
    {
        let (secrets, found) = found(&certificate, &key.serialize_pem(), now);
        assert_eq!((secrets.len(), found), (1, expected.into_iter().map(str::to_owned).collect()));
    }
    let other = params("other").self_signed(&KeyPair::generate().expect("a key")).expect("a certificate").pem();
    let (secrets, found) = found(&format!("{certificate}{other}"), &key.serialize_pem(), NOW);
    assert_eq!((secrets.len(), found), (1, vec!["3:42 certificate_order".to_owned()]));
}

#[test]
fn a_file_that_was_not_readable_is_reported_where_it_is_named() {
    let contents = ["a.pem", "a.key"].map(|path| (path.to_owned(), Err("there is no such file".to_owned())));
    let (secrets, found) = check(&model(FILE), &contents.into(), NOW);
    assert!(secrets.is_empty());
    let said: Vec<_> = found.iter().map(|found| (found.at.column, found.code, found.message.as_str())).collect();
    let expected = |field| format!("cannot read `{field}`: there is no such file");
    assert_eq!(
        said,
        [(42, "unreadable", expected("cert_file").as_str()), (59, "unreadable", expected("key_file").as_str())]
    );
}
