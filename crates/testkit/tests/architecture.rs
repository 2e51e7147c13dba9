//! Holds the workspace to ARCHITECTURE.md: which room may import which, which libraries stay in which
//! room, where statements are made, and that what the documents name exists.
//!
//! Lists beside this file are compared, never grown silently: after a change that is meant, run with
//! `UPDATE_LISTS=1` and read the difference.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Each room, and the rooms that it may import. `testkit` is for tests alone.
const ROOMS: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("ledger", &["base"]),
    ("store", &["base", "ledger"]),
    ("keys", &["base", "ledger", "store"]),
    ("access", &["base", "ledger", "store", "keys"]),
    ("vault", &["base", "ledger", "store", "keys", "access"]),
    ("watch", &["base", "ledger", "store", "access", "policy"]),
    ("witness", &["base", "ledger"]),
    ("policy", &["base"]),
    ("print", &["base", "policy"]),
    ("rules", &["base", "ledger"]),
    ("web", &["base", "policy", "ledger", "store", "keys", "access", "vault", "watch", "witness"]),
    (
        "tenet",
        &[
            "base", "policy", "print", "ledger", "store", "keys", "access", "vault", "watch", "witness",
            "rules", "web",
        ],
    ),
    ("testkit", &["base", "ledger", "store"]),
];

/// Libraries that only some rooms may use, and which.
const CONFINED: &[(&str, &[&str])] = &[
    ("rusqlite", &["store", "testkit"]),
    ("tokio-postgres", &["store", "testkit"]),
    ("tokio-postgres-rustls", &["store"]),
    ("deadpool-postgres", &["store"]),
    ("cedar-policy", &["access"]),
    ("cryptoki", &["keys"]),
    ("object_store", &["vault", "tenet"]),
    ("axum", &["web"]),
    ("axum-server", &["web"]),
    ("hyper", &["web"]),
    ("hyper-util", &["web"]),
    ("http", &["web"]),
    ("http-body-util", &["web"]),
    ("tower", &["web"]),
    ("tower-http", &["web"]),
    ("utoipa", &["web"]),
    ("governor", &["web"]),
    ("rsigma-eval", &["rules"]),
    ("rsigma-parser", &["rules"]),
    ("csv", &["tenet"]),
    ("parquet", &["tenet"]),
    ("reqwest", &["tenet"]),
    ("lettre", &["tenet"]),
    ("clap", &["tenet"]),
    ("typst", &["print"]),
    ("typst-layout", &["print"]),
    ("typst-pdf", &["print"]),
    ("zip", &["print", "tenet"]),
];

/// Rooms without input or output: nothing here that opens a file or a socket, or waits.
const PURE: &[&str] = &["base", "policy", "print", "ledger", "rules"];
const IMPURE_LIBRARIES: &[&str] = &["tokio", "futures", "reqwest", "fs4", "tempfile", "tracing"];

#[test]
fn rooms_import_in_one_direction() {
    let packages = packages();
    let expected: BTreeSet<&str> = ROOMS.iter().map(|(name, _)| *name).collect();
    let found: BTreeSet<&str> = packages.iter().map(|package| package.name.as_str()).collect();
    assert_eq!(found, expected, "a room is missing from the table, or from the workspace");
    for package in &packages {
        let allowed = ROOMS.iter().find(|(name, _)| *name == package.name).unwrap().1;
        for import in package.imports.iter().filter(|import| expected.contains(import.as_str())) {
            assert!(allowed.contains(&import.as_str()), "`{}` imports `{import}`", package.name);
        }
    }
}

#[test]
fn libraries_stay_in_their_rooms() {
    for package in packages() {
        for import in &package.imports {
            if let Some((_, rooms)) = CONFINED.iter().find(|(library, _)| library == import) {
                assert!(rooms.contains(&package.name.as_str()), "`{}` uses `{import}`", package.name);
            }
            let pure = PURE.contains(&package.name.as_str());
            assert!(
                !pure || !IMPURE_LIBRARIES.contains(&import.as_str()),
                "`{}` uses `{import}`",
                package.name
            );
        }
    }
}

