//! # A first plugin
//!
//! A plugin is a value that implements a port. It needs this crate only, is passed in like any value, and is tested by
//! the port's conformance suite (feature `conformance`). This scanner reports every image that still carries the shell
//! history of whoever built it:
//!
//! ```
//! use patchkit_core::{
//!     Context, Finding, FixState, Image, Package, Plugin, PluginInfo, Result, ScanReport, Scanner, Severity, Version,
//!     image::FilePath,
//! };
//!
//! #[derive(Debug)]
//! struct HistoryScanner;
//!
//! impl Plugin for HistoryScanner {
//!     fn info(&self) -> PluginInfo {
//!         PluginInfo::new("history", "1.0.0")
//!     }
//! }
//!
//! #[async_trait::async_trait]
//! impl Scanner for HistoryScanner {
//!     async fn scan(&self, image: &Image, cx: &Context) -> Result<ScanReport> {
//!         let files = image.files(|_path, _size| false, cx).await?;
//!         let history = FilePath::new("root/.bash_history").expect("it is a path");
//!         let left = files.get(&history).map(|_| {
//!             let version = Version::new("generic", "0").expect("it is a version");
//!             let purl: patchkit_core::Purl = "pkg:generic/bash-history@0".parse().expect("it is a package URL");
//!             let name = "bash-history".parse().expect("it is a name");
//!             let locations = [history.to_string()].into();
//!             let package = Package { locations, ..Package::new(purl.clone(), name, version) };
//!             let id = "EXAMPLE-HISTORY".parse().expect("it is an id");
//!             let title = Some("the builder's shell history is in the image".into());
//!             let finding = Finding::new(id, purl, Severity::Medium, FixState::NotFixed, "history");
//!             (package, Finding { title, ..finding })
//!         });
//!         let (packages, findings) = left.into_iter().unzip();
//!         Ok(ScanReport { packages, findings, ..ScanReport::of(image) }.sorted())
//!     }
//! }
//! # #[cfg(feature = "conformance")]
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! # use patchkit_core::image::{Compression, LayerWriter, Metadata};
//! # let cx = Context::new();
//! # let mut layer = LayerWriter::new(Compression::None, &cx)?;
//! # layer.file(&FilePath::new("root/.bash_history")?, &Metadata::implied(), 4, &mut &b"exit"[..])?;
//! # let image = Image::of_layers(&"linux/amd64".parse()?, vec![layer.finish()?])?;
//! // And in its tests, on an image of its own:
//! patchkit_core::conformance::scanner::suite(&HistoryScanner, &image).await.assert();
//! # assert_eq!(HistoryScanner.scan(&image, &cx).await?.findings.len(), 1);
//! # Ok::<_, Box<dyn std::error::Error>>(()) }).unwrap();
//! ```
//!
//! What to know before you publish one:
//!
//! - `info().configuration` must change with everything that can change the answers: a database, an option, a key.
//! - Say what cannot be read as an error that names it; an empty answer means that there is nothing.
//! - Check [`Context::check`](crate::Context::check) in long loops, and wait with [`Context::sleep`](crate::Context::sleep).
