//! `legation proxies`: the nodes of a running control plane, as its `/status` shows them.
//!
//! Exit status 0: every connected node is synced, and the newest file is served. 1: the control
//! plane can't be asked. 2: some node differs, or the newest file is not used.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    process::ExitCode,
    time::Duration,
};

use bytes::Bytes;
use serde::Deserialize;

use super::{bootstrap::host_port, failed};
use crate::http_client::{self, AskError};

/// How long the control plane may take to answer.
const TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The admin interface of the control plane
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:18001", value_parser = host_port)]
    admin: (String, u16),
    /// How to show them; json prints `/status` as it is
    #[arg(short, long, value_enum, default_value = "text")]
    output: Output,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Output {
    Text,
    Json,
}

pub fn run(args: Args) -> ExitCode {
    let (host, port) = &args.admin;
    let answer = match ask(host, *port) {
        Ok(answer) => answer,
        Err(error) => {
            return failed(format_args!(
                "cannot ask the control plane at {host}:{port}: {error} (is it running? \
                 another address: --admin HOST:PORT, what `serve` has as --admin)"
            ));
        }
    };
    let status: Status = match serde_json::from_slice(&answer) {
        Ok(status) => status,
        Err(error) => {
            return failed(format_args!("what {host}:{port} answers is not a control plane's status: {error}"));
        }
    };
    let text = match args.output {
        Output::Text => table(&status),
        Output::Json => String::from_utf8_lossy(&answer).into_owned() + "\n",
    };
    // The reader may have closed the pipe, having read enough.
    let _ = io::stdout().write_all(text.as_bytes());
    // Nodes that went away may be gone for good.
    let synced = status.nodes.iter().all(|node| matches!(&*node.state, "SYNCED" | "GONE"));
    if synced && status.errors().next().is_none() { ExitCode::SUCCESS } else { ExitCode::from(2) }
}

fn ask(host: &str, port: u16) -> Result<Bytes, AskError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(http_client::ask((host, port), "GET", "/status", TIMEOUT))
}

/// The part of `/status` that the command reads.
#[derive(Debug, Deserialize)]
struct Status {
    generation: Generation,
    #[serde(default)]
    file: File,
    nodes: Vec<Node>,
}

impl Status {
    /// The errors that keep the newest file from being used.
    fn errors(&self) -> impl Iterator<Item = &Diagnostic> {
        self.file.diagnostics.iter().filter(|diagnostic| diagnostic.severity == "error")
    }
}

#[derive(Debug, Deserialize)]
struct Generation {
    serving: Option<u64>,
    confirmed: Option<u64>,
    rejected: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
struct File {
    diagnostics: Vec<Diagnostic>,
}

#[derive(Debug, Deserialize)]
struct Diagnostic {
    at: String,
    severity: String,
    code: String,
    message: String,
}

#[derive(Debug, Deserialize)]
struct Node {
    id: String,
    state: String,
    types: BTreeMap<String, Type>,
}

#[derive(Debug, Deserialize)]
struct Type {
    state: String,
    generation: Option<u64>,
    at: Option<String>,
    error: Option<String>,
}

/// The kinds in the order of the path of a request.
const COLUMNS: [&str; 6] = ["LDS", "RDS", "CDS", "EDS", "SDS", "ECDS"];

fn table(status: &Status) -> String {
    let generation = |generation: Option<u64>| generation.map_or("none".to_owned(), |it| it.to_string());
    let mut text = format!(
        "generation {} is served, {} is confirmed\n",
        generation(status.generation.serving),
        generation(status.generation.confirmed)
    );
    if let Some(rejected) = status.generation.rejected {
        text += &format!("generation {rejected} is rejected\n");
    }
    let mut errors = status.errors().peekable();
    if errors.peek().is_some() {
        text += "the newest file is not used:\n";
    }
    for Diagnostic { at, code, message, .. } in errors {
        text += &format!("  {}: error[{}]: {}\n", shown(at), shown(code), shown(message));
    }
    if status.nodes.is_empty() {
        return text + "no node is connected\n";
    }
    let has = |column: &&str| status.nodes.iter().any(|node| node.types.contains_key(*column));
    let columns: Vec<&str> = COLUMNS.into_iter().filter(has).collect();
    let mut rows = vec![["NODE", "STATE"].into_iter().chain(columns.iter().copied()).map(shown).collect::<Vec<_>>()];
    for node in &status.nodes {
        let cells = columns.iter().map(|column| node.types.get(*column).map_or("-".to_owned(), cell));
        rows.push([shown(&node.id), shown(&node.state)].into_iter().chain(cells).collect());
    }
    let widths: Vec<usize> = (0..columns.len() + 2)
        .map(|column| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0))
        .collect();
    for row in rows {
        let line: String = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}  ")).collect();
        text += line.trim_end();
        text += "\n";
    }
    for node in &status.nodes {
        for (kind, of_type) in node.types.iter().filter(|(_, of_type)| of_type.state == "NACKED") {
            let at = of_type.at.as_deref().map(|at| format!("{}: ", shown(at))).unwrap_or_default();
            let error = shown(of_type.error.as_deref().unwrap_or("no reason given"));
            text += &format!("\n{at}{} rejects {kind}:\n    {error}\n", shown(&node.id));
        }
    }
    text
}

