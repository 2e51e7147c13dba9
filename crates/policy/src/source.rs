//! A file of a policy as TOML, each thing with the line on which it stands. Reading goes on after a fault, so that all faults
//! are told at once; what the file says is not understood here.

use std::collections::BTreeMap;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::{Code, Finding};

/// Most bytes of one file.
pub const MAX_FILE_BYTES: usize = 1_048_576;
/// Most faults of syntax that are told of one file: after some, a parser guesses.
const MAX_SYNTAX_FAULTS: usize = 20;

/// Something, and the line on which it stands, from 1.
#[derive(Clone, Debug)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) line: usize,
}

/// Where lines begin.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        Self(std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect())
    }
    fn line(&self, byte: usize) -> usize {
        self.0.partition_point(|start| *start <= byte)
    }
}

/// A table that is read field by field. What is left at the end is unknown.
pub(crate) struct Fields {
    file: &'static str,
    /// The line of its heading; none for the file itself.
    line: Option<usize>,
    left: BTreeMap<String, At<toml::Value>>,
    /// The tables in lists of tables, by the list's name.
    tables: BTreeMap<String, Vec<Self>>,
    /// The tables in it, by name.
    nested: BTreeMap<String, Self>,
}

impl Fields {
    /// Reads a file; none, and findings, if it is too long or not TOML.
    pub(crate) fn parse(file: &'static str, text: &str, findings: &mut Vec<Finding>) -> Option<Self> {
        if text.len() > MAX_FILE_BYTES {
            let message = format!("a file has at most {MAX_FILE_BYTES} bytes: this one is not read");
            findings.push(Finding::new(Code::FileLong, file, "-", None, message));
            return None;
        }
        let lines = Lines::of(text);
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in errors.iter().take(MAX_SYNTAX_FAULTS) {
            let line = error.span().map(|span| lines.line(span.start));
            findings.push(Finding::new(Code::FileSyntax, file, "-", line, error.message()));
        }
        errors.is_empty().then(|| Self::of(file, None, table.into_inner(), &lines))
    }

    fn of(file: &'static str, line: Option<usize>, table: DeTable<'_>, lines: &Lines) -> Self {
        let mut fields =
            Self { file, line, left: BTreeMap::new(), tables: BTreeMap::new(), nested: BTreeMap::new() };
        for (key, value) in table {
            let (line, name) = (lines.line(key.span().start), key.into_inner().into_owned());
            let is_tables = value
                .get_ref()
                .as_array()
                .is_some_and(|all| !all.is_empty() && all.iter().all(|one| one.get_ref().is_table()));
            if is_tables {
                let DeValue::Array(all) = value.into_inner() else { continue };
                let tables = all.into_iter().filter_map(|one| {
                    let line = lines.line(one.span().start);
                    match one.into_inner() {
                        DeValue::Table(table) => Some(Self::of(file, Some(line), table, lines)),
                        _ => None,
                    }
                });
                fields.tables.insert(name, tables.collect());
                continue;
            }
            let value = match value.into_inner() {
                DeValue::Table(table) => {
                    fields.nested.insert(name, Self::of(file, Some(line), table, lines));
                    continue;
                }
                value => owned(value),
            };
            fields.left.insert(name, At { value, line });
        }
        fields
    }

    fn wrong(&self, code: Code, name: &str, line: Option<usize>, message: &str, findings: &mut Vec<Finding>) {
        findings.push(Finding::new(code, self.file, name, line.or(self.line), message));
    }

    /// A field that has to be there.
    fn field<T>(
        &mut self,
        name: &str,
        what: &str,
        read: impl FnOnce(toml::Value) -> Option<T>,
        findings: &mut Vec<Finding>,
    ) -> Option<At<T>> {
        let Some(found) = self.left.remove(name) else {
            let in_tables = self.tables.remove(name).and_then(|all| all.into_iter().next());
            let (code, is, line) = match in_tables.or_else(|| self.nested.remove(name)) {
                Some(table) => (Code::FieldInvalid, "it is a table", table.line),
                None => (Code::FieldMissing, "it is missing", None),
            };
            self.wrong(code, name, line, &format!("{is}: give {what}"), findings);
            return None;
        };
        let value = read(found.value);
        if value.is_none() {
            self.wrong(Code::FieldInvalid, name, Some(found.line), &format!("expected {what}"), findings);
        }
        Some(At { value: value?, line: found.line })
    }

    pub(crate) fn text(&mut self, name: &str, findings: &mut Vec<Finding>) -> Option<At<String>> {
        let read = |value| if let toml::Value::String(text) = value { Some(text) } else { None };
        self.field(name, "a text in quotation marks", read, findings)
    }

    pub(crate) fn integer(&mut self, name: &str, findings: &mut Vec<Finding>) -> Option<At<i64>> {
        self.field(name, "a whole number", |value| value.as_integer(), findings)
    }

    pub(crate) fn flag(&mut self, name: &str, findings: &mut Vec<Finding>) -> Option<At<bool>> {
        self.field(name, "true or false", |value| value.as_bool(), findings)
    }

    pub(crate) fn texts(&mut self, name: &str, findings: &mut Vec<Finding>) -> Option<At<Vec<String>>> {
        let read = |value: toml::Value| {
            value.as_array()?.iter().map(|one| Some(one.as_str()?.to_owned())).collect::<Option<Vec<_>>>()
        };
        self.field(name, "a list of texts in quotation marks", read, findings)
    }

