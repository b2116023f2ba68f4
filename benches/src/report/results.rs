//! Files of results, read.

use serde_json::Value;

use crate::STANDARD_BUILD;
use crate::stats::Spread;

/// What a run measured.
pub(super) struct Results {
    /// What it was measured on and with.
    pub(super) about: Vec<(String, String)>,
    pub(super) rows: Vec<Row>,
    /// The same rows in other builds, as context.
    pub(super) builds: Vec<Build>,
    pub(super) counts: Vec<Counted>,
}

/// What was measured in a build that is not the one of all others.
pub(super) struct Build {
    pub(super) name: String,
    pub(super) rows: Vec<Row>,
}

/// What tools counted for one operation of an entrant, by column.
pub(super) struct Counted {
    pub(super) title: String,
    pub(super) entrant: String,
    pub(super) counts: Vec<(String, f64)>,
}

/// One row of it, or one percentile of a row.
pub(super) struct Row {
    pub(super) name: String,
    pub(super) title: String,
    pub(super) unit: String,
    /// The table that it stands in.
    pub(super) table: String,
    pub(super) target: Option<f64>,
    pub(super) target_of_peers: Option<f64>,
    pub(super) target_of_bare: Option<f64>,
    /// Of what it is a point of a curve, and how many there were.
    pub(super) curve: Option<(String, u64)>,
    pub(super) notes: Vec<String>,
    /// Who did not enter, and why.
    pub(super) absent: Vec<(String, String)>,
    /// Where the bins of histograms meet, if there are any.
    pub(super) edges: Vec<f64>,
    pub(super) series: Vec<Series>,
}

/// What one entrant did, round by round.
pub(super) struct Series {
    pub(super) entrant: String,
    pub(super) role: String,
    pub(super) samples: Vec<f64>,
    pub(super) histogram: Vec<f64>,
}

impl Results {
    pub(super) fn parse(texts: &[String]) -> Result<Results, String> {
        let mut results = Results { about: Vec::new(), rows: Vec::new(), builds: Vec::new(), counts: Vec::new() };
        for text in texts {
            let value: Value = serde_json::from_str(text).map_err(|error| format!("results are no JSON: {error}"))?;
            let about = value["about"].as_object().ok_or("results have no `about`")?;
            if let Some(counted) = value["counted"].as_array() {
                let columns: Vec<_> = value["columns"].as_array().into_iter().flatten().map(words).collect();
                results.counts.extend(counted.iter().map(|one| Counted::parse(one, &columns)));
                continue;
            }
            let rows = value["rows"].as_array().ok_or("results have no `rows`")?;
            let rows: Vec<_> = rows.iter().map(Row::parse).collect::<Result<_, _>>()?;
            let build = words(&value["about"]["build"]);
            if build.is_empty() || build == STANDARD_BUILD {
                about.iter().for_each(|(name, value)| results.learn(name, words(value)));
                results.rows.extend(rows);
            } else {
                results.builds.push(Build { name: build, rows });
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

impl Counted {
    fn parse(value: &Value, columns: &[String]) -> Counted {
        let counts = value["counts"].as_array().into_iter().flatten().map(|count| count.as_f64().unwrap_or(f64::NAN));
        Counted {
            title: words(&value["title"]),
            entrant: words(&value["entrant"]),
            counts: columns.iter().cloned().zip(counts).collect(),
        }
    }
}

impl Row {
    fn parse(value: &Value) -> Result<Row, String> {
        let part = words(&value["part"]);
        let title = words(&value["title"]);
        let series = value["series"].as_array().ok_or(format!("the row `{title}` has no series"))?;
        let absent = value["absent"].as_array().into_iter().flatten();
        let row = Row {
            name: words(&value["name"]),
            title: if part.is_empty() { title.clone() } else { format!("{title}: {part}") },
            unit: words(&value["unit"]),
            table: value["table"].as_str().unwrap_or("Rows").to_owned(),
            target: value["target"].as_f64(),
            target_of_peers: value["target_of_peers"].as_f64(),
            target_of_bare: value["target_of_bare"].as_f64(),
            curve: value["curve"]["many"].as_u64().map(|many| (words(&value["curve"]["of"]), many)),
            notes: match &value["note"] {
                Value::Array(notes) => notes.iter().map(words).collect(),
                one => one.as_str().map(str::to_owned).into_iter().collect(),
            },
            absent: absent.map(|pair| (words(&pair[0]), words(&pair[1]))).collect(),
            edges: numbers(&value["edges"]).unwrap_or_default(),
            series: series
                .iter()
                .map(Series::parse)
                .collect::<Option<_>>()
                .ok_or(format!("the row `{title}` has an entrant without samples"))?,
        };
        Ok(row.in_fitting_units())
    }

    /// A time of many digits in microseconds or milliseconds. The points of a curve stay in one unit.
    fn in_fitting_units(mut self) -> Row {
        let least = self.series.iter().map(Series::median).fold(f64::INFINITY, f64::min);
        let (unit, large) = match least {
            least if least >= 1e7 => ("ms", 1e6),
            least if least >= 1e4 => ("us", 1e3),
            _ => return self,
        };
        if let Some(rest) = self.unit.strip_prefix("ns")
            && self.curve.is_none()
        {
            self.unit = format!("{unit}{rest}");
            self.series.iter_mut().flat_map(|series| &mut series.samples).for_each(|sample| *sample /= large);
        }
        self
    }
}

impl Series {
    pub(super) fn median(&self) -> f64 {
        Spread::of(&self.samples).median
    }

    fn parse(value: &Value) -> Option<Series> {
        let samples = numbers(&value["samples"])?;
        (!samples.is_empty()).then(|| Series {
            entrant: words(&value["entrant"]),
            role: words(&value["role"]),
            samples,
            histogram: numbers(&value["histogram"]).unwrap_or_default(),
        })
    }
}

fn numbers(value: &Value) -> Option<Vec<f64>> {
    value.as_array()?.iter().map(Value::as_f64).collect()
}

fn words(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
