//! The command line, and what it and the environment settle.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Parser;

/// agora for agents: nine tools over the Model Context Protocol, on standard input and output.
///
/// A client starts it; there is nothing to type here. `agora-admin mcp-config` prints what a client needs.
#[derive(Debug, Parser)]
#[command(name = "agora-mcp", version, disable_help_subcommand = true)]
pub(crate) struct Cli {
    /// The folder with configuration, registry and runs [default: $AGORA_HOME, else ~/.agora]
    #[arg(long, value_name = "DIR")]
    home: Option<PathBuf>,
    /// The folder that the workspace `cwd` stands for [default: $CLAUDE_PROJECT_DIR, else the working directory]
    #[arg(long, value_name = "DIR")]
    workspace: Option<PathBuf>,
    /// Serves nobody: drives the runs of the home until nothing is left to do.
    #[arg(long, hide = true, requires = "home")]
    pub(crate) drive_until_idle: bool,
}

/// Where this process works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    /// `$AGORA_HOME`, absolute.
    pub(crate) home: PathBuf,
    /// What `cwd` stands for, absolute; absent when the working directory is gone.
    pub(crate) workspace: Option<PathBuf>,
}

impl Settings {
    /// Settles flags, environment and defaults.
    ///
    /// # Errors
    /// When no home is named and the user has no home folder.
    pub(crate) fn resolve(cli: Cli) -> anyhow::Result<Self> {
        Self::from_parts(cli, |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from))
    }

    fn from_parts(cli: Cli, variable: impl Fn(&str) -> Option<PathBuf>) -> anyhow::Result<Self> {
        let home = cli
            .home
            .or_else(|| variable("AGORA_HOME"))
            .or_else(|| variable("HOME").or_else(std::env::home_dir).map(|folder| folder.join(".agora")))
            .context("failed to find a home: give --home DIR or set AGORA_HOME")?;
        let workspace =
            cli.workspace.or_else(|| variable("CLAUDE_PROJECT_DIR")).or_else(|| std::env::current_dir().ok());
        Ok(Self {
            home: std::path::absolute(&home).context("failed to find the working directory")?,
            workspace: workspace.and_then(|folder| std::path::absolute(folder).ok()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settle(arguments: &[&str], variables: &[(&str, &str)]) -> Settings {
        let cli = Cli::try_parse_from([&["agora-mcp"], arguments].concat()).unwrap();
        Settings::from_parts(cli, |name| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| PathBuf::from(value))
        })
        .unwrap()
    }

    #[test]
    fn a_flag_wins_over_the_environment_and_that_over_the_default() {
        let all = [("AGORA_HOME", "/e/home"), ("CLAUDE_PROJECT_DIR", "/e/work"), ("HOME", "/e/user")];
        type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], &'a str, Option<&'a str>);
        let cases: [Case<'_>; 4] = [
            (&["--home", "/f/home", "--workspace", "/f/work"], &all, "/f/home", Some("/f/work")),
            (&[], &all, "/e/home", Some("/e/work")),
            (&[], &all[2..], "/e/user/.agora", None),
            (&["--home", "/f/home"], &[], "/f/home", None),
        ];
        for (arguments, variables, home, workspace) in cases {
            let settings = settle(arguments, variables);
            assert_eq!(settings.home, PathBuf::from(home), "{arguments:?}");
            let here = std::env::current_dir().unwrap();
            assert_eq!(settings.workspace, Some(workspace.map_or(here, PathBuf::from)), "{arguments:?}");
        }
    }

    #[test]
    fn the_copy_that_lingers_has_to_be_told_its_home() {
        assert!(Cli::try_parse_from(["agora-mcp", "--drive-until-idle"]).is_err());
        assert!(Cli::try_parse_from(["agora-mcp", "--drive-until-idle", "--home", "/h"]).is_ok());
    }
}
