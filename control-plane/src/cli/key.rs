//! `legation key`: makes API keys, and the digests of them that a file holds.

use std::{
    fs,
    io::{self, Read, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use legation_filter::consumer::{
    key_format::{self, ALPHABET},
    pepper::Pepper,
};
use sha2::{Digest, Sha256};

use super::failed;

/// How many random characters the secret has, one of 62 each: 190 bits.
const SECRET: usize = 32;
/// How many characters the id has. Two keys of one file have the same id once in some hundred
/// million times, and then the file is refused.
const ID: usize = 8;
/// The longest key that the command reads. It is longer than any header may be.
const LONGEST: u64 = 64 * 1024;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make a random key, show it this once, and print the YAML to paste
    New {
        /// The consumer that the YAML is for
        #[arg(long, value_name = "NAME", default_value = "NAME", value_parser = consumer_name)]
        consumer: String,
        /// The file that `key_pepper_file` names in the gateway file, if it names one
        #[arg(long, value_name = "PATH")]
        key_pepper_file: Option<PathBuf>,
    },
    /// Print the digest of a key as the file wants it
    Hash {
        /// The file that `key_pepper_file` names in the gateway file, if it names one
        #[arg(long, value_name = "PATH")]
        key_pepper_file: Option<PathBuf>,
        /// The key; without it, the command reads standard input, which keeps the key out of the
        /// shell's history
        key: Option<String>,
    },
}

/// Exits with 0 when done, and with 1 when there is no key or no randomness.
pub fn run(args: Args) -> ExitCode {
    let text = match args.command {
        Command::New { consumer, key_pepper_file } => pepper(key_pepper_file.as_deref()).and_then(|pepper| {
            let (key, id) = new_key()?;
            Ok(key_and_yaml(&key, &id, &consumer, pepper.as_ref()))
        }),
        Command::Hash { key, key_pepper_file } => pepper(key_pepper_file.as_deref())
            .and_then(|pepper| hash(&key.map_or_else(from_stdin, Ok)?, pepper.as_ref())),
    };
    let written =
        text.and_then(|text| io::stdout().lock().write_all(text.as_bytes()).map_err(|reason| reason.to_string()));
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => failed(reason),
    }
}

/// The pepper in a file, read as the control plane reads it.
fn pepper(path: Option<&Path>) -> Result<Option<Pepper>, String> {
    let Some(path) = path else { return Ok(None) };
    let text = fs::read_to_string(path).map_err(|reason| format!("cannot read {}: {reason}", path.display()))?;
    let pepper = Pepper::new(text.trim_end_matches(['\r', '\n']).as_bytes());
    pepper.map(Some).map_err(|problem| format!("{}: {problem}", path.display()))
}

/// Parses a consumer's name as the file takes it: a name that goes into a header.
fn consumer_name(text: &str) -> Result<String, &'static str> {
    let is_name = (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    is_name.then(|| text.to_owned()).ok_or("a consumer's name is 1 to 128 visible ASCII characters")
}

/// A key and its id.
fn new_key() -> Result<(String, String), String> {
    let id = random(ID)?.to_ascii_lowercase();
    Ok((key_format::key(&id, &random(SECRET)?), id))
}

/// This many random letters and digits, each as likely as the others.
fn random(count: usize) -> Result<String, String> {
    let mut text = String::new();
    while text.len() < count {
        let mut byte = [0];
        getrandom::fill(&mut byte).map_err(|reason| format!("the system gives no random bytes: {reason}"))?;
        // 248 is 4 times 62. With larger bytes some characters would come up more often.
        let character = byte.first().filter(|byte| **byte < 248).and_then(|byte| ALPHABET.get(usize::from(byte % 62)));
        text.extend(character.copied().map(char::from));
    }
    Ok(text)
}

fn key_and_yaml(key: &str, id: &str, consumer: &str, pepper: Option<&Pepper>) -> String {
    let digest = digest(key, pepper);
    // A JSON string is a YAML string, whatever the name is.
    let name = serde_json::Value::from(consumer);
    // This is no comment of the YAML: the key must not end up in the file.
    format!(
        "Key, shown this once: {key}\n\n\
         consumers:\n\
         - name: {name}\n  \
           api_keys:\n  \
           - {{id: \"{id}\", sha256: \"{digest}\"}}\n"
    )
}

fn hash(key: &str, pepper: Option<&Pepper>) -> Result<String, String> {
    if key.is_empty() || !key.chars().all(|c| c.is_ascii_graphic() || c == ' ') || key.trim() != key {
        return Err("a key must be visible ASCII with no space around it: no header could carry this one".to_owned());
    }
    Ok(format!("sha256: \"{}\"\n", digest(key, pepper)))
}

/// All of standard input, without the newline at its end.
fn from_stdin() -> Result<String, String> {
    let mut text = String::new();
    let read = io::stdin().lock().take(LONGEST + 1).read_to_string(&mut text);
    read.map_err(|reason| format!("cannot read the key: {reason}"))?;
    if text.len() as u64 > LONGEST {
        return Err(format!("a key has at most {LONGEST} bytes"));
    }
    let key = text.strip_suffix('\n').unwrap_or(&text);
    Ok(key.strip_suffix('\r').unwrap_or(key).to_owned())
}

fn digest(key: &str, pepper: Option<&Pepper>) -> String {
    let digest = pepper.map_or_else(|| Sha256::digest(key).into(), |pepper| pepper.digest(key.as_bytes()));
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Source};

    #[test]
    fn a_key_is_random_and_long_and_safe_in_a_url() {
        let ((one, id), (other, _)) = (new_key().unwrap(), new_key().unwrap());
        assert_ne!(one, other);
        assert!(one.len() >= 32 && one.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'));
        assert!(one.starts_with(&format!("lg_{id}_")) && !key_format::is_mistyped(one.as_bytes()), "{one}");
    }

    #[test]
    fn a_digest_is_the_known_one() {
        // FIPS 180-2, appendix B.1.
        let expected = "sha256: \"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"\n";
        assert_eq!(hash("abc", None).unwrap(), expected);
    }

    #[test]
    fn a_key_that_no_header_carries_is_refused() {
        for key in ["", " a", "a\n", "ä"] {
            assert!(hash(key, None).is_err(), "{key:?}");
        }
    }

    #[test]
    fn the_yaml_of_a_new_key_is_a_good_file_with_its_digest() {
        let (key, id) = new_key().unwrap();
        let text = key_and_yaml(&key, &id, "alice:#1@example.com", None);
        let (_, yaml) = text.split_once("\n\n").unwrap();
        let text = format!("version: 1\n{yaml}");
        let loaded = config::load(&Source { file: "gateway.yaml".into(), bytes: text.into_bytes() }, &|_| None);
        let model = loaded.model.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics));
        assert_eq!(model.consumers[0].name, "alice:#1@example.com");
        assert_eq!(model.consumers[0].api_keys[0].sha256, digest(&key, None));
    }
}
