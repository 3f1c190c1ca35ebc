//! A template: parsed once, rendered for each attempt.

use std::collections::BTreeSet;
use std::io;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value as Variable};
use minijinja::{Environment, UndefinedBehavior};
use serde_json::Value;

use super::error::{TemplateError, is_unknown_name, plain};
use super::message::{AgoraVars, MESSAGE_BYTES_MAX};
use super::missing::{Anything, context};
use super::{filter, missing};
use crate::error::{Class, Problem, nearest};

/// Bytes of a template's text.
pub const TEMPLATE_BYTES_MAX: usize = 256 << 10;
/// Steps of one rendering: a list of ten thousand entries with ten steps each, five times over.
pub(super) const FUEL: u64 = 500_000;
/// The name minijinja keeps the template under. It ends in nothing that would switch HTML escaping on.
const NAME: &str = "message";
/// The name that is agora's own at the root of a template.
pub(super) const RESERVED: &str = "agora";

/// A prompt template that has been parsed.
#[derive(Debug, Clone)]
pub struct Template {
    environment: Environment<'static>,
}

impl Template {
    /// Parses a template.
    ///
    /// # Errors
    /// A problem with one of the codes `limit-exceeded`, `template-syntax` (with the line) and `template-unknown` (a
    /// filter, test, function or member of `agora` that does not exist).
    pub fn parse(text: &str) -> Result<Self, Problem> {
        if text.len() > TEMPLATE_BYTES_MAX {
            let message = format!("the template has {}, over template_bytes_max = {TEMPLATE_BYTES_MAX}", text.len());
            return Err(Problem::new(Class::Operator, "limit-exceeded", message)
                .hint("move what is long into a capability's file"));
        }
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        environment.set_fuel(Some(FUEL));
        filter::install(&mut environment);
        let syntax = SyntaxConfig::builder().keep_trailing_newline(true).build();
        environment.set_syntax(syntax.map_err(|e| syntax_problem(&e))?);
        environment.add_template_owned(NAME, text.to_owned()).map_err(|e| syntax_problem(&e))?;
        let template = Self { environment };
        template.refuse_unknown_names()?;
        Ok(template)
    }

    /// Returns the names of the input that the template uses, without `agora`. What it uses only under a condition is
    /// among them.
    #[must_use]
    pub fn variables(&self) -> BTreeSet<String> {
        self.used(false).collect()
    }

    /// Renders the message for one attempt.
    ///
    /// A member of the input named `agora` is not seen: the name is reserved.
    ///
    /// # Errors
    /// [`TemplateError`]; nothing is returned in part.
    pub fn render(&self, worker_input: &Value, agora: &AgoraVars) -> Result<String, TemplateError> {
        self.render_in(context(worker_input, &[], Variable::from(Serde(agora))))
    }

    /// Returns what the template needs and the input lacks, as `name` or `name.member`, sorted; empty: a message can be
    /// made, as far as names go. What only a condition uses counts only where the condition holds. Where something is
    /// undefined that has no name of its own, such as a member of a list's entries, its line is given.
    ///
    /// An attempt does not exist yet, so whatever the template asks of `agora` is taken as given.
    #[must_use]
    pub fn missing(&self, worker_input: &Value) -> Vec<String> {
        missing::missing(self, worker_input)
    }

    /// Names that are defined nowhere in the template; with `nested`, with the members it asks of them.
    pub(super) fn used(&self, nested: bool) -> impl Iterator<Item = String> {
        let used = self.environment.get_template(NAME).map(|t| t.undeclared_variables(nested)).unwrap_or_default();
        let globals: BTreeSet<String> = self.environment.globals().map(|(name, _)| name.to_owned()).collect();
        let root = |chain: &str| chain.split('.').next().unwrap_or_default().to_owned();
        used.into_iter().filter(move |chain| root(chain) != RESERVED && !globals.contains(&root(chain)))
    }

    pub(super) fn render_in(&self, context: Variable) -> Result<String, TemplateError> {
        Ok(self.try_render(context)?)
    }

    fn try_render(&self, context: Variable) -> Result<String, minijinja::Error> {
        let mut out = Bounded(Vec::new());
        self.environment.get_template(NAME)?.render_captured_to(context, &mut out)?;
        // The engine writes whole characters only.
        Ok(String::from_utf8_lossy(&out.0).into_owned())
    }

    /// minijinja looks filters up when it runs: so it runs once, with anything for every name. Paths it does not take
    /// keep their mistakes until they are taken.
    fn refuse_unknown_names(&self) -> Result<(), Problem> {
        let template = self.environment.get_template(NAME).map_err(|e| syntax_problem(&e))?;
        let chains: BTreeSet<String> = template.undeclared_variables(true).into_iter().collect();
        for member in chains.iter().filter_map(|chain| chain.strip_prefix("agora.")) {
            let member = member.split('.').next().unwrap_or_default();
            if !AgoraVars::NAMES.contains(&member) {
                let hint = match nearest(member, AgoraVars::NAMES.iter().copied()) {
                    Some(near) => format!("did you mean agora.{near}?"),
                    None => format!("agora has {}", AgoraVars::NAMES.join(", ")),
                };
                let message = format!("the template uses agora.{}, which does not exist", plain(member));
                return Err(Problem::new(Class::Operator, "template-unknown", message).hint(hint));
            }
        }
        let roots: Vec<String> = self.used(false).collect();
        let roots: Vec<&str> = roots.iter().map(String::as_str).collect();
        match self.try_render(context(&Value::Object(serde_json::Map::new()), &roots, Anything::variable())) {
            Err(error) if is_unknown_name(&error) => {
                let message =
                    format!("line {} of the template: {}", error.line().unwrap_or(0), plain(&error.to_string()));
                Err(Problem::new(Class::Operator, "template-unknown", message)
                    .hint("docs/registry.md lists the filters that templates have"))
            }
            _ => Ok(()),
        }
    }
}

fn syntax_problem(error: &minijinja::Error) -> Problem {
    let line = error.line().unwrap_or(0);
    let message = format!("line {line} of the template: {}", plain(error.detail().unwrap_or("syntax error")));
    Problem::new(Class::Operator, "template-syntax", message)
        .hint("templates are Jinja without include, import, extends, block and macro")
}

/// Takes at most [`MESSAGE_BYTES_MAX`] bytes and fails at the next.
struct Bounded(Vec<u8>);

impl io::Write for &mut Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MESSAGE_BYTES_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
