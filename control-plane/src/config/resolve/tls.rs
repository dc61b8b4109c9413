//! `tls` of listeners and clusters. What the named files hold is looked at elsewhere.

use std::net::IpAddr;

use crate::{
    config::{
        code,
        decode::{Field, Text},
        node::Span,
        report::Report,
        schema, value,
    },
    model::{CertificateFiles, ClusterTls, Endpoints, ListenerTls, NamedFile, TlsVersion},
};

const VERSIONS: &[(&str, TlsVersion)] = &[("1.2", TlsVersion::V1_2), ("1.3", TlsVersion::V1_3)];

/// A listener's.
pub fn listener(tls: &schema::ListenerTls, report: &mut Report) -> Option<ListenerTls> {
    let certificate = file(&tls.cert_file, "cert_file", report);
    let key = file(&tls.key_file, "key_file", report);
    let client_ca = file(&tls.client_ca_file, "client_ca_file", report);
    let min_version =
        tls.min_version.resolve_or(TlsVersion::V1_2, |text| value::word(text, "`min_version`", VERSIONS, &[], report));
    // A required field that is not written was reported.
    let certificate = CertificateFiles { certificate: certificate??, key: key?? };
    Some(ListenerTls { certificate, client_ca: client_ca?, min_version: min_version? })
}

/// A cluster's; `key` is the place of `tls`.
pub fn cluster(
    tls: &schema::ClusterTls,
    key: Option<Span>,
    endpoints: &Endpoints,
    report: &mut Report,
) -> Option<ClusterTls> {
    let server_name = match &tls.sni.resolve(|text| server_name(text, report))? {
        Some(written) => Some(written.clone()),
        None => first_host_name(endpoints),
    };
    if server_name.is_none() {
        let message = "`tls` needs `sni` where no endpoint is a host name: the endpoints' certificates must be for it";
        report.error(code::MISSING_FIELD, key.unwrap_or(Span::START), message);
    }
    let ca = file(&tls.ca_file, "ca_file", report);
    let pair = (file(&tls.cert_file, "cert_file", report), file(&tls.key_file, "key_file", report));
    let certificate = match pair {
        (Some(Some(certificate)), Some(Some(key))) => Some(Some(CertificateFiles { certificate, key })),
        (Some(None), Some(None)) => Some(None),
        _ => {
            for (field, name, other) in
                [(&tls.cert_file, "cert_file", &tls.key_file), (&tls.key_file, "key_file", &tls.cert_file)]
            {
                if let (false, Some(at)) = (field.is_written(), other.key()) {
                    report.error(code::MISSING_FIELD, at, format!("`{name}` must be written too"));
                }
            }
            None
        }
    };
    Some(ClusterTls { server_name: server_name?, ca: ca?, certificate: certificate? })
}

/// `Some(None)` where it is not written.
pub fn file(field: &Field<Text>, name: &'static str, report: &mut Report) -> Option<Option<NamedFile>> {
    field.resolve(|text| {
        if text.value.is_empty() || text.value.contains('\0') {
            report.error(code::INVALID_VALUE, text.span, format!("`{name}` must be the path of a file"));
            return None;
        }
        let (origin, width) = (report.origin(text.span), text.span.width);
        Some(NamedFile { path: text.value.clone(), field: name, origin, width })
    })
}

fn server_name(text: &Text, report: &mut Report) -> Option<String> {
    let name = super::endpoint::host_name(&text.value);
    if name.is_err() {
        let message = format!("`sni` must be a host name such as `api.example.com`, not {}", text.shown());
        report.error(code::INVALID_VALUE, text.span, message);
    }
    name.ok().map(without_final_dot)
}

fn first_host_name(endpoints: &Endpoints) -> Option<String> {
    let Endpoints::Names(hosts) = endpoints else { return None };
    let name = hosts.iter().find(|host| host.host.parse::<IpAddr>().is_err());
    name.map(|host| without_final_dot(host.host.clone()))
}

/// RFC 6066 §3: the name is sent without the dot that makes it absolute.
fn without_final_dot(name: String) -> String {
    name.strip_suffix('.').map_or(name.clone(), str::to_owned)
}
