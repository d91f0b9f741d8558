//! What makes git do nothing but its own work: no hooks, filters, monitors, helpers,
//! signatures, pagers, editors or questions, whatever a repository is configured to.
//! It is the second layer; the first is the sandbox that git runs in.

/// No program is there, and no folder.
const NOTHING: &str = "/dev/null";

/// Settings that come before those of any file.
const SETTINGS: &[(&str, &str)] = &[
    ("core.hooksPath", NOTHING),
    ("core.fsmonitor", "false"),
    ("core.pager", "cat"),
    ("core.editor", "false"),
    ("core.askPass", NOTHING),
    ("core.sshCommand", NOTHING),
    ("core.alternateRefsCommand", NOTHING),
    ("commit.gpgSign", "false"),
    ("tag.gpgSign", "false"),
    // `%G?` in a format verifies, too.
    ("gpg.program", NOTHING),
    ("gpg.openpgp.program", NOTHING),
    ("gpg.x509.program", NOTHING),
    ("gpg.ssh.program", NOTHING),
    ("log.showSignature", "false"),
    // Merges made again would have drivers run.
    ("log.diffMerges", "separate"),
    // In a submodule other settings hold.
    ("diff.ignoreSubmodules", "dirty"),
    ("diff.submodule", "short"),
    ("status.submoduleSummary", "false"),
    ("submodule.recurse", "false"),
    ("protocol.allow", "never"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("commit.verbose", "false"),
    ("color.ui", "false"),
    ("color.status", "false"),
    ("color.diff", "false"),
    ("color.branch", "false"),
    ("column.ui", "never"),
    // The workspace may be somebody else's than the command.
    ("safe.directory", "*"),
    ("safe.bareRepository", "explicit"),
];

const VARIABLES: &[(&str, &str)] = &[
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GIT_ASKPASS", NOTHING),
    ("SSH_ASKPASS", NOTHING),
    ("GIT_EDITOR", "false"),
    ("GIT_SEQUENCE_EDITOR", "false"),
    ("GIT_PAGER", "cat"),
    // This list is all: a repository's own settings for a protocol don't count.
    ("GIT_ALLOW_PROTOCOL", "none"),
    ("GIT_NO_LAZY_FETCH", "1"),
];

/// More drivers than this are no work for this tool.
const MOST_FILTERS: usize = 100;

/// The variables, with these settings beside our own.
pub fn variables(more: &[(String, String)]) -> Vec<(String, String)> {
    let ours = SETTINGS.iter().map(|(key, value)| (*key, *value));
    let settings: Vec<(&str, &str)> = ours
        .chain(
            more.iter()
                .map(|(key, value)| (key.as_str(), value.as_str())),
        )
        .collect();
    let mut variables: Vec<(String, String)> = VARIABLES
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    variables.push(("GIT_CONFIG_COUNT".into(), settings.len().to_string()));
    for (number, (key, value)) in settings.iter().enumerate() {
        variables.push((format!("GIT_CONFIG_KEY_{number}"), (*key).to_owned()));
        variables.push((format!("GIT_CONFIG_VALUE_{number}"), (*value).to_owned()));
    }
    variables
}

/// What `git config --list -z --show-scope` printed.
pub struct Configuration {
    /// Scope, key, value.
    entries: Vec<(String, String, String)>,
}

/// What a filter driver without a program means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Required {
    /// What `required` says: an error, if it is set.
    AsSet,
    /// The file as it is.
    Never,
}

impl Configuration {
    /// # Errors
    /// When it is not text: then there may be names that can't be set.
    pub fn parse(printed: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(printed)
            .map_err(|_| "the repository's configuration is not UTF-8".to_owned())?;
        let mut parts = text.split('\0');
        let mut entries = Vec::new();
        while let (Some(scope), Some(entry)) = (parts.next(), parts.next()) {
            let (key, value) = entry.split_once('\n').unwrap_or((entry, ""));
            entries.push((scope.to_owned(), key.to_owned(), value.to_owned()));
        }
        Ok(Self { entries })
    }

    /// Whether git found a repository.
    pub fn has_repository(&self) -> bool {
        self.entries.iter().any(|(scope, ..)| scope == "local")
    }

    /// The value that counts.
    pub fn value(&self, key: &str) -> Option<&str> {
        let mut found = self.entries.iter().rev().filter(|(_, k, _)| k == key);
        found.next().map(|(_, _, value)| value.as_str())
    }

    /// Settings by which no filter driver has a program.
    ///
    /// # Errors
    /// When there are too many drivers.
    pub fn without_filters(&self, required: Required) -> Result<Vec<(String, String)>, String> {
        let keys = self.entries.iter().map(|(_, key, _)| key);
        let mut drivers: Vec<&str> = keys
            .filter_map(|key| Some(key.strip_prefix("filter.")?.rsplit_once('.')?.0))
            .collect();
        drivers.sort_unstable();
        drivers.dedup();
        if drivers.len() > MOST_FILTERS {
            return Err(format!(
                "the repository has {} filter drivers; this tool takes {MOST_FILTERS}",
                drivers.len()
            ));
        }
        let mut settings = Vec::new();
        for driver in drivers {
            let mut set = |what: &str, value: &str| {
                settings.push((format!("filter.{driver}.{what}"), value.to_owned()));
            };
            for program in ["clean", "smudge", "process"] {
                set(program, "");
            }
            if required == Required::Never {
                set("required", "false");
            }
        }
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drivers_of_any_name_lose_their_programs() {
        let printed = b"system\0core.x\ny\0local\0filter.lfs.clean\ngit-lfs\0local\0filter.a.b=c.process\nx\n y\0global\0user.name\nAda\0local\0user.name\nEve\0";
        let configuration = Configuration::parse(printed).unwrap();
        assert!(configuration.has_repository());
        assert_eq!(configuration.value("user.name"), Some("Eve"));
        let settings = configuration.without_filters(Required::AsSet).unwrap();
        let keys: Vec<&str> = settings.iter().map(|(key, _)| key.as_str()).collect();
        let expected = [
            "filter.a.b=c.clean",
            "filter.a.b=c.smudge",
            "filter.a.b=c.process",
            "filter.lfs.clean",
            "filter.lfs.smudge",
            "filter.lfs.process",
        ];
        assert_eq!(keys, expected);
        assert!(Configuration::parse(b"local\0filter.\xff.clean\nx\0").is_err());
        assert!(!Configuration::parse(b"").unwrap().has_repository());
    }

    #[test]
    fn variables_count_their_settings() {
        let more = [("filter.x.clean".to_owned(), String::new())];
        let variables = variables(&more);
        let of = |name: &str| {
            let mut all = variables.iter().filter(|(n, _)| n == name);
            all.next().map(|(_, value)| value.as_str())
        };
        let count: usize = of("GIT_CONFIG_COUNT").unwrap().parse().unwrap();
        assert_eq!(count, SETTINGS.len() + 1);
        assert_eq!(
            of(&format!("GIT_CONFIG_KEY_{}", count - 1)),
            Some("filter.x.clean")
        );
        assert_eq!(of(&format!("GIT_CONFIG_VALUE_{}", count - 1)), Some(""));
    }
}
