//! The golden logs of the tests, as fixed beginnings: an input means the same in every run.

use std::collections::BTreeMap;

pub type Files = BTreeMap<String, Vec<u8>>;

/// The closed log, and the one whose writer was killed.
pub fn logs() -> [Files; 2] {
    [
        decode(include_str!("../../tests/golden/v1/closed.txt")),
        decode(include_str!("../../tests/golden/v1/killed.txt")),
    ]
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn decode(text: &str) -> Files {
    let mut files = Files::new();
    let mut current = String::new();
    for line in text.lines() {
        let words: Vec<_> = line.split(' ').collect();
        match words[..] {
            ["record", ..] => {}
            ["file", name, length] => {
                current = name.to_owned();
                files.insert(current.clone(), vec![0; length.parse().unwrap()]);
            }
            [offset, row] => {
                let (offset, row): (usize, _) = (offset.parse().unwrap(), unhex(row));
                files.get_mut(&current).unwrap()[offset..offset + row.len()].copy_from_slice(&row);
            }
            _ => unreachable!("not a line of a golden file"),
        }
    }
    files
}
