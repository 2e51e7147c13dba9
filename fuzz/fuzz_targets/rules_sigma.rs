//! Files of Sigma rules, and what is run of them: whatever is accepted can be run over an event.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rules::{Detector, RuleSet};

fuzz_target!(|text: &str| {
    let mut rules = RuleSet::new();
    if rules.add("fuzz.yml", text).is_ok() {
        let mut detector = Detector::new(&rules).expect("what was accepted can be run");
        let leaf = include_bytes!("../seeds/ledger_event/update.json");
        let _ = detector.take(0, leaf);
        let saved = detector.save();
        assert!(detector.restore(&saved));
    }
});
