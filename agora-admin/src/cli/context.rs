//! The home, the engine and the caller that a verb works with.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use agora_core::error::{Class, Problem};
use agora_core::id::{Enc, Word};
use agora_core::record::CancelVia;
use agora_core::seam::BlobStore;
use agora_core::time::Time;
use agora_engine::operations::Caller;
use agora_engine::{Engine, Options, Providers as _, home};

use super::arguments::Global;
use super::identity;
use super::providers::BuiltIn;
use crate::error::{Doing as _, Failure};
use crate::output::Output;

/// What every verb has.
pub(crate) struct Context {
    /// `$AGORA_HOME`, absolute. It need not be there.
    pub(crate) home: PathBuf,
    /// Where answers go.
    pub(crate) out: Output,
}

impl Context {
    /// Settles flags, environment and defaults.
    ///
    /// # Errors
    /// `home-unknown` when no home is named and the user has no home folder.
    pub(crate) fn resolve(global: &Global, out: Output) -> Result<Self, Failure> {
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let home = home_of(global.home.clone(), variable).ok_or_else(|| home_unknown("no folder is named"))?;
        let home = std::path::absolute(&home).map_err(|error| home_unknown(&error.to_string()))?;
        Ok(Self { home, out })
    }

    /// Opens the engine.
    ///
    /// # Errors
    /// As [`Self::need_home`] before there is a home, else as [`Engine::open`].
    pub(crate) async fn engine(&self) -> Result<Arc<Engine>, Failure> {
        self.need_home()?;
        let options = Options::new(self.home.clone(), Arc::new(BuiltIn));
        Engine::open(options).await.doing(format!("open the home {}", self.home.display()))
    }

    /// Says that there is no home where there is none, or a folder that is somebody else's.
    ///
    /// # Errors
    /// `home-missing`, `home-foreign`.
    pub(crate) fn need_home(&self) -> Result<(), Failure> {
        let wrong = match self.home.is_dir() {
            true => home::foreign(&self.home),
            false => Some(
                Problem::new(Class::Operator, "home-missing", "there is no such folder")
                    .at(self.home.display().to_string())
                    .hint("run `agora-admin init`, or name another home with --home or AGORA_HOME"),
            ),
        };
        wrong.map_or(Ok(()), |problem| Err(Failure::one("open the home", problem)))
    }

    /// Opens the blobs.
    ///
    /// # Errors
    /// As the store says.
    pub(crate) fn blobs(&self) -> Result<Arc<dyn BlobStore>, Failure> {
        BuiltIn.blobs(&self.home).doing("open the blobs")
    }

    /// Who calls.
    ///
    /// # Errors
    /// Never: the words are fixed.
    pub(crate) fn caller(&self) -> Result<Caller, Failure> {
        let words = (Word::new("os-user"), Enc::new("owner"));
        let (Ok(how), Ok(rule)) = words else {
            let problem = Problem::new(Class::Bug, "internal", "a fixed word is not one");
            return Err(Failure::one("say who calls", problem));
        };
        let cwd = std::env::current_dir().ok();
        Ok(Caller { actor: identity::actor(), how, rule, via: CancelVia::Cli, cwd, tools: None, all_runs: true })
    }
}

fn home_of(flag: Option<PathBuf>, variable: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    let user = || variable("HOME").or_else(std::env::home_dir).map(|folder| folder.join(".agora"));
    flag.or_else(|| variable("AGORA_HOME")).or_else(user)
}

fn home_unknown(why: &str) -> Failure {
    let problem = Problem::new(Class::Operator, "home-unknown", why);
    Failure::one("find the home", problem.hint("give --home DIR or set AGORA_HOME"))
}

/// The time.
pub(crate) fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_wins_over_the_environment_and_that_over_the_default() {
        let all = |name: &str| match name {
            "AGORA_HOME" => Some(PathBuf::from("/e/home")),
            "HOME" => Some(PathBuf::from("/e/user")),
            _ => None,
        };
        let only_user = |name: &str| (name == "HOME").then(|| PathBuf::from("/e/user"));
        assert_eq!(home_of(Some("/f".into()), all), Some("/f".into()));
        assert_eq!(home_of(None, all), Some("/e/home".into()));
        assert_eq!(home_of(None, only_user), Some("/e/user/.agora".into()));
    }
}
