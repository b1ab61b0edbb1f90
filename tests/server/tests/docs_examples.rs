//! Every SQL example of the README and of docs/ runs, in reading order, in a database of its own per file, and answers what the page shows.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use costsim_harness::Cluster;
use postgres::SimpleQueryMessage;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A block that a Markdown file marks as SQL, and the answer that it shows of it, if it does.
struct Example {
    sql: String,
    answer: Option<String>,
}

/// The examples of a Markdown file. An answer is a block of its own that follows at once: "```text answer".
fn examples(markdown: &str) -> Result<Vec<Example>> {
    let mut examples: Vec<Example> = Vec::new();
    let (mut block, mut is_answer, mut may_answer) = (None::<String>, false, false);
    for line in markdown.lines() {
        match (&mut block, line.trim_end()) {
            (None, fence @ ("```sql" | "```text answer")) => {
                is_answer = fence != "```sql";
                ensure!(!is_answer || may_answer, "an answer without a question");
                block = Some(String::new());
            }
            (None, "") => {}
            (None, _) => may_answer = false,
            (Some(_), "```") => {
                let text = block.take().unwrap_or_default();
                match examples.last_mut().filter(|_| is_answer) {
                    Some(example) => example.answer = Some(text),
                    None => examples.push(Example { sql: text, answer: None }),
                }
                may_answer = !is_answer;
            }
            (Some(text), line) => {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    Ok(examples)
}

/// What the server has answered: of every query its columns and its rows, and an empty line between two queries.
fn answer(messages: &[SimpleQueryMessage]) -> String {
    let mut answers: Vec<Vec<String>> = Vec::new();
    for message in messages {
        match message {
            SimpleQueryMessage::RowDescription(columns) => {
                let names: Vec<_> = columns.iter().map(|column| column.name()).collect();
                answers.push(vec![names.join(" | ")]);
            }
            SimpleQueryMessage::Row(row) => {
                let values: Vec<_> = (0..row.len()).map(|nth| row.get(nth).unwrap_or_default()).collect();
                if let Some(answer) = answers.last_mut() {
                    answer.push(values.join(" | ").trim_end().to_owned());
                }
            }
            _ => {}
        }
    }
    let answers: Vec<_> = answers.iter().map(|answer| answer.join("\n")).collect();
    answers.join("\n\n")
}

fn markdown_files() -> Result<Vec<PathBuf>> {
    let mut files = vec![root().join("README.md")];
    for entry in std::fs::read_dir(root().join("docs"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "md") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

#[test]
fn every_sql_example_of_the_documentation_runs_and_answers_what_it_shows() -> Result<()> {
    let cluster = Cluster::builder().start()?;
    let (mut blocks_run, mut answers_compared) = (0, 0);
    for (number, path) in markdown_files()?.into_iter().enumerate() {
        let markdown = std::fs::read_to_string(&path)?;
        let mut client = cluster.create_database_with_extension(&format!("docs{number}"))?;
        for Example { sql, answer: shown } in
            examples(&markdown).with_context(|| path.display().to_string())?
        {
            let place = || format!("{}:\n{sql}", path.display());
            let messages = client.simple_query(&sql).with_context(place)?;
            blocks_run += 1;
            if let Some(shown) = shown {
                assert_eq!(answer(&messages), shown.trim_end(), "{}", place());
                answers_compared += 1;
            }
        }
        // Who has followed the README leaves nothing behind that somebody has to look after. Drift is rolled up by a worker, and none is here.
        if path.ends_with("README.md") {
            let ill = "SELECT coalesce(string_agg(subsystem || ': ' || why, ', '), '')
                         FROM costsim_status() WHERE status IN ('warn', 'bad') AND subsystem <> 'drift'";
            assert_eq!(client.query_one(ill, &[])?.get::<_, String>(0), "", "after the README's examples");
        }
    }
    ensure!(blocks_run >= 4, "only {blocks_run} examples were found: the README has one per room");
    ensure!(answers_compared >= 10, "only {answers_compared} answers were found");
    Ok(())
}
