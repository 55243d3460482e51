//! Settings of `tracer run`, from flags, environment and one TOML file, in this order. It must not know what they are
//! for.

mod choice;
mod layer;
mod quantity;
mod settings;
pub mod when;

use std::{env, fs, io, path::PathBuf};

use thiserror::Error;

use crate::node::attribute::selection::Selection;

pub use choice::{Kubernetes, Listen, Recorder, Stdout};
pub use layer::Layer;
pub use quantity::{QuantityError, Size, Span};
pub use settings::Settings;

/// The command line of `tracer run`.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Options {
    /// Read settings from this TOML file; flags and environment come before it
    #[arg(long, env = "TRACER_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print the effective settings as such a file, and end
    #[arg(long)]
    pub print_config: bool,
    #[command(flatten)]
    pub layer: Layer,
}

/// Why there are no settings.
#[derive(Debug, Error)]
pub enum ConfigError {
    #[error("cannot read the settings in {0}: {1}")]
    Read(PathBuf, io::Error),
    #[error("cannot understand the settings in {0}: {1}")]
    Parse(PathBuf, String),
    #[error("unknown key `{key}` in {}: {hint}", .file.display())]
    UnknownKey { file: PathBuf, key: String, hint: String },
    #[error("the setting {name} cannot be used: {reason}")]
    Value { name: &'static str, reason: String },
    #[error("cannot print the settings: {0}")]
    Print(String),
}

impl Options {
    /// Reads the file, if one is named, and puts everything together. Called again, it tells what the file says now.
    ///
    /// # Errors
    /// The file cannot be read or understood, or a value makes no sense.
    pub fn load(&self) -> Result<Settings, ConfigError> {
        let read = |path: &PathBuf| {
            fs::read_to_string(path).map_err(|error| ConfigError::Read(path.clone(), error))
        };
        let content = self.config.as_ref().map(read).transpose()?;
        let file = self.config.as_deref().zip(content.as_deref());
        Settings::resolve(&self.layer, file, &this_node())
    }

    /// The selection as the file has it now; other settings take effect at the next start only. A selection given
    /// by flag or environment stays.
    ///
    /// # Errors
    /// As `load`: what was selected before then stays in force.
    pub fn reload_selection(&self) -> Result<Vec<Selection>, ConfigError> {
        self.load().map(|settings| settings.select)
    }
}

/// The name that Kubernetes gave, where the agent's pod has it in its environment, else the host's.
fn this_node() -> String {
    let host = || rustix::system::uname().nodename().to_string_lossy().into_owned();
    env::var("NODE_NAME").ok().filter(|name| !name.is_empty()).unwrap_or_else(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_selection_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tracer.toml");
        fs::write(&file, "select = [\"a=b\"]").unwrap();
        let options = Options { config: Some(file.clone()), ..Options::default() };
        assert_eq!(options.load().unwrap().select, ["a=b".parse().unwrap()]);
        fs::write(&file, "[[select]]\nnamespace = \"shop\"\n").unwrap();
        assert_eq!(options.reload_selection().unwrap(), ["shop:".parse().unwrap()]);
        fs::write(&file, "select = 1").unwrap();
        assert!(options.reload_selection().is_err());
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let options = Options { config: Some("/absent.toml".into()), ..Options::default() };
        let error = options.load().unwrap_err().to_string();
        assert!(error.contains("/absent.toml"), "{error}");
    }
}
