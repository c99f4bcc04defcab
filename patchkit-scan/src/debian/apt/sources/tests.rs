use proptest::prelude::*;

use super::*;

fn list(text: &str) -> Vec<Source> {
    parse_sources("sources.list", text.as_bytes()).expect(text)
}

fn stanzas(text: &str) -> Vec<Source> {
    parse_sources("x.sources", text.as_bytes()).expect(text)
}

fn shown(sources: &[Source]) -> Vec<String> {
    sources.iter().map(ToString::to_string).collect()
}

#[test]
fn one_source_a_line() {
    let sources = list(
        "# comment\n\ndeb http://deb.example.org/debian bookworm main contrib # more\n  deb-src\thttps://deb.example.org/debian/ bookworm main\r\n\
         deb [ arch=amd64,arm64 signed-by=/usr/share/keyrings/a.gpg check-valid-until=no ] file:/srv/repo ./\n",
    );
    assert_eq!(
        shown(&sources),
        [
            "deb http://deb.example.org/debian/ bookworm main contrib",
            "deb-src https://deb.example.org/debian/ bookworm main",
            "deb file:///srv/repo/ ./"
        ]
    );
    assert_eq!((sources[0].place.line, sources[1].place.line, sources[2].place.line), (3, 4, 5));
    assert!(sources[2].offers("arm64") && !sources[2].offers("i386") && sources[0].offers("i386"));
    assert_eq!(sources[2].options.check_valid_until, Some(false));
    let files = vec!["/usr/share/keyrings/a.gpg".to_owned()];
    assert_eq!(sources[2].options.signed_by, Some(SignedBy::Keys { files, fingerprints: vec![] }));
}

#[test]
fn options_in_every_spelling() {
    let source = &list(
        "deb [arch+=i386 arch-=arm64 trusted=yes by-hash=force lang=none check-date=\"no\"] http://a.example.org b c\n",
    )[0];
    assert!(source.offers("i386") && source.offers("amd64") && !source.offers("arm64"));
    assert_eq!(source.options.trusted, Some(true));
    assert_eq!(source.options.by_hash, ByHash::Force);
    assert_eq!(source.options.check_date, Some(false));
}

#[test]
fn stanzas_multiply() {
    let sources = stanzas(
        "Types: deb deb-src\nURIs: http://a.example.org/debian\n https://b.example.org/debian/\n# a comment\nSuites: s s-updates\nComponents: main\n\
         Architectures: amd64\nBy-Hash: no\nTrusted: no\n\nEnabled: no\nTypes: nonsense\n\nTypes: deb\nURIs: copy:/mnt\nSuites: exact/\n",
    );
    assert_eq!(sources.len(), 9);
    assert_eq!(
        shown(&sources)[..3],
        [
            "deb http://a.example.org/debian/ s main",
            "deb http://a.example.org/debian/ s-updates main",
            "deb https://b.example.org/debian/ s main"
        ]
    );
    assert_eq!(shown(&sources)[8], "deb file:///mnt/ exact/");
    assert_eq!((sources[0].options.by_hash, sources[0].options.trusted), (ByHash::No, Some(false)));
}

#[test]
fn a_key_may_stand_in_the_stanza() {
    let key = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nabcd\n=efgh\n-----END PGP PUBLIC KEY BLOCK-----\n";
    let folded = key.trim_end().replace("\n\n", "\n.\n").replace('\n', "\n ");
    let source =
        &stanzas(&format!("Types: deb\nURIs: http://a.example.org\nSuites: s\nComponents: c\nSigned-By:\n {folded}\n"))
            [0];
    assert_eq!(source.options.signed_by, Some(SignedBy::Block(key.to_owned())));
}

#[test]
fn addresses_of_what_is_fetched() {
    let source = &list("deb http://a.example.org/debian bookworm/updates main extra/free\n")[0];
    assert_eq!(source.release_folder().as_str(), "http://a.example.org/debian/dists/bookworm/updates/");
    assert_eq!(source.index_paths("amd64"), ["main/binary-amd64/Packages", "extra/free/binary-amd64/Packages"]);
    let url = source.file_url("pool/g/g++_1%3a2~b#1 2?_all.deb");
    assert_eq!(url.as_str(), "http://a.example.org/debian/pool/g/g++_1%253a2~b%231%202%3F_all.deb");

    let flat = &list("deb http://a.example.org/repo ./\n")[0];
    assert_eq!(flat.release_folder().as_str(), "http://a.example.org/repo/");
    assert_eq!(flat.index_paths("amd64"), ["Packages"]);
    let folder = &list("deb http://a.example.org/repo deep/er/\n")[0];
    assert_eq!(folder.release_folder().as_str(), "http://a.example.org/repo/deep/er/");
}

