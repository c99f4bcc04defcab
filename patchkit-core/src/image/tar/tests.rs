use std::io::Write;

use proptest::prelude::*;

use super::*;
use crate::{
    Context, ErrorKind,
    image::{Compression, FilePath, LayerWriter, Metadata},
};

/// A member as someone hostile may write it: every field can be set, the checksum is right.
#[derive(Clone)]
struct Raw([u8; BLOCK], Vec<u8>);

impl Raw {
    fn new(flag: u8, name: &str, content: &[u8]) -> Self {
        let mut block = [0; BLOCK];
        block[..name.len()].copy_from_slice(name.as_bytes());
        block[100..108].copy_from_slice(b"0000644\0");
        block[156] = flag;
        block[257..265].copy_from_slice(b"ustar\x0000");
        Self(block, content.to_vec()).with(124, format!("{:011o}\0", content.len()).as_bytes())
    }

    fn with(mut self, at: usize, field: &[u8]) -> Self {
        self.0[at..at + field.len()].copy_from_slice(field);
        self.0[148..156].fill(b' ');
        let sum: u32 = self.0.iter().map(|byte| u32::from(*byte)).sum();
        self.0[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self
    }

    fn link(self, target: &str) -> Self {
        self.with(157, target.as_bytes())
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = [&self.0[..], &self.1].concat();
        bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
        bytes
    }
}

fn file(name: &str) -> Raw {
    Raw::new(b'0', name, b"hello")
}

fn pax(records: &str) -> Raw {
    Raw::new(b'x', "PaxHeaders/0", records.as_bytes())
}

fn archive(members: &[Raw]) -> Vec<u8> {
    let mut bytes: Vec<u8> = members.iter().flat_map(Raw::bytes).collect();
    bytes.resize(bytes.len() + 2 * BLOCK, 0);
    bytes
}

fn read(members: &[Raw]) -> Result<Vec<Entry>, Error> {
    read_tar(&archive(members))
}

fn one(members: &[Raw]) -> Entry {
    let mut entries = read(members).unwrap();
    assert_eq!(entries.len(), 1);
    entries.remove(0)
}

fn path(text: &str) -> FilePath {
    FilePath::new(text).unwrap()
}

#[test]
fn names_are_normalised() {
    for name in ["a/b", "./a/b", "a//b", "././a/./b"] {
        assert_eq!(one(&[file(name)]).path, path("a/b"), "{name}");
    }
    for name in ["/", "./", "."] {
        assert_eq!(one(&[Raw::new(b'5', name, b"")]).path, FilePath::ROOT, "{name}");
    }
    let prefixed = file("name").with(345, b"some/prefix");
    assert_eq!(one(&[prefixed]).path, path("some/prefix/name"));
    let gnu = file("name").with(257, b"ustar  \0").with(345, b"12345670123");
    assert_eq!(one(&[gnu]).path, path("name"));
}

#[test]
fn whiteouts_are_told_from_files() {
    let empty = |name: &str| Raw::new(b'0', name, b"");
    let entry = one(&[empty("a/.wh.b")]);
    assert_eq!((entry.path, entry.kind), (path("a/b"), EntryKind::Whiteout));
    let entry = one(&[empty("a/.wh..wh..opq")]);
    assert_eq!((entry.path, entry.kind), (path("a"), EntryKind::Opaque));
    assert_eq!(one(&[empty(".wh..wh..opq")]).path, FilePath::ROOT);
    assert_eq!(one(&[empty("a/b.wh.c")]).kind, EntryKind::Node(NodeKind::File { size: 0 }));
}

#[test]
fn kinds_are_read() {
    let kind = |raw: Raw| one(&[raw]).kind;
    let none = |flag, name| Raw::new(flag, name, b"");
    assert_eq!(kind(none(b'5', "d/")), EntryKind::Node(NodeKind::Directory));
    assert_eq!(kind(none(0, "d/")), EntryKind::Node(NodeKind::Directory));
    assert_eq!(kind(file("f")), EntryKind::Node(NodeKind::File { size: 5 }));
    assert_eq!(kind(none(b'6', "p")), EntryKind::Node(NodeKind::Fifo));
    let device = none(b'3', "c").with(329, b"0000001\0").with(337, b"0000005\0");
    assert_eq!(kind(device), EntryKind::Node(NodeKind::CharDevice { major: 1, minor: 5 }));
    let target = Bytes::from_static(b"../x");
    assert_eq!(kind(none(b'2', "l").link("../x")), EntryKind::Node(NodeKind::Symlink { target }));
    assert_eq!(kind(none(b'1', "h").link("/bin/x")), EntryKind::Hardlink { target: path("bin/x") });
}

#[test]
fn extended_headers_are_heeded() {
    let long = "d/".repeat(100) + "f";
    let records = format!(
        "{} path={long}\n15 uid=3000000\n16 gid=98765432\n18 mtime=-1.50000\n25 SCHILY.xattr.user.a=b\n",
        long.len() + 10
    );
    let entry = one(&[pax(&records), file("short")]);
    assert_eq!(entry.path, path(&long));
    let Metadata { mode, uid, gid, mtime, xattrs } = entry.metadata;
    assert_eq!((mode, uid, gid, mtime), (0o644, 3_000_000, 98_765_432, -2));
    assert_eq!(xattrs["user.a"], "b");
    let gnu = [Raw::new(b'L', "././@LongLink", format!("{long}\0").as_bytes()), file("short")];
    assert_eq!(one(&gnu).path, path(&long));
    let gnu = [Raw::new(b'K', "././@LongLink", format!("{long}\0").as_bytes()), Raw::new(b'1', "h", b"")];
    assert_eq!(one(&gnu).kind, EntryKind::Hardlink { target: path(&long) });
}

/// What two readers could see differently, and what nobody should see.
#[test]
fn ambiguous_and_hostile_archives_are_refused() {
    let long_name = |name: &str| Raw::new(b'L', "././@LongLink", format!("{name}\0").as_bytes());
    let cases: Vec<(&str, Vec<Raw>, ErrorKind)> = vec![
        ("..", vec![file("a/../../etc/passwd")], ErrorKind::Corrupt),
        ("absolute", vec![file("/etc/passwd")], ErrorKind::Corrupt),
        ("no name", vec![file("")], ErrorKind::Corrupt),
        ("root file", vec![file(".")], ErrorKind::Corrupt),
        ("file with slash", vec![file("a/")], ErrorKind::Corrupt),
        (
            "checksum",
            vec![file("a"), {
                let mut raw = file("b");
                raw.0[0] = b'c';
                raw
            }],
            ErrorKind::Corrupt,
        ),
        ("pax size, plain 0", vec![pax("10 size=5\n"), file("a").with(124, b"00000000000\0")], ErrorKind::Corrupt),
        ("pax size 0", vec![pax("10 size=0\n"), file("a")], ErrorKind::Corrupt),
        ("two pax paths", vec![pax("10 path=a\n10 path=b\n"), file("a")], ErrorKind::Corrupt),
        ("two pax headers", vec![pax("10 path=a\n"), pax("10 path=a\n"), file("a")], ErrorKind::Corrupt),
        ("pax and gnu", vec![pax("10 path=a\n"), long_name("b"), file("a")], ErrorKind::Corrupt),
        ("two gnu names", vec![long_name("b"), long_name("b"), file("a")], ErrorKind::Corrupt),
        ("nul in gnu name", vec![long_name("b\0c"), file("a")], ErrorKind::Corrupt),
        ("nul in pax path", vec![pax("12 path=a\0b\n"), file("a")], ErrorKind::Corrupt),
        (".. in pax path", vec![pax("14 path=../ab\n"), file("a")], ErrorKind::Corrupt),
        ("global path", vec![Raw::new(b'g', "g", b"10 path=b\n"), file("a")], ErrorKind::Unsupported),
        (
            "global between",
            vec![pax("10 path=a\n"), Raw::new(b'g', "g", b"13 comment=b\n"), file("a")],
            ErrorKind::Corrupt,
        ),
        ("pax at the end", vec![file("a"), pax("10 path=a\n")], ErrorKind::Corrupt),
        ("gnu sparse", vec![Raw::new(b'S', "a", b"")], ErrorKind::Unsupported),
        ("pax sparse", vec![pax("22 GNU.sparse.major=1\n"), file("a")], ErrorKind::Unsupported),
        ("link with content", vec![Raw::new(b'2', "a", b"hello").link("b")], ErrorKind::Corrupt),
        ("directory with content", vec![Raw::new(b'5', "a", b"hello")], ErrorKind::Corrupt),
        ("empty symlink", vec![Raw::new(b'2', "a", b"")], ErrorKind::Corrupt),
        ("hard link outside", vec![Raw::new(b'1', "a", b"").link("../b")], ErrorKind::Corrupt),
        ("hard link to nothing", vec![Raw::new(b'1', "a", b"")], ErrorKind::Corrupt),
        ("overlay whiteout", vec![Raw::new(b'3', "a", b"")], ErrorKind::Unsupported),
        ("whiteout of nothing", vec![Raw::new(b'0', "a/.wh.", b"")], ErrorKind::Corrupt),
        ("whiteout of .", vec![Raw::new(b'0', "a/.wh..", b"")], ErrorKind::Corrupt),
        ("whiteout of ..", vec![Raw::new(b'0', "a/.wh...", b"")], ErrorKind::Corrupt),
        ("in a whiteout", vec![Raw::new(b'0', "a/.wh.b/c", b"")], ErrorKind::Corrupt),
        ("in the whiteout of .", vec![Raw::new(b'0', ".wh./x", b"")], ErrorKind::Corrupt),
        ("whiteout with content", vec![file("a/.wh.b")], ErrorKind::Corrupt),
        ("whiteout directory", vec![Raw::new(b'5', "a/.wh.b/", b"")], ErrorKind::Corrupt),
        ("aufs", vec![Raw::new(b'5', ".wh..wh.plnk/", b"")], ErrorKind::Unsupported),
        ("long component", vec![pax(&format!("266 path={}\n", "a".repeat(256))), file("a")], ErrorKind::Unsupported),
        ("unknown type", vec![Raw::new(b'Z', "a", b"")], ErrorKind::Unsupported),
        ("negative uid", vec![file("a").with(108, &[0xff; 8])], ErrorKind::Corrupt),
        ("endless header", vec![pax("").with(124, b"77777777777\0")], ErrorKind::Unsupported),
    ];
    for (name, members, kind) in cases {
        let error = read(&members).expect_err(name);
        assert_eq!(error.kind(), kind, "{name}: {error}");
        assert!(error.to_string().contains("at byte "), "{name}: {error}");
    }
}

#[test]
fn the_error_says_where() {
    let error = read(&[file("a"), file("x/../b")]).unwrap_err();
    assert_eq!(error.to_string(), r#"entry 1 "x/../b" at byte 1024: path "x/../b" has a component "..""#);
}

#[test]
fn the_end_is_the_end() {
    let good = archive(&[file("a")]);
    assert!(read_tar(&good).is_ok());
    assert!(read_tar(&good[..1024]).is_ok(), "no end marker, but nothing is missing");
    assert!(read_tar(&good[..1023]).is_ok(), "nor where only the last padding is");
    for cut in [1, 511, 513] {
        assert_eq!(read_tar(&good[..cut]).unwrap_err().kind(), ErrorKind::Corrupt, "{cut}");
    }
    let mut more = good.clone();
    more.extend(archive(&[file("b")]));
    assert_eq!(read_tar(&more).unwrap_err().kind(), ErrorKind::Corrupt);
    let single_zero_block = [&good[..1024], &[0; BLOCK], &good[..]].concat();
    assert_eq!(read_tar(&single_zero_block).unwrap_err().kind(), ErrorKind::Corrupt);
    assert!(read_tar(&[&good[..], &[0; 9000]].concat()).is_ok());
    assert!(read_tar(&[]).unwrap().is_empty());
}

#[test]
fn a_huge_file_needs_a_pax_size() {
    let huge = 1_u64 << 40;
    let records = format!("22 size={huge}\n").replace("22", &(9 + huge.to_string().len()).to_string());
    for plain in [b"00000000000\0", b"77777777777\0"] {
        let members = archive(&[pax(&records), file("a").with(124, plain)]);
        let entry = TarReader::new(&members[..], ReadLimits::default()).next().unwrap().unwrap();
        assert_eq!(entry.size(), huge);
    }
    let binary = file("a").with(124, b"\x80\0\0\0\0\0\x01\0\0\0\0\0");
    let members = archive(&[binary]);
    let entry = TarReader::new(&members[..], ReadLimits::default()).next().unwrap().unwrap();
    assert_eq!(entry.size(), 1 << 40);
}

#[test]
fn limits_hold() {
    let limits = ReadLimits { entries: 2, ..ReadLimits::default() };
    let members = archive(&[file("a"), file("b"), file("c")]);
    let read = |limits| TarReader::new(&members[..], limits).visit(|_, _| Ok::<_, Error>(()));
    assert_eq!(read(limits).unwrap_err().kind(), ErrorKind::Unsupported);
    let limits = ReadLimits { metadata_bytes: 2, ..ReadLimits::default() };
    assert_eq!(read(limits).unwrap_err().kind(), ErrorKind::Unsupported);
}

/// One call of the writer.
#[derive(Clone, Debug)]
enum Call {
    Directory,
    File(Vec<u8>),
    Symlink(Vec<u8>),
    Hardlink(FilePath),
    Whiteout,
    Opaque,
    Device(u32, u32),
}

fn any_path() -> impl Strategy<Value = FilePath> {
    let name = prop_oneof![
        4 => "[a-z]{1,8}".prop_map(String::into_bytes),
        1 => "[a-zé ]{90,110}".prop_map(String::into_bytes),
        1 => proptest::collection::vec(prop_oneof![1..=45_u8, 48..=255_u8], 1..120),
    ];
    proptest::collection::vec(name, 1..4).prop_filter_map("a good path", |names| FilePath::new(names.join(&b'/')).ok())
}

fn any_call() -> impl Strategy<Value = Call> {
    prop_oneof![
        Just(Call::Directory),
        proptest::collection::vec(any::<u8>(), 0..2000).prop_map(Call::File),
        proptest::collection::vec(1..=255_u8, 1..300).prop_map(Call::Symlink),
        any_path().prop_map(Call::Hardlink),
        Just(Call::Whiteout),
        Just(Call::Opaque),
        (1..2_000_000_u32, 0..2_000_000_u32).prop_map(|(major, minor)| Call::Device(major, minor)),
    ]
}

fn any_metadata() -> impl Strategy<Value = Metadata> {
    let owner = || prop_oneof![0..5000_u64, 2_000_000..5_000_000_u64, Just(u64::from(u32::MAX))];
    let time = prop_oneof![0..2_000_000_000_i64, -5..5_i64, Just(1 << 40)];
    let xattrs = proptest::collection::btree_map("[a-z.]{1,9}", proptest::collection::vec(any::<u8>(), 0..60), 0..3);
    (0..=0o7777_u32, owner(), owner(), time, xattrs).prop_map(|(mode, uid, gid, mtime, xattrs)| {
        let xattrs = xattrs.into_iter().map(|(key, value)| (key, value.into())).collect();
        Metadata { mode, uid, gid, mtime, xattrs }
    })
}

fn write(calls: &[(FilePath, Metadata, Call)]) -> Result<Vec<u8>, Error> {
    let mut layer = LayerWriter::new(Compression::None, &Context::new())?;
    for (path, metadata, call) in calls {
        match call {
            Call::Directory => layer.directory(path, metadata)?,
            Call::File(content) => layer.file(path, metadata, content.len() as u64, &mut &content[..])?,
            Call::Symlink(target) => layer.symlink(path, metadata, target)?,
            Call::Hardlink(target) => layer.hardlink(path, metadata, target)?,
            Call::Whiteout => layer.whiteout(path)?,
            Call::Opaque => layer.opaque(path)?,
            Call::Device(major, minor) => {
                layer.device(path, metadata, &NodeKind::BlockDevice { major: *major, minor: *minor })?;
            }
        }
    }
    let layer = layer.finish()?;
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let bytes = runtime.block_on(layer.blob().read(&Context::new()))?;
    assert_eq!(*layer.digest(), crate::Digest::of(&bytes));
    assert_eq!(layer.digest(), layer.diff_id());
    Ok(bytes.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_is_written_is_read(calls in proptest::collection::vec((any_path(), any_metadata(), any_call()), 1..8)) {
        let bytes = write(&calls).unwrap();
        let entries = read_tar(&bytes).unwrap();
        prop_assert_eq!(entries.len(), calls.len());
        for (entry, (path, metadata, call)) in entries.iter().zip(&calls) {
            let kind = match call {
                Call::Directory => EntryKind::Node(NodeKind::Directory),
                Call::File(content) => EntryKind::Node(NodeKind::File { size: content.len() as u64 }),
                Call::Symlink(target) => EntryKind::Node(NodeKind::Symlink { target: target.clone().into() }),
                Call::Hardlink(target) => EntryKind::Hardlink { target: target.clone() },
                Call::Whiteout => EntryKind::Whiteout,
                Call::Opaque => EntryKind::Opaque,
                Call::Device(major, minor) => {
                    EntryKind::Node(NodeKind::BlockDevice { major: *major, minor: *minor })
                }
            };
            prop_assert_eq!((&entry.path, &entry.kind), (path, &kind));
            if matches!(call, Call::Directory | Call::File(_) | Call::Symlink(_) | Call::Device(..)) {
                prop_assert_eq!(&entry.metadata, metadata);
            }
        }
    }

    /// The crate `tar` sees the same names, sizes and contents in what is written here.
    #[test]
    fn another_reader_sees_the_same(calls in proptest::collection::vec((any_path(), any_metadata(), any_call()), 1..6)) {
        // It takes a newline in an extended header for the end of a record.
        let words = |(path, metadata, call): &(FilePath, Metadata, Call)| {
            let link = if let Call::Symlink(target) = call { target.clone() } else { Vec::new() };
            let xattrs = metadata.xattrs.values().any(|value| value.contains(&b'\n'));
            xattrs || link.contains(&b'\n') || path.as_bytes().contains(&b'\n')
        };
        prop_assume!(!calls.iter().any(words));
        let bytes = write(&calls).unwrap();
        let ours = read_tar(&bytes).unwrap();
        let mut theirs = ::tar::Archive::new(&bytes[..]);
        let mut count = 0;
        for (entry, mine) in theirs.entries().unwrap().zip(&ours) {
            let entry = entry.unwrap();
            count += 1;
            let name = FilePath::new(&*entry.path_bytes()).unwrap();
            if matches!(mine.kind, EntryKind::Node(_)) {
                prop_assert_eq!(&name, &mine.path);
            }
            prop_assert_eq!(entry.size(), mine.size());
            prop_assert_eq!(entry.raw_header_position(), mine.offset);
        }
        prop_assert_eq!(count, ours.len());
    }

    #[test]
    fn nothing_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..3000)) {
        let _ = read_tar(&bytes);
    }

    #[test]
    fn a_flipped_bit_is_no_panic(at in 0..4096_usize, bit in 0..8_u32) {
        let mut bytes = archive(&[pax("12 path=a/b\n"), file("a"), Raw::new(b'1', "c", b"").link("a/b")]);
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        let _ = read_tar(&bytes);
    }
}

/// GNU tar reads what is written here, attributes and all, and finds nothing to complain about.
#[test]
fn gnu_tar_lists_it() {
    let long = path(&("long/".repeat(60) + "name"));
    let calls = [
        (path("d"), Metadata { mode: 0o755, ..Metadata::default() }, Call::Directory),
        (
            path("d/f"),
            Metadata { mode: 0o4755, uid: 3_000_000, mtime: -3, ..Metadata::default() },
            Call::File(vec![7; 700]),
        ),
        (long.clone(), Metadata::default(), Call::Symlink(b"x/".repeat(70))),
        (path("h"), Metadata::default(), Call::Hardlink(path("d/f"))),
    ];
    let mut tar = match std::process::Command::new("tar")
        .args(["--list", "--numeric-owner", "--verbose", "--file=-"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
    {
        Ok(tar) => tar,
        Err(error) => {
            assert!(std::env::var_os("PATCHKIT_REQUIRE_EXTERNAL").is_none(), "tar: {error}");
            return eprintln!("skipped: tar does not run: {error}");
        }
    };
    tar.stdin.take().unwrap().write_all(&write(&calls).unwrap()).unwrap();
    let output = tar.wait_with_output().unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    let noise = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{noise}");
    assert!(noise.lines().all(|line| line.contains("implausibly old time stamp")), "{noise}");
    let lines: Vec<_> = shown.lines().collect();
    assert!(lines[0].starts_with("drwxr-xr-x 0/0"), "{shown}");
    assert!(lines[1].starts_with("-rwsr-xr-x 3000000/0") && lines[1].contains(" 700 "), "{shown}");
    assert!(lines[2].ends_with(&format!("{} -> {}", long, "x/".repeat(70))), "{shown}");
    assert!(lines[3].ends_with("h link to d/f"), "{shown}");
}

#[test]
fn the_writer_refuses_what_it_cannot_say() {
    let cx = Context::new();
    let mut layer = LayerWriter::new(Compression::Zstd(3), &cx).unwrap();
    let none = Metadata::default();
    let refused = |result: Result<(), Error>| assert_eq!(result.unwrap_err().kind(), ErrorKind::Invalid);
    refused(layer.file(&path("a/.wh.b"), &none, 0, &mut &b""[..]));
    refused(layer.file(&FilePath::ROOT, &none, 0, &mut &b""[..]));
    refused(layer.whiteout(&FilePath::ROOT));
    refused(layer.symlink(&path("a"), &none, b""));
    refused(layer.device(&path("a"), &none, &NodeKind::CharDevice { major: 0, minor: 0 }));
    refused(layer.device(&path("a"), &none, &NodeKind::Directory));
    let odd = Metadata { xattrs: [("user.a=b".to_owned(), Bytes::new())].into(), ..none.clone() };
    refused(layer.directory(&path("a"), &odd));
    refused(layer.file(&path("a"), &none, 3, &mut &b"four"[..]));
    assert_eq!(layer.finish().unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(LayerWriter::new(Compression::Gzip(10), &cx).unwrap_err().kind(), ErrorKind::Invalid);
}
