use patchkit_core::ErrorKind;

use super::*;

fn url(text: &str) -> Url {
    Url::parse(text).expect(text)
}

#[tokio::test]
async fn files_are_read_whole_and_bounded() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a file+");
    let content: Vec<u8> = (0..600_000_u32).map(|number| number.to_le_bytes()[0]).collect();
    std::fs::write(&path, &content).expect("written");
    let url = Url::from_file_path(&path).expect("an address");
    let cx = Context::new();
    let body = SchemeFetch::new(MemoryFetch::new()).open(&url, &cx).await.expect("open");
    assert_eq!(body.length(), Some(600_000));
    assert_eq!(body.read(600_000, &cx).await.expect("read"), content);
    let error = FileFetch.open(&url, &cx).await.expect("open").read(599_999, &cx).await.expect_err("too large");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

#[tokio::test]
async fn what_cannot_be_read_is_told_apart() {
    let cx = Context::new();
    let kind =
        |text: &'static str| async move { FileFetch.open(&url(text), &Context::new()).await.expect_err(text).kind() };
    assert_eq!(kind("file:///no/such/file").await, ErrorKind::NotFound);
    assert_eq!(kind("file:///").await, ErrorKind::Unexpected);
    assert_eq!(kind("http://a.example.org/x").await, ErrorKind::Unsupported);
    let error = MemoryFetch::new().open(&url("http://u:secret@a.example.org/x"), &cx).await.expect_err("nothing");
    assert_eq!(error.to_string(), "fetch: http://a.example.org/x: nothing is there");
    cx.cancel();
    assert_eq!(
        FileFetch.open(&url("file:///etc/hostname"), &cx).await.expect_err("cancelled").kind(),
        ErrorKind::Cancel
    );
}

#[cfg(feature = "http")]
mod http;
