//! `cluster/` is a workspace of its own, with a lock that no other test reads:
//! what a crate of Kwaya depends on must be locked there too, or its build
//! fails for whoever needs it.

use std::{collections::BTreeSet, fs, iter, path::Path};

use toml::{Table, Value};

#[test]
fn what_the_crates_need_is_locked_for_the_cluster_too() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let read = |path: &str| -> Table { fs::read_to_string(root.join(path)).expect(path).parse().expect(path) };
    let lock = read("cluster/Cargo.lock");
    let mut found = 0;
    for package in lock["package"].as_array().expect("packages") {
        let name = package["name"].as_str().expect("a name");
        let path = format!("crates/{name}/Cargo.toml");
        if !root.join(&path).exists() {
            continue;
        }
        found += 1;
        // `name`, or `name version` where there are several.
        let locked = package.get("dependencies").and_then(Value::as_array).into_iter().flatten();
        let locked: BTreeSet<&str> = locked.filter_map(|of| of.as_str()?.split(' ').next()).collect();
        let manifest = read(&path);
        let targets = manifest.get("target").and_then(Value::as_table).into_iter().flatten();
        let tables = iter::once(&manifest).chain(targets.filter_map(|(_, target)| target.as_table()));
        let needed = tables.filter_map(|table| table.get("dependencies")?.as_table()).flatten();
        for (needed, how) in needed {
            let optional = how.get("optional").and_then(Value::as_bool).unwrap_or(false);
            assert!(optional || locked.contains(needed.as_str()), "cluster/Cargo.lock: {name} lacks {needed}");
        }
    }
    assert!(found >= 4, "{found} crates of Kwaya in cluster/Cargo.lock");
}
