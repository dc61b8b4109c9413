//! TLS on listeners and clusters, with certificates that are renewed. Each test has certificates
//! and settings of its own, and so its own gateway.

use std::{fs, path::Path};

use http_body_util::BodyExt;
use legation_testing::{
    Client, File, Gateway, Variant, bare_envoy, both_variants, eventually, free_port, legation,
    pki::{Authority, Pair},
    tls::{self, Offer, connect},
    upstream,
};
use tokio_rustls::rustls::version::{TLS12, TLS13};

both_variants! {
    a_renewed_certificate_is_shown_to_new_connections_alone,
}

const HOST: &str = "gateway.test";

/// Returns the file with one HTTPS listener in place of `http`. Its TLS has these further fields.
fn https(file: File, folder: &Path, fields: &str) -> File {
    let listener = "
        - name: https
          port: $PORT
          tls:
            cert_file: $FILES.crt
            key_file: $FILES.key
            $FIELDS
    ";
    file.listeners(listener).set("FILES", folder.join("public").display()).set("FIELDS", fields)
}

fn answers() -> File {
    File::answering("here")
}

/// Returns a folder with the certificate of a listener.
fn folder_with(pair: &Pair) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    pair.write(folder.path(), "public");
    folder
}

/// Returns the status of `/`, or why there is none.
async fn status(port: u16, offer: Offer<'_>) -> Result<u16, String> {
    Ok(tls::get(connect(port, HOST, offer).await?, "/").await?.status().as_u16())
}

