//! `emberkeep --version` tells what was built.

use std::process::Command;

fn printed(argument: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_emberkeep"))
        .arg(argument)
        .output()
        .expect("the binary runs");
    assert!(output.status.success(), "{argument}");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn the_long_version_names_commit_date_and_features() {
    let number = env!("CARGO_PKG_VERSION");
    assert_eq!(printed("-V"), format!("emberkeep {number}\n"));
    let long = printed("--version");
    let lines: Vec<&str> = long.lines().collect();
    let [first, build, features] = lines[..] else {
        panic!("{long}");
    };
    let inner = first
        .strip_prefix(&format!("emberkeep {number} ("))
        .and_then(|rest| rest.strip_suffix(')'))
        .unwrap_or_else(|| panic!("{first}"));
    let (commit, date) = inner.split_once(", ").expect("commit and date");
    let is_commit = commit.len() >= 7 && commit.bytes().all(|b| b.is_ascii_hexdigit());
    assert!(is_commit || commit == "unknown commit", "{commit}");
    assert!(date.len() == 10 || date == "unknown date", "{date}");
    assert!(build.contains(" build for "), "{build}");
    assert!(features.starts_with("features: "), "{features}");
}
