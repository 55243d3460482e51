//! Settings that are a choice: their words and what they mean. It must not know where a setting comes from.

use std::{convert::Infallible, fmt, net::SocketAddr, path::PathBuf, str::FromStr};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// When the flight recorder of system calls is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Recorder {
    /// While a watched container is young or crash-looping
    Auto,
    /// As long as the agent runs
    Always,
    /// Not at all: verdicts know no failed calls
    Never,
}

impl fmt::Display for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Always => "always",
            Self::Never => "never",
        })
    }
}

/// What is printed on stdout, a JSON object a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Stdout {
    /// Every event and every crash
    Events,
    /// Crashes only
    Crashes,
    None,
}

/// Where a listener listens, if at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Listen {
    Off,
    At(SocketAddr),
}

#[derive(Debug, Error, PartialEq, Eq)]
#[error("`{0}` is no address to listen at: write IP:PORT, e.g. `127.0.0.1:9468`, or `off`")]
pub struct ListenError(String);

impl Listen {
    pub fn address(self) -> Option<SocketAddr> {
        match self {
            Self::Off => None,
            Self::At(address) => Some(address),
        }
    }
}

impl FromStr for Listen {
    type Err = ListenError;

    fn from_str(text: &str) -> Result<Self, ListenError> {
        if text == "off" {
            return Ok(Self::Off);
        }
        text.parse().map(Self::At).map_err(|_| ListenError(text.to_owned()))
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::At(address) => address.fmt(f),
        }
    }
}

impl TryFrom<String> for Listen {
    type Error = ListenError;

    fn try_from(text: String) -> Result<Self, ListenError> {
        text.parse()
    }
}

impl From<Listen> for String {
    fn from(listen: Listen) -> Self {
        listen.to_string()
    }
}

/// How the Kubernetes API is asked, if at all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Kubernetes {
    /// In a pod, as its service account; elsewhere not.
    Auto,
    Off,
    /// As this kubeconfig file says.
    Kubeconfig(PathBuf),
}

impl From<String> for Kubernetes {
    fn from(text: String) -> Self {
        match text.as_str() {
            "auto" => Self::Auto,
            "off" => Self::Off,
            _ => Self::Kubeconfig(text.into()),
        }
    }
}

impl FromStr for Kubernetes {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(text.to_owned().into())
    }
}

impl From<Kubernetes> for String {
    fn from(kubernetes: Kubernetes) -> Self {
        match kubernetes {
            Kubernetes::Auto => "auto".to_owned(),
            Kubernetes::Off => "off".to_owned(),
            Kubernetes::Kubeconfig(file) => file.to_string_lossy().into_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_has_an_address_or_is_off() {
        for text in ["off", "127.0.0.1:9468", "[::1]:80"] {
            assert_eq!(text.parse::<Listen>().unwrap().to_string(), text);
        }
        for text in ["", "on", "9468", "localhost:1"] {
            assert!(text.parse::<Listen>().unwrap_err().to_string().contains("IP:PORT"));
        }
    }
}
