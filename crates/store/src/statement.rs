//! Statements: literals that only the macros here can make. A scoped statement always carries the
//! account predicate, as `$1`, put there by the macro and not by whoever writes the statement
//! (CD-8). Fragments are checked while compiling: see [`check`].

/// A statement bound to one account. Made by [`crate::select!`], [`crate::insert!`],
/// [`crate::update!`] and [`crate::delete!`] alone; runs in [`crate::Tx`] and [`crate::ReadTx`].
#[derive(Clone, Copy, Debug)]
pub struct Scoped {
    sql: &'static str,
}

/// A statement on platform tables. Made by [`crate::platform!`]; runs in [`crate::SystemTx`] and
/// [`crate::SystemReadTx`].
#[derive(Clone, Copy, Debug)]
pub struct Platform {
    sql: &'static str,
}

impl Scoped {
    /// Not for use: the macros call this on text that they assembled and checked. A test refuses
    /// any other call in the workspace's source.
    #[doc(hidden)]
    pub const fn assembled_by_macro(sql: &'static str) -> Self {
        Self { sql }
    }
    /// The statement's text.
    pub const fn sql(&self) -> &'static str {
        self.sql
    }
}

impl Platform {
    /// Not for use: see [`Scoped::assembled_by_macro`].
    #[doc(hidden)]
    pub const fn assembled_by_macro(sql: &'static str) -> Self {
        Self { sql }
    }
    /// The statement's text.
    pub const fn sql(&self) -> &'static str {
        self.sql
    }
}

/// Checks on fragments, run by the compiler for each statement.
#[expect(
    clippy::panic,
    clippy::indexing_slicing,
    reason = "runs while compiling, where a panic is an error message and slices have no `get`"
)]
pub mod check {
    /// A condition, column list or tail: parentheses balance and never close what the macro opened;
    /// nothing that starts another statement, a comment, or another query (which would need an
    /// account predicate of its own). Fails to compile otherwise.
    pub const fn fragment(text: &str) {
        let bytes = text.as_bytes();
        let mut depth = 0usize;
        let mut quoted = false;
        let mut at = 0;
        while at < bytes.len() {
            let byte = bytes[at];
            if byte == b'\'' {
                quoted = !quoted;
            } else if !quoted {
                match byte {
                    b'(' => depth += 1,
                    b')' => {
                        assert!(depth > 0, "a statement fragment closes a parenthesis that it did not open");
                        depth -= 1;
                    }
                    b';' => panic!("a statement fragment holds a semicolon"),
                    b'-' => assert!(!starts(bytes, at, b"--"), "a statement fragment holds a comment"),
                    b'/' => assert!(!starts(bytes, at, b"/*"), "a statement fragment holds a comment"),
                    _ => {
                        assert!(!word(bytes, at, b"SELECT"), "a statement fragment holds another query");
                        assert!(!word(bytes, at, b"UNION"), "a statement fragment holds another query");
                        assert!(!word(bytes, at, b"RETURNING") || depth == 0, "RETURNING belongs at the end");
                    }
                }
            }
            at += 1;
        }
        assert!(depth == 0, "a statement fragment leaves a parenthesis open");
        assert!(!quoted, "a statement fragment leaves a quote open");
    }

    /// A `FROM` clause: one table, or joins that each name the account in their condition.
    pub const fn tables(text: &str) {
        fragment(text);
        let bytes = text.as_bytes();
        let mut at = 0;
        let mut joins = 0usize;
        let mut accounts = 0usize;
        while at < bytes.len() {
            assert!(bytes[at] != b',', "join tables with JOIN .. ON, so that each carries the account");
            if word(bytes, at, b"JOIN") {
                assert!(accounts == joins * 2, "each JOIN must equate both sides' account_id");
                joins += 1;
            }
            assert!(!word(bytes, at, b"OR") && !word(bytes, at, b"NOT"), "a JOIN's condition only narrows");
            if word(bytes, at, b"ACCOUNT_ID") {
                accounts += 1;
                if accounts.is_multiple_of(2) {
                    assert!(equated(bytes, at), "each JOIN must equate both sides' account_id");
                }
            }
            at += 1;
        }
        assert!(accounts == joins * 2, "each JOIN must equate both sides' account_id");
    }

    /// What follows the condition: nothing that could widen it.
    pub const fn tail(text: &str) {
        fragment(text);
        let bytes = text.as_bytes();
        let known = word(bytes, 0, b"ORDER")
            || word(bytes, 0, b"LIMIT")
            || word(bytes, 0, b"GROUP")
            || word(bytes, 0, b"RETURNING")
            || word(bytes, 0, b"FOR");
        assert!(known, "a tail starts with ORDER BY, GROUP BY, LIMIT, RETURNING or FOR SHARE");
    }

