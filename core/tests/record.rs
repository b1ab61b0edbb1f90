//! The digest of a provenance row: that of the JSON object anybody would write down for it.

use chrono::DateTime;
use costsim_core::digest;
use costsim_core::record::{Moment, Row};
use proptest::prelude::*;
use serde_json::json;

type Texts = [Option<String>; 9];

fn texts() -> impl Strategy<Value = Texts> {
    proptest::array::uniform9(proptest::option::of(any::<String>()))
}

fn row<'a>(texts: &'a Texts, costs: [Option<f64>; 3], payload: Option<&'a str>) -> Row<'a> {
    let [adapter, commit, input, model, output, run, source, tenant, variant] =
        texts.each_ref().map(Option::as_deref);
    let [delta, v1, v2] = costs;
    Row {
        adapter_version: adapter,
        commit_sha: commit,
        cost_delta: delta,
        created_at: Moment::At(DateTime::from_timestamp_micros(1_740_832_496_789_000).unwrap_or_default()),
        hash_version: Some(1),
        id: i64::MAX,
        input_hash: input,
        is_unique: true,
        model_version: model,
        output_hash: output,
        payload,
        run_id: run,
        runtime_ms: Some(-7),
        source,
        tenant_id: tenant,
        v1_cost: v1,
        v2_cost: v2,
        variant_slug: variant,
    }
}

fn digest_of(row: &Row<'_>) -> String {
    row.digest(&mut || ()).map_or_else(|error| error.to_string(), |digest| digest::hex(&digest))
}

proptest! {
    #[test]
    fn digest_is_that_of_the_object(texts in texts(), v1 in any::<f64>(), v2 in any::<f64>()) {
        let finite = |cost: f64| Some(cost).filter(|cost| cost.is_finite());
        let costs = [None, finite(v1), finite(v2)];
        let [adapter, commit, input, model, output, run, source, tenant, variant] = &texts;
        let object = json!({
            "variant_slug": variant, "v2_cost": costs[2], "v1_cost": costs[1], "tenant_id": tenant, "source": source,
            "runtime_ms": -7, "run_id": run, "payload": {"b": [1.5, null], "a": {}}, "output_hash": output,
            "model_version": model, "is_unique": true, "input_hash": input, "id": i64::MAX, "hash_version": 1,
            "created_at": "2025-03-01T12:34:56.789000Z", "cost_delta": null, "commit_sha": commit,
            "adapter_version": adapter,
        });
        let expected = digest::input_digest(&object.to_string()).map_err(|error| TestCaseError::fail(error.to_string()))?;
        let row = row(&texts, costs, Some(r#"{"b": [1.50, null], "a": {}}"#));
        prop_assert_eq!(digest_of(&row), expected);
    }
}

#[test]
fn every_column_counts() {
    let texts: Texts = std::array::from_fn(|index| Some(index.to_string()));
    let whole = row(&texts, [Some(1.0), Some(2.0), Some(3.0)], Some("{}"));
    let mut digests = vec![digest_of(&whole)];
    for index in 0..9 {
        let mut other = texts.clone();
        other[index] = Some("another".into());
        digests.push(digest_of(&row(&other, [Some(1.0), Some(2.0), Some(3.0)], Some("{}"))));
    }
    for costs in [[None, Some(2.0), Some(3.0)], [Some(1.0), None, Some(3.0)], [Some(1.0), Some(2.0), None]] {
        digests.push(digest_of(&row(&texts, costs, Some("{}"))));
    }
    digests.push(digest_of(&row(&texts, [Some(1.0), Some(2.0), Some(3.0)], None)));
    digests.extend(
        [
            Row { created_at: Moment::Infinity, ..whole },
            Row { created_at: Moment::NegativeInfinity, ..whole },
            Row { created_at: Moment::Micros(i64::MAX - 1), ..whole },
            Row { hash_version: None, ..whole },
            Row { id: 1, ..whole },
            Row { is_unique: false, ..whole },
            Row { runtime_ms: None, ..whole },
            Row { v1_cost: Some(f64::NAN), ..whole },
            Row { v1_cost: Some(f64::INFINITY), ..whole },
            Row { v1_cost: Some(f64::NEG_INFINITY), ..whole },
        ]
        .iter()
        .map(digest_of),
    );
    let count = digests.len();
    digests.sort();
    digests.dedup();
    assert_eq!(digests.len(), count);
}
