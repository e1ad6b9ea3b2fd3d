//! What Cinder's constructors refuse, where assignment later does not.

use emberkeep_objects::{
    Backup, BackupImport, Context, ObjectError, Value, VersionedObject, Volume,
};

fn admin() -> Context {
    Context::admin("u", "p")
}

fn values(value: Value) -> Vec<(String, Value)> {
    vec![("metadata".to_owned(), value)]
}

fn class(result: Result<(), ObjectError>) -> Option<(&'static str, String)> {
    result
        .err()
        .map(|error| (error.class().name, error.to_string()))
}

#[test]
fn null_metadata_is_refused_at_construction_only() {
    let refusal = Some(("TypeError", "'NoneType' object is not iterable".to_owned()));
    let mut backup = Backup::new(admin());
    assert_eq!(class(backup.initialize(values(Value::Null))), refusal);
    let mut import = BackupImport::new(admin());
    assert_eq!(class(import.initialize(values(Value::Null))), refusal);
    let mut volume = Volume::new(Some(admin()));
    assert_eq!(class(volume.initialize(values(Value::Null))), refusal);

    let mut backup = Backup::new(admin());
    assert_eq!(class(backup.assign("metadata", Value::Null)), None);
    assert_eq!(backup.what_changed(), ["metadata"]);
}

#[test]
fn keys_that_are_not_strings_are_refused() {
    let one = |key: Value| Value::Dict(vec![(key, "a".into())]);
    for (key, message) in [
        (Value::Int(1), "Key 1 must be of type str not int"),
        (Value::Null, "Key None must be of type str not NoneType"),
        (Value::Bool(true), "Key True must be of type str not bool"),
    ] {
        let want = Some(("KeyTypeError", message.to_owned()));
        let mut backup = Backup::new(admin());
        assert_eq!(class(backup.initialize(values(one(key.clone())))), want);
        assert_eq!(class(backup.assign("metadata", one(key))), want);
    }
}
