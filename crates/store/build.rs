//! Lists the files of each migration tree, in name order, so that none can be forgotten.

use std::{env, fmt::Write as _, fs, path::Path};

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn main() -> Outcome {
    let mut code = String::new();
    for realm in ["data", "keys"] {
        let folder = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("migrations").join(realm);
        let mut files: Vec<_> =
            fs::read_dir(&folder)?.filter_map(Result::ok).map(|entry| entry.path()).collect();
        files.retain(|path| path.extension().is_some_and(|extension| extension == "sql"));
        files.sort();
        writeln!(code, "const {}: &[Migration] = &[", realm.to_uppercase())?;
        for path in files {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            writeln!(code, "Migration {{ name: \"{realm}/{name}\", text: include_str!({path:?}) }},")?;
        }
        writeln!(code, "];\n")?;
        println!("cargo::rerun-if-changed={}", folder.display());
    }
    fs::write(Path::new(&env::var("OUT_DIR")?).join("migrations.rs"), code)?;
    Ok(())
}
