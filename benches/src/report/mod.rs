//! The page: what results look like in a browser.
//!
//! It is a function of such files and of nothing else: no clock, no machine, no chance that is not seeded. So whoever has the
//! files can make the page again, byte for byte, and a test compares the committed page with what the committed files give.
//!
//! ```text
//!    *.json --parse--> Results --judge--> Verdicts: shares, intervals, losses first
//!                                                   |
//!    another machine's, the same way --------> machines
//!                                                   |
//!                                       lanes, curves (SVG)  ->  page (HTML)
//! ```

#![expect(clippy::cast_precision_loss, reason = "what is drawn is counted in thousands")]

mod context;
mod curves;
mod histogram;
mod judge;
mod lanes;
mod machines;
mod markdown;
mod page;
mod results;
mod style;
mod summary;
mod table;

use std::path::{Path, PathBuf};
use std::{fs, io};

use machines::Machine;
use results::Results;
pub(crate) use style::figure;

/// Draws the page of all results in a directory into it, and its pictures for use elsewhere; and a page into each directory there that has
/// the results of another machine.
pub(crate) fn write(directory: &Path) -> Result<(), String> {
    for (name, content) in draw_all(directory)? {
        let path = directory.join(name);
        fs::write(&path, content).map_err(|error| format!("{} cannot be written: {error}", path.display()))?;
    }
    Ok(())
}

/// Where it says how to measure, seen from the page.
const HOW: &str = "../benchmarks.md";

/// The files of all pages there, by their paths in that directory.
fn draw_all(directory: &Path) -> Result<Vec<(PathBuf, String)>, String> {
    let mut files = Vec::new();
    let mut machines = Vec::new();
    for path in paths(directory)?.into_iter().filter(|path| path.is_dir()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let texts = read(&path)?;
        if !texts.is_empty() {
            let drawn = draw(&texts, &[], "../../benchmarks.md")?.into_iter();
            files.extend(drawn.map(|(file, content)| (Path::new(&name).join(file), content)));
            machines.push((name, texts));
        }
    }
    files.extend(draw(&read(directory)?, &machines, HOW)?.into_iter().map(|(name, content)| (name.into(), content)));
    Ok(files)
}

/// The files of results there, by name: runs of different rows may be made at different times.
fn read(directory: &Path) -> Result<Vec<String>, String> {
    let paths = paths(directory)?;
    let results = paths.iter().filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    results.map(|path| fs::read_to_string(path).map_err(failed(path))).collect()
}

fn paths(directory: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = fs::read_dir(directory).map_err(failed(directory))?;
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    Ok(paths)
}

fn failed(path: &Path) -> impl Fn(io::Error) -> String {
    move |error| format!("{} cannot be read: {error}", path.display())
}

