//! From text to a policy, stopping at the first thing that is not known.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::key::ALGORITHMS;
use super::{KeyRole, Policy, PolicyAnchor, PolicyError, PolicyKey, PublicKey, Seen};
use crate::audit::checkpoint::is_log_origin;
use crate::audit::note::VerifyKey;
use crate::canon::INTEGER_MAX;
use crate::error::nearest;
use crate::id::{Enc, Word};
use crate::limits::{POLICY_BYTES_MAX, POLICY_ROWS_MAX};

impl Policy {
    /// Reads a policy.
    ///
    /// # Errors
    /// [`PolicyError::Unreadable`] for what is not TOML, an unknown or missing member, another version, role or algorithm, a
    /// name that does not fit role and origin, a value of another form, too many rows or bytes; [`PolicyError::Weak`].
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let whole = |what: String| PolicyError::Unreadable { at: "the file".to_owned(), what };
        if text.len() > POLICY_BYTES_MAX {
            return Err(whole(format!("it has {} bytes, the limit is {POLICY_BYTES_MAX}", text.len())));
        }
        let table = DeTable::parse(text).map_err(|error| {
            let at = error.span().map_or_else(|| "the file".to_owned(), |span| line(text, span.start));
            PolicyError::Unreadable { at, what: format!("not TOML: {}", error.message().replace('\n', ", ")) }
        })?;
        let root = Row { text, offset: 0, name: "the policy", table: table.get_ref() };
        root.only(&["v", "origin", "key", "anchor", "seen", "require"])?;
        let version = root.number("v")?;
        if version != 1 {
            return Err(root.refuse("v", format!("version {version} is not known, 1 is")));
        }
        let origin = root.text("origin")?;
        if !is_log_origin(origin) {
            return Err(root.refuse("origin", format!("{origin:?} is not the origin of a log")));
        }
        Ok(Self {
            origin: origin.to_owned(),
            keys: root.rows("key", |row| key(&row, origin))?,
            anchors: root.rows("anchor", |row| anchor(&row))?,
            seen: root.rows("seen", |row| seen(&row))?,
            require: require(&root)?,
        })
    }
}

fn key(row: &Row<'_, '_>, origin: &str) -> Result<PolicyKey, PolicyError> {
    row.only(&["name", "role", "alg", "key", "from", "until", "last_good"])?;
    let (name, word) = (row.text("name")?, row.text("role")?);
    let role = KeyRole::parse(word).ok_or_else(|| {
        let known = KeyRole::ALL.map(KeyRole::as_str).join(", ");
        row.refuse("role", format!("the role {word:?} is not known: {known} are"))
    })?;
    let alg = row.text("alg")?;
    if !ALGORITHMS.contains(&alg) {
        return Err(row.refuse("alg", format!("the algorithm {alg:?} is not known: {} are", ALGORITHMS.join(", "))));
    }
    let key = PublicKey::parse(alg, row.text("key")?).map_err(|what| row.refuse("key", what))?;
    if let Some(what) = role.misfit(origin, name, &key) {
        return Err(row.refuse("name", what));
    }
    if key.is_weak() {
        return Err(PolicyError::Weak { at: row.at("key"), name: name.to_owned() });
    }
    if let PublicKey::Ed25519(bytes) = key {
        VerifyKey::new(name, bytes).map_err(|error| row.refuse("name", error.to_string()))?;
    }
    let (from, until, last_good) = (row.number("from")?, row.maybe("until")?, row.maybe("last_good")?);
    Ok(PolicyKey { name: name.to_owned(), role, key, from, until, last_good })
}

fn anchor(row: &Row<'_, '_>) -> Result<PolicyAnchor, PolicyError> {
    row.only(&["name", "kind", "account", "region", "bucket", "retain_days"])?;
    let kind = row.text("kind")?;
    Word::new(kind).map_err(|error| row.refuse("kind", error.to_string()))?;
    Ok(PolicyAnchor {
        name: row.name("name")?,
        kind: kind.to_owned(),
        account: row.name("account")?,
        region: row.name("region")?,
        bucket: row.name("bucket")?,
        retain_days: row.number("retain_days")?,
    })
}

fn seen(row: &Row<'_, '_>) -> Result<Seen, PolicyError> {
    row.only(&["size", "root"])?;
    let root = row.text("root")?.parse().map_err(|error| row.refuse("root", format!("{error}")))?;
    Ok(Seen { size: row.number("size")?, root })
}

