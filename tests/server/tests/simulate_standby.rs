//! A hot standby prices plans as its primary does, from the moment a change of a model has arrived; the sandbox answers there as long as it need
//! not write.

use anyhow::Result;
use costsim_harness::Cluster;
use costsim_server_tests::{Standby, one, sqlstate_of};

const COST: &str = r#"SELECT costsim_estimate_cost('[{"skill": "email_send"}]')"#;
const SANDBOX: &str = r#"SELECT v1_cost_cents FROM costsim_sandbox('[{"skill": "email_send"}]')"#;

#[test]
fn standby_prices_by_what_has_arrived_and_writes_nothing() -> Result<()> {
    let primary = Cluster::builder().start()?;
    let mut writer = primary.create_database_with_extension("priced")?;
    let standby = Standby::start(&primary)?;
    standby.catch_up()?;
    let mut reader = standby.connect("priced")?;
    assert_eq!(one::<f64>(&mut reader, COST)?, 1.0);
    let change = "UPDATE costsim_skill_costs SET cost_cents = 7 WHERE (model, skill) = ('v1', 'email_send')";
    writer.batch_execute(&format!("BEGIN; {change}; ROLLBACK"))?;
    standby.catch_up()?;
    assert_eq!(one::<f64>(&mut reader, COST)?, 1.0, "a change that was rolled back");
    writer.batch_execute(change)?;
    standby.catch_up()?;
    assert_eq!(one::<f64>(&mut reader, COST)?, 7.0, "a session that knew the model");
    assert_eq!(sqlstate_of(&mut reader, "SELECT costsim_activate_model('v1', '1.0.0')")?, "25006");

    assert_eq!(one::<f64>(&mut reader, SANDBOX)?, 7.0, "the sandbox is off");
    reader.batch_execute("SET costsim.sandbox_enabled = on")?;
    assert_eq!(sqlstate_of(&mut reader, SANDBOX)?, "25006");
    writer.batch_execute("SELECT costsim_disable_v2('by hand', 'ann')")?;
    standby.catch_up()?;
    assert_eq!(one::<f64>(&mut reader, SANDBOX)?, 7.0, "an open breaker leaves nothing to write");
    Ok(())
}
