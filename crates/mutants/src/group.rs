//! Mutants that are built in one directory: most of them together, a few alone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Instant;

use crate::Outcome;
use crate::build::{Built, Place, Run, TIME_MAX, build};
use crate::report::Report;
use crate::switch::{Numbered, QUESTION, Switched, can_switch, switch};
use crate::table::{Mutant, Suite};
use crate::tree::{Tree, code};

/// The root of the library, which asks which mutant was chosen.
const LIBRARY: &str = "src/lib.rs";

/// A test of a build of many mutants: it must pass with none of them chosen, and fail with each of these.
pub struct Job {
    pub tree: Arc<Tree>,
    pub binary: PathBuf,
    pub suite: &'static Suite,
    pub test: (&'static str, &'static str),
    pub mutants: Vec<Numbered>,
}

/// The mutants of suites that build the library alike.
pub struct Group {
    name: &'static str,
    together: Vec<Numbered>,
    alone: Vec<Numbered>,
}

impl Group {
    /// Divides mutants by the tree that they break.
    pub fn divide(mutants: &[Numbered]) -> Outcome<Vec<Self>> {
        let mut groups: BTreeMap<&str, Self> = BTreeMap::new();
        for &(number, mutant) in mutants {
            let name = mutant.suite.tree;
            let group =
                groups.entry(name).or_insert_with(|| Self { name, together: Vec::new(), alone: Vec::new() });
            let switches = can_switch(&code(mutant.file)?, mutant);
            if switches { &mut group.together } else { &mut group.alone }.push((number, mutant));
        }
        Ok(groups.into_values().collect())
    }

    /// Builds, sends the tests that are to be run, and judges the mutants that are built alone.
    pub fn build(mut self, jobs: &Sender<Job>, report: &Report) -> Outcome<()> {
        let everybody: Vec<Numbered> = self.together.iter().chain(&self.alone).copied().collect();
        let mut suites: BTreeMap<&str, (&'static Suite, BTreeSet<&str>)> = BTreeMap::new();
        for (_, mutant) in &everybody {
            let suite = mutant.suite;
            suites.entry(suite.name).or_insert((suite, BTreeSet::new())).1.insert(mutant.test.0);
        }
        let (mut tree, mut files) = self.set_up()?;
        let mut sent = false;
        for (suite, targets) in suites.values() {
            let binaries = loop {
                match build(&tree, suite, targets)? {
                    Built::Binaries(binaries) => break binaries,
                    Built::Errors(text, places) => {
                        // Two bodies of a function may not go together although each compiles; alone they show it.
                        let misfits: BTreeSet<usize> =
                            places.iter().flat_map(|place| numbers_at(&files, place)).collect();
                        if misfits.is_empty() || sent {
                            return Err(format!("the tree of {} does not compile:\n{text}", self.name));
                        }
                        self.together.retain(|(number, _)| !misfits.contains(number));
                        self.alone.extend(everybody.iter().filter(|(number, _)| misfits.contains(number)));
                        (tree, files) = self.set_up()?;
                    }
                }
            };
            for job in self.jobs(suite, &everybody, &tree, &binaries) {
                jobs.send(job).map_err(|_| "nobody runs the tests")?;
            }
            sent = true;
        }
        for &(_, mutant) in &self.alone {
            let began = Instant::now();
            let verdict = self.judge_alone(mutant);
            report.note(mutant, "alone", began, verdict);
        }
        Ok(())
    }

    /// The tree with all that can be switched, and its broken files.
    fn set_up(&self) -> Outcome<(Arc<Tree>, BTreeMap<&'static str, Switched>)> {
        let mut by_file: BTreeMap<&str, Vec<Numbered>> = BTreeMap::new();
        for &(number, mutant) in &self.together {
            by_file.entry(mutant.file).or_default().push((number, mutant));
        }
        let mut files = BTreeMap::new();
        for (file, mutants) in by_file {
            files.insert(file, switch(&code(file)?, &mutants));
        }
        let library = Switched { text: code(LIBRARY)?, lines: Vec::new() };
        files.entry(LIBRARY).or_insert(library).text.push_str(QUESTION);
        let texts = files.iter().map(|(file, switched)| ((*file).to_owned(), switched.text.clone()));
        let tree = Tree::set_up(self.name, self.name, texts.collect())?;
        Ok((Arc::new(tree), files))
    }

    /// Each test of the suite once, with the mutants that it must notice. (Those that are built alone need it sound.)
    fn jobs(
        &self,
        suite: &'static Suite,
        everybody: &[Numbered],
        tree: &Arc<Tree>,
        binaries: &BTreeMap<String, PathBuf>,
    ) -> Vec<Job> {
        let of_suite =
            everybody.iter().map(|(_, mutant)| mutant).filter(|mutant| mutant.suite.name == suite.name);
        let tests: BTreeSet<_> = of_suite.map(|mutant| mutant.test).collect();
        let job = |test: (&'static str, &'static str)| Job {
            tree: Arc::clone(tree),
            binary: binaries[test.0].clone(),
            suite,
            test,
            mutants: (self.together.iter().copied())
                .filter(|(_, mutant)| mutant.suite.name == suite.name && mutant.test == test)
                .collect(),
        };
        tests.into_iter().map(job).collect()
    }

    /// Builds the tree as it stands here, but for one text, and runs the test.
    fn judge_alone(&self, mutant: &Mutant) -> Outcome<Option<String>> {
        let name = format!("{}-alone", self.name);
        let text = code(mutant.file)?.replacen(mutant.text, mutant.replacement, 1);
        let tree = Tree::set_up(&name, &name, vec![(mutant.file.to_owned(), text)])?;
        let (target, test) = mutant.test;
        match build(&tree, mutant.suite, &BTreeSet::from([target]))? {
            Built::Errors(text, _) => Err(format!("it does not compile:\n{text}")),
            Built::Binaries(binaries) => {
                let run = Run { suite: mutant.suite, binary: &binaries[target], test, tree: &tree };
                run.failure(0, TIME_MAX, &tree.path().with_extension("txt"))
            }
        }
    }
}

fn numbers_at(files: &BTreeMap<&str, Switched>, (file, line): &Place) -> Vec<usize> {
    let lines = files.get(&**file).map_or(&[][..], |switched| &switched.lines);
    lines.iter().filter(|(lines, _)| lines.contains(line)).map(|(_, (number, _))| *number).collect()
}