fn require(root: &Row<'_, '_>) -> Result<BTreeMap<String, String>, PolicyError> {
    let Some(value) = root.table.get("require") else { return Ok(BTreeMap::new()) };
    let row = root.table_of("require", "[require]", value)?;
    let mut found = BTreeMap::new();
    for axis in row.table.keys() {
        let axis = axis.get_ref().as_ref();
        let value = row.text(axis)?;
        for word in [axis, value] {
            Word::new(word).map_err(|error| row.refuse(axis, error.to_string()))?;
        }
        found.insert(axis.to_owned(), value.to_owned());
    }
    Ok(found)
}

/// One table of the text, and where it stands.
struct Row<'d, 'i> {
    text: &'d str,
    offset: usize,
    name: &'static str,
    table: &'d DeTable<'i>,
}

impl<'d, 'i> Row<'d, 'i> {
    fn at(&self, member: &str) -> String {
        let offset = self.table.get(member).map_or(self.offset, |value| value.span().start);
        line(self.text, offset)
    }

    /// Refuses what stands under a member, or the row where that is not there.
    fn refuse(&self, member: &str, what: String) -> PolicyError {
        PolicyError::Unreadable { at: self.at(member), what: format!("{member} in {}: {what}", self.name) }
    }

    fn only(&self, known: &[&str]) -> Result<(), PolicyError> {
        let unknown = self.table.keys().find(|key| !known.contains(&key.get_ref().as_ref()));
        let Some(key) = unknown else { return Ok(()) };
        let given: String = key.get_ref().chars().take(80).collect();
        let hint = match nearest(&given, known.iter().copied()) {
            Some(near) => format!("did you mean {near}?"),
            None => format!("known are {}", known.join(", ")),
        };
        let what = format!("{} has an unknown member {given:?}; {hint}", self.name);
        Err(PolicyError::Unreadable { at: line(self.text, key.span().start), what })
    }

    fn value(&self, member: &str) -> Result<&'d DeValue<'i>, PolicyError> {
        let found = self.table.get(member);
        found.map(Spanned::get_ref).ok_or_else(|| self.refuse(member, "it is missing".to_owned()))
    }

    fn text(&self, member: &str) -> Result<&'d str, PolicyError> {
        match self.value(member)? {
            DeValue::String(text) => Ok(text.as_ref()),
            _ => Err(self.refuse(member, "it is not a text".to_owned())),
        }
    }

    fn name(&self, member: &str) -> Result<String, PolicyError> {
        let text = self.text(member)?;
        Enc::new(text).map_err(|error| self.refuse(member, error.to_string()))?;
        Ok(text.to_owned())
    }

    fn number(&self, member: &str) -> Result<u64, PolicyError> {
        let wrong = || self.refuse(member, format!("it is not a whole number from 0 to {INTEGER_MAX}"));
        let DeValue::Integer(number) = self.value(member)? else { return Err(wrong()) };
        let number = u64::from_str_radix(number.as_str(), number.radix());
        number.ok().filter(|number| *number <= INTEGER_MAX).ok_or_else(wrong)
    }

    fn maybe(&self, member: &str) -> Result<Option<u64>, PolicyError> {
        if self.table.contains_key(member) { self.number(member).map(Some) } else { Ok(None) }
    }

    fn table_of(
        &self,
        member: &str,
        name: &'static str,
        value: &'d Spanned<DeValue<'i>>,
    ) -> Result<Row<'d, 'i>, PolicyError> {
        match value.get_ref() {
            DeValue::Table(table) => Ok(Row { text: self.text, offset: value.span().start, name, table }),
            _ => Err(self.refuse(member, "it is not a table".to_owned())),
        }
    }

    /// The rows `[[kind]]`, bounded; none when there is no such member.
    fn rows<T>(&self, kind: &str, read: impl Fn(Row<'d, 'i>) -> Result<T, PolicyError>) -> Result<Vec<T>, PolicyError> {
        let Some(value) = self.table.get(kind) else { return Ok(Vec::new()) };
        let DeValue::Array(rows) = value.get_ref() else {
            return Err(self.refuse(kind, format!("rows are written [[{kind}]]")));
        };
        if rows.len() > POLICY_ROWS_MAX {
            return Err(self.refuse(kind, format!("it has {} rows, the limit is {POLICY_ROWS_MAX}", rows.len())));
        }
        rows.iter().map(|row| self.table_of(kind, name_of(kind), row).and_then(&read)).collect()
    }
}

fn name_of(kind: &str) -> &'static str {
    match kind {
        "key" => "[[key]]",
        "anchor" => "[[anchor]]",
        _ => "[[seen]]",
    }
}

fn line(text: &str, offset: usize) -> String {
    let before = text.as_bytes().get(..offset).unwrap_or_default();
    format!("line {}", 1 + before.iter().filter(|byte| **byte == b'\n').count())
}
