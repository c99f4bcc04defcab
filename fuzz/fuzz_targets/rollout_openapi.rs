//! OpenAPI documents and schemas: reading, asking, comparing and validating end, without a panic.

use patchkit_rollout::verify::behaviour::{
    contract::{Calls, Contract, Effects, differences},
    schema::{Dialect, Validator},
};
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    if let Ok(contract) = Contract::read(data) {
        for effects in [Effects::None, Effects::AsExamples] {
            let _ = contract.requests(&Calls { effects, ..Calls::default() });
        }
        let unchanged = differences(&contract, &contract);
        assert!(unchanged.iter().all(|reason| reason.holds
            || reason.message.starts_with("could not tell")
            || reason.message.starts_with("the earlier document")
            || reason.message.ends_with("declared otherwise")));
    }
    let Ok(schema) = serde_json::from_slice::<Value>(data) else { return };
    for dialect in [Dialect::Draft2020, Dialect::OpenApi30] {
        let value = schema.get("value").unwrap_or(&schema);
        // An error is an answer: that it could not be told.
        let _ = Validator::new(&schema, dialect).validate(&schema, value);
    }
});