/// Returns the certificate that the listener shows to new connections.
async fn shown(port: u16, offer: Offer<'_>) -> Option<Vec<u8>> {
    let stream = connect(port, HOST, offer).await.ok()?;
    stream.get_ref().1.peer_certificates()?.first().map(|certificate| certificate.to_vec())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_speaks_both_versions_of_http_and_no_older_tls_than_asked_for() {
    let authority = Authority::new("public");
    let folder = folder_with(&authority.issue(HOST));
    let file = |fields: &str| https(answers(), folder.path(), fields);
    let gateway = file("min_version: 1.3").start().await;
    let offer = Offer::trusting(&authority);
    for (alpn, version) in [(&["h2", "http/1.1"][..], http::Version::HTTP_2), (&["http/1.1"], http::Version::HTTP_11)] {
        let stream = connect(gateway.port, HOST, Offer { alpn, ..offer }).await.unwrap();
        let response = tls::get(stream, "/").await.unwrap();
        assert_eq!((response.status().as_u16(), response.version()), (200, version));
    }
    let (old, new) = ([&TLS12], [&TLS13]);
    let (old, new) = (Offer { versions: &old, ..offer }, Offer { versions: &new, ..offer });
    let refused = connect(gateway.port, HOST, old).await.map(drop).unwrap_err();
    assert!(refused.contains("ProtocolVersion"), "{refused}");
    let clear = Client::new().try_get(&gateway.url("/"), &[]).await;
    assert!(clear.is_err(), "{clear:?}");

    gateway.edit(file("min_version: '1.2'")).await;
    eventually("TLS 1.2 is spoken", || async { status(gateway.port, old).await == Ok(200) }).await;
    assert_eq!(status(gateway.port, new).await, Ok(200));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_without_a_certificate_of_the_right_authority_is_refused() {
    let (authority, clients, others) = (Authority::new("public"), Authority::new("clients"), Authority::new("others"));
    let folder = folder_with(&authority.issue(HOST));
    let trusted = clients.write(folder.path(), "clients.crt");
    let fields = format!("client_ca_file: {}", trusted.display());
    let gateway = https(answers(), folder.path(), &fields).start().await;
    let (good, bad) = (clients.issue("client"), others.issue("client"));
    let offer = Offer::trusting(&authority);
    assert_eq!(status(gateway.port, Offer { certificate: Some(&good), ..offer }).await, Ok(200));
    assert!(status(gateway.port, offer).await.is_err());
    assert!(status(gateway.port, Offer { certificate: Some(&bad), ..offer }).await.is_err());

    // New authorities take effect at once and do not change the listener.
    others.write(folder.path(), "clients.crt");
    eventually("the other authority counts", || async {
        status(gateway.port, Offer { certificate: Some(&bad), ..offer }).await == Ok(200)
    })
    .await;
    assert!(status(gateway.port, Offer { certificate: Some(&good), ..offer }).await.is_err());
}

/// Returns Envoy's statistics whose names match.
async fn statistics(gateway: &Gateway, names: &str) -> String {
    gateway.envoy_admin(&format!("/stats?filter={names}")).await
}

/// Returns the statistics of listeners that changed or drain.
async fn listener_changes(gateway: &Gateway) -> String {
    let names = "listener_(added|modified|in_place_updated|removed|create_failure)|total_.*_draining";
    statistics(gateway, &format!("listener_manager\\.({names})$")).await
}

async fn a_renewed_certificate_is_shown_to_new_connections_alone(variant: Variant) {
    let svc = upstream("svc").await;
    let authority = Authority::new("public");
    let (first, second) = (authority.issue(HOST), authority.issue(HOST));
    let folder = folder_with(&first);
    let file = File::routes("- {name: all, match: {prefix: /}, cluster: svc, stream: sse}").cluster("svc", svc);
    let gateway = https(file, folder.path(), "").start_with(variant).await;
    let offer = Offer::trusting(&authority);
    assert_eq!(shown(gateway.port, offer).await, Some(first.der().to_vec()));
    let before = listener_changes(&gateway).await;
    assert!(before.contains("listener_added: 1"), "{before}");
    let stream = connect(gateway.port, HOST, offer).await.unwrap();
    let mut events = tls::get(stream, "/events/sse").await.unwrap().into_body();
    events.frame().await.unwrap().unwrap();

    second.write(folder.path(), "public");
    eventually("the new certificate is shown", || async {
        shown(gateway.port, offer).await == Some(second.der().to_vec())
    })
    .await;
    gateway.confirmed(2).await;
    for _ in 0..3 {
        events.frame().await.expect("the stream goes on").unwrap();
    }
    assert_eq!(listener_changes(&gateway).await, before);
    assert_eq!(gateway.status().await["generation"]["serving"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_pair_is_refused_and_the_old_one_kept_and_no_key_is_shown() {
    let authority = Authority::new("public");
    let (first, second) = (authority.issue(HOST), authority.issue(HOST));
    let folder = folder_with(&first);
    let gateway = https(answers(), folder.path(), "").start().await;
    let offer = Offer::trusting(&authority);
    let diagnostic = async || gateway.status().await["file"]["diagnostics"][0].clone();

    fs::write(folder.path().join("public.crt"), &second.cert).unwrap();
    eventually("the pair is refused", || async { diagnostic().await["code"] == "bad_certificate" }).await;
    let place = gateway.place(&folder.path().join("public.crt").display().to_string());
    assert!(diagnostic().await["at"].as_str().unwrap().ends_with(&place), "{}", diagnostic().await);
    assert_eq!(shown(gateway.port, offer).await, Some(first.der().to_vec()));

    // Until then, nothing else of the file takes effect either.
    gateway.write(https(answers(), folder.path(), "").to_string().replace("200", "201"));
    fs::remove_file(folder.path().join("public.key")).unwrap();
    eventually("the missing key is reported", || async { diagnostic().await["code"] == "unreadable" }).await;
    assert_eq!(status(gateway.port, offer).await, Ok(200));
    assert_eq!(gateway.status().await["generation"]["serving"], 1);

    fs::write(folder.path().join("public.key"), &second.key).unwrap();
    eventually("the new pair is shown", || async { shown(gateway.port, offer).await == Some(second.der().to_vec()) })
        .await;
    assert_eq!(diagnostic().await, serde_json::Value::Null);
    eventually("the file is used again", || async { status(gateway.port, offer).await == Ok(201) }).await;

    let dump = legation().args(["dump", "--type", "secrets"]).arg(gateway.path()).output().unwrap();
    let dump = String::from_utf8(dump.stdout).unwrap();
    assert!(dump.contains("name: listeners/https/cert_file") && dump.contains("private_key: <redacted>"), "{dump}");
    let said = [dump, gateway.process.output(), gateway.status().await.to_string(), gateway.metrics().await].concat();
    for pair in [&first, &second] {
        for line in pair.key.lines().filter(|line| !line.starts_with("-----")) {
            assert!(!said.contains(line), "{said}");
        }
    }
}

/// Returns the status and the body of `/`.
async fn answer(gateway: &Gateway) -> (u16, String) {
    let response = gateway.get("/", &[]).await;
    (response.status.as_u16(), response.text())
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoints_are_verified_by_authority_and_by_name() {
    let (internal, others, clients) = (Authority::new("internal"), Authority::new("others"), Authority::new("clients"));
    let svc = tls::upstream(&internal.issue("localhost"), Some(&clients)).await;
    let folder = tempfile::tempdir().unwrap();
    clients.issue("gateway").write(folder.path(), "client");
    for (name, authority) in [("internal", &internal), ("others", &others)] {
        authority.write(folder.path(), &format!("{name}.crt"));
    }
    let at = |name: &str| folder.path().join(name).display().to_string();
    let file = |protocol: &str, host: &str, tls: &str| {
        let certificate = format!("cert_file: {}, key_file: {}", at("client.crt"), at("client.key"));
        let fields =
            format!("protocol: {protocol}, tls: {}", "{FIELDS}".replace("FIELDS", &format!("{certificate}, {tls}")));
        let file = File::routes("- {name: all, match: {prefix: /}, cluster: svc}");
        file.cluster_with("svc", format!("{host}:{}", svc.port()), &fields)
    };
    let good = format!("ca_file: {}", at("internal.crt"));
    let gateway = file("http1", "localhost", &good).start().await;
    assert_eq!(answer(&gateway).await, (200, "http/1.1 with a certificate".to_owned()));

    let with_name = format!("{good}, sni: localhost");
    for (protocol, host, tls) in [("http2", "localhost", &good), ("auto", "127.0.0.1", &with_name)] {
        gateway.edit(file(protocol, host, tls)).await;
        eventually("the endpoint is asked by HTTP/2", || async {
            answer(&gateway).await == (200, "h2 with a certificate".to_owned())
        })
        .await;
    }

    let wrong_authority = format!("ca_file: {}", at("others.crt"));
    let wrong_name = format!("{good}, sni: other.test");
    let system = "sni: localhost".to_owned();
    for (tls, counter) in
        [(wrong_authority, "fail_verify_error"), (wrong_name, "fail_verify_san"), (system, "fail_verify_error")]
    {
        let refusals = async || statistics(&gateway, &format!("cluster.svc.ssl.{counter}$")).await;
        let before = refusals().await;
        assert!(before.starts_with("cluster.svc.ssl."), "{before}");
        gateway.edit(file("http1", "localhost", &tls)).await;
        eventually("an endpoint that is not verified gets no request", || async {
            answer(&gateway).await.0 == 503 && refusals().await != before
        })
        .await;
        gateway.edit(file("http1", "localhost", &good)).await;
        eventually("the right one does", || async { answer(&gateway).await.0 == 200 }).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_static_dump_serves_https_from_the_same_files() {
    let authority = Authority::new("public");
    let pair = authority.issue(HOST);
    let folder = folder_with(&pair);
    let port = free_port();
    let path = folder.path().join("gateway.yaml");
    fs::write(&path, https(answers(), Path::new(""), "").at(port)).unwrap();
    let dump = legation().args(["dump", "--static"]).arg(&path).output().unwrap();
    assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
    let config = folder.path().join("envoy.yaml");
    fs::write(&config, dump.stdout).unwrap();
    let _envoy = bare_envoy(&config);
    let offer = Offer::trusting(&authority);
    eventually("Envoy answers", || async { status(port, offer).await == Ok(200) }).await;
    assert_eq!(shown(port, offer).await, Some(pair.der().to_vec()));
}
