//! The closed list of patterns, by the names that `allowed_patterns` uses.

use std::fmt;
use std::str::FromStr;

use crate::error::{Class, Coded, nearest};

macro_rules! patterns {
    ($($(#[$doc:meta])* $variant:ident = $text:literal,)*) => {
        /// One shape of credential (`docs/registry.md` has the table).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Pattern {
            $($(#[$doc])* $variant,)*
        }

        impl Pattern {
            /// Every pattern, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name that `allowed_patterns`, messages and documents use.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

patterns! {
    /// `AKIA` and 16 upper-case letters or digits.
    AwsAccessKey = "aws-access-key",
    /// `ASIA` and 16 upper-case letters or digits.
    AwsSessionKey = "aws-session-key",
    /// 40 base64 characters after a name with `secret` and `key`.
    AwsSecretKey = "aws-secret-key",
    /// `ghp_`, `gho_`, `ghu_`, `ghs_` or `ghr_` and 36 letters or digits; `github_pat_` and 60 or more.
    GithubToken = "github-token",
    /// `glpat-` and 20 or more.
    GitlabToken = "gitlab-token",
    /// `npm_` and 36 letters or digits.
    NpmToken = "npm-token",
    /// Three base64url parts, the first two starting `eyJ`.
    Jwt = "jwt",
    /// `Bearer ` and 20 or more characters of a token.
    BearerPrefix = "bearer-prefix",
    /// `scheme://user:password@host`, the password being no placeholder.
    UrlPassword = "url-password",
    /// `sk-ant-` and 16 or more.
    AnthropicKey = "anthropic-key",
    /// `sk-` or `sk-proj-` and 20 or more, but not `sk-ant-`.
    OpenaiKey = "openai-key",
    /// `AIza` and 35 base64url characters.
    GoogleApiKey = "google-api-key",
    /// `xoxa-`, `xoxb-`, `xoxp-`, `xoxr-` or `xoxs-` and something; `hooks.slack.com/services/` and something.
    SlackToken = "slack-token",
    /// `sk_live_`, `sk_test_`, `rk_live_` or `rk_test_` and 16 or more letters or digits.
    StripeKey = "stripe-key",
    /// The header of a private key in PEM.
    PrivateKey = "private-key",
    /// `AccountKey=` and 60 or more base64 characters.
    AzureKey = "azure-key",
}

impl Pattern {
    pub(super) fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A name that is no pattern of the scanner.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is no pattern of the credential scanner")]
pub struct UnknownPattern {
    /// What was given, cut to 80 characters.
    pub given: String,
}

impl Coded for UnknownPattern {
    fn class(&self) -> Class {
        Class::Operator
    }
    fn code(&self) -> &'static str {
        "pattern-unknown"
    }
    fn hint(&self) -> Option<String> {
        let known = Pattern::ALL.iter().map(|p| p.as_str());
        Some(match nearest(&self.given, known.clone()) {
            Some(near) => format!("did you mean {near:?}?"),
            None => format!("known patterns: {}", known.collect::<Vec<_>>().join(", ")),
        })
    }
}

impl FromStr for Pattern {
    type Err = UnknownPattern;
    fn from_str(text: &str) -> Result<Self, UnknownPattern> {
        Self::ALL
            .iter()
            .copied()
            .find(|p| p.as_str() == text)
            .ok_or_else(|| UnknownPattern { given: text.chars().take(80).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_is_found_by_its_name_and_no_other_name_is() {
        for (i, pattern) in Pattern::ALL.iter().enumerate() {
            assert_eq!(pattern.index(), i);
            assert_eq!(pattern.as_str().parse::<Pattern>(), Ok(*pattern));
        }
        let unknown = "jtw".parse::<Pattern>().unwrap_err();
        assert_eq!(unknown.code(), "pattern-unknown");
        assert_eq!(unknown.hint().as_deref(), Some("did you mean \"jwt\"?"));
        assert!("zzzzzzzzzzzzzzzz".parse::<Pattern>().unwrap_err().hint().unwrap().contains("private-key"));
    }
}
