//! The PKCS#11 provider against a real module: SoftHSM 2 (Debian's package `softhsm2`).

#![cfg_attr(
    feature = "pkcs11",
    expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")
)]

#[cfg(not(feature = "pkcs11"))]
#[test]
fn skipped_since_the_feature_pkcs11_is_off() {
    eprintln!("SKIPPED: the PKCS#11 provider is NOT tested: run with `--features pkcs11`");
}

#[cfg(feature = "pkcs11")]
mod with_token {
    use std::{path::Path, process::Command};

    use base::{Context, Secret};
    use keys::{PinSource, Pkcs11Options, Pkcs11Provider, Provider, ProviderError};

    const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
    const PIN: &str = "4711-4711";

    /// Prepares a token in a directory of its own, and runs `token_works` in a process that sees it:
    /// the module reads its configuration's path from the environment, once.
    #[test]
    fn a_token_wraps() {
        let directory = tempfile::tempdir().unwrap();
        let tokens = directory.path().join("tokens");
        std::fs::create_dir(&tokens).unwrap();
        let conf = directory.path().join("softhsm2.conf");
        std::fs::write(&conf, format!("directories.tokendir = {}\nlog.level = ERROR\n", tokens.display()))
            .unwrap();
        let init = Command::new("softhsm2-util")
            .args(["--init-token", "--free", "--label", "tenet", "--so-pin", "12345678", "--pin", PIN])
            .env("SOFTHSM2_CONF", &conf)
            .output()
            .expect("softhsm2-util runs: apt-get install softhsm2");
        assert!(init.status.success(), "{init:?}");
        let run = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "with_token::token_works", "--ignored", "--nocapture"])
            .env("SOFTHSM2_CONF", &conf)
            .env("TENET_TEST_PIN", PIN)
            .env("TENET_TEST_DIR", directory.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&run.stdout);
        assert!(run.status.success(), "{said}\n{}", String::from_utf8_lossy(&run.stderr));
        assert!(said.contains("1 passed"), "{said}");
    }

    fn options(pin: PinSource) -> Pkcs11Options {
        Pkcs11Options {
            module: MODULE.into(),
            token: "tenet".into(),
            key_label: "tenet-provider".into(),
            pin,
        }
    }

    #[test]
    #[ignore = "`a_token_wraps` runs it with a token"]
    fn token_works() {
        let context = Context::system();
        let provider =
            Pkcs11Provider::open(options(PinSource::Environment("TENET_TEST_PIN".into())), &context).unwrap();
        assert_eq!(provider.name(), "pkcs11 tenet");
        assert!(provider.versions().unwrap().is_empty());
        let secret = Secret::new(vec![42; 32]);
        assert!(matches!(provider.wrap(1, b"a", &secret), Err(ProviderError::NoSuchVersion(1))));

        provider.add_version(1).unwrap();
        provider.add_version(1).unwrap();
        let wrapped = provider.wrap(1, b"account a", &secret).unwrap();
        assert_ne!(wrapped, provider.wrap(1, b"account a", &secret).unwrap(), "another IV each time");
        assert_eq!(provider.unwrap(b"account a", &wrapped).unwrap().expose(), secret.expose());
        assert!(matches!(provider.unwrap(b"account b", &wrapped), Err(ProviderError::DoesNotOpen(1))));
        for at in 0..wrapped.bytes.len() {
            let mut changed = wrapped.clone();
            changed.bytes[at] ^= 1;
            assert!(provider.unwrap(b"account a", &changed).is_err(), "byte {at}");
        }
        assert_eq!(
            provider.unwrap(b"account a", &wrapped).unwrap().expose(),
            secret.expose(),
            "still usable"
        );

        provider.add_version(2).unwrap();
        let newer = provider.wrap(2, b"account a", &secret).unwrap();
        assert_eq!(provider.versions().unwrap(), [1, 2]);
        provider.destroy_version(1).unwrap();
        provider.destroy_version(1).unwrap();
        assert!(matches!(provider.unwrap(b"account a", &wrapped), Err(ProviderError::NoSuchVersion(1))));
        assert_eq!(provider.unwrap(b"account a", &newer).unwrap().expose(), secret.expose());

        pin_files(&context, &newer);
        keys_never_leave();
    }

    fn pin_files(context: &Context, wrapped: &keys::Wrapped) {
        use std::os::unix::fs::PermissionsExt as _;
        let path = Path::new(&std::env::var("TENET_TEST_DIR").unwrap()).join("pin");
        std::fs::write(&path, format!("{PIN}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let refused = Pkcs11Provider::open(options(PinSource::File(path.clone())), context);
        assert!(matches!(refused, Err(ProviderError::Exposed { mode: 0o644, .. })));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let other = Pkcs11Provider::open(options(PinSource::File(path)), context).unwrap();
        assert!(other.unwrap(b"account a", wrapped).is_ok(), "another process on the same token");
        let missing =
            Pkcs11Provider::open(options(PinSource::Environment("TENET_NO_SUCH_PIN".into())), context);
        let said = missing.unwrap_err().to_string();
        assert_eq!(said, "the token's PIN is not in the environment: set `TENET_NO_SUCH_PIN`");
        let mut wrong = options(PinSource::Environment("TENET_TEST_PIN".into()));
        wrong.token = "other".into();
        assert!(matches!(Pkcs11Provider::open(wrong, context), Err(ProviderError::Configuration(_))));
    }

    /// Asks the token itself: the key is sensitive, can't be extracted, and was made there.
    fn keys_never_leave() {
        use cryptoki::{
            context::Pkcs11,
            object::{Attribute, AttributeType, ObjectClass},
        };
        let module = Pkcs11::new(MODULE).unwrap();
        // Initialised and signed in by the provider, in this process.
        let slots = module.get_slots_with_initialized_token().unwrap();
        let session = module.open_ro_session(slots[0]).unwrap();
        let handles = session.find_objects(&[Attribute::Class(ObjectClass::SECRET_KEY)]).unwrap();
        assert_eq!(handles.len(), 1);
        let asked = [
            AttributeType::Sensitive,
            AttributeType::Extractable,
            AttributeType::NeverExtractable,
            AttributeType::Local,
        ];
        let found = session.get_attributes(handles[0], &asked).unwrap();
        for expected in [
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::NeverExtractable(true),
            Attribute::Local(true),
        ] {
            assert!(found.contains(&expected), "{expected:?} in {found:?}");
        }
        let value = session.get_attributes(handles[0], &[AttributeType::Value]).unwrap();
        assert!(value.is_empty(), "the token gives no value out");
    }
}
