//! `tenet log extract`: events out of a log that was verified, for the tools that people have: OCSF in JSON lines, CSV,
//! Parquet. A file is complete or not there.

use std::{
    fs::File,
    io::{BufWriter, Write},
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::Arc,
};

use ledger::{EventView, OutcomeView};
use parquet::{
    basic::Compression,
    column::writer::ColumnWriter,
    data_type::ByteArray,
    file::{properties::WriterProperties, writer::SerializedFileWriter},
    schema::parser::parse_message_type,
};
use serde_json::json;

use super::{
    Session,
    events::read_all,
    log::{at, trusted_key},
};
use crate::{
    cli::{EventFilter, EventFormat, LogPlace},
    data_dir::open_alone,
    failure::{Exit, Failure},
};

/// Rows that are held in memory for a group of a Parquet file.
const GROUP_ROWS: usize = 16_384;

/// One text column: its name, and what it is of an event. None is null, or an empty cell.
type TextColumn = (&'static str, fn(&EventView) -> Option<String>);

/// The text columns. Before them stand `index` and `time`; behind them `severity_id`, `class_uid` and the event itself.
const TEXTS: &[TextColumn] = &[
    ("event_id", |event| Some(event.id.to_string())),
    ("activity", |event| Some(event.activity.clone())),
    ("outcome", |event| Some(outcome(event).0.to_owned())),
    ("reason", |event| outcome(event).1),
    ("clause", |event| outcome(event).2),
    ("actor_kind", |event| Some(event.actor.kind().as_str().to_owned())),
    ("actor", |event| Some(event.actor.to_string())),
    ("account", |event| event.account.or(event.object.account).map(|account| account.to_string())),
    ("object_kind", |event| Some(event.object.kind.clone())),
    ("object", |event| Some(event.object.id.clone())),
    ("repository", |event| event.object.repository.map(|repository| repository.to_string())),
    ("classification", |event| event.object.classification.clone()),
    ("request", |event| Some(event.request.to_string())),
    ("server", |event| Some(event.server.to_string())),
    ("subsystem", |event| Some(event.subsystem.clone())),
    ("interface", |event| Some(event.interface.as_str().to_owned())),
];

fn outcome(event: &EventView) -> (&'static str, Option<String>, Option<String>) {
    match &event.outcome {
        OutcomeView::Success => ("success", None, None),
        OutcomeView::Refused { reason, clause } => ("refused", Some(reason.clone()), clause.clone()),
        OutcomeView::Failed { reason } => ("failed", Some(reason.clone()), None),
    }
}

/// Text that a spreadsheet does not take for a formula.
pub(super) fn harmless(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text.to_owned() }
}

pub(super) async fn run(
    session: &Session,
    log: &LogPlace,
    filter: &EventFilter,
    format: EventFormat,
    out: PathBuf,
) -> Result<(), Failure> {
    let key = trusted_key(session, log.key.as_deref(), log.place.as_deref())?;
    let query = filter.query(&session.context)?;
    let shown = out.display().to_string();
    let (count, size) = at(session, log, move |source, _| {
        let part = part_of(&out);
        let io = |error: std::io::Error| Failure::file("can't write", &part, &error);
        let file = open_alone(&part).map_err(io)?.ok_or_else(|| {
            Failure::new(
                Exit::Failure,
                "in-use",
                format!("`{}` is being written by another process", part.display()),
            )
            .remedy("wait for it, or give another `--out`")
        })?;
        file.set_len(0).map_err(io)?;
        let written = (|| {
            let mut sink = Sink::new(format, file)?;
            let mut count = 0u64;
            let head = read_all(source, &key, |index, leaf, event| {
                if query.matches(event) {
                    sink.add(index, leaf, event)?;
                    count += 1;
                }
                Ok(ControlFlow::Continue(()))
            })?;
            sink.finish()?;
            Ok((count, head.size))
        })();
        // A crash here leaves the part, which the next run writes anew; the file itself is the old one, or none.
        if written.is_err() {
            let _ = std::fs::remove_file(&part);
        } else {
            std::fs::rename(&part, &out).map_err(|error| Failure::file("can't write", &out, &error))?;
        }
        written
    })
    .await?;
    let line = format!("{count} events of the {size} in the log, which verifies, are in `{shown}`");
    session.out.say(&line, &json!({ "file": shown, "events": count, "size": size }))
}

fn part_of(out: &Path) -> PathBuf {
    let mut name = out.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    out.with_file_name(name)
}

fn failed(error: &dyn std::fmt::Display) -> Failure {
    Failure::new(Exit::Failure, "output", "the events can't be written").why(error.to_string())
}

enum Sink {
    Lines(BufWriter<File>),
    Csv(Box<csv::Writer<File>>),
    Parquet(Box<Columns>),
}

impl Sink {
    fn new(format: EventFormat, file: File) -> Result<Self, Failure> {
        Ok(match format {
            EventFormat::Ocsf => Self::Lines(BufWriter::new(file)),
            EventFormat::Csv => {
                let mut writer = csv::Writer::from_writer(file);
                let names = ["index", "time"].into_iter().chain(TEXTS.iter().map(|(name, _)| *name));
                writer
                    .write_record(names.chain(["severity_id", "class_uid"]))
                    .map_err(|error| failed(&error))?;
                Self::Csv(Box::new(writer))
            }
            EventFormat::Parquet => Self::Parquet(Box::new(Columns::new(file)?)),
        })
    }

