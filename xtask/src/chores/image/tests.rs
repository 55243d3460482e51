//! The images against what `deploy/` says of them. Builds none.

use super::*;

fn deploy(file: &str) -> String {
    fs::read_to_string(workspace::root().join("deploy").join(file)).expect("it is in the tree")
}

#[test]
fn each_image_is_called_what_the_manifests_call_it() {
    let expected = |name: Name| {
        let (name, tag) =
            name.reference().rsplit_once(':').map(|(a, b)| (a.to_owned(), b.to_owned()))?;
        Some(format!("  - name: {name}\n    newTag: {tag}\n"))
    };
    for (name, file) in [
        (Name::Gateway, "base/gateway/kustomization.yaml"),
        (Name::Tracer, "base/tracer/kustomization.yaml"),
        (Name::Gateway, "crashes/kustomization.yaml"),
        (Name::Victims, "crashes/kustomization.yaml"),
    ] {
        let expected = expected(name).expect("a reference has a tag");
        assert!(deploy(file).contains(&expected), "{file} has not {expected:?}");
    }
}

#[test]
fn the_victims_image_has_every_program_that_a_pod_of_crashes_runs() {
    // What must not be there, and what is mounted.
    let absent = |path: &str| path == "/opt/server" || path.starts_with("/scripts/");
    let mut seen = 0;
    let folder = workspace::root().join("deploy/crashes");
    for entry in fs::read_dir(folder).expect("it is in the tree") {
        let text = fs::read_to_string(entry.expect("it is readable").path()).expect("a text");
        let lines = text.lines().map(str::trim);
        for line in lines.filter_map(|line| line.strip_prefix("command: ")) {
            let words: Vec<String> = serde_json::from_str(line).expect("a list in one line");
            let starts = words.iter().position(|word| word == "--").map(|before| before + 1);
            for program in [Some(0), starts].into_iter().flatten().map(|at| &words[at]) {
                let name = program.strip_prefix('/').expect("an absolute path");
                assert!(
                    absent(program) || VICTIMS.contains(&name),
                    "{program} is not in the image"
                );
                seen += 1;
            }
        }
    }
    assert!(seen >= 30, "only {seen} commands found");
    // The interpreters of its scripts.
    assert!(deploy("crashes/scripts.yaml").matches("#!/").count() == 2);
    assert!(deploy("crashes/scripts.yaml").matches("#!/victim").count() == 2);
}

#[test]
fn the_dockerfiles_say_the_same_of_the_images() {
    for name in [Name::Gateway, Name::Tracer] {
        let text = deploy(&format!("images/Dockerfile.{}", name.name()));
        let image = text.split_once("FROM scratch\n").expect("a stage for the image").1;
        let entrypoint = format!("ENTRYPOINT [\"{}\"]\n", name.entrypoint());
        assert!(image.ends_with(&entrypoint), "{image}");
        let user = image.lines().find_map(|line| line.strip_prefix("USER ")).unwrap_or("0:0");
        assert_eq!(user, name.user());
        assert!(text.contains(&format!("-t {} .", name.reference())), "{text}");
    }
}
