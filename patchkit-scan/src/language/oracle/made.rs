//! Files of the kinds that the fixtures lack.

use tempfile::TempDir;

const FILES: &[(&str, &str)] = &[
    (
        "v1/package-lock.json",
        r#"{"name": "app", "version": "1.0.0", "lockfileVersion": 1, "requires": true, "dependencies": {
            "a": {"version": "1.0.0", "dependencies": {"nested": {"version": "2.0.0"}}},
            "b": {"version": "3.0.0-rc.1", "dev": true},
            "pad": {"version": "npm:left-pad@1.3.0"},
            "@s/c": {"version": "1.0.0", "bundled": true}}}"#,
    ),
    (
        "v2/package-lock.json",
        r#"{"name": "app", "version": "1.0.0", "lockfileVersion": 2, "requires": true, "packages": {
            "": {"name": "app", "version": "1.0.0", "license": "MIT"},
            "node_modules/a": {"version": "1.0.0", "resolved": "https://example.org/a.tgz"}},
            "dependencies": {"a": {"version": "1.0.0"}}}"#,
    ),
    ("v3/npm-shrinkwrap.json", r#"{"lockfileVersion": 3, "packages": {"node_modules/shrunk": {"version": "1.0.0"}}}"#),
    (
        "v3/package-lock.json",
        r#"{"name": "app", "lockfileVersion": 3, "requires": true, "packages": {
            "": {"name": "app", "workspaces": ["packages/*"]},
            "node_modules/@s/a": {"version": "1.0.0"},
            "node_modules/@s/a/node_modules/b": {"version": "2.0.0", "dev": true},
            "node_modules/pad": {"name": "left-pad", "version": "1.3.0"},
            "node_modules/ws": {"resolved": "packages/ws", "link": true},
            "packages/ws": {"version": "9.0.0"}}}"#,
    ),
    (
        "v3/node_modules/inner/package-lock.json",
        r#"{"lockfileVersion": 3, "packages": {"node_modules/no": {"version": "1.0.0"}}}"#,
    ),
    ("v3/node_modules/@s/a/package.json", r#"{"name": "@s/a", "version": "1.0.0"}"#),
    ("v3/node_modules/@s/a/esm/package.json", r#"{"type": "module"}"#),
    (
        "classic/yarn.lock",
        r#"# yarn lockfile v1


"@babel/core@^7.0.0", "@babel/core@^7.1.0":
  version "7.1.0"
  resolved "https://example.org/@babel/core/-/core-7.1.0.tgz#00"
  dependencies:
    left-pad "^1.3.0"

left-pad@1, left-pad@^1.3.0:
  version "1.3.0"
  resolved "https://example.org/left-pad/-/left-pad-1.3.0.tgz#00"

pad@npm:left-pad@^1.1.0:
  version "1.1.3"
"#,
    ),
    (
        "berry/yarn.lock",
        r#"__metadata:
  version: 8

"app@workspace:.":
  version: 0.0.0-use.local
  resolution: "app@workspace:."
  languageName: unknown
  linkType: soft

"chalk@npm:^5.0.0, chalk@npm:^5.2.0":
  version: 5.3.0
  resolution: "chalk@npm:5.3.0"
  languageName: node
  linkType: hard

"typescript@patch:typescript@npm%3A^5#optional!builtin<compat/typescript>":
  version: 5.4.5
  resolution: "typescript@patch:typescript@npm%3A5.4.5#optional!builtin<compat/typescript>::version=5.4.5&hash=5"
  languageName: node
  linkType: hard
"#,
    ),
    (
        "uv/uv.lock",
        "version = 1\n[[package]]\nname = \"anyio\"\nversion = \"4.3.0\"\nsource = { registry = \"https://example.org\" }\n\
         [[package]]\nname = \"app\"\nversion = \"0.1.0\"\nsource = { virtual = \".\" }\n",
    ),
    (
        "pipenv/Pipfile.lock",
        r#"{"_meta": {"hash": {"sha256": "00"}, "sources": [{"name": "x", "url": "https://example.org", "verify_ssl": true}]},
            "default": {"aio-pika": {"hashes": [], "version": "==6.8.0"}, "Flask_Login": {"version": "==0.6.3"}},
            "develop": {"pytest": {"version": "==8.0.0"}}}"#,
    ),
    (
        "venv/lib/site-packages/six-1.16.0.dist-info/METADATA",
        "Metadata-Version: 2.1\nName: six\nVersion: 1.16.0\n\nName: x\n",
    ),
    ("venv/lib/site-packages/zope.egg-info/PKG-INFO", "Metadata-Version: 1.0\nName: zope.interface\nVersion: 5.4.0\n"),
    ("venv/lib/site-packages/flat-1.0.egg-info", "Metadata-Version: 1.0\nName: flat\nVersion: 1.0\n"),
    (
        "usr/lib/ruby/gems/3.1.0/specifications/rake-13.0.6.gemspec",
        "# -*- encoding: utf-8 -*-\n# stub: rake 13.0.6 ruby lib\n\nGem::Specification.new do |s|\n  s.name = \"rake\".freeze\n  \
         s.version = \"13.0.6\"\n  s.authors = [\"A\".freeze]\n  s.licenses = [\"MIT\".freeze]\nend\n",
    ),
    (
        "usr/lib/ruby/gems/3.1.0/specifications/default/json-2.6.1.gemspec",
        "Gem::Specification.new do |s|\n  s.name = \"json\".freeze\n  s.version = \"2.6.1\".freeze\nend\n",
    ),
    (
        "gems/Gemfile.lock",
        "GEM\n  remote: https://example.org/\n  specs:\n    nokogiri (1.15.4-x86_64-linux)\n      racc (~> 1.4)\n    \
         racc (1.7.1)\n\nPLATFORMS\n  x86_64-linux\n\nDEPENDENCIES\n  nokogiri\n\nBUNDLED WITH\n   2.4.10\n",
    ),
    (
        "dotnet/App.deps.json",
        r#"{"runtimeTarget": {"name": ".NETCoreApp,Version=v6.0"},
            "targets": {".NETCoreApp,Version=v6.0": {"App/1.0.0": {"dependencies": {"Serilog": "2.10.0"}}, "Serilog/2.10.0": {},
                "runtimepack.Microsoft.NETCore.App.Runtime.linux-x64/6.0.1": {}}},
            "libraries": {"App/1.0.0": {"type": "project"}, "Serilog/2.10.0": {"type": "package", "path": "serilog/2.10.0"},
                "runtimepack.Microsoft.NETCore.App.Runtime.linux-x64/6.0.1": {"type": "runtimepack"}}}"#,
    ),
];

/// A folder with all of them.
pub(super) fn tree() -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for (path, content) in FILES {
        let path = root.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    root
}
