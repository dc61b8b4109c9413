//! A cluster's `tls`. `files` reads what the named files hold.

use std::net::IpAddr;

use crate::{
    config::{
        code,
        decode::mapping,
        leaf::{FilePath, HostName},
        named_file,
        node::Span,
        report::Report,
    },
    model::{CertificateFiles, ClusterTls, Endpoints, FileKind},
};

mapping! {
    /// TLS to the endpoints of a cluster. The gateway always verifies their certificates.
    Tls, "a cluster's `tls`", "{sni: users.example.com, ca_file: certificates/authority.pem}" {
        /// The name that the endpoints' certificates must have. Without it, that is the first
        /// endpoint that is a host name.
        optional sni: HostName,
        /// The authorities in PEM that the gateway verifies the certificates with. Without it, it
        /// takes those of Envoy's system.
        optional ca_file: FilePath,
        /// The gateway's own certificate chain in PEM, for endpoints that ask for one.
        optional cert_file: FilePath,
        /// The private key of that certificate in PEM.
        optional key_file: FilePath,
    }
}

/// What the model has of it. `key` is the place of the word `tls`.
pub fn resolve(tls: &Tls, key: Option<Span>, endpoints: &Endpoints, report: &mut Report) -> Option<ClusterTls> {
    let server_name = match tls.sni.value()? {
        Some(HostName(written)) => Some(without_final_dot(&written)),
        None => first_host_name(endpoints),
    };
    if server_name.is_none() {
        let message = "`tls` needs `sni` where no endpoint is a host name: the endpoints' certificates must be for it";
        report.error(code::MISSING_FIELD, key.unwrap_or(Span::START), message);
    }
    let ca = named_file(&tls.ca_file, FileKind::Authorities, report);
    let pair =
        (named_file(&tls.cert_file, FileKind::Certificate, report), named_file(&tls.key_file, FileKind::Key, report));
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

fn first_host_name(endpoints: &Endpoints) -> Option<String> {
    let Endpoints::Names(hosts) = endpoints else { return None };
    let name = hosts.iter().find(|host| host.host.parse::<IpAddr>().is_err());
    name.map(|host| without_final_dot(&host.host))
}

/// RFC 6066 §3: the name is sent without the dot that makes it absolute.
fn without_final_dot(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_owned()
}
