//! Writes an image of one layer as a tape archive: an OCI image layout
//! (github.com/opencontainers/image-spec, `image-layout.md`) with the `manifest.json` of `docker save` over the same blobs, so that
//! containerd, kind and docker all take it. The same image gives the same bytes. It knows no image.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};

use crate::means::rootfs::{Entry, Tree};

/// What is in an image, and how its containers run by default.
#[derive(Debug)]
pub struct Image {
    /// `registry/repository:tag`
    pub reference: String,
    pub entrypoint: &'static str,
    /// `UID:GID`
    pub user: &'static str,
    pub root: Tree,
}

const SOURCE: &str = env!("CARGO_PKG_REPOSITORY");

/// The archive's bytes.
///
/// # Errors
///
/// When the image's reference has no tag, or a link's target is too long for the archive.
pub fn write(image: &Image) -> Result<Vec<u8>> {
    let reference = &image.reference;
    let (_, tag) = reference.rsplit_once(':').with_context(|| format!("no tag: {reference}"))?;
    let mut blobs = Tree::default();

    let layer = Blob::new(tape(&image.root)?);
    let config = Blob::json(&json!({
        "architecture": architecture(),
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": {
            "User": image.user,
            "Env": ["PATH=/usr/bin"],
            "Entrypoint": [image.entrypoint],
            "Labels": {
                "org.opencontainers.image.source": SOURCE,
                "org.opencontainers.image.version": tag,
            },
        },
        "rootfs": { "type": "layers", "diff_ids": [layer.digest()] },
        "history": [{ "created": "1970-01-01T00:00:00Z", "created_by": "cargo xtask image" }],
    }));
    let manifest = Blob::json(&json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": config.descriptor("application/vnd.oci.image.config.v1+json"),
        "layers": [layer.descriptor("application/vnd.oci.image.layer.v1.tar")],
    }));

    let mut entry = manifest.descriptor("application/vnd.oci.image.manifest.v1+json");
    entry["platform"] = json!({ "architecture": architecture(), "os": "linux" });
    entry["annotations"] = json!({
        "io.containerd.image.name": reference,
        "org.opencontainers.image.ref.name": tag,
    });
    let index = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [entry],
    });
    let docker = json!([{
        "Config": config.path(),
        "RepoTags": [reference],
        "Layers": [layer.path()],
    }]);
    for (name, value) in [
        ("oci-layout", json!({ "imageLayoutVersion": "1.0.0" })),
        ("index.json", index),
        ("manifest.json", docker),
    ] {
        let bytes = value.to_string().into_bytes();
        blobs.add(Path::new("/").join(name), Entry::File { bytes, mode: 0o644 });
    }
    for blob in [layer, config, manifest] {
        let path = Path::new("/").join(blob.path());
        blobs.add(path, Entry::File { bytes: blob.bytes, mode: 0o644 });
    }
    tape(&blobs)
}

/// In hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

struct Blob {
    bytes: Vec<u8>,
    sha256: String,
}

impl Blob {
    fn new(bytes: Vec<u8>) -> Self {
        Self { sha256: sha256(&bytes), bytes }
    }

    fn json(value: &Value) -> Self {
        Self::new(value.to_string().into_bytes())
    }

    fn digest(&self) -> String {
        format!("sha256:{}", self.sha256)
    }

    fn path(&self) -> String {
        format!("blobs/sha256/{}", self.sha256)
    }

    fn descriptor(&self, media_type: &str) -> Value {
        json!({ "mediaType": media_type, "digest": self.digest(), "size": self.bytes.len() })
    }
}

/// A tape archive in which all is root's, and of 1970.
fn tape(tree: &Tree) -> Result<Vec<u8>> {
    let mut tape = Builder::new(Vec::new());
    for (path, entry) in tree.entries() {
        let (kind, mode, bytes) = match entry {
            Entry::Folder => (EntryType::Directory, 0o755, &[][..]),
            Entry::File { bytes, mode } => (EntryType::Regular, *mode, &bytes[..]),
            Entry::Link { .. } => (EntryType::Symlink, 0o777, &[][..]),
        };
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(bytes.len().try_into()?);
        let put = match entry {
            Entry::Link { to } => tape.append_link(&mut header, &path, to),
            Entry::Folder | Entry::File { .. } => tape.append_data(&mut header, &path, bytes),
        };
        put.with_context(|| format!("cannot put {} into the image", path.display()))?;
    }
    Ok(tape.into_inner()?)
}

fn architecture() -> &'static str {
    if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }
}

#[cfg(test)]
mod tests;
