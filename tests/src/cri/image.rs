//! Image archives of one layer, in the form that `docker save` writes: no registry, no image builder. The victims' image
//! and that of a pod's pause process are made here.

use std::fs;

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::victims;

/// The image with every victim.
pub const VICTIMS: &str = "localhost/victims:1";
/// The image of the process that holds a pod's namespaces.
pub const PAUSE: &str = "localhost/pause:1";

/// Files with modes, and what is run by default.
#[derive(Debug, Clone)]
pub struct Image {
    name: String,
    layer: Tar,
    entrypoint: Vec<String>,
    env: Vec<String>,
    user: String,
}

impl Image {
    /// An image without files; `name` is `registry/repository:tag`.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            layer: Tar::default(),
            entrypoint: Vec::new(),
            env: vec!["PATH=/usr/bin:/bin".to_owned()],
            user: String::new(),
        }
    }

    /// Static victims in `/`, and files that some of them need: `/etc/key.pem` for root alone, `/start.sh` without an x
    /// bit, `/crlf.sh` with the line ends of another system.
    ///
    /// # Errors
    /// When the victims cannot be built.
    pub fn victims() -> Result<Self> {
        let built = victims::folder()?;
        let mut image = Self::new(VICTIMS)
            .folder("tmp", 0o1777)
            .folder("etc", 0o755)
            .file("etc/key.pem", b"-----BEGIN PRIVATE KEY-----\n", 0o600)
            .file("start.sh", b"#!/victim exit\n", 0o644)
            .file("crlf.sh", b"#!/victim\r\n", 0o755)
            .entrypoint(&["/victim"]);
        for name in ["victim", "foreign", "loader_gone"] {
            let bytes = fs::read(built.join(name)).with_context(|| format!("no victim {name}"))?;
            image = image.file(name, &bytes, 0o755);
        }
        Ok(image)
    }

    /// A static program that waits for its end.
    ///
    /// # Errors
    /// When the victims cannot be built.
    pub fn pause() -> Result<Self> {
        let bytes = fs::read(victims::folder()?.join("pause")).context("no victim pause")?;
        Ok(Self::new(PAUSE).file("pause", &bytes, 0o755).entrypoint(&["/pause"]))
    }

    /// Adds a file; `path` is relative to the image's root, its folder must have been added.
    pub fn file(mut self, path: &str, content: &[u8], mode: u32) -> Self {
        self.layer.file(path, content, mode);
        self
    }

    /// Adds a folder.
    pub fn folder(mut self, path: &str, mode: u32) -> Self {
        self.layer.folder(path, mode);
        self
    }

    /// What is run when a container names no command.
    pub fn entrypoint(mut self, words: &[&str]) -> Self {
        self.entrypoint = words.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// Adds `NAME=VALUE` to the environment.
    pub fn env(mut self, variable: &str) -> Self {
        self.env.push(variable.to_owned());
        self
    }

    /// The user that containers run as by default.
    pub fn user(mut self, user: &str) -> Self {
        user.clone_into(&mut self.user);
        self
    }

    /// Its name and tag.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The archive, as `ctr images import` takes it.
    ///
    /// # Errors
    /// When a path does not fit a tar header.
    pub fn archive(&self) -> Result<Vec<u8>> {
        let layer = self.layer.clone().bytes()?;
        let digest = sha256(&layer);
        let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
        let config = serde_json::to_vec(&json!({
            "architecture": architecture,
            "os": "linux",
            "config": { "Env": self.env, "Entrypoint": self.entrypoint, "User": self.user },
            "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{digest}")] },
        }))?;
        let config_name = format!("{}.json", sha256(&config));
        let layer_name = format!("{digest}/layer.tar");
        let manifest = serde_json::to_vec(&json!([
            { "Config": config_name, "RepoTags": [self.name], "Layers": [layer_name] },
        ]))?;
        let mut archive = Tar::default();
        archive.file(&config_name, &config, 0o644);
        archive.file(&layer_name, &layer, 0o644);
        archive.file("manifest.json", &manifest, 0o644);
        archive.bytes()
    }
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A tape archive in the form of POSIX.1-1988 (ustar): all is root's, and of 1970.
#[derive(Debug, Clone, Default)]
struct Tar {
    entries: Vec<Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    path: String,
    mode: u32,
    kind: u8,
    content: Vec<u8>,
}

const BLOCK: usize = 512;
const REGULAR: u8 = b'0';
const FOLDER: u8 = b'5';

impl Tar {
    fn file(&mut self, path: &str, content: &[u8], mode: u32) {
        let content = content.to_vec();
        self.entries.push(Entry { path: path.to_owned(), mode, kind: REGULAR, content });
    }

    fn folder(&mut self, path: &str, mode: u32) {
        let (path, content) = (format!("{path}/"), Vec::new());
        self.entries.push(Entry { path, mode, kind: FOLDER, content });
    }

    fn bytes(self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        for entry in self.entries {
            bytes.extend(entry.header()?);
            bytes.extend(entry.content);
            bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
        }
        bytes.resize(bytes.len() + 2 * BLOCK, 0);
        Ok(bytes)
    }
}

impl Entry {
    /// One block: fixed fields, numbers in octal (tar(5)).
    fn header(&self) -> Result<[u8; BLOCK]> {
        let mut header = [0; BLOCK];
        let mut put = |at: usize, text: &str| match header.get_mut(at..at + text.len()) {
            Some(field) => field.copy_from_slice(text.as_bytes()),
            None => unreachable!("all fields lie within the block"),
        };
        ensure!(self.path.len() < 100, "{} is too long for a tar header", self.path);
        let size = self.content.len();
        if size >= 1 << 33 {
            bail!("{} is too large for a tar header", self.path);
        }
        put(0, &self.path);
        put(100, &format!("{:07o}", self.mode));
        put(108, "0000000");
        put(116, "0000000");
        put(124, &format!("{size:011o}"));
        put(136, "00000000000");
        // The sum is made with blanks in its own place.
        put(148, "        ");
        put(156, &char::from(self.kind).to_string());
        put(257, "ustar\u{0}00");
        put(265, "root");
        put(297, "root");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        let sum = format!("{sum:06o}\u{0} ");
        header[148..156].copy_from_slice(sum.as_bytes());
        Ok(header)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn tar_lists_the_files_of_an_image_with_their_modes() {
        let image = Image::new("localhost/x:1").folder("etc", 0o755).file("etc/key", b"key", 0o600);
        let mut tar = Command::new("tar")
            .args(["-t", "-v"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("tar is on every machine");
        let bytes = image.layer.bytes().expect("short paths");
        tar.stdin.take().expect("piped").write_all(&bytes).expect("tar reads all");
        let listed = tar.wait_with_output().expect("tar ends");
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        let lines: Vec<&str> = listed.lines().collect();
        assert_eq!(lines.len(), 2, "{listed}");
        assert!(lines[0].starts_with("drwxr-xr-x root/root") && lines[0].ends_with("etc/"));
        assert!(lines[1].starts_with("-rw------- root/root") && lines[1].ends_with("etc/key"));
    }
}
