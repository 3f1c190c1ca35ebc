//! From a policy to its text.

use std::fmt::{self, Write as _};

use toml::Value;

use super::{Policy, PolicyAnchor, PolicyKey, Seen};

impl Policy {
    /// Writes the text, which [`Policy::parse`] reads back if the policy is one that it could have read.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut out = String::new();
        // Writing into a String does not fail.
        let _ = self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) -> fmt::Result {
        writeln!(out, "v = 1\norigin = {}", text(&self.origin))?;
        self.keys.iter().try_for_each(|row| key(out, row))?;
        self.anchors.iter().try_for_each(|row| anchor(out, row))?;
        for Seen { size, root } in &self.seen {
            writeln!(out, "\n[[seen]]\nsize = {size}\nroot = \"{root}\"")?;
        }
        if !self.require.is_empty() {
            writeln!(out, "\n[require]")?;
        }
        self.require.iter().try_for_each(|(axis, value)| writeln!(out, "{axis} = {}", text(value)))
    }
}

fn key(out: &mut String, row: &PolicyKey) -> fmt::Result {
    let PolicyKey { name, role, key, from, until, last_good } = row;
    writeln!(out, "\n[[key]]\nname = {}\nrole = \"{}\"", text(name), role.as_str())?;
    writeln!(out, "alg = \"{}\"\nkey = \"{}\"\nfrom = {from}", key.alg(), key.base64())?;
    until.map_or(Ok(()), |until| writeln!(out, "until = {until}"))?;
    last_good.map_or(Ok(()), |last_good| writeln!(out, "last_good = {last_good}"))
}

fn anchor(out: &mut String, row: &PolicyAnchor) -> fmt::Result {
    let PolicyAnchor { name, kind, account, region, bucket, retain_days } = row;
    writeln!(out, "\n[[anchor]]")?;
    for (member, value) in
        [("name", name), ("kind", kind), ("account", account), ("region", region), ("bucket", bucket)]
    {
        writeln!(out, "{member} = {}", text(value))?;
    }
    writeln!(out, "retain_days = {retain_days}")
}

/// A text in the quotes that TOML needs for it.
fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}
