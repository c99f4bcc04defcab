use std::sync::LazyLock;

use regex::{RegexSet, bytes::Regex};

/// A program or library, what its file is called, and what it says of its version.
#[derive(Debug)]
pub(super) struct Known {
    /// The name of the package.
    pub(super) package: &'static str,
    /// What the file is called, as a regular expression of its whole name.
    name: &'static str,
    /// What stands in the file, likeliest first, with a group `version`. In the place of `{name}` is the number that the
    /// file's name ends in.
    strings: &'static [&'static str],
}

/// All of them. Numbers of three parts unless the project has others.
pub(super) const KNOWN: &[Known] = &[
    Known { package: "aws-lc", name: "openssl", strings: &[r"AWS-LC (?<version>\d+\.\d+\.\d+)\)\x00"] },
    Known {
        package: "bash",
        name: "bash",
        strings: &[r"@\(#\)Bash version (?<version>\d+\.\d+\.\d+)\(\d\) [a-z0-9]+ GNU"],
    },
    Known { package: "busybox", name: "busybox", strings: &[r"BusyBox\s+v(?<version>\d+\.\d+\.\d+)"] },
    Known { package: "curl", name: "curl", strings: &[r"curl/(?<version>\d+\.\d+\.\d+)"] },
    Known { package: "curl", name: r"libcurl(?:-\w+)?\.so.*", strings: &[r"libcurl/(?<version>\d+\.\d+\.\d+)"] },
    Known {
        package: "erlang",
        name: "erlexec|beam.smp",
        strings: &[
            r"/src/otp(?:_src_|-)(?<version>\d+\.\d+(?:\.\d+){0,2}(?:-rc\d)?)/erts/",
            r"\x00(?<version>\d+\.\d+(?:\.\d+){0,2}(?:-rc\d)?)\x00+Erlang/OTP",
        ],
    },
    Known {
        package: "go",
        name: r"go(?:\.exe)?",
        strings: &[r"go(?<version>\d+\.\d+(?:\.\d+|(?:alpha|beta|rc)\d+)?)\x00"],
    },
    Known {
        package: "haproxy",
        name: "haproxy",
        strings: &[
            r"version (?<version>\d+\.\d+(?:\.|-dev|-rc)\d+)(?:-[a-z0-9]{7})?, released 20",
            r"HA-Proxy version (?<version>\d+\.\d+(?:\.|-dev)\d+)",
            r"(?<version>\d+\.\d+(?:\.|-dev)\d+)-[0-9a-zA-Z]{7}.{1,200}HAProxy version",
        ],
    },
    Known { package: "httpd", name: "httpd", strings: &[r"Apache/(?<version>\d+\.\d+\.\d+)"] },
    Known { package: "lighttpd", name: "lighttpd", strings: &[r"\x00lighttpd/(?<version>\d+\.\d+\.\d+)\x00"] },
    Known {
        package: "mariadb",
        name: "mariadb|mysql",
        strings: &[r"(?<version>\d+(?:\.\d+){0,2}(?:(?:alpha|beta|rc)\d)?)-MariaDB"],
    },
    Known { package: "memcached", name: "memcached", strings: &[r"memcached\s(?<version>\d+\.\d+\.\d+)"] },
    Known {
        package: "mysql",
        name: "mysql",
        strings: &[
            r"\x00(?<version>\d+(?:\.\d+){0,2}(?:(?:alpha|beta|rc)\d)?)\x00+mysql",
            r"/mysql-(?<version>\d+(?:\.\d+){0,2}(?:(?:alpha|beta|rc)\d)?)",
        ],
    },
    Known {
        package: "nginx",
        name: "nginx",
        strings: &[r"[\x00?]nginx version: [^/\x00]+/(?<version>\d+\.\d+\.\d+(?:\+\d+)?(?:-\d+)?)"],
    },
    Known {
        package: "node",
        name: "node",
        strings: &[r"node\.js/v(?<version>\d+\.\d+\.\d+)", r"\x00(?:node )?v(?<version>[0456]\.\d+\.\d+)\x00"],
    },
    Known {
        package: "openssl",
        name: r"openssl|lib(?:crypto|ssl)\.so.*",
        strings: &[r"\x00OpenSSL (?<version>\d+\.\d+\.\d+(?:[a-z]+|-(?:alpha|beta|rc)\d+)?) [^(]"],
    },
    Known { package: "perl", name: "perl", strings: &[r"/usr/local/lib/perl\d/(?<version>\d+\.\d+\.\d+)"] },
    Known {
        package: "php",
        name: r"libphp\d*(?:\.\d+)*\.so.*",
        strings: &[r"X-Powered-By: PHP/(?<version>\d+\.\d+\.\d+(?:(?:alpha|beta|RC)\d+)?)"],
    },
    Known {
        package: "php-cli",
        name: r"php\d*(?:\.\d+)*",
        strings: &[r"X-Powered-By: PHP/(?<version>\d+\.\d+\.\d+(?:(?:alpha|beta|RC)\d+)?)"],
    },
    Known {
        package: "php-fpm",
        name: r"php-fpm\d*(?:\.\d+)*",
        strings: &[r"X-Powered-By: PHP/(?<version>\d+\.\d+\.\d+(?:(?:alpha|beta|RC)\d+)?)"],
    },
    Known {
        package: "postgresql",
        name: "postgres",
        strings: &[r"[\x00?]PostgreSQL (?<version>\d+(?:\.\d+){0,2}(?:(?:alpha|beta|rc)\d)?)"],
    },
    Known {
        package: "proftpd",
        name: "proftpd",
        strings: &[r"\x00ProFTPD Version (?<version>\d+\.\d+\.\d+[a-z]?)\x00"],
    },
    Known {
        package: "python",
        name: r"python\d+(?:\.\d+)+|libpython\d+(?:\.\d+)+[a-z]?\.so.*",
        strings: &[r"\x00(?<version>{name}[-._a-zA-Z0-9]*)\x00"],
    },
    Known {
        package: "redis",
        name: "redis-server",
        strings: &[
            r"[^\d](?<version>\d+\.\d+\.\d+)buildkitsandbox-\d+",
            r"[^\d](?<version>\d+\.\d+\.\d+)\w{12}-\d+",
            r"Redis version (?<version>\d+\.\d+\.\d+)",
        ],
    },
    Known {
        package: "ruby",
        name: r"ruby|libruby(?:-[\d.]+)?\.so.*",
        strings: &[r"ruby (?<version>\d+\.\d+\.\d+(?:(?:p|preview|rc|dev)\d*)?) "],
    },
    Known {
        package: "rust",
        name: r"libstd-[0-9a-f]{16}\.so",
        strings: &[r"\x00clang LLVM \(rustc version (?<version>\d+(?:\.\d+){1,2}) \(\w+ \d{4}-\d{2}-\d{2}\)"],
    },
    Known { package: "util-linux", name: "getopt", strings: &[r"\x00util-linux\s(?<version>\d+\.\d+\.\d+)\x00"] },
    Known {
        package: "valkey",
        name: "valkey-server",
        strings: &[r"[^\d](?<version>\d+\.\d+\.\d+)buildkitsandbox-\d+"],
    },
    Known { package: "xz", name: "xz", strings: &[r"\x00xz \(XZ Utils\) (?<version>\d+\.\d+\.\d+)\x00"] },
    Known { package: "zstd", name: "zstd", strings: &[r"\x00v(?<version>\d+\.\d+\.\d+)\x00"] },
];

