//! A server whose provider key is in a hardware token, which SoftHSM 2 plays (Debian's package `softhsm2`).

#![cfg(feature = "pkcs11")]

use super::*;

const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
const PIN: &str = "4711-4711";

/// An empty token in a directory of its own; the module's configuration.
fn token(world: &World) -> PathBuf {
    let tokens = world.directory.path().join("tokens");
    fs::create_dir(&tokens).unwrap();
    let conf = world.directory.path().join("softhsm2.conf");
    fs::write(&conf, format!("directories.tokendir = {}\nlog.level = ERROR\n", tokens.display())).unwrap();
    let init = Command::new("softhsm2-util")
        .args(["--init-token", "--free", "--label", "tenet", "--so-pin", "12345678", "--pin", PIN])
        .env("SOFTHSM2_CONF", &conf)
        .output()
        .unwrap_or_else(|error| panic!("softhsm2-util: {error}: `./check packages` installs it"));
    assert!(init.status.success(), "{init:?}");
    conf
}

#[test]
fn the_provider_key_never_leaves_its_token() {
    let world = World::new();
    let conf = token(&world);
    let settings = [
        ("SOFTHSM2_CONF", conf.to_str().unwrap()),
        ("TENET_KEYS_PROVIDER", "pkcs11"),
        ("TENET_KEYS_PKCS11_MODULE", MODULE),
        ("TENET_KEYS_PKCS11_TOKEN", "tenet"),
        ("TENET_PKCS11_PIN", PIN),
    ];
    let server = world.up_with(&world.data(), "localhost:0", &settings);
    assert!(!world.data().join("provider.key").exists());
    world.json(&["enrol", text(&server.ready, "/enrolment_link")]);
    let (_, papers) = customer(&world, "acme", "contract");
    let made = world.json(&["record", "put", "-r", &papers, "--body", r#"{"number": "1"}"#, "--as", "acme"]);
    let record = text(&made, "/id");

    // Rotated online; the old version goes once nothing is wrapped with it.
    world.json(&["keys", "rotate", "--wait"]);
    world.json(&["keys", "retire", "1"]);
    let read = world.json(&["record", "get", "-r", &papers, record, "--as", "acme"]);
    assert_eq!(text(&read, "/body/number"), "1");

    // With the token, a second start goes on; without the right one, none starts.
    let listen = server.listen();
    assert_eq!(server.stop(), 0);
    let server = world.up_with(&world.data(), &listen, &settings);
    let read = world.json(&["record", "get", "-r", &papers, record, "--as", "acme"]);
    assert_eq!(text(&read, "/body/number"), "1");
    assert_eq!(server.stop(), 0);
    let mut wrong = world.tenet(&["up", "--data", world.data().to_str().unwrap(), "--listen", &listen]);
    let refused = wrong.envs(settings).env("TENET_PKCS11_PIN", "0000").output().unwrap();
    assert!(!refused.status.success());
    let error = String::from_utf8_lossy(&refused.stderr);
    assert!(!error.contains("0000") && error.to_lowercase().contains("pin"), "{error}");
}
