//! The one place that writes to standard output and error: tables for people, JSON for scripts.

use std::io::{self, IsTerminal, Write};

use serde_json::Value;

use crate::failure::{Exit, Failure};

/// A column of a table: its heading and where in each item its value is (a JSON Pointer).
pub type Column = (&'static str, &'static str);

/// Where a command's results go.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    json: bool,
}

impl Output {
    /// With `json`, everything is JSON.
    pub const fn new(json: bool) -> Self {
        Self { json }
    }
    /// Whether results are JSON.
    pub const fn is_json(self) -> bool {
        self.json
    }

    /// One item: a line for each column, or the JSON itself.
    pub fn item(self, item: &Value, columns: &[Column]) -> Result<(), Failure> {
        if self.json {
            return self.document(item);
        }
        let width = columns.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        let lines: Vec<String> = columns
            .iter()
            .filter_map(|(name, at)| {
                let shown = cell(item.pointer(at)?);
                (!shown.is_empty()).then(|| format!("{name:<width$}  {shown}"))
            })
            .collect();
        write_out(&(lines.join("\n") + "\n"))
    }

    /// A list: a table, or a JSON array.
    pub fn list(self, items: &[Value], columns: &[Column]) -> Result<(), Failure> {
        if self.json {
            return self.document(&Value::Array(items.to_vec()));
        }
        if items.is_empty() {
            return write_out("none\n");
        }
        write_out(&table(items, columns))
    }

    /// A JSON document, readable.
    pub fn document(self, value: &Value) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(value)
            .map_err(|error| Failure::new(Exit::Failure, "output", error.to_string()))?;
        write_out(&(text + "\n"))
    }

    /// A line for people, or `value` for scripts.
    pub fn say(self, line: &str, value: &Value) -> Result<(), Failure> {
        if self.json { self.document(value) } else { write_out(&format!("{line}\n")) }
    }

    /// Text as it is, whatever the mode.
    pub fn text(self, text: &str) -> Result<(), Failure> {
        write_out(text)
    }

    /// Bytes as they are.
    pub fn bytes(self, bytes: &[u8]) -> Result<(), Failure> {
        finish(io::stdout().lock().write_all(bytes))
    }

    /// A failure, on standard error.
    pub fn failure(self, failure: &Failure) {
        let text = if self.json { failure.json().to_string() } else { failure.text() };
        note(&text);
    }
}

/// A remark on standard error. Nothing is lost if nobody reads it.
pub fn note(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Whether somebody watches standard error.
pub fn is_watched() -> bool {
    io::stderr().is_terminal()
}

fn write_out(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    finish(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// A reader that went away (`| head`) is no failure.
fn finish(outcome: io::Result<()>) -> Result<(), Failure> {
    match outcome {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(Exit::Failure, "output", "the result can't be written").why(error.to_string()))
        }
        _ => Ok(()),
    }
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.iter().all(|item| !item.is_object() && !item.is_array()) => {
            items.iter().map(cell).collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}

fn table(items: &[Value], columns: &[Column]) -> String {
    let shown = |item: &Value, at: &str| item.pointer(at).map(cell).unwrap_or_default().replace('\n', " ");
    let mut rows = vec![columns.iter().map(|(name, _)| name.to_uppercase()).collect::<Vec<_>>()];
    rows.extend(items.iter().map(|item| columns.iter().map(|(_, at)| shown(item, at)).collect()));
    let widths: Vec<usize> = (0..columns.len())
        .map(|at| {
            rows.iter().filter_map(|row| row.get(at)).map(|text| text.chars().count()).max().unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for row in rows {
        let padded: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(text, width)| format!("{text}{}", " ".repeat(width.saturating_sub(text.chars().count()))))
            .collect();
        text.push_str(padded.join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn tables_line_up_and_leave_out_what_is_not_there() {
        let items =
            [json!({"id": "a", "n": {"x": 1}, "l": ["p", "q"]}), json!({"id": "é", "n": {"x": null}})];
        assert_eq!(
            table(&items, &[("id", "/id"), ("count", "/n/x"), ("list", "/l")]),
            "ID  COUNT  LIST\na   1      p, q\né\n"
        );
    }
}