#[test]
fn faults_name_file_line_and_cause() {
    for (text, expected) in [
        ("deb\n", "sources.list:1: the address is missing"),
        ("\ndeb http://a.example.org\n", "sources.list:2: the suite is missing"),
        (
            "deb http://a.example.org s\n",
            "sources.list:1: suite \"s\" needs a component such as main (or an exact path that ends in /)",
        ),
        (
            "deb http://a.example.org s/ main\n",
            "sources.list:1: suite \"s/\" is an exact path, which has no components",
        ),
        ("rpm http://a.example.org s main\n", "sources.list:1: type \"rpm\" is neither deb nor deb-src"),
        ("deb [arch=amd64 http://a.example.org s main\n", "sources.list:1: the bracket of the options is not closed"),
        ("deb [arch] http://a.example.org s main\n", "sources.list:1: option arch: \"\" is not name=value"),
        (
            "deb [trusted=maybe] http://a.example.org s main\n",
            "sources.list:1: option trusted: \"maybe\" is not yes or no",
        ),
        ("deb http:// s main\n", "sources.list:1: address \"http://\": empty host"),
        ("deb http://a.example.org ../s main\n", "sources.list:1: address \"../s\": leads out of the archive"),
        (
            "deb cdrom:[Debian 12 # 1]/ bookworm main\n",
            "sources.list:1: address \"cdrom:[Debian 12 # 1]/\": only http:, https:, file: and copy: are supported",
        ),
        (
            "deb tor+http://a.example.org s main\n",
            "sources.list:1: address \"tor+http://a.example.org\": only http:, https:, file: and copy: are supported",
        ),
        (
            "deb [signed-by=key.gpg] http://a.example.org s main\n",
            "sources.list:1: option signed-by: \"key.gpg\" is not an absolute path, a whole fingerprint or a key block",
        ),
    ] {
        assert_eq!(parse_sources("sources.list", text.as_bytes()).expect_err(text).to_string(), expected);
    }
    for (text, expected) in [
        ("Types: deb\nSuites: s\n", "x.sources:1: URIs is missing"),
        ("\n\nTypes: deb\nno colon\n", "x.sources:4: \"no colon\" is not a field name followed by a colon"),
        (
            "Types: deb\nURIs: http://a.example.org\nSuites: s\nTrusted: perhaps\n",
            "x.sources:4: option trusted: \"perhaps\" is not yes or no",
        ),
    ] {
        assert_eq!(parse_sources("x.sources", text.as_bytes()).expect_err(text).to_string(), expected);
    }
}

#[test]
fn passwords_are_not_shown() {
    let source = &list("deb https://user:secret@a.example.org/x s main\n")[0];
    assert_eq!(source.to_string(), "deb https://a.example.org/x/ s main");
    let token = &list("deb https://token@a.example.org/x s main\n")[0];
    assert_eq!(token.to_string(), "deb https://a.example.org/x/ s main");
    for address in [
        "https://user:secret@",
        "https://user:sec/ret@a.example.org/x",
        "https://user:secret@a.example.org/x?y",
        "tor+http://user:secret@a.example.org/x",
        "https://user:sec@ret@a.example.org:port",
    ] {
        let line = format!("deb {address} s main\n");
        let error = parse_sources("s.list", line.as_bytes()).expect_err(address).to_string();
        assert!(!error.contains("ret") && error.contains("://…@"), "{error}");
    }
}

#[test]
fn an_archive_has_no_query_and_no_fragment() {
    let reason = "an archive has no query or fragment (in its path, ? is %3F and # is %23)";
    for address in ["http://a.example.org/?d=", "file:/srv/a?b", "\"https://a.example.org/debian#x\"", "\"copy:/mnt#\""]
    {
        let error = parse_sources("s.list", format!("\ndeb {address} s main\n").as_bytes()).expect_err(address);
        assert_eq!(error.to_string(), format!("s.list:2: address {:?}: {reason}", address.trim_matches('"')));
    }
    let stanza = "Types: deb\nURIs: https://a.example.org/debian#x\nSuites: s\nComponents: main\n";
    let error = parse_sources("s.sources", stanza.as_bytes()).expect_err("a fragment").to_string();
    assert_eq!(error, format!("s.sources:2: address \"https://a.example.org/debian#x\": {reason}"));
    let encoded = &list("deb http://a.example.org/a%3Fb%23c s main\n")[0];
    assert_eq!(encoded.release_folder().as_str(), "http://a.example.org/a%3Fb%23c/dists/s/");
}

#[test]
fn names_of_files_that_apt_reads() {
    assert!(is_sources_file("debian.sources") && is_sources_file("my_own-1.list"));
    for name in ["debian.sources.save", "debian.sources~", ".list", "a b.list", "README"] {
        assert!(!is_sources_file(name), "{name}");
    }
}

proptest! {
    #[test]
    fn never_panics(text in "(deb(-src)?|[\\[\\]\"#=a: /\t\r]{1,4}|http://a|[^x]|\n|Types: deb\n|URIs: ){0,16}") {
        let _ = parse_sources("a.list", text.as_bytes());
        let _ = parse_sources("a.sources", text.as_bytes());
    }
}
