//! What this is: the answer to `/version`.

use serde_json::{Value, json};

/// The Kubernetes API that is served, with Keelson's own version as build metadata.
const GIT_VERSION: &str = concat!("v1.37.0+keelson", env!("CARGO_PKG_VERSION"));

/// `version.Info`. Tools take `major` and `minor` for integers.
pub fn value() -> Value {
    json!({
        "major": "1",
        "minor": "37",
        "emulationMajor": "1",
        "emulationMinor": "37",
        "minCompatibilityMajor": "1",
        "minCompatibilityMinor": "36",
        "gitVersion": GIT_VERSION,
        "gitCommit": option_env!("KEELSON_COMMIT").unwrap_or_default(),
        "gitTreeState": "",
        "buildDate": option_env!("KEELSON_BUILD_DATE").unwrap_or("1970-01-01T00:00:00Z"),
        "goVersion": "",
        "compiler": "rustc",
        "platform": format!("{}/{}", std::env::consts::OS, architecture()),
    })
}

/// The processor, as Go names it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn major_and_minor_are_integers_and_the_version_agrees() {
        let version = value();
        let number = |field: &str| version[field].as_str().unwrap().parse::<u32>().unwrap();
        let start = format!("v{}.{}.", number("major"), number("minor"));
        assert!(version["gitVersion"].as_str().unwrap().starts_with(&start));
    }
}
