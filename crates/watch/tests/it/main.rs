//! The policy's versions and what is observed of them, on both engines.