    /// The tables under `[[name]]`: perhaps none.
    pub(crate) fn tables(&mut self, name: &str, findings: &mut Vec<Finding>) -> Vec<Self> {
        // An empty list is a list of no tables.
        let is_none = |found: &At<toml::Value>| found.value.as_array().is_some_and(Vec::is_empty);
        let left = self.left.remove(name).filter(|found| !is_none(found)).map(|found| Some(found.line));
        if let Some(line) = left.or_else(|| self.nested.remove(name).map(|table| table.line)) {
            self.wrong(Code::FieldInvalid, name, line, &format!("expected [[{name}]]"), findings);
        }
        self.tables.remove(name).unwrap_or_default()
    }

    /// The table under `[name]`, if it is there.
    pub(crate) fn table(&mut self, name: &str, findings: &mut Vec<Finding>) -> Option<Self> {
        let left = self.left.remove(name).map(|found| Some(found.line));
        let tables = self.tables.remove(name).map(|all| all.first().and_then(|one| one.line));
        if let Some(line) = left.or(tables) {
            self.wrong(Code::FieldInvalid, name, line, &format!("expected [{name}]"), findings);
        }
        self.nested.remove(name)
    }

    /// Every value of it, by name: for a table whose names are not fields.
    pub(crate) fn values(mut self, findings: &mut Vec<Finding>) -> BTreeMap<String, At<toml::Value>> {
        let values = std::mem::take(&mut self.left);
        self.finish(findings);
        values
    }

    /// Nothing may be left.
    pub(crate) fn finish(self, findings: &mut Vec<Finding>) {
        for (name, found) in &self.left {
            self.wrong(
                Code::FieldUnknown,
                name,
                Some(found.line),
                "there is no such field: take it out",
                findings,
            );
        }
        let nested = self.nested.iter().map(|(name, table)| (name, table.line));
        let tables = self.tables.iter().map(|(name, all)| (name, all.first().and_then(|one| one.line)));
        for (name, line) in nested.chain(tables) {
            self.wrong(Code::FieldUnknown, name, line, "there is no such field: take it out", findings);
        }
    }
}

/// The value without its places. A whole number that does not fit becomes a float, which no field of ours is.
fn owned(value: DeValue<'_>) -> toml::Value {
    let inner = |value: Spanned<DeValue<'_>>| owned(value.into_inner());
    match value {
        DeValue::String(text) => toml::Value::String(text.into_owned()),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => toml::Value::Integer(number),
            Err(_) => toml::Value::Float(f64::INFINITY),
        },
        DeValue::Float(number) => toml::Value::Float(number.as_str().parse().unwrap_or(f64::INFINITY)),
        DeValue::Boolean(flag) => toml::Value::Boolean(flag),
        DeValue::Datetime(at) => toml::Value::Datetime(at),
        DeValue::Array(all) => toml::Value::Array(all.into_iter().map(inner).collect()),
        DeValue::Table(table) => toml::Value::Table(
            table.into_iter().map(|(key, value)| (key.into_inner().into_owned(), inner(value))).collect(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> (Option<Fields>, Vec<Finding>) {
        let mut findings = Vec::new();
        (Fields::parse("a.toml", text, &mut findings), findings)
    }

    #[test]
    fn each_fault_is_told_with_its_line() {
        let (fields, mut findings) =
            parse("a = 1\n\nb = true\nc = 7\n[[d]]\ne = 'x'\n[[d]]\ne = 2\n[[g]]\nh = 1\n");
        let mut fields = fields.unwrap();
        assert_eq!(fields.integer("a", &mut findings).map(|at| (at.value, at.line)), Some((1, 1)));
        assert!(fields.text("b", &mut findings).is_none() && fields.text("f", &mut findings).is_none());
        let mut tables = fields.tables("d", &mut findings);
        assert_eq!(tables.iter().map(|table| table.line).collect::<Vec<_>>(), [Some(5), Some(7)]);
        for table in &mut tables {
            table.text("e", &mut findings);
        }
        fields.finish(&mut findings);
        let told: Vec<_> =
            findings.iter().map(|one| (one.code.as_str(), one.key.as_str(), one.line)).collect();
        assert_eq!(
            told,
            [
                ("field-invalid", "b", Some(3)),
                ("field-missing", "f", None),
                ("field-invalid", "e", Some(8)),
                ("field-unknown", "c", Some(4)),
                ("field-unknown", "g", Some(9)),
            ]
        );
    }

    #[test]
    fn what_is_not_toml_is_told_as_often_as_it_occurs_and_no_more_than_is_of_use() {
        let (fields, findings) = parse("a = \nb = 1\nc = ]\n");
        assert!(fields.is_none());
        let lines: Vec<_> = findings.iter().map(|one| one.line).collect();
        assert!(lines.contains(&Some(1)) && lines.contains(&Some(3)), "{findings:?}");
        assert_eq!(parse(&"= = =\n".repeat(1_000)).1.len(), MAX_SYNTAX_FAULTS);
    }

    #[test]
    fn a_file_nested_without_end_or_too_long_is_refused() {
        for text in ["[".repeat(100_000), "a.".repeat(100_000) + "b = 1", "a={b=".repeat(100_000)] {
            assert!(parse(&text).0.is_none());
        }
        let (fields, findings) = parse(&"#".repeat(MAX_FILE_BYTES + 1));
        assert!(fields.is_none() && findings.iter().all(|one| one.code == Code::FileLong));
        assert!(parse(&"#".repeat(MAX_FILE_BYTES)).0.is_some());
    }
}
