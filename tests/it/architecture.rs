//! Holds the code to the table of modules in `docs/ARCHITECTURE.md`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The layer whose modules never use one another.
const ACTIVITIES: u32 = 4;

/// The layer that stands on what the crate exports.
const RECORDS: u32 = 6;

#[derive(Debug)]
struct Entry {
    layer: u32,
    may_say_unsafe: bool,
}

/// The rows of the table, by module path.
fn table() -> BTreeMap<String, Entry> {
    let path = root().join("docs/ARCHITECTURE.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let cells = |line: &str| -> Vec<String> {
        line.trim().trim_matches('|').split('|').map(|cell| cell.trim().replace('`', "")).collect()
    };
    let mut lines =
        text.lines().skip_while(|line| cells(line) != ["layer", "module", "unsafe", "responsibility"]);
    assert!(lines.next().is_some(), "no table in {}", path.display());
    let rows = lines.skip(1).take_while(|line| line.starts_with('|'));
    let table: BTreeMap<_, _> = rows
        .map(|line| {
            let [layer, module, may, _] = &cells(line)[..] else { panic!("not four cells: {line}") };
            let may_say_unsafe = match may.as_str() {
                "yes" => true,
                "no" => false,
                other => panic!("unsafe is {other:?} in {line}"),
            };
            let layer = layer.parse().unwrap_or_else(|_| panic!("no layer in {line}"));
            (module.clone(), Entry { layer, may_say_unsafe })
        })
        .collect();
    assert!(table.len() > 20, "{table:?}");
    table
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every source file of the crate, with its module path.
fn sources() -> Vec<(String, PathBuf)> {
    fn walk(dir: &Path, module: &str, found: &mut Vec<(String, PathBuf)>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let inner = if module.is_empty() { stem.clone() } else { format!("{module}::{stem}") };
            if path.is_dir() {
                walk(&path, &inner, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push((if stem == "mod" { module.to_owned() } else { inner }, path));
            }
        }
    }
    let mut found = Vec::new();
    walk(&root().join("src"), "", &mut found);
    // The crate's root names all modules; `model` is what the model checker drives, and not in the crate.
    found.retain(|(module, _)| module != "lib" && top(module) != "model");
    // What stands in for a module where a feature is off is that module.
    for (module, _) in &mut found {
        *module = module.trim_end_matches("_off").to_owned();
    }
    found.sort();
    found
}

fn top(module: &str) -> &str {
    module.split("::").next().unwrap()
}

/// The code without comments, strings, characters and unit tests.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]").next().unwrap();
    let mut out = String::new();
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let skip = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if next == '"' {
            let mut escaped = false;
            let end = rest[1..].find(|letter| {
                let ends = letter == '"' && !escaped;
                escaped = letter == '\\' && !escaped;
                ends
            });
            end.map_or(rest.len(), |end| end + 2)
        } else if rest.starts_with("'\"'") {
            3
        } else {
            out.push(next);
            next.len_utf8()
        };
        rest = &rest[skip..];
    }
    out
}

fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|letter: char| !letter.is_alphanumeric() && letter != '_').filter(|word| !word.is_empty())
}

/// The top-level modules that the code names.
fn uses(code: &str) -> Vec<String> {
    let squeezed: String = code.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut found = Vec::new();
    for (at, _) in squeezed.match_indices("crate::") {
        let rest = &squeezed[at + "crate::".len()..];
        let Some(list) = rest.strip_prefix('{') else {
            found.extend(words(rest).next().map(str::to_owned));
            continue;
        };
        // The first word of each item of the outer list.
        let mut depth = 0;
        let mut begins = true;
        for (index, letter) in list.char_indices() {
            match letter {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => begins = true,
                ' ' => {}
                _ if begins => {
                    begins = false;
                    found.extend(words(&list[index..]).next().map(str::to_owned));
                }
                _ => {}
            }
        }
    }
    found
}

#[test]
fn the_parser_sees_what_it_must() {
    let sample = "use crate::{a::{x, y}, b::c, d};\n// crate::comment\nlet s = \"crate::text \\\" unsafe\"; crate::e::f();";
    assert_eq!(uses(&code(sample)), ["a", "b", "d", "e"]);
    assert!(!words(&code(sample)).any(|word| word == "unsafe"));
    assert!(words(&code("unsafe { x() }")).any(|word| word == "unsafe"));
    assert!(!words(&code("#![allow(unsafe_code)] // unsafe")).any(|word| word == "unsafe"));
}

#[test]
fn every_module_has_a_place_and_every_place_a_module() {
    let table = table();
    let sources = sources();
    for (module, path) in &sources {
        assert!(table.contains_key(top(module)), "{} is not in the table", path.display());
    }
    for module in table.keys() {
        assert!(
            sources.iter().any(|(source, _)| source == module),
            "{module} is in the table and not in src"
        );
    }
}

#[test]
fn modules_use_only_what_lies_below() {
    let table = table();
    let mut seen = 0;
    for (module, path) in sources() {
        let own = &table[top(&module)];
        for used in uses(&code(&std::fs::read_to_string(&path).unwrap())) {
            // Names that the crate's root exports begin with a capital.
            let Some(other) = table.get(&used).filter(|_| used != top(&module)) else { continue };
            seen += 1;
            let place =
                format!("{} (layer {}) uses {used} (layer {})", path.display(), own.layer, other.layer);
            assert!(other.layer <= own.layer, "upwards: {place}");
            assert!(own.layer != RECORDS || other.layer == RECORDS, "behind the public API: {place}");
            assert!(own.layer != ACTIVITIES || other.layer != ACTIVITIES, "a sibling activity: {place}");
        }
    }
    assert!(seen > 50, "only {seen} uses found");
}

#[test]
fn unsafe_is_where_the_table_says() {
    let table = table();
    let mut said = Vec::new();
    for (module, path) in sources() {
        if !words(&code(&std::fs::read_to_string(&path).unwrap())).any(|word| word == "unsafe") {
            continue;
        }
        // The nearest listed module decides.
        let mut name = module.as_str();
        while !table.contains_key(name) {
            name = name.rsplit_once("::").unwrap_or_else(|| panic!("{name} is not in the table")).0;
        }
        assert!(table[name].may_say_unsafe, "{} says unsafe", path.display());
        said.push(name.to_owned());
    }
    for (module, _) in table.iter().filter(|(_, entry)| entry.may_say_unsafe) {
        assert!(said.iter().any(|name| name.starts_with(module.as_str())), "{module} does not need unsafe");
    }
}
