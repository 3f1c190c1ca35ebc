//! `key`: which keys there are, whom an auditor may believe, and replacing one.

use std::path::PathBuf;

use agora_admin::key_change::{Rotated, is_here, revoke, rotate};
use agora_admin::keys::REGISTRY_ADMIN;
use agora_core::audit::history::KnownKey;
use agora_core::audit::policy::{KeyRole, Policy, PolicyKey, PublicKey};
use agora_core::error::{Class, Problem};
use agora_core::id::Word;
use agora_engine::Engine;
use agora_engine::keys::{Role, origin, trusted};
use clap::Subcommand;
use serde::Serialize;

use super::rows;
use crate::cli::Context;
use crate::error::{Doing as _, Exit, Failure};
use crate::output::{Cell, Line, Style};

/// The verbs of keys.
#[derive(Debug, Subcommand)]
pub(crate) enum KeyVerb {
    /// List the keys of this home, those that were replaced too
    List,
    /// Write the trust policy that an auditor verifies with
    TrustExport(ExportArgs),
    /// Make a new key and put it in the place of the present one
    Rotate(RotateArgs),
    /// Say that a key which was replaced is not believed beyond a position
    Revoke(RevokeArgs),
}

/// The arguments of `key trust-export`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The policy names every key with its window, and the newest signed checkpoint of the log. Hand it to the auditor by another way than the evidence.\n\nExamples:\n  agora-admin key trust-export --out trust.toml\n  agora-admin key trust-export > trust.toml"
)]
pub(crate) struct ExportArgs {
    /// A new file, instead of standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// The arguments of `key rotate`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Nobody may drive the home meanwhile. What was signed before stays verified: the log keeps the old key and its window. Afterwards hand auditors a new trust policy. After a crash, repeat it: it finishes.\n\nExamples:\n  agora-admin key rotate run"
)]
pub(crate) struct RotateArgs {
    /// What the key signs: log, run or attest
    #[arg(value_parser = ["log", "run", "attest"], hide_possible_values = true)]
    role: String,
}

/// The arguments of `key revoke`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A key in force has to be rotated first. Positions are those of the log: `key list` shows from where to where a key was good.\n\nExamples:\n  agora-admin key revoke 68ffe07c --last-good 1200 --reason stolen"
)]
pub(crate) struct RevokeArgs {
    /// The key's id, or its name where no other key has it
    #[arg(value_name = "NAME-OR-ID")]
    key: String,
    /// The last position of the log at which the key is believed
    #[arg(long, value_name = "N")]
    last_good: u64,
    /// Why, in a word: it is kept in the log
    #[arg(long, value_name = "WORD")]
    reason: Word,
}

#[derive(Serialize)]
struct KeyRow {
    role: &'static str,
    name: String,
    alg: &'static str,
    /// 8 hex digits.
    key_id: String,
    /// The public key in base64.
    key: String,
    custody: String,
    /// Good from this position of the log on; of `registry-admin`: from this version on.
    from: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_good: Option<u64>,
    /// Why it was revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked: Option<String>,
    in_force: bool,
    /// Whether the private half is in this home.
    private_here: bool,
}

#[derive(Serialize)]
struct ListReply {
    origin: String,
    keys: Vec<KeyRow>,
}

#[derive(Serialize)]
struct ExportReply {
    /// The file that was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    keys: usize,
    policy: String,
}

#[derive(Serialize)]
struct RotateReply {
    role: String,
    name: String,
    key_id: String,
    /// The public key in base64.
    key: String,
    /// The position of the record in the log, from which the key is good; absent when a rotation that was recorded before was
    /// finished.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<u64>,
}

#[derive(Serialize)]
struct RevokeReply {
    name: String,
    key_id: String,
    last_good: u64,
    /// The position of the record in the log.
    seq: u64,
}

/// Does a verb of keys.
///
/// # Errors
/// Why it was not done.
pub(crate) async fn run(context: &Context, verb: KeyVerb) -> Result<Exit, Failure> {
    let engine = context.engine().await?;
    match verb {
        KeyVerb::List => list(context, &engine).await,
        KeyVerb::TrustExport(args) => export(context, &engine, args).await,
        KeyVerb::Rotate(args) => replace(context, &engine, &args.role).await,
        KeyVerb::Revoke(args) => take_back(context, &engine, args).await,
    }
}

/// Every key: those of the log, and of the registry those that this home trusts and the log does not name.
async fn known(engine: &Engine) -> Result<Vec<KnownKey>, Failure> {
    let mut keys = engine.key_history().await.doing("read the log")?.keys().to_vec();
    let pinned = trusted(engine.home(), REGISTRY_ADMIN).doing("read the registry's keys")?;
    for pinned in pinned {
        let (name, key) = (pinned.name, PublicKey::Ed25519(pinned.public_key));
        if keys.iter().any(|known| known.key.name == name && known.key.key == key) {
            continue;
        }
        let here = is_here(engine, KeyRole::RegistryAdmin, &key).doing("open the registry's key")?;
        let custody = Word::new(if here { "file" } else { "offline" });
        let custody = custody
            .map_err(|error| Failure::one("list the keys", Problem::new(Class::Bug, "internal", error.to_string())))?;
        let key = PolicyKey { name, role: KeyRole::RegistryAdmin, key, from: 0, until: None, last_good: None };
        keys.push(KnownKey { key, custody, revoked: None });
    }
    Ok(keys)
}

