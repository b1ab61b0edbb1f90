// session_sqlx.rs
use sqlx::{Connection, Error, PgConnection, query, query_scalar};

const DAYS: [&str; 2] = ["2026-01-01", "2026-01-02"];

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let node = format!("sqlx:{}", std::process::id());
    // A connection of its own, not one of a pool: the term lasts as long as this session.
    let mut conn = PgConnection::connect(&std::env::var("DATABASE_URL")?).await?;
    let wait = query_scalar("SELECT costsim_wait_leader(7001, '1 s', $1, '30 s')").bind(&node);
    if !wait.fetch_one(&mut conn).await? {
        println!("somebody else leads");
        return Ok(());
    }
    match lead(&mut conn, &node).await {
        Ok(()) => println!("done"),
        Err(error) if is_over(&error) => println!("deposed: {error}"),
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

async fn lead(conn: &mut PgConnection, node: &str) -> Result<(), Error> {
    for day in DAYS {
        let mut tx = conn.begin().await?;
        query("SELECT costsim_require_leader(7001)").execute(&mut *tx).await?;
        let insert = "INSERT INTO report VALUES ($1::date, $2, costsim_fencing_token(7001))";
        query(insert).bind(day).bind(node).execute(&mut *tx).await?;
        tx.commit().await?;
        query("SELECT costsim_try_leader(7001, $1, '30 s')").bind(node).execute(&mut *conn).await?; // renews
    }
    query("SELECT costsim_release_leader(7001)").execute(conn).await?;
    Ok(())
}

fn is_over(error: &Error) -> bool {
    match error {
        Error::Database(error) => matches!(error.code().as_deref(), Some("55000" | "57P01")),
        Error::Io(_) => true, // the session is gone, and the term with it
        _ => false,
    }
}
