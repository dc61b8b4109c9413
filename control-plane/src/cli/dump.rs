//! `legation dump`: what the control plane would tell Envoy, as Envoy YAML.

use std::{
    io::{self, Write},
    net::SocketAddr,
    path::PathBuf,
    process::ExitCode,
};

use legation_protos::{ResourceType, descriptors};
use serde_json::{Map, Value, json};

use super::{failed, validate};
use crate::{
    files::named,
    filter_module::MODULE,
    model::{Hidden, Model, Secret, SecretContent},
    translate::{add_raw, resources, static_bootstrap},
};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The gateway file
    #[arg(default_value = "gateway.yaml")]
    file: PathBuf,
    /// Print the resources of one kind only
    #[arg(long, value_name = "KIND", conflicts_with = "static",
        value_parser = ["listeners", "routes", "clusters", "endpoints", "secrets", "extensions"])]
    r#type: Option<String>,
    /// Print a whole envoy.yaml that runs without a control plane, with the filter's module inside
    #[arg(long)]
    r#static: bool,
    /// Where the admin interface of that Envoy listens; it has none unless this is given
    #[arg(long, value_name = "HOST:PORT", requires = "static")]
    envoy_admin: Option<SocketAddr>,
}

pub fn run(args: Args) -> ExitCode {
    let (model, secrets) = match validate::load_or_explain(&args.file) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    let value =
        if args.r#static { static_value(&model, &args) } else { by_kind(&model, &secrets, args.r#type.as_deref()) };
    let written = value.and_then(|value| {
        let yaml = serde_yaml::to_string(&value)?;
        Ok(io::stdout().lock().write_all(yaml.as_bytes())?)
    });
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => failed(reason),
    }
}

/// Makes the paths of certificates absolute, since Envoy probably runs in another folder.
fn static_value(model: &Model, args: &Args) -> Result<Value, Box<dyn std::error::Error>> {
    let folder = named::folder_of(&std::path::absolute(&args.file)?);
    let mut bootstrap = static_bootstrap(model, &MODULE, args.envoy_admin, &folder);
    add_raw(&mut bootstrap, model)?;
    Ok(descriptors::message_to_value(&bootstrap)?)
}

/// The resources as a mapping from kind to list. With `only`, the list of that kind.
fn by_kind(model: &Model, secrets: &[Secret], only: Option<&str>) -> Result<Value, Box<dyn std::error::Error>> {
    let resources = resources(model, &hide_pepper(secrets), &MODULE);
    let mut kinds = Map::new();
    for kind in ResourceType::ALL.into_iter().filter(|kind| only.is_none_or(|only| kind.noun() == only)) {
        let mut list = Vec::new();
        for (_, resource) in resources.iter().filter(|(of, _)| *of == kind) {
            let mut value = descriptors::to_value(kind.type_url(), &resource.body)?;
            match kind {
                ResourceType::Extension => summarise_module(&mut value),
                ResourceType::Secret => redact_key(&mut value),
                _ => {}
            }
            list.push(value);
        }
        kinds.insert(kind.noun().to_owned(), Value::Array(list));
    }
    Ok(match only.and_then(|only| kinds.remove(only)) {
        Some(list) => list,
        None => Value::Object(kinds),
    })
}

/// Hides the pepper. It is a part of the filter's configuration, which is one text there.
fn hide_pepper(secrets: &[Secret]) -> Vec<Secret> {
    let hide = |secret: &Secret| match secret.content {
        SecretContent::KeyPepper(_) => {
            Secret { content: SecretContent::KeyPepper(Hidden("<redacted>".to_owned())), ..secret.clone() }
        }
        _ => secret.clone(),
    };
    secrets.iter().map(hide).collect()
}

fn redact_key(secret: &mut Value) {
    for place in
        ["/tls_certificate/private_key", "/tls_certificate/password", "/session_ticket_keys/keys", "/generic_secret"]
    {
        if let Some(key) = secret.pointer_mut(place) {
            *key = json!("<redacted>");
        }
    }
}

/// Shows the module by its digest: its bytes would bury everything else. `--static` keeps them.
fn summarise_module(extension: &mut Value) {
    if let Some(code) = extension.pointer_mut("/typed_config/config/vm_config/code") {
        *code = json!(format!("<{} bytes of WebAssembly, sha256 {}>", MODULE.bytes.len(), MODULE.sha256));
    }
}