async fn list(context: &Context, engine: &Engine) -> Result<Exit, Failure> {
    let mut keys = Vec::new();
    for known in known(engine).await? {
        let PolicyKey { name, role, key, from, until, last_good } = &known.key;
        keys.push(KeyRow {
            role: role.as_str(),
            alg: key.alg(),
            key_id: key.id_hex(name),
            key: key.base64(),
            custody: known.custody.to_string(),
            from: *from,
            until: *until,
            last_good: *last_good,
            revoked: known.revoked.as_ref().map(ToString::to_string),
            in_force: known.in_force(),
            private_here: known.in_force() && is_here(engine, *role, key).doing("open the keys")?,
            name: name.clone(),
        });
    }
    let origin = origin(engine.home()).doing("read the log's origin")?.to_string();
    let reply = ListReply { origin, keys };
    context.out.reply(&reply, |page| {
        let heads = ["role", "id", "name", "alg", "custody", "from", "until", "last good", "private half"];
        page.table(&heads, reply.keys.iter().map(cells).collect());
    })?;
    Ok(Exit::Done)
}

fn cells(row: &KeyRow) -> Vec<Cell> {
    let number = |number: Option<u64>| Cell::new(number.map_or_else(String::new, |number| number.to_string()));
    let half = match (row.in_force, row.private_here) {
        (true, true) => Cell::new("here"),
        (true, false) => Cell::new("not here").style(Style::Warn),
        (false, _) => Cell::default(),
    };
    vec![
        Cell::new(row.role).style(if row.in_force { Style::Bold } else { Style::Dim }),
        Cell::new(&row.key_id),
        Cell::new(&row.name),
        Cell::new(row.alg),
        Cell::new(&row.custody),
        number(Some(row.from)),
        number(row.until),
        number(row.last_good).style(Style::Bad),
        half,
    ]
}

async fn export(context: &Context, engine: &Engine, args: ExportArgs) -> Result<Exit, Failure> {
    let seen = engine.log_seen().await.doing("read the log's checkpoint")?;
    let keys: Vec<PolicyKey> = known(engine).await?.into_iter().map(|known| known.key).collect();
    let origin = origin(engine.home()).doing("read the log's origin")?.to_string();
    let count = keys.len();
    let policy = Policy { origin, keys, seen: seen.into_iter().collect(), ..Policy::default() }.to_toml();
    // Nothing is handed out that a verifier would refuse.
    Policy::parse(&policy).doing("write the trust policy")?;
    let Some(out) = args.out else {
        if context.out.for_people() {
            context.out.write(policy.as_bytes())?;
        } else {
            context.out.reply(&ExportReply { file: None, keys: count, policy }, |_| {})?;
        }
        return Ok(Exit::Done);
    };
    let made = std::fs::OpenOptions::new().write(true).create_new(true).open(&out);
    let written = made.and_then(|mut file| {
        std::io::Write::write_all(&mut file, policy.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|error| {
        let problem = Problem::new(Class::Caller, "file-unwritable", error.to_string()).at(out.display().to_string());
        Failure::one("write the trust policy", problem.hint("name a new file in a folder that can be written"))
    })?;
    let reply = ExportReply { file: Some(out.display().to_string()), keys: count, policy };
    context.out.reply(&reply, |page| {
        page.line(
            Line::of("trust policy")
                .and_style(Style::Bold, out.display().to_string())
                .and(rows::count(count as u64, "key")),
        );
    })?;
    Ok(Exit::Done)
}

async fn replace(context: &Context, engine: &Engine, role: &str) -> Result<Exit, Failure> {
    let doing = format!("rotate the key {role}");
    let role = Role::parse(role).doing(doing.clone())?;
    let Rotated { key, seq } = rotate(engine, &context.caller()?, role).await.doing(doing)?;
    let public = PublicKey::Ed25519(key.public_key);
    let reply = RotateReply {
        role: role.as_str().to_owned(),
        key_id: public.id_hex(&key.name),
        key: public.base64(),
        name: key.name,
        from: seq,
    };
    context.out.reply(&reply, |page| {
        let from = match reply.from {
            Some(from) => format!("good from {from} of the log"),
            None => "finished what was begun".to_owned(),
        };
        page.line(Line::of("key").and_style(Style::Bold, &reply.name).and(&reply.key_id).and_style(Style::Dim, from));
        page.next("agora-admin key trust-export --out trust.toml");
    })?;
    Ok(Exit::Done)
}

async fn take_back(context: &Context, engine: &Engine, args: RevokeArgs) -> Result<Exit, Failure> {
    let RevokeArgs { key, last_good, reason } = args;
    let doing = format!("revoke the key {key}");
    let (known, seq) = revoke(engine, &context.caller()?, &key, last_good, reason).await.doing(doing)?;
    let key_id = known.key.key.id_hex(&known.key.name);
    let reply = RevokeReply { name: known.key.name, key_id, last_good, seq };
    context.out.reply(&reply, |page| {
        page.line(
            Line::of("revoked")
                .and_style(Style::Bold, &reply.name)
                .and(&reply.key_id)
                .and_style(Style::Dim, format!("believed up to {} of the log", reply.last_good)),
        );
        page.next("agora-admin key trust-export --out trust.toml");
    })?;
    Ok(Exit::Done)
}
