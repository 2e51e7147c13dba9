//! Reads the configuration from its four sources, the later winning: defaults, the file, the
//! environment, the arguments. Nothing is guessed: an unknown key is refused with the nearest right
//! one, a wrong value with what was expected.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use toml::{
    Value,
    de::{DeTable, DeValue},
};

use super::settings::{Config, OTHER_VARIABLES, SETTINGS, Setting};

/// Most bytes of a configuration file.
const MAX_FILE_BYTES: u64 = 1_048_576;
/// Least similarity (Jaro-Winkler, 0 to 1) for a suggestion.
const MIN_SIMILARITY: f64 = 0.7;

/// The same for an environment variable, which a platform may have set for reasons of its own.
const MIN_VARIABLE_SIMILARITY: f64 = 0.9;
/// What the tests set.
const TEST_VARIABLES: [&str; 2] = ["TENET_CRASH_AT", "TENET_TEST_POSTGRES"];

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Nobody set it.
    Default,
    /// The configuration file, at this line.
    File(usize),
    /// The environment variable of that name.
    Environment(String),
    /// The command line's option of that name.
    Argument(String),
}

/// Settings that the command line can give.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arguments {
    /// `--config`.
    pub config: Option<PathBuf>,
    /// `--data`.
    pub data: Option<PathBuf>,
    /// `--listen`.
    pub listen: Option<String>,
    /// `--database`.
    pub database: Option<String>,
    /// `--log-format`.
    pub log_format: Option<String>,
}

/// The environment variables, as a map, so that tests hand in their own.
pub type Environment = BTreeMap<String, String>;

/// A configuration and where it came from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// The data directory, chosen.
    pub data: PathBuf,
    /// The file that was read.
    pub file: Option<PathBuf>,
    /// Where each setting that is not a default came from, by its key.
    pub sources: BTreeMap<&'static str, Source>,
    /// What is odd, and not wrong.
    pub warnings: Vec<String>,
    /// The environment that it was read in.
    pub environment: Environment,
}

/// Everything that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Each with the place where it stands.
    pub faults: Vec<String>,
}

impl std::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.faults.join("\n"))
    }
}

impl std::error::Error for ConfigError {}

struct Loader {
    config: Config,
    sources: BTreeMap<&'static str, Source>,
    faults: Vec<String>,
}

/// Reads the configuration.
pub fn load(arguments: &Arguments, environment: &Environment) -> Result<Loaded, ConfigError> {
    let mut loader = Loader { config: Config::default(), sources: BTreeMap::new(), faults: Vec::new() };
    let file = file_to_read(arguments, environment)?;
    if let Some(path) = &file {
        loader.read_file(path)?;
    }
    loader.read_environment(environment);
    loader.read_arguments(arguments);
    let warnings = loader.read_unknown(environment);
    let data = loader.config.data.clone().or_else(|| default_data(environment));
    if data.is_none() {
        loader.faults.push(
            "data: no place for the data directory, as neither `HOME` nor `XDG_DATA_HOME` is set: give `--data DIR`"
                .to_owned(),
        );
    }
    super::database_url::check(&loader.config, environment, &mut loader.faults);
    super::coherence::check(&loader.config, environment, &mut loader.faults);
    super::alarms::check(&loader.config.alarms, &mut loader.faults);
    match data {
        Some(data) if loader.faults.is_empty() => Ok(Loaded {
            config: loader.config,
            data,
            file,
            sources: loader.sources,
            warnings,
            environment: environment.clone(),
        }),
        _ => Err(ConfigError { faults: loader.faults }),
    }
}

/// `--config`, else `TENET_CONFIG`, else `tenet.toml` in the data directory if there is one.
fn file_to_read(arguments: &Arguments, environment: &Environment) -> Result<Option<PathBuf>, ConfigError> {
    let named = arguments.config.clone().or_else(|| environment.get("TENET_CONFIG").map(PathBuf::from));
    if let Some(path) = named {
        return Ok(Some(path));
    }
    let data = arguments.data.clone().or_else(|| environment.get("TENET_DATA").map(PathBuf::from));
    let beside = data.or_else(|| default_data(environment)).map(|data| data.join("tenet.toml"));
    Ok(beside.filter(|path| path.exists()))
}

