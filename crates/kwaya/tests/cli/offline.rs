//! No network: the main job in a network namespace without interfaces.

use std::process::{Command, Stdio};

use crate::common::{Place, Ran};

/// The arguments of `unshare` that take the network away here, if any do.
fn without_network() -> Option<&'static str> {
    let works = |flags: &&str| {
        let tried = Command::new("unshare").args([flags, "true"]).stderr(Stdio::null()).status();
        tried.is_ok_and(|status| status.success())
    };
    ["-n", "-rn"].into_iter().find(works)
}

#[test]
fn build_generate_and_chat_need_no_network() {
    let Some(flags) = without_network() else {
        assert!(std::env::var_os("KWAYA_REQUIRE_UNSHARE").is_none(), "unshare -n does not work here");
        eprintln!("SKIPPED: this system does not let the test take its network away (unshare -n)");
        return;
    };
    let place = Place::with_documents(30);
    place.write("said", "Habari\n");
    let run = |arguments: &[&str]| {
        let said = std::fs::File::open(place.path("said")).unwrap();
        let mut command = Command::new("unshare");
        command.args([flags, env!("CARGO_BIN_EXE_kwaya")]).args(arguments).current_dir(place.path("")).stdin(said);
        Ran::from(command.output().unwrap()).good()
    };
    // The proof that there is no network: nothing but an idle loopback.
    let interfaces = Command::new("unshare").args([flags, "cat", "/proc/net/dev"]).output().unwrap();
    let interfaces = String::from_utf8(interfaces.stdout).unwrap();
    assert_eq!(interfaces.lines().filter(|l| l.contains(':') && !l.contains("lo:")).count(), 0, "{interfaces}");

    run(&["plan", "m"]);
    run(&["build", "m"]);
    assert!(run(&["generate", "m", "Mahindi", "--tokens", "5"]).out.starts_with("Mahindi"));
    assert!(!run(&["chat", "m", "--tokens", "5"]).out.is_empty());
}
