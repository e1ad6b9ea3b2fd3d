//! A connection that returns to its pool only once its state is known.

use std::ops::{Deref, DerefMut};

use sqlx::pool::PoolConnection;
use sqlx::{Sqlite, SqliteConnection, SqlitePool};

/// A connection out of a pool.
///
/// Unless [`Lent::give_back`] is called it is closed and the pool opens another. SQLite rolls back by itself
/// after some errors while sqlx still counts the transaction as open: such a connection would refuse every
/// later `BEGIN`. A caller that stops waiting leaves it in the same doubt.
pub(super) struct Lent {
    connection: PoolConnection<Sqlite>,
    is_clean: bool,
    is_replaceable: bool,
}

impl Lent {
    /// Takes a connection. One that is not replaceable goes back whatever happened.
    pub(super) async fn from(pool: &SqlitePool, is_replaceable: bool) -> sqlx::Result<Self> {
        Ok(Self {
            connection: pool.acquire().await?,
            is_clean: false,
            is_replaceable,
        })
    }

    /// Returns the connection: everything that was begun on it has ended, as the database confirmed.
    pub(super) fn give_back(mut self) {
        self.is_clean = true;
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if self.is_replaceable && !self.is_clean {
            self.connection.close_on_drop();
        }
    }
}

impl Deref for Lent {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.connection
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }
}
