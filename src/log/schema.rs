//! The log's schema tag: what its records are, by a number that the user gives.

use super::Log;
use crate::error::Result;
use crate::reentry::refuse_inside_claim;

impl Log {
    /// The log's schema tag; 0 where it has none. See [`Options::schema`](crate::Options::schema).
    #[must_use]
    pub fn schema(&self) -> u64 {
        self.inner.retention().lock_meta().schema
    }

    /// Gives the log another schema tag, durably before it returns: for a migration, or 0 to take it away. Records are not
    /// changed by it; who still opens the log with the old tag gets
    /// [`SchemaMismatch`](crate::ErrorKind::SchemaMismatch) from then on.
    ///
    /// After a crash on the way the log has one of the two tags.
    ///
    /// # Errors
    /// * [`Closed`](crate::ErrorKind::Closed), [`Poisoned`](crate::ErrorKind::Poisoned),
    ///   [`Forked`](crate::ErrorKind::Forked): the tag is as it was.
    /// * [`Io`](crate::ErrorKind::Io): it could not be written. When that was a failed sync, the log is poisoned, and the
    ///   next opening finds one of the two.
    /// * [`WouldDeadlock`](crate::ErrorKind::WouldDeadlock): inside a closure of `append_with`.
    ///
    /// ```
    /// use tidelog::{ErrorKind, Options};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let options = Options::new().segment_bytes(1 << 16);
    /// options.clone().schema(1).open(dir.path())?.close()?;
    /// let error = options.clone().schema(2).open(dir.path()).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::SchemaMismatch);
    ///
    /// let log = options.clone().open(dir.path())?; // whatever it is
    /// if log.schema() == 1 {
    ///     // Append the records that are needed in their new form, and retire what is before them. Then:
    ///     log.set_schema(2)?;
    /// }
    /// log.close()?;
    /// options.clone().schema(2).open(dir.path())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_schema(&self, schema: u64) -> Result<()> {
        refuse_inside_claim()?;
        self.inner.chain.refuse_in_child()?;
        self.inner.keeper.set_schema(schema)
    }
}