    /// What an alias or a table's name may be.
    pub const fn name(text: &str) {
        let bytes = text.as_bytes();
        assert!(!bytes.is_empty(), "a name is empty");
        let mut at = 0;
        while at < bytes.len() {
            assert!(is_name(bytes[at]), "a name is of letters, digits and underscores");
            at += 1;
        }
    }

    /// What an `UPDATE` sets: never whose row it is.
    pub const fn assignments(text: &str) {
        fragment(text);
        let bytes = text.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            assert!(!word(bytes, at, b"ACCOUNT_ID"), "a row does not change its account");
            at += 1;
        }
    }

    /// What follows an `INSERT`: a conflict target must start with the account, so that a conflict
    /// can only be with a row of the same account.
    pub const fn insert_tail(text: &str) {
        fragment(text);
        let bytes = text.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            if word(bytes, at, b"CONFLICT") {
                let target =
                    starts(bytes, at, b"CONFLICT (account_id") || starts(bytes, at, b"CONFLICT DO NOTHING");
                assert!(target, "a conflict target starts with account_id");
            }
            at += 1;
        }
    }

    /// A platform statement: every table that it names is a platform table, so that no account's table
    /// can be reached without an account, on either engine.
    pub const fn platform(text: &str) {
        let bytes = text.as_bytes();
        // For each depth of parentheses, whether a FROM clause is open: a comma there would name a table.
        let mut from = [false; MAX_DEPTH];
        let mut depth = 0;
        let mut at = 0;
        while at < bytes.len() {
            match bytes[at] {
                b'(' => {
                    depth += 1;
                    assert!(depth < MAX_DEPTH, "a statement nests too deeply");
                    from[depth] = false;
                }
                b')' => {
                    assert!(depth > 0, "a statement closes a parenthesis that it did not open");
                    depth -= 1;
                }
                b',' => assert!(!from[depth], "a platform statement joins its tables with JOIN"),
                _ => {}
            }
            if word(bytes, at, b"FROM") || word(bytes, at, b"UPDATE") {
                from[depth] = true;
            } else if ends_from(bytes, at) {
                from[depth] = false;
            }
            let lead = if word(bytes, at, b"FROM") || word(bytes, at, b"JOIN") || word(bytes, at, b"INTO") {
                4
            } else if word(bytes, at, b"UPDATE") {
                6
            } else {
                0
            };
            if lead > 0 {
                let mut name = at + lead;
                while name < bytes.len() && bytes[name].is_ascii_whitespace() {
                    name += 1;
                }
                // A subquery is checked by its own FROM; `DO UPDATE SET` names no table.
                let known = (name < bytes.len() && bytes[name] == b'(' && word(bytes, name + 1, b"SELECT"))
                    || word(bytes, name, b"SET")
                    || listed(bytes, name);
                assert!(
                    known,
                    "a platform statement names a table that is not in PLATFORM_TABLES: use a scope"
                );
            }
            assert!(bytes[at] != b';', "a statement holds a semicolon");
            at += 1;
        }
    }

    /// Deepest nesting of parentheses in a platform statement, plus one.
    const MAX_DEPTH: usize = 8;

    /// Whether a word that ends a FROM clause stands at `at`.
    const fn ends_from(bytes: &[u8], at: usize) -> bool {
        word(bytes, at, b"WHERE")
            || word(bytes, at, b"SET")
            || word(bytes, at, b"ORDER")
            || word(bytes, at, b"GROUP")
            || word(bytes, at, b"LIMIT")
            || word(bytes, at, b"RETURNING")
    }

    /// Whether what ends at `at` with `ACCOUNT_ID` reads `x.account_id = y.account_id`, and `x` is not `y`.
    const fn equated(bytes: &[u8], at: usize) -> bool {
        let (right, at) = alias_before(bytes, at);
        const BETWEEN: &[u8] = b"account_id = ";
        if at < BETWEEN.len() || !starts(bytes, at - BETWEEN.len(), BETWEEN) {
            return false;
        }
        let (left, _) = alias_before(bytes, at - BETWEEN.len());
        let same_length = right.1 - right.0 == left.1 - left.0;
        let mut same = same_length;
        let mut index = 0;
        while same_length && index < right.1 - right.0 {
            same &= bytes[right.0 + index] == bytes[left.0 + index];
            index += 1;
        }
        right.1 > right.0 && left.1 > left.0 && !same
    }

    /// Where the alias before the dot at `at - 1` starts and ends, and where it starts once more; nothing if
    /// there is no dot.
    const fn alias_before(bytes: &[u8], at: usize) -> ((usize, usize), usize) {
        if at == 0 || bytes[at - 1] != b'.' {
            return ((0, 0), at);
        }
        let end = at - 1;
        let mut start = end;
        while start > 0 && is_name(bytes[start - 1]) {
            start -= 1;
        }
        ((start, end), start)
    }

    const fn listed(bytes: &[u8], at: usize) -> bool {
        let mut index = 0;
        while index < crate::PLATFORM_TABLES.len() {
            let name = crate::PLATFORM_TABLES[index].0.as_bytes();
            if starts(bytes, at, name) && (at + name.len() >= bytes.len() || !is_name(bytes[at + name.len()]))
            {
                return true;
            }
            index += 1;
        }
        false
    }

    const fn starts(bytes: &[u8], at: usize, expected: &[u8]) -> bool {
        let mut index = 0;
        while index < expected.len() {
            if at + index >= bytes.len() || bytes[at + index] != expected[index] {
                return false;
            }
            index += 1;
        }
        true
    }

    /// Whether the upper-case `expected` stands at `at` as a whole word, in any case.
    const fn word(bytes: &[u8], at: usize, expected: &[u8]) -> bool {
        let mut index = 0;
        while index < expected.len() {
            if at + index >= bytes.len() || bytes[at + index].to_ascii_uppercase() != expected[index] {
                return false;
            }
            index += 1;
        }
        let before = at == 0 || !is_name(bytes[at - 1]);
        let after = at + index >= bytes.len() || !is_name(bytes[at + index]);
        before && after
    }

    const fn is_name(byte: u8) -> bool {
        byte.is_ascii_alphanumeric() || byte == b'_'
    }
}

