//! Every SQL example of the README and of docs/ runs, in reading order, in a database of its own per file.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use costsim_harness::Cluster;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The blocks that a Markdown file marks as SQL.
fn sql_blocks(markdown: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut block: Option<String> = None;
    for line in markdown.lines() {
        match (&mut block, line.trim_end()) {
            (None, "```sql") => block = Some(String::new()),
            (None, _) => {}
            (Some(_), "```") => blocks.extend(block.take()),
            (Some(text), line) => {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    blocks
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
fn every_sql_example_of_the_documentation_runs() -> Result<()> {
    let cluster = Cluster::builder().start()?;
    let mut blocks_run = 0;
    for (number, path) in markdown_files()?.into_iter().enumerate() {
        let markdown = std::fs::read_to_string(&path)?;
        let mut client = cluster.create_database_with_extension(&format!("docs{number}"))?;
        for block in sql_blocks(&markdown) {
            client.simple_query(&block).with_context(|| format!("{}:\n{block}", path.display()))?;
            blocks_run += 1;
        }
    }
    ensure!(blocks_run >= 4, "only {blocks_run} examples were found: the README has one per room");
    Ok(())
}
