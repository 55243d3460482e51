//! Images by a tag that stays what it is, the same tag of an image everywhere; and that every
//! container says what it needs and may take. It knows containers, not what is in an image.

use std::collections::BTreeMap;

use super::object::{Object, pods, text};

/// Containers whose image may be another one tomorrow, or that have no requests or limits.
pub fn breaches(objects: &[Object]) -> Vec<String> {
    let mut breaches = Vec::new();
    for pod in pods(objects) {
        for container in pod.containers() {
            let of = format!("{}: container {}", pod.made_by, text(&container["name"]));
            let image = text(&container["image"]);
            if matches!(split(image).1, None | Some("latest" | "")) {
                breaches.push(format!(
                    "{of}: {image} has no tag of a version: `images:` of its kustomization"
                ));
            }
            // With the policy of an image without a tag, a node would ask its registry at each start.
            if container["imagePullPolicy"] != "IfNotPresent" {
                breaches.push(format!("{of}: imagePullPolicy must be IfNotPresent"));
            }
            for (bound, what) in [
                ("requests", "cpu"),
                ("requests", "memory"),
                ("limits", "cpu"),
                ("limits", "memory"),
            ] {
                if container["resources"][bound][what].is_null() {
                    breaches.push(format!("{of}: lacks resources.{bound}.{what}"));
                }
            }
        }
    }
    breaches
}

/// Images of one name that have two tags.
pub fn tags_that_differ<'a>(objects: impl IntoIterator<Item = &'a Object>) -> Vec<String> {
    let mut tags: BTreeMap<&str, &str> = BTreeMap::new();
    let mut breaches = Vec::new();
    for object in objects {
        let containers = object.pod().into_iter().flat_map(|pod| pod.containers());
        for (name, tag) in containers.map(|container| split(text(&container["image"]))) {
            let tag = tag.unwrap_or_default();
            let first = *tags.entry(name).or_insert(tag);
            if first != tag {
                breaches.push(format!("{object}: {name} is {tag} here and {first} elsewhere"));
            }
        }
    }
    breaches
}

/// Name and tag; a colon before the last slash is a registry's port.
fn split(image: &str) -> (&str, Option<&str>) {
    match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (image, None),
    }
}

#[cfg(test)]
mod tests {
    use super::super::object::objects;
    use super::*;

    fn pod(image: &str) -> Vec<Object> {
        objects(&format!(
            "{{kind: Pod, metadata: {{name: p}}, spec: {{containers: [{{name: c, image: '{image}', imagePullPolicy: IfNotPresent,
              resources: {{requests: {{cpu: 1, memory: 1}}, limits: {{cpu: 1, memory: 1}}}}}}]}}}}"
        ))
    }

    #[test]
    fn an_image_has_a_tag_of_a_version() {
        assert!(breaches(&pod("host:5000/a/b:1.0")).is_empty());
        for image in ["a/b", "a/b:latest", "a/b:", "host:5000/a/b"] {
            assert!(breaches(&pod(image))[0].contains("no tag"), "{image}");
        }
    }

    #[test]
    fn a_container_says_what_it_takes_and_is_not_pulled_at_each_start() {
        let found = breaches(&objects(
            "{kind: Pod, metadata: {name: p}, spec: {containers: [{name: c, image: 'a:1', resources: {limits: {cpu: 1}}}]}}",
        ));
        assert_eq!(found.len(), 4, "{found:?}");
        assert!(found[0].contains("imagePullPolicy"));
        assert!(found[3].contains("limits.memory"));
    }

    #[test]
    fn an_image_has_one_tag_everywhere() {
        assert!(
            tags_that_differ(pod("a:1").iter().chain(&pod("b:2")).chain(&pod("a:1"))).is_empty()
        );
        assert_eq!(tags_that_differ(pod("a:1").iter().chain(&pod("a:2"))).len(), 1);
    }
}
