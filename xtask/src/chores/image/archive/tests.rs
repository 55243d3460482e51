//! What an archive must be for those who load it.

use std::collections::BTreeMap;
use std::io::Read as _;

use super::*;

fn image() -> Image {
    let mut root = Tree::default();
    root.add("/usr/bin/b", Entry::File { bytes: b"program".to_vec(), mode: 0o755 });
    root.add("/usr/bin/a", Entry::File { bytes: b"other".to_vec(), mode: 0o644 });
    root.add("/bin", Entry::Link { to: "usr/bin".into() });
    let reference = "registry.example:5000/group/b:1.2".to_owned();
    Image { reference, entrypoint: "/usr/bin/b", user: "65532:65532", root }
}

/// Every file of an archive by its path.
fn files(archive: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut archive = tar::Archive::new(archive);
    let entries = archive.entries().expect("a tape archive").map(|entry| {
        let mut entry = entry.expect("a whole entry");
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).expect("a whole file");
        (entry.path().expect("a path").to_string_lossy().into_owned(), bytes)
    });
    entries.collect()
}

fn value(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("JSON")
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

/// The blob that a descriptor describes.
fn blob<'f>(files: &'f BTreeMap<String, Vec<u8>>, descriptor: &Value) -> &'f [u8] {
    let digest = text(&descriptor["digest"]).replace(':', "/");
    let blob = &files[&format!("blobs/{digest}")];
    assert_eq!(descriptor["size"], blob.len());
    blob
}

#[test]
fn the_same_image_gives_the_same_bytes() {
    assert_eq!(write(&image()).unwrap(), write(&image()).unwrap());
}

#[test]
fn entries_are_in_order_and_root_s_and_of_1970() {
    let bytes = write(&image()).unwrap();
    let layer = files(&bytes).into_iter().find(|(_, blob)| blob.len() >= 1024).expect("a layer").1;
    for archive in [bytes, layer] {
        let mut archive = tar::Archive::new(&archive[..]);
        let mut paths = Vec::new();
        for entry in archive.entries().unwrap().map(Result::unwrap) {
            let header = entry.header();
            assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0));
            assert_eq!(header.mtime().unwrap(), 0);
            paths.push(entry.path().unwrap().into_owned());
        }
        assert!(paths.is_sorted(), "{paths:?}");
    }
}

#[test]
fn a_layer_keeps_modes_and_links() {
    let layer = tape(&image().root).unwrap();
    let mut archive = tar::Archive::new(&layer[..]);
    let entries = archive.entries().unwrap().map(|entry| {
        let entry = entry.unwrap();
        let link = entry.link_name().unwrap().map(|to| to.to_string_lossy().into_owned());
        let path = entry.path().unwrap().to_string_lossy().into_owned();
        (path, entry.header().mode().unwrap(), link)
    });
    let expected = [
        ("bin", 0o777, Some("usr/bin")),
        ("usr", 0o755, None),
        ("usr/bin", 0o755, None),
        ("usr/bin/a", 0o644, None),
        ("usr/bin/b", 0o755, None),
    ];
    let expected = expected.map(|(path, mode, to)| (path.to_owned(), mode, to.map(str::to_owned)));
    assert_eq!(entries.collect::<Vec<_>>(), expected);
}

#[test]
fn the_index_leads_to_blobs_that_are_what_their_digests_say() {
    let files = files(&write(&image()).unwrap());
    for (path, bytes) in files.iter().filter(|(path, _)| path.starts_with("blobs/sha256/")) {
        assert!(bytes.is_empty() || path.ends_with(&sha256(bytes)), "{path}");
    }
    assert_eq!(value(&files["oci-layout"])["imageLayoutVersion"], "1.0.0");
    let index = value(&files["index.json"]);
    let entry = &index["manifests"][0];
    assert_eq!(
        entry["annotations"]["io.containerd.image.name"],
        "registry.example:5000/group/b:1.2"
    );
    let manifest = value(blob(&files, entry));
    let config = value(blob(&files, &manifest["config"]));
    let layer = blob(&files, &manifest["layers"][0]);
    // The name of a layer that is not compressed is the same packed and unpacked.
    assert_eq!(config["rootfs"]["diff_ids"][0], format!("sha256:{}", sha256(layer)));
    assert_eq!(config["config"]["Entrypoint"], json!(["/usr/bin/b"]));
    assert_eq!(config["config"]["User"], "65532:65532");
}

#[test]
fn docker_s_manifest_leads_to_the_same_blobs() {
    let files = files(&write(&image()).unwrap());
    let docker = &value(&files["manifest.json"])[0];
    assert_eq!(docker["RepoTags"], json!(["registry.example:5000/group/b:1.2"]));
    let manifest = value(blob(&files, &value(&files["index.json"])["manifests"][0]));
    assert_eq!(files[&text(&docker["Config"])], blob(&files, &manifest["config"]));
    assert_eq!(files[&text(&docker["Layers"][0])], blob(&files, &manifest["layers"][0]));
}
