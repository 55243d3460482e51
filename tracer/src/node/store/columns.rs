//! Columns of rows that hold more than a number or a name. It must not know the tables.

use rusqlite::Row;

use super::StoreError;
use crate::{contract::readable, node::identity::Identity};

/// From JSON, as far as it can be read.
pub(super) fn identity(row: &Row<'_>, column: usize) -> Result<Identity, StoreError> {
    Ok(readable::fields_of(text(row, column)?))
}

/// Without a copy.
pub(super) fn text<'a>(row: &'a Row<'_>, column: usize) -> Result<&'a str, StoreError> {
    Ok(row.get_ref(column)?.as_str().map_err(rusqlite::Error::from)?)
}