fn default_data(environment: &Environment) -> Option<PathBuf> {
    let set = |name: &str| environment.get(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = set("XDG_DATA_HOME").or_else(|| set("HOME").map(|home| home.join(".local/share")));
    base.map(|base| base.join("tenet"))
}

impl Loader {
    fn read_file(&mut self, path: &Path) -> Result<(), ConfigError> {
        let fault = |why: String| ConfigError { faults: vec![format!("{}: {why}", path.display())] };
        let size = std::fs::metadata(path).map_err(|error| fault(error.to_string()))?.len();
        if size > MAX_FILE_BYTES {
            return Err(fault("larger than 1 MiB: not a configuration".to_owned()));
        }
        let text = std::fs::read_to_string(path).map_err(|error| fault(error.to_string()))?;
        let table = DeTable::parse(&text).map_err(|error| {
            let line = error.span().map_or(1, |span| line_of(&text, span.start));
            ConfigError { faults: vec![format!("{}:{line}: {}", path.display(), error.message())] }
        })?;
        self.read_table(path, &text, "", table.get_ref());
        Ok(())
    }

    fn read_table(&mut self, path: &Path, text: &str, prefix: &str, table: &DeTable<'_>) {
        for (name, value) in table {
            let key = if prefix.is_empty() {
                name.get_ref().to_string()
            } else {
                format!("{prefix}.{}", name.get_ref())
            };
            let line = line_of(text, name.span().start);
            if let Some(setting) = SETTINGS.iter().find(|setting| setting.key == key) {
                let outcome = owned(value.get_ref()).map_or_else(
                    || Err("a number too large".to_owned()),
                    |value| setting.field(&mut self.config).read(&value).map_err(|wrong| wrong.0),
                );
                match outcome {
                    Ok(()) => {
                        self.sources.insert(setting.key, Source::File(line));
                    }
                    Err(why) => self.faults.push(format!("{}:{line}: {key}: {why}", path.display())),
                }
            } else if let (DeValue::Table(inner), true) = (value.get_ref(), is_section(&key)) {
                self.read_table(path, text, &key, inner);
            } else {
                let why = if is_section(&key) {
                    format!("`{key}` is a section: write `[{key}]` and its settings below")
                } else {
                    unknown(&key, matches!(value.get_ref(), DeValue::Table(_)))
                };
                self.faults.push(format!("{}:{line}: {why}", path.display()));
            }
        }
    }

    fn read_environment(&mut self, environment: &Environment) {
        for setting in SETTINGS {
            let variable = setting.variable();
            if let Some(text) = environment.get(&variable) {
                self.set_text(setting, text, Source::Environment(variable.clone()), &variable);
            }
        }
    }

    /// Variables that have our prefix and are not ours: a slip is refused with the right name, as it is
    /// in the file. Anything else is warned of alone, since platforms set such for a service of that name
    /// (`TENET_SERVICE_HOST`).
    fn read_unknown(&mut self, environment: &Environment) -> Vec<String> {
        let mut warnings = Vec::new();
        for name in environment.keys().filter(|name| name.starts_with("TENET_") && !is_read(name)) {
            match meant(name) {
                Some(right) => self
                    .faults
                    .push(format!("the environment variable `{name}` is not read: did you mean `{right}`?")),
                None => warnings.push(format!("the environment variable `{name}` is not read")),
            }
        }
        warnings
    }

    fn read_arguments(&mut self, arguments: &Arguments) {
        let data = arguments.data.as_ref().map(|path| path.display().to_string());
        let given = [
            ("data", "--data", data.as_ref()),
            ("server.listen", "--listen", arguments.listen.as_ref()),
            ("database.url", "--database", arguments.database.as_ref()),
            ("logging.format", "--log-format", arguments.log_format.as_ref()),
        ];
        for (key, option, text) in given {
            let setting = SETTINGS.iter().find(|setting| setting.key == key);
            if let (Some(setting), Some(text)) = (setting, text) {
                self.set_text(setting, text, Source::Argument(option.to_owned()), option);
            }
        }
        if arguments.database.as_deref().is_some_and(super::database_url::has_password) {
            // A command line is visible to every process of the machine and stays in histories.
            self.faults.push(
                "--database: a password on the command line can be read by others: leave it out and give it by the variable `PGPASSWORD`, `database.password_file` or `database.url_file`"
                    .to_owned(),
            );
        }
    }

    fn set_text(&mut self, setting: &'static Setting, text: &str, source: Source, shown: &str) {
        match setting.field(&mut self.config).read_text(text) {
            Ok(()) => {
                self.sources.insert(setting.key, source);
            }
            Err(wrong) => self.faults.push(format!("{shown}: {}", wrong.0)),
        }
    }
}

/// Whether anything reads the variable: a setting, another part, or the tests.
fn is_read(name: &str) -> bool {
    SETTINGS.iter().any(|setting| setting.variable() == name)
        || OTHER_VARIABLES.iter().any(|(other, _)| *other == name)
        || TEST_VARIABLES.contains(&name)
}

fn is_section(key: &str) -> bool {
    SETTINGS.iter().any(|setting| setting.key.strip_prefix(key).is_some_and(|rest| rest.starts_with('.')))
}

/// The message for a key that does not exist, with the nearest that does.
fn unknown(key: &str, table: bool) -> String {
    // A secret written into the file is refused by name, whatever it is nearest to.
    let secrets = [
        ("database.password", "database.password_file"),
        ("keys.pkcs11_pin", "keys.pkcs11_pin_file"),
        ("keys.pin", "keys.pkcs11_pin_file"),
        ("database.owner_url", "database.owner_url_file"),
    ];
    if let Some((_, right)) = secrets.iter().find(|(wrong, _)| *wrong == key) {
        return format!("unknown key `{key}`: secrets do not stand in the configuration; use `{right}`");
    }
    let right = if table { nearest_section(key) } else { nearest(key) };
    right.map_or_else(
        || format!("unknown key `{key}`: `tenet config reference` lists every key"),
        |right| format!("unknown key `{key}`: did you mean `{right}`?"),
    )
}

fn nearest(key: &str) -> Option<&'static str> {
    let last = |path: &str| path.rsplit('.').next().map(str::to_owned).unwrap_or_default();
    let score = |setting: &'static Setting| {
        // The right name in the wrong section is as likely as a slip in the right one.
        let whole = strsim::jaro_winkler(key, setting.key);
        let name = strsim::jaro_winkler(&last(key), &last(setting.key)) * 0.98;
        (whole.max(name), setting.key)
    };
    let best = SETTINGS.iter().map(score).max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 >= MIN_SIMILARITY).then_some(best.1)
}