    fn add(&mut self, index: u64, leaf: &[u8], event: &EventView) -> Result<(), Failure> {
        match self {
            Self::Lines(file) => {
                file.write_all(leaf).and_then(|()| file.write_all(b"\n")).map_err(|error| failed(&error))
            }
            Self::Csv(writer) => {
                let texts = TEXTS.iter().map(|(_, of)| harmless(&of(event).unwrap_or_default()));
                let cells = [index.to_string(), event.time.to_string()].into_iter().chain(texts);
                let cells = cells.chain([event.severity_id.to_string(), event.class_uid.to_string()]);
                writer.write_record(cells).map_err(|error| failed(&error))
            }
            Self::Parquet(columns) => columns.add(index, leaf, event),
        }
    }

    fn finish(self) -> Result<(), Failure> {
        let file = match self {
            Self::Lines(file) => file.into_inner().map_err(|error| failed(&error))?,
            Self::Csv(writer) => writer.into_inner().map_err(|error| failed(&error))?,
            Self::Parquet(columns) => columns.finish()?,
        };
        file.sync_all().map_err(|error| failed(&error))
    }
}

/// A Parquet file under way: the columns of a group of rows.
struct Columns {
    writer: SerializedFileWriter<File>,
    index: Vec<i64>,
    time: Vec<i64>,
    texts: Vec<Vec<Option<ByteArray>>>,
    severity: Vec<i32>,
    class: Vec<i32>,
    event: Vec<ByteArray>,
}

impl Columns {
    fn new(file: File) -> Result<Self, Failure> {
        let texts: String =
            TEXTS.iter().map(|(name, _)| format!("optional binary {name} (UTF8); ")).collect();
        let schema = format!(
            "message event {{ required int64 index; required int64 time (TIMESTAMP(MICROS,true)); {texts} \
             required int32 severity_id; required int32 class_uid; required binary event (JSON); }}"
        );
        let schema = Arc::new(parse_message_type(&schema).map_err(|error| failed(&error))?);
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_created_by(format!("Tenet {}", env!("CARGO_PKG_VERSION")))
            .build();
        let writer =
            SerializedFileWriter::new(file, schema, Arc::new(properties)).map_err(|error| failed(&error))?;
        let texts = TEXTS.iter().map(|_| Vec::new()).collect();
        let (index, time, severity, class, event) = Default::default();
        Ok(Self { writer, index, time, texts, severity, class, event })
    }

    fn add(&mut self, index: u64, leaf: &[u8], event: &EventView) -> Result<(), Failure> {
        self.index.push(i64::try_from(index).unwrap_or(i64::MAX));
        self.time.push(event.time.micros());
        for (column, (_, of)) in self.texts.iter_mut().zip(TEXTS) {
            column.push(of(event).map(|text| ByteArray::from(text.into_bytes())));
        }
        self.severity.push(event.severity_id.into());
        self.class.push(i32::try_from(event.class_uid).unwrap_or(i32::MAX));
        self.event.push(ByteArray::from(leaf.to_vec()));
        if self.index.len() >= GROUP_ROWS { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), Failure> {
        if self.index.is_empty() {
            return Ok(());
        }
        let write = || -> Result<(), parquet::errors::ParquetError> {
            let mut group = self.writer.next_row_group()?;
            let mut place = 0usize;
            while let Some(mut column) = group.next_column()? {
                let text = place.checked_sub(2).and_then(|text| self.texts.get(text));
                match (column.untyped(), text) {
                    (ColumnWriter::ByteArrayColumnWriter(writer), Some(text)) => {
                        let levels: Vec<i16> = text.iter().map(|cell| i16::from(cell.is_some())).collect();
                        let cells: Vec<ByteArray> = text.iter().flatten().cloned().collect();
                        writer.write_batch(&cells, Some(&levels), None)?;
                    }
                    (ColumnWriter::ByteArrayColumnWriter(writer), None) => {
                        writer.write_batch(&self.event, None, None)?;
                    }
                    (ColumnWriter::Int64ColumnWriter(writer), _) => {
                        let cells = if place == 0 { &self.index } else { &self.time };
                        writer.write_batch(cells, None, None)?;
                    }
                    (ColumnWriter::Int32ColumnWriter(writer), _) => {
                        let cells = if place == 2 + TEXTS.len() { &self.severity } else { &self.class };
                        writer.write_batch(cells, None, None)?;
                    }
                    _ => {}
                }
                column.close()?;
                place += 1;
            }
            group.close()?;
            Ok(())
        };
        let mut write = write;
        write().map_err(|error| failed(&error))?;
        self.index.clear();
        self.time.clear();
        self.texts.iter_mut().for_each(Vec::clear);
        self.severity.clear();
        self.class.clear();
        self.event.clear();
        Ok(())
    }

    fn finish(mut self) -> Result<File, Failure> {
        self.flush()?;
        self.writer.into_inner().map_err(|error| failed(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_no_formula() {
        assert_eq!(harmless("=1+1"), "'=1+1");
        assert_eq!(harmless("@sum"), "'@sum");
        assert_eq!(harmless("opr_1"), "opr_1");
    }
}
