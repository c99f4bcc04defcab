use std::{
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use futures::stream;

use super::*;
use crate::{
    Blob, BlobSource, ByteRange, ByteStream, Context, Descriptor, Digest, ErrorKind, Repository,
    image::{Entry, FilePath, Layer, LayerVisitor, LayerWriter, Metadata, list_layer},
};

const ALL: [Compression; 3] = [Compression::None, Compression::Gzip(6), Compression::Zstd(3)];

fn compressed(compression: Compression, content: &[u8]) -> Vec<u8> {
    let mut encoder = Encoder::new(compression, Vec::new()).unwrap();
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn unpack(media_type: &MediaType, bytes: Vec<u8>) -> Result<Vec<u8>> {
    decompress(media_type, bytes, &ReadLimits::default())
}

fn content() -> Vec<u8> {
    (0..100_000_u32).flat_map(|number| (number % 1009).to_le_bytes()).collect()
}

#[test]
fn what_is_compressed_is_decompressed() {
    for compression in ALL {
        let bytes = compressed(compression, &content());
        assert_eq!(unpack(&compression.media_type(), bytes.clone()).unwrap(), content());
        assert_eq!(bytes, compressed(compression, &content()), "{compression:?} is reproducible");
    }
}

#[test]
fn the_gzip_header_says_nothing() {
    assert_eq!(compressed(Compression::Gzip(6), b"")[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
}

#[test]
fn members_and_frames_may_follow_each_other() {
    for compression in &ALL[1..] {
        let twice = [compressed(*compression, b"one"), compressed(*compression, b"two")].concat();
        assert_eq!(unpack(&compression.media_type(), twice).unwrap(), b"onetwo");
    }
}

#[test]
fn damage_is_corrupt() {
    for compression in &ALL[1..] {
        let media_type = compression.media_type();
        let good = compressed(*compression, &content());
        let middle = good.len() / 2;
        let mut flipped = good.clone();
        flipped[middle] ^= 0x10;
        let cases = [
            ("cut off", good[..middle].to_vec()),
            ("last byte gone", good[..good.len() - 1].to_vec()),
            ("header only", good[..4].to_vec()),
            ("empty", Vec::new()),
            ("garbage after", [&good[..], b"garbage!"].concat()),
            ("zeros after", [&good[..], &[0; 8]].concat()),
            ("flipped", flipped),
        ];
        for (name, bytes) in cases {
            let error = unpack(&media_type, bytes).expect_err(name);
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{name}: {error}");
        }
    }
}

#[test]
fn the_magic_must_agree_with_the_media_type() {
    for said in ALL {
        for done in ALL {
            let result = unpack(&said.media_type(), compressed(done, b"some content"));
            assert_eq!(result.is_ok(), said == done, "{said:?} {done:?}");
            assert!(result.is_ok_or_kind(ErrorKind::Corrupt));
        }
    }
}

trait OrKind {
    fn is_ok_or_kind(&self, kind: ErrorKind) -> bool;
}

impl<T> OrKind for Result<T> {
    fn is_ok_or_kind(&self, kind: ErrorKind) -> bool {
        self.as_ref().err().is_none_or(|error| error.kind() == kind)
    }
}

#[test]
fn other_types_are_unsupported() {
    for media_type in [
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "application/vnd.oci.image.layer.v1.tar+gzip+encrypted",
        "application/vnd.in-toto+json",
    ] {
        let error = unpack(&MediaType::new(media_type), Vec::new()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    }
}

#[test]
fn bombs_are_refused() {
    let bomb = compressed(Compression::Zstd(3), &vec![0; 64 << 20]);
    assert!(bomb.len() < 16 << 10);
    let limits = ReadLimits { free_bytes: 1 << 20, ..ReadLimits::default() };
    let error = decompress(&MediaType::OCI_LAYER_ZSTD, bomb.clone(), &limits).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(decompress(&MediaType::OCI_LAYER_ZSTD, bomb, &ReadLimits::default()).is_ok());
    let gzip = compressed(Compression::Gzip(9), &vec![0; 64 << 20]);
    assert!(decompress(&MediaType::OCI_LAYER_GZIP, gzip, &limits).is_ok(), "deflate cannot go that far");
    let limits = ReadLimits { layer_bytes: 10, ..ReadLimits::default() };
    let error = decompress(&MediaType::OCI_LAYER, vec![b'a'; 11], &limits).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

/// Notes the paths, and reads every content where asked to.
struct Paths(Vec<String>, bool);

impl LayerVisitor for Paths {
    fn entry(&mut self, entry: &Entry, content: &mut dyn Read) -> Result<()> {
        self.0.push(entry.path.to_string());
        if self.1 {
            assert_eq!(entry.read(content)?.len() as u64, entry.size());
        }
        Ok(())
    }
}

fn layer(compression: Compression, files: usize) -> Layer {
    let mut layer = LayerWriter::new(compression, &Context::new()).unwrap();
    for file in 0..files {
        let path = FilePath::new(format!("f{file}")).unwrap();
        layer.file(&path, &Metadata::default(), 50_000, &mut io::repeat(file as u8).take(50_000)).unwrap();
    }
    layer.finish().unwrap()
}

async fn bytes_of(layer: &Layer) -> Bytes {
    layer.blob().read(&Context::new()).await.unwrap()
}

#[tokio::test]
async fn a_layer_is_visited() {
    for compression in ALL {
        let layer = layer(compression, 40);
        for read in [true, false] {
            let Paths(paths, _) = layer.visit(Paths(Vec::new(), read), &Context::new()).await.unwrap();
            assert_eq!(paths, (0..40).map(|file| format!("f{file}")).collect::<Vec<_>>());
        }
    }
}

/// Gives bytes in pieces of one size, and fails or stalls after some of them.
#[derive(Debug)]
struct Slow {
    bytes: Bytes,
    piece: usize,
    end: End,
    given: Arc<AtomicUsize>,
}

#[derive(Clone, Debug)]
enum End {
    Fails,
    Good,
    Stalls,
}

#[async_trait::async_trait]
impl BlobSource for Slow {
    async fn open(&self, _: ByteRange, _: &Context) -> Result<ByteStream> {
        let (given, end) = (self.given.clone(), self.end.clone());
        let rest = (self.bytes.clone(), end);
        let piece = self.piece;
        Ok(ByteStream::new(stream::try_unfold(rest, move |(mut bytes, end)| {
            let given = given.clone();
            async move {
                if bytes.is_empty() {
                    return match end {
                        End::Fails => Err(Error::unavailable("the line is dead")),
                        End::Good => Ok(None),
                        End::Stalls => std::future::pending().await,
                    };
                }
                given.fetch_add(1, Ordering::Relaxed);
                let piece = bytes.split_to(bytes.len().min(piece));
                Ok(Some((piece, (bytes, end))))
            }
        })))
    }

    fn origin(&self) -> Option<&Repository> {
        None
    }
}

fn slow(layer: &Layer, bytes: Bytes, piece: usize, end: End) -> (Layer, Arc<AtomicUsize>) {
    let given = Arc::new(AtomicUsize::new(0));
    let source = Slow { bytes, piece, end, given: given.clone() };
    (Layer::new(Blob::new(layer.blob().descriptor().clone(), Arc::new(source)), *layer.diff_id()), given)
}

#[tokio::test]
async fn a_layer_in_memory_is_listed() {
    for compression in ALL {
        let layer = layer(compression, 3);
        let bytes = bytes_of(&layer).await;
        let media_type = &layer.blob().descriptor().media_type;
        let entries = list_layer(media_type, bytes, &ReadLimits::default()).unwrap();
        assert_eq!(entries.iter().map(Entry::size).collect::<Vec<_>>(), [50_000; 3]);
    }
}

#[tokio::test]
async fn the_pieces_may_be_tiny() {
    for compression in ALL {
        let layer = layer(compression, 1);
        let (slow, _) = slow(&layer, bytes_of(&layer).await, 1, End::Good);
        slow.visit(Paths(Vec::new(), true), &Context::new()).await.unwrap();
    }
}

#[tokio::test]
async fn every_lie_is_found() {
    let cx = Context::new();
    for compression in ALL {
        let honest = layer(compression, 20);
        let bytes = bytes_of(&honest).await;
        let descriptor = honest.blob().descriptor();
        let other = Digest::of("other");
        let media_type = descriptor.media_type.clone();
        let mut flipped = bytes.to_vec();
        *flipped.last_mut().unwrap() ^= 1;
        let lie = |descriptor: Descriptor, bytes: Bytes, diff_id: Digest| {
            Layer::new(Blob::new(descriptor, Arc::new(bytes)), diff_id)
        };
        let cases = [
            ("diff id", lie(descriptor.clone(), bytes.clone(), other)),
            (
                "digest",
                lie(Descriptor::new(media_type.clone(), other, descriptor.size), bytes.clone(), *honest.diff_id()),
            ),
            ("size", lie(Descriptor { size: 10, ..descriptor.clone() }, bytes.clone(), *honest.diff_id())),
            ("short", lie(descriptor.clone(), bytes.slice(..bytes.len() - 1), *honest.diff_id())),
            ("flipped", lie(descriptor.clone(), flipped.into(), *honest.diff_id())),
            ("empty", lie(descriptor.clone(), Bytes::new(), *honest.diff_id())),
        ];
        for (name, layer) in cases {
            let error = layer.visit(Paths(Vec::new(), false), &cx).await.map(|_| ()).expect_err(name);
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{compression:?} {name}: {error}");
            assert!(error.subject().is_some(), "{error}");
        }
    }
}

#[tokio::test]
async fn a_source_that_fails_is_the_reason() {
    for compression in ALL {
        let layer = layer(compression, 20);
        let whole = bytes_of(&layer).await;
        let half = whole.slice(..whole.len() / 2);
        let (slow, _) = slow(&layer, half, 100, End::Fails);
        let error = slow.visit(Paths(Vec::new(), true), &Context::new()).await.map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    }
}

#[tokio::test]
async fn a_source_that_stalls_can_be_cancelled() {
    for compression in ALL {
        let layer = layer(compression, 20);
        let whole = bytes_of(&layer).await;
        let half = whole.slice(..whole.len() / 2);
        let (slow, _) = slow(&layer, half, 100, End::Stalls);
        let cx = Context::new();
        let other = cx.clone();
        let cancel = async {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            other.cancel();
        };
        let (result, ()) = tokio::join!(slow.visit(Paths(Vec::new(), true), &cx), cancel);
        assert_eq!(result.map(|_| ()).unwrap_err().kind(), ErrorKind::Cancel);
    }
}

struct Refuses;

impl LayerVisitor for Refuses {
    fn entry(&mut self, _: &Entry, _: &mut dyn Read) -> Result<()> {
        Err(Error::not_found("enough"))
    }
}

#[tokio::test]
async fn a_visitor_that_fails_ends_the_reading() {
    let layer = layer(Compression::None, 200);
    let bytes = bytes_of(&layer).await;
    let (pieces, piece) = (bytes.len() / 1000, 1000);
    let (slow, given) = slow(&layer, bytes, piece, End::Good);
    let error = slow.visit(Refuses, &Context::new()).await.map(|_| ()).unwrap_err();
    assert_eq!((error.kind(), error.subject()), (ErrorKind::NotFound, Some("f0")));
    assert!(given.load(Ordering::Relaxed) < pieces / 10, "{given:?} of {pieces} pieces were fetched");
}
