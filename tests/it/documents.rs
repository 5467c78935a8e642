//! The documents name tests that are there.

use std::path::{Path, PathBuf};

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn every_test_that_testing_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for directory in ["src", "tests", "crates", "loom-tests", "fuzz"] {
        sources(&root.join(directory), &mut files);
    }
    let code: String = files.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    let text = std::fs::read_to_string(root.join("docs/TESTING.md")).unwrap();
    let table = text.split("## What was found on the way").nth(1).unwrap();
    let table = table.split("\n## ").next().unwrap();
    let mut named = 0;
    let mut before = std::collections::HashSet::new();
    for line in table.lines().filter(|line| line.starts_with("| ")).skip(1) {
        assert!(before.insert(line), "TESTING.md has this row twice: {line}");
        let tests = line.trim_matches('|').split('|').next_back().unwrap();
        // Names of tests are long; what is short is a target, a module or a word of prose.
        let words = tests.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
        for name in words.filter(|word| word.matches('_').count() >= 3) {
            let there =
                [format!("fn {name}("), format!("\n    {name}")].iter().any(|text| code.contains(text));
            assert!(there, "TESTING.md names {name}, which is not there");
            named += 1;
        }
        assert!(tests.contains('`') || tests.contains("none:"), "no test is named: {line}");
    }
    assert!(named > 25, "only {named} tests are named");
}

/// The operating system's files are reached through one module; so everything else runs on a simulated disk too.
#[test]
fn only_the_seam_names_the_systems_files() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let allowed = [
        "storage/system.rs",
        "storage/filesystem.rs",
        "region/mapped.rs",
        "region/shadow.rs",
        "region/words.rs",
        "region/shadow_words.rs",
    ];
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut seen = 0;
    for path in files {
        let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        // Examples in the documentation are a user's code.
        let code: Vec<&str> = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        let code = code.join("\n");
        let uses = ["std::fs", "OpenOptions", "FileExt"].iter().any(|word| code.contains(word));
        if name.ends_with("tests.rs") || !uses {
            continue;
        }
        assert!(allowed.contains(&name.as_str()), "{name} names the system's files");
        seen += 1;
    }
    assert_eq!(seen, allowed.len());
}
