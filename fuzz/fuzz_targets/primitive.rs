//! The decoder of primitives: any JSON is an object or refused, what was read can be written and read again,
//! for older readers too, and as the arguments of a message.
//!
//! `cargo xtask fuzz primitive`
#![no_main]

use emberkeep_objects::{AnyObject, Context, Json, Manifest, ObjectSerializer};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((choice, bytes)) = input.split_first() else {
        return;
    };
    let Ok(json) = std::str::from_utf8(bytes).map_err(drop).and_then(|text| Json::parse(text).map_err(drop)) else {
        return;
    };
    let context = (choice & 1 == 1).then(|| Context::admin("u", "p"));
    if let Ok(object) = AnyObject::from_primitive(&json, context.as_ref()) {
        let written = object.to_primitive();
        let again = AnyObject::from_primitive(&written, context.as_ref()).expect("a primitive of our own");
        assert_eq!(again, object);
        let version = format!("1.{}", choice >> 1 & 15);
        let manifest: Manifest = ["Backup", "BackupImport", "Volume", "Snapshot"]
            .map(|name| (name.to_owned(), version.clone()))
            .into();
        let manifest = (choice & 32 == 32).then_some(&manifest);
        if let Ok(older) = object.to_primitive_for(Some(&version), manifest) {
            let read = AnyObject::from_primitive(&older, context.as_ref()).expect("an older primitive of our own");
            assert_eq!(read.set_fields(), object.set_fields());
        }
    }
    let cap = [None, Some("1.38"), Some("1.39")][usize::from(choice % 3)];
    let serializer = ObjectSerializer::new(cap).expect("a known cap");
    if let Ok(value) = serializer.deserialize(json, context.as_ref())
        && let Ok(written) = serializer.serialize(&value)
    {
        let read = serializer.deserialize(written.clone(), context.as_ref()).expect("a message of our own");
        assert_eq!(serializer.serialize(&read).ok().map(|json| json.to_string().len()), Some(written.to_string().len()));
    }
});
