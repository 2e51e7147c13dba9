//! A document as Markdown and as HTML. The same document gives the same bytes. Guidance is not in a document, so that it
//! can't be in what is published.

use std::fmt::Write as _;

use crate::{Chosen, Document, DocumentClause, Feasible};

/// CommonMark.
pub fn markdown(document: &Document) -> String {
    let mut out = String::new();
    // Writing to a `String` never fails.
    let _ = write!(out, "# {}\n\n{}\n\n", md(&document.title), paragraph(md(&document.company)));
    let _ = write!(out, "| | |\n|---|---|\n");
    for (name, value) in head(document) {
        let _ = writeln!(out, "| {name} | {} |", md(&value));
    }
    for section in &document.sections {
        let _ = write!(out, "\n## {}\n", md(&section.title));
        for clause in &section.clauses {
            let _ = write!(out, "\n### {} {}\n\n", clause.id, md(&clause.title));
            let texts: Vec<_> = clause.sentences.iter().map(|sentence| md(&sentence.text)).collect();
            let _ = writeln!(out, "{}", paragraph(texts.join(" ")));
            if let Some(decided) = &clause.feasible {
                let _ = write!(out, "\n*Where feasible:* {}\n", md(&feasible(decided)));
            }
            let _ = write!(out, "\n*{}*\n", md(&why(clause)));
        }
    }
    out
}

/// What opens emphasis, a heading, a link, a cell, an entity, mathematics or HTML is escaped.
fn md(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if matches!(
            letter,
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '#' | '|' | '~' | '&' | '!' | '$'
        ) {
            out.push('\\');
        }
        out.push(letter);
    }
    out
}

/// A paragraph, which is not to become a list or a rule by how it begins.
fn paragraph(text: String) -> String {
    let digits = text.len() - text.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
    let (number, rest) = text.split_at(digits);
    let is_list = rest.starts_with(['-', '+', '=']) || digits > 0 && rest.starts_with(['.', ')']);
    if is_list { format!("{number}\\{rest}") } else { text }
}

/// What stands at the head of a document, by its names, as it is published.
pub fn head(document: &Document) -> [(&'static str, String); 5] {
    let frameworks: Vec<_> = document.frameworks.iter().map(|one| one.title()).collect();
    [
        ("Version", document.version.to_string()),
        ("Author", document.author.clone()),
        ("In effect from", document.effective.clone()),
        ("Next review", document.next_review.clone()),
        ("Frameworks", frameworks.join(", ")),
    ]
}

/// Why a clause is in the document, as it is published.
pub fn why(clause: &DocumentClause) -> String {
    match &clause.chosen {
        Chosen::Required(by) => {
            let each = by
                .iter()
                .map(|(framework, controls)| format!("{}: {}", framework.title(), controls.join(", ")));
            each.collect::<Vec<_>>().join("; ")
        }
        Chosen::Kept(decided) => {
            format!("Kept: {} ({}, {})", decided.reason, decided.by, decided.date)
        }
    }
}

/// What was decided of "where feasible", as it is published.
pub fn feasible(feasible: &Feasible) -> String {
    let decided = &feasible.decided;
    let holds = if feasible.holds { "" } else { "not done: " };
    format!("{holds}{} ({}, {})", decided.reason, decided.by, decided.date)
}

const STYLE: &str = "\
:root{--ink:#1b2733;--quiet:#51606e;--line:#d7dde3;--paper:#fff;--accent:#2f6f8f}\
@media(prefers-color-scheme:dark){:root{--ink:#e4e9ee;--quiet:#9fb0bf;--line:#33414e;--paper:#12181e;--accent:#7fb8d4}}\
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.6 Georgia,'Times New Roman',serif}\
main{max-width:44rem;margin:0 auto;padding:3rem 1.25rem 6rem}\
h1,h2,h3,nav,table,.why{font-family:system-ui,sans-serif}\
h1{font-size:2rem;line-height:1.2;margin:0 0 .25rem}h2{font-size:1.3rem;margin:3rem 0 .5rem;border-bottom:1px solid var(--line)}\
h3{font-size:1rem;margin:1.75rem 0 .25rem}h3 span{color:var(--accent);font-variant-numeric:tabular-nums;margin-right:.5rem}\
.company{color:var(--quiet);margin:0 0 1.5rem}table{border-collapse:collapse;font-size:.875rem}\
th,td{text-align:left;padding:.2rem 1.5rem .2rem 0;vertical-align:top}th{color:var(--quiet);font-weight:500}\
p{margin:.35rem 0}.why{color:var(--quiet);font-size:.8rem}nav ol{columns:2;font-size:.875rem;padding-left:1.2rem}a{color:var(--accent)}\
@media print{:root{--ink:#000;--paper:#fff;--quiet:#444;--line:#999;--accent:#000}main{max-width:none;padding:0}nav{display:none}\
h2{break-after:avoid}h3{break-after:avoid}section section{break-inside:avoid}}";

/// One page, without anything that it would have to load, and without script. Each sentence is an element with its id.
pub fn html(document: &Document) -> String {
    let mut out = String::new();
    let title = escaped(&document.title);
    let _ = write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title} - {}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n<p class=\"company\">{}</p>\n<table>\n",
        escaped(&document.company),
        escaped(&document.company),
    );
    for (name, value) in head(document) {
        let _ = writeln!(out, "<tr><th scope=\"row\">{name}</th><td>{}</td></tr>", escaped(&value));
    }
    out.push_str("</table>\n<nav aria-label=\"Sections\">\n<ol>\n");
    for section in &document.sections {
        let _ = writeln!(out, "<li><a href=\"#{}\">{}</a></li>", section.id, escaped(&section.title));
    }
    out.push_str("</ol>\n</nav>\n");
    for section in &document.sections {
        let id = &section.id;
        let _ = write!(
            out,
            "<section aria-labelledby=\"{id}\">\n<h2 id=\"{id}\">{}</h2>\n",
            escaped(&section.title)
        );
        for clause in &section.clauses {
            let id = &clause.id;
            let _ = write!(
                out,
                "<section aria-labelledby=\"{id}\">\n<h3 id=\"{id}\"><span>{id}</span>{}</h3>\n<p>",
                escaped(&clause.title)
            );
            let sentences: Vec<_> = clause
                .sentences
                .iter()
                .map(|sentence| format!("<span id=\"{}\">{}</span>", sentence.id, escaped(&sentence.text)))
                .collect();
            let _ = writeln!(out, "{}</p>", sentences.join(" "));
            if let Some(decided) = &clause.feasible {
                let _ = writeln!(out, "<p><em>Where feasible:</em> {}</p>", escaped(&feasible(decided)));
            }
            let _ = write!(out, "<p class=\"why\">{}</p>\n</section>\n", escaped(&why(clause)));
        }
        out.push_str("</section>\n");
    }
    out.push_str("</main>\n</body>\n</html>\n");
    out
}

/// A text within an element or an attribute of HTML or SVG: what no text can hold is left out.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            letter if letter.is_control() => {}
            letter => out.push(letter),
        }
    }
    out
}
