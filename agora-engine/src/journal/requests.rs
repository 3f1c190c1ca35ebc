//! Idempotency: the first answer to a request, kept by actor, tool and request id.

use agora_core::id::{Actor, Digest};
use rusqlite::{OptionalExtension, params};

use super::write::Tx;
use super::{Ledger, StoreError};

/// An earlier answer under the same request id.
#[derive(Debug, Clone)]
pub(crate) struct Earlier {
    /// The digest of the arguments it answered.
    pub(crate) digest: Digest,
    /// The answer, as JSON.
    pub(crate) answer: String,
}

impl Ledger {
    /// The first answer to a request, if there is one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn earlier(&self, actor: &Actor, tool: &str, request: &str) -> Result<Option<Earlier>, StoreError> {
        let row: Option<(String, String)> = self
            .conn
            .prepare_cached("SELECT digest, answer FROM requests WHERE actor = ?1 AND tool = ?2 AND request = ?3")?
            .query_row([actor.as_str(), tool, request], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        row.map(|(digest, answer)| {
            let digest = digest.parse().map_err(|error| StoreError::Corrupt(format!("{error}")))?;
            Ok(Earlier { digest, answer })
        })
        .transpose()
    }
}

impl Tx<'_> {
    /// Keeps the answer to a request.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn remember(
        &mut self,
        actor: &Actor,
        tool: &str,
        request: &str,
        digest: &Digest,
        answer: &str,
    ) -> Result<(), StoreError> {
        let at = self.now().micros();
        self.ledger()
            .conn
            .prepare_cached(
                "INSERT INTO requests (actor, tool, request, digest, answer, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![actor.as_str(), tool, request, digest.to_string(), answer, at])?;
        Ok(())
    }
}
