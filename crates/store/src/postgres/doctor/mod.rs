//! A look at a live server: its settings, our schema in it, and what its sessions do. Nothing is changed.

mod activity;
mod schema;
mod settings;

#[cfg(test)]
pub(super) use schema::{INDEXES, USABLE};

use sqlx::{Connection, PgConnection};

use super::failure::when;
use super::{Postgres, PostgresOptions, connect_options, place};
use crate::Result;
use crate::doctor::Finding;

impl Postgres {
    /// Looks at the server that the options name, without opening or upgrading the store.
    ///
    /// # Errors
    /// Those of [`Postgres::open`], when the server cannot be reached or asked.
    pub async fn examine(options: &PostgresOptions) -> Result<Vec<Finding>> {
        let connect = connect_options(&options.url, options)?;
        let doing = format!("looking at {}", place(&connect));
        let mut connection = PgConnection::connect_with(&connect).await.map_err(when(&doing))?;
        let mut findings = look(&mut connection, options).await.map_err(when(&doing))?;
        connection.close().await.map_err(when(&doing))?;
        if let Some(url) = &options.read_url {
            let connect = connect_options(url, options)?;
            let doing = format!("looking at the replica, {}", place(&connect));
            let mut replica = PgConnection::connect_with(&connect).await.map_err(when(&doing))?;
            findings.push(activity::replica(&mut replica).await.map_err(when(&doing))?);
            replica.close().await.map_err(when(&doing))?;
        }
        Ok(findings)
    }
}

async fn look(connection: &mut PgConnection, options: &PostgresOptions) -> sqlx::Result<Vec<Finding>> {
    let mut findings = settings::look(connection).await?;
    findings.push(activity::connections(connection, options.max_connections).await?);
    findings.extend(schema::look(connection).await?);
    findings.extend(activity::look(connection).await?);
    Ok(findings)
}