/// The files of one page, with their names. Other machines have a name and files of results as well.
fn draw(texts: &[String], others: &[(String, Vec<String>)], how: &str) -> Result<Vec<(String, String)>, String> {
    let results = Results::parse(texts)?;
    let there = others.iter().map(|(_, texts)| Results::parse(texts)).collect::<Result<Vec<_>, _>>()?;
    let machines: Vec<_> = others
        .iter()
        .zip(&there)
        .map(|((directory, _), results)| Machine { directory, results, judged: judge::judge(results) })
        .collect();
    let mut judged = judge::judge(&results);
    machines::losses_first(&mut judged, &machines);
    let mut files = vec![
        ("index.html".to_owned(), page::render(&results, &judged, &machines, how)),
        ("summary.md".to_owned(), markdown::render(&results, &judged, &machines)),
        ("summary.svg".to_owned(), style::alone(&lanes::summary(judged.iter().filter(|judged| judged.is_main())))),
    ];
    for (of, picture) in curves::all(&results) {
        files.push((format!("curve-{}.svg", of.replace(' ', "-")), style::alone(&picture)));
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/benchmarks");

    #[test]
    fn the_committed_page_is_what_the_committed_results_give() {
        let directory = Path::new(COMMITTED);
        for (name, content) in draw_all(directory).unwrap() {
            let committed = fs::read_to_string(directory.join(&name)).unwrap();
            assert!(
                committed == content,
                "{} is not what the results give: draw it again with --report",
                name.display()
            );
            if name == Path::new("summary.md") {
                let readme = fs::read_to_string(directory.join("../../README.md")).unwrap();
                assert!(readme.contains(&content), "the README has another summary: benches/page.sh puts it there");
            }
        }
    }

    const SMALL: &str = r#"{ "about": { "cpu": "one" }, "rows": [
        { "name": "a", "title": "A <b>", "unit": "ns", "target": 0.5, "curve": { "of": "things", "many": 10 }, "series": [
            { "entrant": "handcar", "role": "ours", "samples": [1.0, 1.1, 0.9] },
            { "entrant": "tokio", "role": "rival", "samples": [3.0, 3.5, 3.1] },
            { "entrant": "tokio again", "role": "context", "samples": [3.1, 3.4, 3.1] } ] },
        { "name": "b", "title": "B", "unit": "B", "absent": [["peer", "no timers"]], "series": [
            { "entrant": "handcar", "role": "ours", "samples": [9.0] },
            { "entrant": "tokio", "role": "rival", "samples": [3.0] } ] } ] }"#;

    #[test]
    fn the_same_results_give_the_same_bytes_and_another_figure_others() {
        let page = |text: &str| draw(&[text.to_owned()], &[], HOW).unwrap();
        assert!(page(SMALL) == page(SMALL));
        assert!(page(SMALL)[0] != page(&SMALL.replace("9.0]", "9.1]"))[0]);
    }

    #[test]
    fn the_loss_stands_before_the_win_and_who_is_absent_is_named() {
        let page = draw(&[SMALL.to_owned()], &[], HOW).unwrap().remove(0).1;
        assert!(page.find("<td>B ") < page.find("<td>A &lt;b&gt;"), "{page}");
        assert!(page.contains("<td>A &lt;b&gt;"), "{page}");
        assert!(page.contains("peer: no timers"));
    }

    #[test]
    fn what_two_runs_were_measured_on_is_told_of_both() {
        let page = draw(&[SMALL.to_owned(), SMALL.replace("one", "two")], &[], HOW).unwrap().remove(0).1;
        assert!(page.contains("one; two"));
    }

    #[test]
    fn what_was_lost_on_another_machine_stands_before_what_was_won_on_both_and_is_counted() {
        let row = |name: &str, ours: f64| {
            format!(
                r#"{{ "name": "{name}", "title": "{name}", "unit": "ns", "series": [
                    {{ "entrant": "handcar", "role": "ours", "samples": [{ours}] }},
                    {{ "entrant": "tokio", "role": "rival", "samples": [2.0] }} ] }}"#
            )
        };
        let machine = |cpu: &str, second: f64| {
            format!(
                r#"{{ "about": {{ "cpu": "{cpu}" }}, "rows": [{}, {}] }}"#,
                row("first", 1.5),
                row("second", second)
            )
        };
        let there = [("other".to_owned(), vec![machine("the other one", 3.0)])];
        let files = draw(&[machine("this one", 1.0)], &there, HOW).unwrap();
        let (page, summary) = (&files[0].1, &files[1].1);
        assert!(summary.find("| second |") < summary.find("| first |"), "{summary}");
        assert!(
            summary
                .contains("this one, unknown, unknown. Of 2 rows, beside tokio at its fastest: 0 lost, 0 tied, 2 won.")
        );
        assert!(summary.contains(
            "the other one, unknown, unknown. Of 2 rows, beside tokio at its fastest: 1 lost, 0 tied, 1 won."
        ));
        assert!(summary.contains("| second | 1.00 ns | 0.50 (0.50 to 0.50) |  |  | **1.50** |  |"), "{summary}");
        assert!(page.contains("href=\"other/index.html\""), "{page}");
    }

    #[test]
    fn what_is_no_result_is_an_error() {
        assert!(draw(&["{}".to_owned()], &[], HOW).unwrap_err().contains("about"));
        assert!(draw(&["no".to_owned()], &[], HOW).is_err());
        assert!(draw(&[], &[], HOW).unwrap_err().contains("no results"));
    }
}