/// `ACKED 7`, `NACKED (has 6)`: the state, and the newest generation that the node accepted.
fn cell(of_type: &Type) -> String {
    match (&*of_type.state, of_type.generation) {
        ("SYNCED", Some(generation)) => format!("ACKED {generation}"),
        ("SYNCED", None) => "ACKED".to_owned(),
        (state, Some(generation)) => format!("{} (has {generation})", shown(state)),
        (state, None) => shown(state),
    }
}

/// Masks control characters: a client chooses its name and its words, and nothing in them may move
/// a terminal's cursor.
fn shown(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(json: &str) -> Status {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn nodes_stand_in_a_table_with_their_rejections_below() {
        let status = status(
            r#"{"generation": {"serving": 7, "confirmed": 6, "rejected": 8}, "file": {"path": "gateway.yaml", "diagnostics": [
                {"at": "gateway.yaml:9:1", "severity": "warning", "code": "w", "message": "not said"},
                {"at": "gateway.yaml:4:3", "severity": "error", "code": "rejected_by_envoy", "message": "port taken"}]}, "nodes": [
                {"id": "edge-1", "state": "SYNCED", "types": {
                    "CDS": {"state": "SYNCED", "generation": 7}, "LDS": {"state": "SYNCED", "generation": 7}}},
                {"id": "b", "state": "NACKED", "types": {
                    "CDS": {"state": "STALE", "generation": null},
                    "LDS": {"state": "NACKED", "generation": 6, "at": "gateway.yaml:4:3", "error": "port\u001b taken"}}},
                {"id": "c", "state": "GONE", "types": {}}]}"#,
        );
        assert_eq!(
            table(&status),
            "generation 7 is served, 6 is confirmed\n\
             generation 8 is rejected\n\
             the newest file is not used:\n  \
               gateway.yaml:4:3: error[rejected_by_envoy]: port taken\n\
             NODE    STATE   LDS             CDS\n\
             edge-1  SYNCED  ACKED 7         ACKED 7\n\
             b       NACKED  NACKED (has 6)  STALE\n\
             c       GONE    -               -\n\
             \n\
             gateway.yaml:4:3: b rejects LDS:\n    port  taken\n"
        );
    }

    #[test]
    fn with_no_node_it_says_so() {
        let status = status(r#"{"generation": {"serving": 1, "confirmed": null}, "nodes": []}"#);
        assert_eq!(table(&status), "generation 1 is served, none is confirmed\nno node is connected\n");
    }
}
