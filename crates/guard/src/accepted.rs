//! Growth that was accepted.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// How many instructions an operation may take, whatever it took before.
#[derive(Debug, PartialEq)]
pub struct Accepted(BTreeMap<String, f64>);

impl Accepted {
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        Self::parse(&text).map_err(|error| format!("{}: {error}", path.display()))
    }

    pub fn parse(text: &str) -> Result<Self, String> {
        let mut accepted = BTreeMap::new();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let parts: Vec<&str> = line.split('|').map(str::trim).collect();
            let [operation, most, why] = parts[..] else { return Err(format!("not three parts: {line}")) };
            if why.is_empty() {
                return Err(format!("no reason: {line}"));
            }
            let most = most.parse().map_err(|_| format!("not a number: {line}"))?;
            accepted.insert(operation.to_owned(), most);
        }
        Ok(Self(accepted))
    }

    pub fn allows(&self, operation: &str, count: f64) -> bool {
        self.0.get(operation).is_some_and(|most| count <= *most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_read() {
        let accepted = Accepted::parse("# why\n\nappend 16 B | 120 | a new check\n").unwrap();
        assert!(accepted.allows("append 16 B", 120.0));
        assert!(!accepted.allows("append 16 B", 120.1));
        assert!(!accepted.allows("append 100 B", 1.0));
        for odd in ["append 16 B | 120", "append 16 B | many | x", "append 16 B | 120 | "] {
            assert!(Accepted::parse(odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn the_table_here_is_well_formed() {
        Accepted::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("accepted.txt")).unwrap();
    }
}
