//! A judge of JSON against the schemas of an OpenAPI document, stricter than JSON Schema: what a schema does not name may
//! not be there, and a keyword that this judge does not know is a fault of the judge.

use serde_json::Value;

/// What says something to people and nothing to a judge.
const FOR_PEOPLE: [&str; 6] = ["description", "example", "examples", "title", "format", "default"];

/// Why `value` is not what `schema` of `document` says; `None` if it is.
pub(crate) fn fault(document: &Value, schema: &Value, value: &Value) -> Option<String> {
    let known = members(document, schema);
    judge(document, schema, value).or_else(|| {
        let extra = value.as_object()?.keys().find(|name| !known.contains(&name.as_str()))?;
        (!known.is_empty()).then(|| format!("`{extra}` is not in the schema"))
    })
}

fn resolved<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(path) => document.pointer(path.strip_prefix('#').unwrap()).unwrap_or_else(|| panic!("no {path}")),
        None => schema,
    }
}

/// The members that a schema names, those of its parts with them.
fn members<'a>(document: &'a Value, schema: &'a Value) -> Vec<&'a str> {
    let schema = resolved(document, schema);
    let own = schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name.as_str());
    let parts = schema["allOf"].as_array().into_iter().flatten();
    own.chain(parts.flat_map(|part| members(document, part))).collect()
}

fn judge(document: &Value, schema: &Value, value: &Value) -> Option<String> {
    let schema = resolved(document, schema).as_object().expect("a schema");
    for (keyword, rule) in schema {
        let wrong = match keyword.as_str() {
            "type" => !types(rule).iter().any(|kind| is(kind, value)),
            "enum" => !rule.as_array().unwrap().contains(value),
            "minimum" => value.as_f64().is_some_and(|number| number < rule.as_f64().unwrap()),
            "maximum" => value.as_f64().is_some_and(|number| number > rule.as_f64().unwrap()),
            "required" => {
                let missing = |name: &&Value| value.get(name.as_str().unwrap()).is_none();
                if let Some(name) = rule.as_array().unwrap().iter().find(missing) {
                    return Some(format!("{name} is missing"));
                }
                false
            }
            "properties" => {
                for (name, part) in rule.as_object().unwrap() {
                    if let Some(value) = value.get(name)
                        && let Some(fault) = fault(document, part, value)
                    {
                        return Some(format!("{name}: {fault}"));
                    }
                }
                false
            }
            "items" => {
                let mut faults = value.as_array().into_iter().flatten().map(|item| fault(document, rule, item));
                if let Some(fault) = faults.find_map(|fault| fault) {
                    return Some(fault);
                }
                false
            }
            "allOf" => {
                let mut faults = rule.as_array().unwrap().iter().map(|part| judge(document, part, value));
                if let Some(fault) = faults.find_map(|fault| fault) {
                    return Some(fault);
                }
                false
            }
            "oneOf" => {
                let parts = rule.as_array().unwrap().iter();
                parts.filter(|part| fault(document, part, value).is_none()).count() != 1
            }
            other if FOR_PEOPLE.contains(&other) => false,
            other => panic!("the judge does not know `{other}`"),
        };
        if wrong {
            return Some(format!("{value} against {keyword} {rule}"));
        }
    }
    None
}

fn types(rule: &Value) -> Vec<&str> {
    match rule {
        Value::Array(kinds) => kinds.iter().map(|kind| kind.as_str().unwrap()).collect(),
        kind => vec![kind.as_str().unwrap()],
    }
}

fn is(kind: &str, value: &Value) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("the judge does not know the type `{other}`"),
    }
}

#[test]
fn the_judge_sees_each_fault() {
    let document = serde_json::json!({"defs": {"Part": {"type": "object", "properties": {"b": {"type": "integer", "minimum": 0}}}}});
    let schema = serde_json::json!({"allOf": [{"$ref": "#/defs/Part"}, {
        "type": "object", "required": ["a"], "properties": {
            "a": {"type": ["array", "null"], "items": {"type": "string", "enum": ["x", "y"]}},
            "c": {"oneOf": [{"type": "null"}, {"$ref": "#/defs/Part"}]},
        },
    }]});
    let fault = |value: Value| fault(&document, &schema, &value);
    for good in [serde_json::json!({"a": ["x"], "b": 3, "c": null}), serde_json::json!({"a": null, "c": {"b": 1}})] {
        assert_eq!(fault(good.clone()), None, "{good}");
    }
    for bad in [
        serde_json::json!({"b": 3}),
        serde_json::json!({"a": "x"}),
        serde_json::json!({"a": ["z"]}),
        serde_json::json!({"a": [1]}),
        serde_json::json!({"a": null, "b": -1}),
        serde_json::json!({"a": null, "b": "1"}),
        serde_json::json!({"a": null, "d": 1}),
        serde_json::json!({"a": null, "c": {"d": 1}}),
        serde_json::json!([]),
    ] {
        assert!(fault(bad.clone()).is_some(), "{bad}");
    }
}
