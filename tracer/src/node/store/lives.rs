//! Lives as they are read. It must not write.

use rusqlite::{Connection, Row, ToSql};

use super::{
    End, Life, StoreError,
    columns::{identity, text},
};
use crate::{capture::event::ProcessId, contract::readable};

const COLUMNS: &str = "boot_id, identity, cgroup_id, began_ns, main_pid, main_start_ns, command,
    memory_limit_bytes, ended_ns, exit, cause";

/// `rest` is all that follows WHERE.
pub fn select(
    connection: &Connection,
    rest: &str,
    values: &[&dyn ToSql],
) -> Result<Vec<Life>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM lives WHERE {rest}");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(values)?;
    let mut lives = Vec::new();
    while let Some(row) = rows.next()? {
        lives.push(life(row)?);
    }
    Ok(lives)
}

fn life(row: &Row<'_>) -> Result<Life, StoreError> {
    let (pid, start_ns): (Option<u32>, Option<i64>) = (row.get(4)?, row.get(5)?);
    let main = pid.zip(start_ns);
    let ended_ns: Option<i64> = row.get(8)?;
    let end = match ended_ns {
        Some(time_ns) => {
            let exit = readable::fields_of(text(row, 9)?);
            Some(End { time_ns, exit, cause: row.get(10)? })
        }
        None => None,
    };
    Ok(Life {
        boot_id: row.get(0)?,
        identity: identity(row, 1)?,
        cgroup_id: row.get::<_, i64>(2)?.cast_unsigned(),
        began_ns: row.get(3)?,
        main: main.map(|(pid, start_ns)| ProcessId { pid, start_ns: start_ns.cast_unsigned() }),
        command: readable::fields_of(text(row, 6)?),
        memory_limit_bytes: row.get::<_, Option<i64>>(7)?.map(i64::cast_unsigned),
        end,
    })
}