#[test]
fn every_library_has_its_reason_written_down() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let table = manifest.split("[workspace.dependencies]").nth(1).unwrap().split("\n[").next().unwrap();
    let declared: BTreeSet<&str> = table
        .lines()
        .filter(|line| !line.starts_with('#') && !line.contains("path = "))
        .filter_map(|line| line.split_once(" = ").map(|(name, _)| name))
        .collect();
    let document = fs::read_to_string(root().join("docs/dependencies.md")).unwrap();
    let written: BTreeSet<&str> =
        document.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    assert_eq!(declared, written, "docs/dependencies.md and the root Cargo.toml differ");
}

#[test]
fn statements_are_made_by_the_macros_alone() {
    for file in sources() {
        let text = fs::read_to_string(&file).unwrap();
        let shown = shown(&file);
        // Written apart, so that this file is not a finding.
        let call = concat!("assembled_by", "_macro(");
        assert!(
            !text.contains(call) || shown == "crates/store/src/statement.rs",
            "{shown} makes a statement without the macros that put the account's predicate in"
        );
    }
}

#[test]
fn platform_statements_are_listed() {
    compare_list("platform-statements.txt", &uses_by_file(concat!("platform", "!(")));
}

#[test]
fn makers_of_scopes_are_listed() {
    let mut found = BTreeMap::new();
    for pattern in ["mint.scope(", "mint.system(", "Mint::new("] {
        for (file, count) in uses_by_file(pattern) {
            *found.entry(file).or_default() += count;
        }
    }
    compare_list("scopes-made.txt", &found);
}

#[test]
fn each_table_is_an_accounts_or_a_listed_platform_table() {
    let mut platform = BTreeSet::new();
    for (table, reason) in store::PLATFORM_TABLES {
        assert!(platform.insert(*table), "`{table}` is listed twice");
        assert!(!reason.is_empty(), "`{table}` has no reason");
    }
    let mut created = BTreeSet::new();
    for file in files_under(&root().join("crates/store/migrations"), "sql") {
        let text = fs::read_to_string(&file).unwrap();
        for definition in text.split("CREATE TABLE ").skip(1) {
            let (table, rest) = definition.split_once(" (").unwrap();
            // One that takes an older one's place has its name in the end.
            let renamed = text.split_once(&format!("ALTER TABLE {table} RENAME TO "));
            let table = renamed.map_or(table, |(_, name)| name.split_once(';').unwrap().0);
            let columns = rest.split_once("\n)").unwrap().0;
            let scoped =
                columns.lines().any(|line| line.trim_start().starts_with("account_id {blob} NOT NULL"));
            assert!(
                scoped || platform.contains(table),
                "`{table}` has neither an account_id that is never null nor a reason to be a platform table"
            );
            created.insert(table.to_owned());
        }
    }
    // The table of migrations is there before the first of them.
    let missing: Vec<_> =
        platform.iter().filter(|table| **table != "migration" && !created.contains(**table)).collect();
    assert!(missing.is_empty(), "platform tables that no migration creates: {missing:?}");
}

#[test]
fn files_say_what_they_own_and_stay_short() {
    const MOST_LINES: usize = 600;
    for file in sources() {
        let text = fs::read_to_string(&file).unwrap();
        let shown = shown(&file);
        if shown.contains("/tests/ui/") {
            continue;
        }
        assert!(text.starts_with("//!"), "{shown} does not open with `//!`");
        let without_tests = text.split("#[cfg(test)]\nmod ").next().unwrap().lines().count();
        assert!(without_tests <= MOST_LINES, "{shown} has {without_tests} lines without its tests");
    }
}

#[test]
fn the_clauses_document_names_tests_that_exist() {
    let document = fs::read_to_string(root().join("docs/clauses.md")).unwrap();
    let mut named = 0;
    for quoted in document.split('`').skip(1).step_by(2) {
        let Some((path, test)) = quoted.split_once("::") else { continue };
        if !path.ends_with(".rs") {
            continue;
        }
        named += 1;
        let text = fs::read_to_string(root().join(path)).unwrap_or_else(|_| panic!("{path} does not exist"));
        let name = test.rsplit("::").next().unwrap();
        assert!(text.contains(&format!("fn {name}(")), "{path} has no test `{name}`");
    }
    assert!(named > 0, "docs/clauses.md names no test");
}

