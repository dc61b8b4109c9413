//! Builds the filter's module for embedding, and hashes the sources that shape resources.

use std::{
    env,
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use sha2::{Digest, Sha256};

#[path = "build/sources.rs"]
mod sources;

const TARGET: &str = "wasm32-wasip1";

/// The packages whose locked versions are a part of resource versions, as Cargo.lock names them.
const SHAPING: &[&str] = &["name = \"envoy-types\"", "name = \"regex-syntax\""];

fn main() -> Result<(), Box<dyn Error>> {
    let here = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let workspace = here.parent().ok_or("the control plane lies in the workspace")?;
    let out = PathBuf::from(env::var("OUT_DIR")?);

    println!("cargo::rustc-env=LEGATION_TRANSLATE_BUILD={}", translate_build(&here)?);

    println!("cargo::rerun-if-env-changed=LEGATION_FILTER");
    let module = match env::var_os("LEGATION_FILTER") {
        Some(path) => {
            let path = PathBuf::from(path);
            println!("cargo::rerun-if-changed={}", path.display());
            path
        }
        None => build_filter(workspace, &out)?,
    };
    let bytes = fs::read(&module).map_err(|error| format!("cannot read {}: {error}", module.display()))?;
    fs::write(out.join("filter.wasm"), &bytes)?;
    println!("cargo::rustc-env=LEGATION_FILTER_SHA256={}", hex(&Sha256::digest(&bytes)));
    Ok(())
}

/// Returns a hash of the code of the sources that shape resources.
fn translate_build(here: &Path) -> Result<String, Box<dyn Error>> {
    let mut hash = Sha256::new();
    hash.update(env::var("CARGO_PKG_VERSION")?);
    // The crates that hold Envoy's messages, and that escape what goes into regular expressions.
    let lock = here.join("../Cargo.lock");
    println!("cargo::rerun-if-changed={}", lock.display());
    let lock = fs::read_to_string(&lock).map_err(|error| format!("cannot read {}: {error}", lock.display()))?;
    for package in lock.split("[[package]]").filter(|package| SHAPING.iter().any(|name| package.contains(name))) {
        hash.update(package);
    }
    for root in sources::ROOTS {
        println!("cargo::rerun-if-changed={}", here.join(root).display());
    }
    for source in sources::all(here)? {
        let text = fs::read_to_string(&source)?;
        let code = sources::code(&text).map_err(|error| format!("{}: {error}", source.display()))?;
        hash.update((code.len() as u64).to_le_bytes());
        hash.update(code);
    }
    Ok(hex(hash.finalize().get(..8).unwrap_or_default()))
}

/// Builds the filter and returns the module's path. The build has its own target folder, since
/// cargo holds a lock on the current one.
fn build_filter(workspace: &Path, out: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let filter = workspace.join("filters/gateway");
    for part in ["src", "Cargo.toml"] {
        println!("cargo::rerun-if-changed={}", filter.join(part).display());
    }
    println!("cargo::rerun-if-changed={}", workspace.join("Cargo.toml").display());
    // OUT_DIR is <target>/<profile>/build/<package>-<hash>/out. Debug, release and clippy share one
    // module.
    let target = out.ancestors().nth(4).ok_or("OUT_DIR lies in the target folder")?.join("filter");
    let status = Command::new(env::var("CARGO")?)
        .current_dir(workspace)
        .args(["build", "--package", "legation-filter", "--lib", "--profile", "wasm", "--target", TARGET, "--locked"])
        .arg("--target-dir")
        .arg(&target)
        // Replaces the flags that cargo and clippy set for this build. Panic messages name source
        // files. Without remapping, the module and every version would depend on the build's
        // folder.
        .env("CARGO_ENCODED_RUSTFLAGS", remap_paths(workspace)?)
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .env_remove("CLIPPY_ARGS")
        .status()?;
    if !status.success() {
        return Err(format!(
            "the filter did not build; if its target is missing: rustup target add {TARGET} (or set LEGATION_FILTER to a built module)"
        )
        .into());
    }
    Ok(target.join(TARGET).join("wasm").join("legation_filter.wasm"))
}

fn remap_paths(workspace: &Path) -> Result<String, Box<dyn Error>> {
    let cargo_home = match env::var_os("CARGO_HOME") {
        Some(home) => PathBuf::from(home),
        None => PathBuf::from(env::var("HOME")?).join(".cargo"),
    };
    let remap = |from: &Path, to: &str| format!("--remap-path-prefix={}={to}", from.display());
    // Cargo separates flags by this character.
    Ok([remap(workspace, "/legation"), remap(&cargo_home, "/cargo")].join("\u{1f}"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
