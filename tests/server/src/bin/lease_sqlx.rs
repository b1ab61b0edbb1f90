// lease_sqlx.rs
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, Error, PgConnection, query, query_scalar};

const DAYS: [&str; 2] = ["2026-01-01", "2026-01-02"];

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let node = format!("sqlx:{}", std::process::id());
    // PgBouncer refuses a startup parameter it does not know, unless it is told to ignore it.
    let options: PgConnectOptions = std::env::var("DATABASE_URL")?.parse()?;
    let options = options.extra_float_digits(None).statement_cache_capacity(0);
    let mut conn = options.connect().await?;
    let Some(token) = acquire(&mut conn, &node).await? else {
        println!("somebody else leads");
        return Ok(());
    };
    match lead(&mut conn, &node, token).await {
        Ok(()) => println!("done"),
        Err(Error::Database(error)) if error.code().as_deref() == Some("55000") => {
            println!("deposed: {error}")
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

// sqlx prepares and executes in two steps: a transaction keeps both on one connection of the pooler, and
// `persistent(false)` leaves no name behind there.
async fn acquire(conn: &mut PgConnection, node: &str) -> Result<Option<i64>, Error> {
    let mut tx = conn.begin().await?;
    let lease = query_scalar("SELECT costsim_try_lease(7001, $1, '15 s')").bind(node).persistent(false);
    let token = lease.fetch_one(&mut *tx).await?;
    tx.commit().await?;
    Ok(token)
}

async fn alone(conn: &mut PgConnection, statement: &'static str, token: i64) -> Result<(), Error> {
    let mut tx = conn.begin().await?;
    query(statement).bind(token).persistent(false).execute(&mut *tx).await?;
    tx.commit().await
}

async fn lead(conn: &mut PgConnection, node: &str, token: i64) -> Result<(), Error> {
    for day in DAYS {
        let mut tx = conn.begin().await?;
        let require = query("SELECT costsim_require_leader(7001, $1)").bind(token);
        require.persistent(false).execute(&mut *tx).await?;
        let insert = query("INSERT INTO report VALUES ($1::date, $2, $3)").bind(day).bind(node).bind(token);
        insert.persistent(false).execute(&mut *tx).await?;
        tx.commit().await?;
        alone(conn, "SELECT costsim_renew_lease(7001, $1)", token).await?;
    }
    alone(conn, "SELECT costsim_release_lease(7001, $1)", token).await
}