/// EL-2: the catalogue is what the product does, not what it might; and each activity has a test.
#[test]
fn every_activity_is_recorded_by_the_product_and_tested() {
    let catalogue = fs::read_to_string(root().join("crates/ledger/src/activity.rs")).unwrap();
    let mut activities = Vec::new();
    for line in catalogue
        .lines()
        .skip_while(|line| *line != "catalogue! {")
        .skip(1)
        .take_while(|line| *line != "}")
        .filter(|line| !line.is_empty())
    {
        let mut words = line.split_whitespace();
        let (variant, name) = (words.next().unwrap(), words.next().unwrap().trim_matches('"'));
        activities.push((variant.to_owned(), name.to_owned()));
    }
    assert!(activities.len() > 80, "{activities:?}");
    let mut product = String::new();
    for path in sources() {
        let text = fs::read_to_string(&path).unwrap();
        let path = path.strip_prefix(root()).unwrap().display().to_string();
        let is_catalogue = path.starts_with("crates/ledger") || path.starts_with("crates/rules");
        if !is_catalogue && !path.contains("/tests/") && !path.contains("/benches/") {
            product.push_str(text.split("#[cfg(test)]").next().unwrap());
        }
    }
    for (variant, name) in &activities {
        let named = format!("Activity::{variant}");
        let is_recorded = product
            .match_indices(&named)
            .any(|(at, _)| !product[at + named.len()..].starts_with(|next: char| next.is_alphanumeric()));
        assert!(is_recorded, "nothing in the product records `{name}`");
    }
    let list = include_str!("activities.txt");
    let listed: Vec<_> = list.lines().filter(|line| !line.starts_with('#')).collect();
    let names: Vec<_> = listed.iter().map(|line| line.split(' ').next().unwrap()).collect();
    let known: Vec<_> = activities.iter().map(|(_, name)| name.as_str()).collect();
    assert_eq!(names, known, "activities.txt has each activity of the catalogue, in its order");
    for line in listed {
        let (_, test) = line.split_once(' ').unwrap();
        let (path, test) = test.split_once("::").unwrap();
        let text = fs::read_to_string(root().join(path)).unwrap_or_else(|_| panic!("{path} does not exist"));
        assert!(text.contains(&format!("fn {test}(")), "{path} has no test `{test}`");
    }
}

struct Package {
    name: String,
    /// Dependencies of the product itself: not those of tests, which the product never carries.
    imports: BTreeSet<String>,
}

fn packages() -> Vec<Package> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    packages
        .iter()
        .map(|package| Package {
            name: text(&package["name"]),
            imports: package["dependencies"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|dependency| dependency["kind"].is_null())
                .map(|dependency| text(&dependency["name"]))
                .collect(),
        })
        .collect()
}

/// How often `pattern` stands in each of the product's files, its own definition aside.
fn uses_by_file(pattern: &str) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for file in sources() {
        let shown = shown(&file);
        if shown.starts_with("crates/testkit/") || shown.contains("/tests/") {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        let product = text.split("#[cfg(test)]\nmod ").next().unwrap();
        let code = product.lines().filter(|line| !line.trim_start().starts_with("//"));
        // Without white space, so that a line break hides nothing.
        let code: String = code.flat_map(str::chars).filter(|character| !character.is_whitespace()).collect();
        let count = code.matches(pattern).count();
        if count > 0 {
            found.insert(shown, count);
        }
    }
    found
}

fn compare_list(name: &str, found: &BTreeMap<String, usize>) {
    let path = root().join("crates/testkit/tests").join(name);
    let mut text = String::new();
    for (file, count) in found {
        writeln!(text, "{count:3} {file}").unwrap();
    }
    if std::env::var_os("UPDATE_LISTS").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        text == expected,
        "{} differs from the source; if that is meant, run with UPDATE_LISTS=1. found:\n{text}",
        shown(&path)
    );
}

fn sources() -> Vec<PathBuf> {
    files_under(&root().join("crates"), "rs")
}

fn files_under(directory: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_under(&path, extension));
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
}
