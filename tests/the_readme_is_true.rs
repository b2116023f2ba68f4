//! What the README shows is what is there.

use std::fs;
use std::path::Path;

fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn the_readme_shows_the_example_hello_as_it_is() {
    let hello = read("examples/hello/hello.rs");
    assert!(read("README.md").contains(hello.trim_end()), "copy examples/hello/hello.rs into README.md");
}

/// The reading order of the README is that of the machine's own essay, complete, and as long as it says.
#[test]
fn the_readme_names_the_files_of_the_machine_in_their_order() {
    let readme = read("README.md");
    let linked: Vec<&str> = readme
        .split("(executor/src/machine/")
        .skip(1)
        .filter_map(|rest| rest.split_once(".rs)").map(|(name, _)| name))
        .collect();
    let essay = read("executor/src/machine/mod.rs");
    let listed: Vec<&str> = essay
        .lines()
        .filter_map(|line| line.strip_prefix("//! ")?.split_once(". `")?.1.split_once('`').map(|(name, _)| name))
        .collect();
    assert_eq!(linked, listed);

    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("executor/src/machine");
    let mut present: Vec<String> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .filter(|name| name != "mod")
        .collect();
    present.sort();
    let mut sorted = listed.clone();
    sorted.sort_unstable();
    assert_eq!(present, sorted);

    let lines: usize = listed.iter().map(|name| read(&format!("executor/src/machine/{name}.rs")).lines().count()).sum();
    assert!(readme.contains("about 2,500 lines") && (2_250..=2_750).contains(&lines), "{lines} lines");
}

#[test]
fn every_file_that_the_documentation_links_to_is_there() {
    for page in ["README.md", "docs/architecture.md", "docs/decisions.md", "docs/sync.md", "docs/benchmarks.md"] {
        let text = read(page);
        let folder = Path::new(page).parent().unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split_once(')').map(|(link, _)| link)) {
            let target = link.split('#').next().unwrap();
            if target.is_empty() || target.contains("://") || target.contains("::") {
                continue;
            }
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(target);
            assert!(path.exists(), "{page} links to {link}");
        }
    }
}