/// Rows of one account: `select!(["id, name"] from "repository" where "id = $2" then "LIMIT $3")`.
///
/// Joins name the alias that carries the predicate:
/// `select!(["r.id"] from "record r JOIN version v ON v.account_id = r.account_id AND .." on "r" where "..")`.
#[macro_export]
macro_rules! select {
    ([$columns:literal] from $tables:literal where $condition:literal $(then $tail:literal)?) => {{
        const _: () = {
            $crate::check::fragment($columns);
            $crate::check::tables($tables);
            $crate::check::fragment($condition);
            $($crate::check::tail($tail);)?
        };
        $crate::Scoped::assembled_by_macro(concat!(
            "SELECT ", $columns, " FROM ", $tables, " WHERE account_id = $1 AND (", $condition, ")" $(, " ", $tail)?
        ))
    }};
    ([$columns:literal] from $tables:literal on $alias:literal where $condition:literal $(then $tail:literal)?) => {{
        const _: () = {
            $crate::check::fragment($columns);
            $crate::check::tables($tables);
            $crate::check::name($alias);
            $crate::check::fragment($condition);
            $($crate::check::tail($tail);)?
        };
        $crate::Scoped::assembled_by_macro(concat!(
            "SELECT ", $columns, " FROM ", $tables, " WHERE ", $alias, ".account_id = $1 AND (", $condition, ")"
            $(, " ", $tail)?
        ))
    }};
}

/// A row of one account: `insert!("record" ("id, repository_id") values "$2, $3")`; the account
/// column is added.
#[macro_export]
macro_rules! insert {
    ($table:literal ($columns:literal) values $values:literal $(then $tail:literal)?) => {{
        const _: () = {
            $crate::check::name($table);
            $crate::check::fragment($columns);
            $crate::check::fragment($values);
            $($crate::check::insert_tail($tail);)?
        };
        $crate::Scoped::assembled_by_macro(concat!(
            "INSERT INTO ", $table, " (account_id, ", $columns, ") VALUES ($1, ", $values, ")" $(, " ", $tail)?
        ))
    }};
}

/// Changes rows of one account: `update!("record" set "deleted_at = $3" where "id = $2")`.
#[macro_export]
macro_rules! update {
    ($table:literal set $assignments:literal where $condition:literal $(then $tail:literal)?) => {{
        const _: () = {
            $crate::check::name($table);
            $crate::check::assignments($assignments);
            $crate::check::fragment($condition);
            $($crate::check::tail($tail);)?
        };
        $crate::Scoped::assembled_by_macro(concat!(
            "UPDATE ", $table, " SET ", $assignments, " WHERE account_id = $1 AND (", $condition, ")" $(, " ", $tail)?
        ))
    }};
}

/// Deletes rows of one account: `delete!("record" where "id = $2")`.
#[macro_export]
macro_rules! delete {
    ($table:literal where $condition:literal $(then $tail:literal)?) => {{
        const _: () = {
            $crate::check::name($table);
            $crate::check::fragment($condition);
            $($crate::check::tail($tail);)?
        };
        $crate::Scoped::assembled_by_macro(concat!(
            "DELETE FROM ", $table, " WHERE account_id = $1 AND (", $condition, ")" $(, " ", $tail)?
        ))
    }};
}

/// A statement on platform tables, parameters from `$1`. Naming an account's table does not compile.
#[macro_export]
macro_rules! platform {
    ($sql:literal) => {{
        const _: () = $crate::check::platform($sql);
        $crate::Platform::assembled_by_macro($sql)
    }};
}
