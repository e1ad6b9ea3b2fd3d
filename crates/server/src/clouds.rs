//! `clouds.yaml` in the data directory: how clients find the service and sign in.

/// Writes the file for a first run.
pub(crate) fn fresh(url: &str, region: &str, password: &str) -> String {
    format!(
        "# Written on the first run. Use it with OS_CLIENT_CONFIG_FILE=<this file> OS_CLOUD=emberkeep.\n\
         clouds:\n\
         \x20 emberkeep:\n\
         \x20   auth:\n\
         \x20     auth_url: {url}/identity/v3\n\
         \x20     username: admin\n\
         \x20     password: {password}\n\
         \x20     project_name: emberkeep\n\
         \x20     user_domain_id: default\n\
         \x20     project_domain_id: default\n\
         \x20   region_name: {region}\n\
         \x20   identity_api_version: \"3\"\n"
    )
}

/// Returns the file with the address changed; everything else stays as the operator has it.
pub(crate) fn readdressed(text: &str, url: &str) -> String {
    let mut in_ours = false;
    let lines = text.lines().map(|line| {
        let indent = line.len() - line.trim_start().len();
        if indent == 2 && line.trim_end().ends_with(':') {
            in_ours = line.trim() == "emberkeep:";
        }
        if in_ours && line.trim_start().starts_with("auth_url:") {
            format!("{}auth_url: {url}/identity/v3", &line[..indent])
        } else {
            line.to_owned()
        }
    });
    lines.map(|line| line + "\n").collect()
}

/// Returns the password of our own entry.
pub(crate) fn password(text: &str) -> Option<String> {
    let mut in_ours = false;
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        if indent == 2 && line.trim_end().ends_with(':') {
            in_ours = line.trim() == "emberkeep:";
        }
        if let Some(password) = line.trim_start().strip_prefix("password: ")
            && in_ours
        {
            return Some(password.trim().to_owned());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_of_our_entry_is_found() {
        let other = "clouds:\n  other:\n    auth:\n      password: theirs\n";
        let first = fresh("http://127.0.0.1:1", "RegionOne", "secret");
        assert_eq!(password(other), None);
        let both = format!("{other}{}", first.replace("clouds:\n", ""));
        assert_eq!(password(&both).as_deref(), Some("secret"));
    }

    #[test]
    fn only_our_address_changes() {
        let first = fresh("http://127.0.0.1:1", "RegionOne", "secret");
        let other = "  other:\n    auth:\n      auth_url: http://elsewhere/v3\n";
        let text = format!("{first}{other}");
        let changed = readdressed(&text, "http://127.0.0.1:2");
        assert_eq!(changed, text.replace("127.0.0.1:1", "127.0.0.1:2"));
    }
}