fn nearest_section(key: &str) -> Option<&'static str> {
    let sections =
        SETTINGS.iter().filter_map(|setting| setting.key.rsplit_once('.')).map(|(section, _)| section);
    let best = sections.map(|section| (strsim::jaro_winkler(key, section), section));
    let best = best.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 >= MIN_SIMILARITY).then_some(best.1)
}

/// The variable that is meant by one that is not read, if it is a slip: a letter or two off, or the
/// setting's name without its section.
fn meant(name: &str) -> Option<String> {
    let bare = |name: &str| name.strip_prefix("TENET_").unwrap_or(name).to_owned();
    let written = bare(name);
    let score = |known: String, last: Option<&str>| {
        let whole = strsim::jaro_winkler(&written, &bare(&known));
        let exact = last.is_some_and(|last| last.eq_ignore_ascii_case(&written));
        (if exact { 1.0 } else { whole }, known)
    };
    let settings = SETTINGS.iter().map(|one| score(one.variable(), one.key.rsplit('.').next()));
    let others = OTHER_VARIABLES.iter().filter(|(other, _)| other.starts_with("TENET_"));
    let others = others.map(|(other, _)| score((*other).to_owned(), None));
    let best = settings.chain(others).max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 >= MIN_VARIABLE_SIMILARITY).then_some(best.1)
}

fn owned(value: &DeValue<'_>) -> Option<Value> {
    Some(match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(number) => {
            Value::Integer(i64::from_str_radix(&number.as_str().replace('_', ""), number.radix()).ok()?)
        }
        DeValue::Float(number) => Value::Float(number.as_str().parse().ok()?),
        DeValue::Boolean(truth) => Value::Boolean(*truth),
        DeValue::Datetime(moment) => Value::Datetime(*moment),
        DeValue::Array(list) => {
            Value::Array(list.iter().map(|item| owned(item.get_ref())).collect::<Option<_>>()?)
        }
        DeValue::Table(table) => Value::Table(
            table
                .iter()
                .map(|(name, item)| Some((name.get_ref().to_string(), owned(item.get_ref())?)))
                .collect::<Option<_>>()?,
        ),
    })
}

fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        let mut map: Environment = [("HOME".to_owned(), "/home/ann".to_owned())].into();
        map.extend(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        map
    }

    fn with_file(text: &str) -> Result<Loaded, Vec<String>> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tenet.toml");
        fs::write(&path, text).unwrap();
        let arguments = Arguments { config: Some(path.clone()), ..Arguments::default() };
        let shown = path.display().to_string();
        load(&arguments, &environment(&[]))
            .map_err(|error| error.faults.iter().map(|fault| fault.replace(&shown, "tenet.toml")).collect())
    }

    #[test]
    fn nothing_given_is_the_defaults() {
        let loaded = load(&Arguments::default(), &environment(&[])).unwrap();
        assert_eq!(loaded.config, Config::default());
        assert_eq!(loaded.data, PathBuf::from("/home/ann/.local/share/tenet"));
        assert!(loaded.sources.is_empty() && loaded.warnings.is_empty());
    }

    #[test]
    fn later_sources_win() {
        let loaded = with_file("[server]\nlisten = \"a:1\"\nnames = ['x', 'y']\n[classification]\nlevels = [{name='open',confidential=false},{name='shut',confidential=true}]").unwrap();
        assert_eq!(loaded.config.server.listen.to_string(), "a:1");
        assert_eq!(loaded.config.server.names, ["x", "y"]);
        assert_eq!(loaded.config.classification.levels().len(), 2);
        assert_eq!(loaded.sources["server.listen"], Source::File(2));
        let from_environment = environment(&[("TENET_SERVER_LISTEN", "b:2"), ("TENET_DATA", "/d")]);
        let loaded = load(&Arguments::default(), &from_environment).unwrap();
        assert_eq!(loaded.config.server.listen.to_string(), "b:2");
        assert_eq!(loaded.data, PathBuf::from("/d"));
        let arguments = Arguments { listen: Some("c:3".to_owned()), ..Arguments::default() };
        let loaded = load(&arguments, &from_environment).unwrap();
        assert_eq!(loaded.config.server.listen.to_string(), "c:3");
        assert_eq!(loaded.sources["server.listen"], Source::Argument("--listen".to_owned()));
    }

    #[test]
    fn every_fault_is_named_by_path_and_line_with_a_remedy() {
        let faults = with_file(
            "dataa = 'x'\n[server]\nlisten = 8440\nlistn = 'a:1'\ndrain = '1w'\n[databse]\nurl = ''\n[database]\nmax_bytes = -1\npassword = 'x'\n[zzz]\nqqq = 1\n",
        )
        .unwrap_err();
        let mut faults = faults;
        faults.sort();
        insta::assert_snapshot!(faults.join("\n"));
    }

    #[test]
    fn a_section_is_not_a_value_and_the_reverse() {
        assert_eq!(
            with_file("server = 1").unwrap_err(),
            ["tenet.toml:1: `server` is a section: write `[server]` and its settings below"]
        );
        assert_eq!(
            with_file("[data]\nx = 1").unwrap_err(),
            ["tenet.toml:1: data: expected a path in quotes, found a table"]
        );
        assert!(with_file("a = = 1").unwrap_err()[0].starts_with("tenet.toml:1: "));
    }

    #[test]
    fn the_right_name_in_the_wrong_section_is_found() {
        assert_eq!(
            with_file("listen = 'a:1'").unwrap_err(),
            ["tenet.toml:1: unknown key `listen`: did you mean `server.listen`?"]
        );
    }

    #[test]
    fn passwords_on_the_command_line_are_refused() {
        let arguments =
            Arguments { database: Some("postgres://u:pw@h/d".to_owned()), ..Arguments::default() };
        let error = load(&arguments, &environment(&[])).unwrap_err().to_string();
        assert!(error.contains("can be read by others") && error.contains("`PGPASSWORD`"), "{error}");
        assert!(!error.contains("pw@"));
    }

    #[test]
    fn a_variable_that_nearly_is_ours_is_refused_with_the_right_name() {
        for (wrong, right) in [
            ("TENET_LISTEN", "TENET_SERVER_LISTEN"),
            ("TENET_SERVER_LISTN", "TENET_SERVER_LISTEN"),
            ("TENET_DATABSE_URL", "TENET_DATABASE_URL"),
            ("TENET_DATA_DIR", "TENET_DATA"),
            ("TENET_PROFIL", "TENET_PROFILE"),
            ("TENET_KEYS_PKCS11_PIN", "TENET_KEYS_PKCS11_PIN_FILE"),
            ("TENET_RESTORE_WINDOW", "TENET_LIFECYCLE_RESTORE_WINDOW"),
        ] {
            let error = load(&Arguments::default(), &environment(&[(wrong, "a:1")])).unwrap_err();
            let fault = format!("the environment variable `{wrong}` is not read: did you mean `{right}`?");
            assert_eq!(error.faults, [fault]);
        }
    }

    #[test]
    fn a_variable_that_a_platform_sets_is_warned_of() {
        for name in [
            "TENET_SERVICE_HOST",
            "TENET_SERVICE_PORT",
            "TENET_SERVICE_PORT_HTTPS",
            "TENET_PORT",
            "TENET_PORT_8440_TCP",
            "TENET_PORT_8440_TCP_ADDR",
            "TENET_PORT_8440_TCP_PORT",
            "TENET_PORT_8440_TCP_PROTO",
            "TENET_VERSION",
            "TENET_IMAGE",
        ] {
            let loaded = load(&Arguments::default(), &environment(&[(name, "x")])).unwrap();
            assert_eq!(loaded.warnings, [format!("the environment variable `{name}` is not read")]);
        }
    }

    #[test]
    fn without_a_home_the_data_directory_must_be_named() {
        let error = load(&Arguments::default(), &Environment::new()).unwrap_err().to_string();
        assert!(error.contains("give `--data DIR`"), "{error}");
    }
}