/// The names, in the order of the table.
static NAMES: LazyLock<RegexSet> = LazyLock::new(|| {
    let names = KNOWN.iter().map(|known| format!("^(?:{})$", known.name));
    RegexSet::new(names).expect("constant patterns")
});

/// Those whose files are called so.
pub(super) fn called(name: &str) -> impl Iterator<Item = &'static Known> {
    NAMES.matches(name).into_iter().map(|index| &KNOWN[index])
}

impl Known {
    /// What stands in a file of this name.
    pub(super) fn patterns(&self, name: &str) -> Vec<Regex> {
        let compile = |text: &str| Regex::new(&format!("(?s-u){text}")).expect("constant patterns, and a number");
        let number = regex::escape(number(name));
        self.strings.iter().map(|text| compile(&text.replace("{name}", &number))).collect()
    }
}

/// The first number with points in it: `3.11` of `libpython3.11d.so.1.0`.
fn number(name: &str) -> &str {
    let start = name.find(|c: char| c.is_ascii_digit()).unwrap_or(name.len());
    let rest = &name[start..];
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    rest[..end].trim_end_matches('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_compiles_and_captures() {
        for known in KNOWN {
            for pattern in known.patterns("python3.11") {
                assert!(pattern.capture_names().any(|name| name == Some("version")), "{}", known.package);
            }
        }
    }

    #[test]
    fn names_are_whole() {
        let packages = |name| called(name).map(|known| known.package).collect::<Vec<_>>();
        assert_eq!(packages("libpython3.11.so.1.0"), ["python"]);
        assert_eq!(packages("libcrypto.so.3"), ["openssl"]);
        assert_eq!(packages("openssl"), ["aws-lc", "openssl"]);
        assert_eq!(packages("mysql"), ["mariadb", "mysql"]);
        assert!(packages("nginx-debug").is_empty());
        assert!(packages("python3").is_empty());
    }

    #[test]
    fn the_number_in_a_name() {
        for (name, expected) in
            [("python3.11", "3.11"), ("libpython3.11d.so.1.0", "3.11"), ("libpython3.11.so.1.0", "3.11"), ("php", "")]
        {
            assert_eq!(number(name), expected, "{name}");
        }
    }
}
