//! Paths that users write, judged before anything is done with them. Pure.
//!
//! In: a path inside a volume as a Pod names it. Out: the same path in its shortest form, or upstream's words about
//! what is wrong with it. Deliberately absent: symbolic links, which only the file system knows (`subpath.rs`).

/// The longest name of a file that Linux takes.
const MAX_NAME: usize = 255;

/// The longest path.
const MAX_PATH: usize = 4096;

/// The path of a projected file: relative, without `..`, and not beginning with two dots, which are reserved for the
/// writer's own entries.
pub(crate) fn projected(path: &str) -> Result<String, String> {
    if path.is_empty() {
        return Err("invalid path: must not be empty: \"\"".to_owned());
    }
    if path.starts_with('/') {
        return Err(format!("invalid path: must be relative path: {path}"));
    }
    if path.len() > MAX_PATH {
        return Err(format!("invalid path: must be less than or equal to {MAX_PATH} characters"));
    }
    if path.contains('\0') {
        return Err("invalid path: must not contain a NUL character".to_owned());
    }
    if path.split('/').any(|part| part == "..") {
        return Err(format!("invalid path: must not contain '..': {path}"));
    }
    if path.split('/').any(|part| part.len() > MAX_NAME) {
        return Err(format!("invalid path: filenames must be less than or equal to {MAX_NAME} characters"));
    }
    let shortest = shortest(path);
    if shortest.is_empty() {
        return Err(format!("invalid path: must not be empty: {path:?}"));
    }
    if shortest.starts_with("..") {
        return Err(format!("invalid path: must not start with '..': {path}"));
    }
    Ok(shortest)
}

/// Whether a path has a part that steps back.
pub(crate) fn no_backsteps(path: &str) -> Result<(), String> {
    if path.split('/').any(|part| part == "..") {
        return Err("must not contain '..'".to_owned());
    }
    Ok(())
}

/// Without empty parts and single dots.
pub(crate) fn shortest(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    parts.join("/")
}

#[cfg(test)]
mod tests;
