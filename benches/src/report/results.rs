//! Files of results, read.

use serde_json::Value;

use crate::stats::Spread;

/// What a run measured.
pub(super) struct Results {
    /// What it was measured on and with.
    pub(super) about: Vec<(String, String)>,
    pub(super) rows: Vec<Row>,
}

/// One row of it, or one percentile of a row.
pub(super) struct Row {
    pub(super) name: String,
    pub(super) title: String,
    pub(super) unit: String,
    pub(super) target: Option<f64>,
    /// Of what it is a point of a curve, and how many there were.
    pub(super) curve: Option<(String, u64)>,
    pub(super) note: Option<String>,
    /// Who did not enter, and why.
    pub(super) absent: Vec<(String, String)>,
    pub(super) series: Vec<Series>,
}

/// What one entrant did, round by round.
pub(super) struct Series {
    pub(super) entrant: String,
    pub(super) role: String,
    pub(super) samples: Vec<f64>,
}

impl Results {
    pub(super) fn parse(texts: &[String]) -> Result<Results, String> {
        let mut results = Results { about: Vec::new(), rows: Vec::new() };
        for text in texts {
            let value: Value = serde_json::from_str(text).map_err(|error| format!("results are no JSON: {error}"))?;
            let about = value["about"].as_object().ok_or("results have no `about`")?;
            for (name, value) in about {
                results.learn(name, words(value));
            }
            for row in value["rows"].as_array().ok_or("results have no `rows`")? {
                results.rows.push(Row::parse(row)?);
            }
        }
        if results.rows.is_empty() { Err(String::from("there are no results")) } else { Ok(results) }
    }

    /// Where two runs differ in a fact, both are told.
    fn learn(&mut self, name: &str, value: String) {
        match self.about.iter_mut().find(|(other, _)| other == name) {
            Some((_, values)) if values.contains(&value) => {}
            Some((_, values)) => *values = format!("{values}; {value}"),
            None => self.about.push((name.to_owned(), value)),
        }
    }

    /// One of the facts.
    pub(super) fn fact(&self, name: &str) -> &str {
        self.about.iter().find(|(other, _)| other == name).map_or("unknown", |(_, value)| value)
    }
}

impl Row {
    fn parse(value: &Value) -> Result<Row, String> {
        let part = words(&value["part"]);
        let title = words(&value["title"]);
        let series = value["series"].as_array().ok_or(format!("the row `{title}` has no series"))?;
        let absent = value["absent"].as_array().into_iter().flatten();
        Ok(Row {
            name: words(&value["name"]),
            title: if part.is_empty() { title.clone() } else { format!("{title}: {part}") },
            unit: words(&value["unit"]),
            target: value["target"].as_f64(),
            curve: value["curve"]["many"].as_u64().map(|many| (words(&value["curve"]["of"]), many)),
            note: value["note"].as_str().map(str::to_owned),
            absent: absent.map(|pair| (words(&pair[0]), words(&pair[1]))).collect(),
            series: series
                .iter()
                .map(Series::parse)
                .collect::<Option<_>>()
                .ok_or(format!("the row `{title}` has an entrant without samples"))?,
        })
    }
}

impl Series {
    pub(super) fn median(&self) -> f64 {
        Spread::of(&self.samples).median
    }

    fn parse(value: &Value) -> Option<Series> {
        let samples: Vec<f64> = value["samples"].as_array()?.iter().map(Value::as_f64).collect::<Option<_>>()?;
        (!samples.is_empty()).then(|| Series {
            entrant: words(&value["entrant"]),
            role: words(&value["role"]),
            samples,
        })
    }
}

fn words(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
