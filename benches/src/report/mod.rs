//! The page: what results look like in a browser.
//!
//! It is a function of such files and of nothing else: no clock, no machine, no chance that is not seeded. So whoever has the
//! files can make the page again, byte for byte, and a test compares the committed page with what the committed files give.
//!
//! ```text
//!    *.json --parse--> Results --judge--> Verdicts: shares, intervals, losses first
//!                                                   |
//!                                       lanes, curves (SVG)  ->  page (HTML)
//! ```

#![expect(clippy::cast_precision_loss, reason = "what is drawn is counted in thousands")]

mod context;
mod curves;
mod histogram;
mod judge;
mod lanes;
mod markdown;
mod page;
mod results;
mod style;
mod summary;
mod table;

use std::fs;
use std::path::Path;

use results::Results;
pub(crate) use style::figure;

/// Draws the page of all results in a directory into it, and its pictures for use elsewhere.
pub(crate) fn write(directory: &Path) -> Result<(), String> {
    for (name, content) in draw(&read(directory)?)? {
        let path = directory.join(name);
        fs::write(&path, content).map_err(|error| format!("{} cannot be written: {error}", path.display()))?;
    }
    Ok(())
}

/// The files of results there, by name: runs of different rows may be made at different times.
fn read(directory: &Path) -> Result<Vec<String>, String> {
    let failed = |error: std::io::Error| format!("{} cannot be read: {error}", directory.display());
    let mut paths: Vec<_> = fs::read_dir(directory)
        .map_err(failed)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    paths.sort();
    paths.iter().map(|path| fs::read_to_string(path).map_err(failed)).collect()
}

/// The files of the page, with their names.
fn draw(texts: &[String]) -> Result<Vec<(String, String)>, String> {
    let results = Results::parse(texts)?;
    let judged = judge::judge(&results);
    let mut files = vec![
        ("index.html".to_owned(), page::render(&results, &judged)),
        ("summary.md".to_owned(), markdown::render(&results, &judged)),
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
        for (name, content) in draw(&read(directory).unwrap()).unwrap() {
            let committed = fs::read_to_string(directory.join(&name)).unwrap();
            assert!(committed == content, "{name} is not what the results give: draw it again with --report");
            if name == "summary.md" {
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
        let page = |text: &str| draw(&[text.to_owned()]).unwrap();
        assert!(page(SMALL) == page(SMALL));
        assert!(page(SMALL)[0] != page(&SMALL.replace("9.0]", "9.1]"))[0]);
    }

    #[test]
    fn the_loss_stands_before_the_win_and_who_is_absent_is_named() {
        let page = draw(&[SMALL.to_owned()]).unwrap().remove(0).1;
        assert!(page.find("<td>B ") < page.find("<td>A &lt;b&gt;"), "{page}");
        assert!(page.contains("<td>A &lt;b&gt;"), "{page}");
        assert!(page.contains("peer: no timers"));
    }

    #[test]
    fn what_two_runs_were_measured_on_is_told_of_both() {
        let page = draw(&[SMALL.to_owned(), SMALL.replace("one", "two")]).unwrap().remove(0).1;
        assert!(page.contains("one; two"));
    }

    #[test]
    fn what_is_no_result_is_an_error() {
        assert!(draw(&["{}".to_owned()]).unwrap_err().contains("about"));
        assert!(draw(&["no".to_owned()]).is_err());
        assert!(draw(&[]).unwrap_err().contains("no results"));
    }
}
