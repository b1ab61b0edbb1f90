//! Every link of the manuals to a file or a heading of this repository leads there. Addresses on the network are not asked.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The pages in a folder and in those below it.
fn pages_below(folder: &Path, pages: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            pages_below(&path, pages)?;
        } else if path.extension().is_some_and(|extension| extension == "md") {
            pages.push(path);
        }
    }
    Ok(())
}

/// The lines of a page outside of its fenced blocks, by their number.
fn prose(page: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut is_fenced = false;
    page.lines().enumerate().filter_map(move |(index, line)| {
        let is_fence = line.trim_start().starts_with("```");
        is_fenced ^= is_fence;
        (!is_fence && !is_fenced).then_some((index + 1, line))
    })
}

/// What a line links to: `](target)`, but not in a `code span`.
fn links(line: &str) -> Vec<&str> {
    line.split('`')
        .step_by(2)
        .flat_map(|plain| plain.split("](").skip(1))
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| target)
        .collect()
}

/// The anchors of a page, as the usual hosts of repositories make them of its headings.
fn anchors(page: &str) -> BTreeSet<String> {
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    let mut anchors = BTreeSet::new();
    for (_, line) in prose(page) {
        let Some(heading) = line.starts_with('#').then(|| line.trim_start_matches('#').trim()) else {
            continue;
        };
        // Of a link its text is read aloud.
        let text: String = heading
            .split("](")
            .enumerate()
            .map(
                |(nth, part)| {
                    if nth == 0 { part } else { part.split_once(')').map_or(part, |(_, rest)| rest) }
                },
            )
            .collect();
        let word: String = text
            .to_lowercase()
            .chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
            .map(|c| if c == ' ' { '-' } else { c })
            .collect();
        let before = times.entry(word.clone()).or_default();
        anchors.insert(if *before == 0 { word } else { format!("{word}-{before}") });
        *before += 1;
    }
    anchors
}

/// How many links of a page lead somewhere in the repository, and those that should and do not.
fn looked_up(path: &Path, page: &str) -> Result<(usize, Vec<String>)> {
    let (mut good, mut broken) = (0, Vec::new());
    for (number, line) in prose(page) {
        for link in links(line) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { path.to_owned() } else { path.with_file_name("").join(file) };
            let leads = target.exists()
                && (anchor.is_empty()
                    || anchors(&if file.is_empty() {
                        page.to_owned()
                    } else {
                        fs::read_to_string(&target)?
                    })
                    .contains(anchor));
            if leads {
                good += 1;
            } else {
                broken.push(format!("{}:{number}: {link}", path.display()));
            }
        }
    }
    Ok((good, broken))
}

#[test]
fn every_link_of_the_manuals_to_a_file_or_a_heading_leads_there() -> Result<()> {
    let mut pages: Vec<PathBuf> =
        ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].iter().map(|name| root().join(name)).collect();
    pages_below(&root().join("docs"), &mut pages)?;
    pages_below(&root().join("deploy"), &mut pages)?;
    let (mut good, mut broken) = (0, Vec::new());
    for path in &pages {
        let (found, lost) = looked_up(path, &fs::read_to_string(path)?)?;
        good += found;
        broken.extend(lost);
    }
    ensure!(broken.is_empty(), "lead nowhere:\n{}", broken.join("\n"));
    ensure!(good >= 100, "only {good} links were found");
    Ok(())
}

/// What an operator looks for is one step from the README.
#[test]
fn readme_leads_to_every_manual() -> Result<()> {
    let readme = fs::read_to_string(root().join("README.md"))?;
    let linked: BTreeSet<&str> = prose(&readme)
        .flat_map(|(_, line)| links(line))
        .map(|link| link.split('#').next().unwrap_or(link))
        .collect();
    let mut missing = Vec::new();
    for entry in fs::read_dir(root().join("docs"))? {
        let name = format!("docs/{}", entry?.file_name().to_string_lossy());
        if name.ends_with(".md") && !linked.contains(name.as_str()) {
            missing.push(name);
        }
    }
    ensure!(missing.is_empty(), "README.md does not name {missing:?}");
    for page in ["deploy/README.md", "CHANGELOG.md", "CONTRIBUTING.md"] {
        ensure!(linked.contains(page), "README.md does not name {page}");
    }
    Ok(())
}

#[test]
fn what_leads_nowhere_is_found() -> Result<()> {
    let page = "# A page\n## `costsim_x()`, and [more](README.md)!\n## A page\n[a](#a-page) [b](#a-page-1) [c](#costsim_x-and-more) [d](docs/leader.md#operating-it)\n\
                [e](#nowhere) [f](docs/nowhere.md)\n[g](docs/leader.md#nowhere) `[h](i.md)`\n```\n[j](k.md)\n# No heading\n```\n[l](#no-heading) <- [m](https://example.org/n.md#o)\n";
    let (good, broken) = looked_up(&root().join("README.md"), page)?;
    assert_eq!(good, 5, "{broken:?}");
    let broken: Vec<&str> = broken.iter().filter_map(|text| text.rsplit(' ').next()).collect();
    assert_eq!(broken, ["#nowhere", "docs/nowhere.md", "docs/leader.md#nowhere", "#no-heading"]);
    Ok(())
}
