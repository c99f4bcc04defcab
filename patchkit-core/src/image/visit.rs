use std::io::{self, BufReader, Read};

use bytes::Bytes;

use super::{Entry, Layer, ReadLimits, codec, tar::TarReader};
use crate::{Context, Error, MediaType, Result};

/// Sees the entries of a layer as they stand in its archive, one by one.
///
/// It runs in a thread where it may block. What it does not read of a content is skipped.
///
/// ```
/// use patchkit_core::{Layer, Context, Result, image::{Entry, LayerVisitor}};
///
/// struct Count(usize);
///
/// impl LayerVisitor for Count {
///     fn entry(&mut self, _entry: &Entry, _content: &mut dyn std::io::Read) -> Result<()> {
///         self.0 += 1;
///         Ok(())
///     }
/// }
///
/// async fn entries(layer: &Layer, cx: &Context) -> Result<usize> {
///     Ok(layer.visit(Count(0), cx).await?.0)
/// }
/// ```
pub trait LayerVisitor: Send + 'static {
    /// Sees one entry and, for a regular file, its content.
    ///
    /// # Errors
    /// Whatever shall end the visit. Where the layer itself could not be read, that is reported instead.
    fn entry(&mut self, entry: &Entry, content: &mut dyn Read) -> Result<()>;
}

impl Entry {
    /// Reads the whole content into memory.
    ///
    /// # Errors
    /// [`Unexpected`](crate::ErrorKind::Unexpected) where the layer cannot be read.
    pub fn read(&self, content: &mut dyn Read) -> Result<Bytes> {
        // A size that lies must not cost memory before there are bytes.
        const TRUSTED: u64 = 16 << 20;
        let mut bytes = Vec::with_capacity(self.size().min(TRUSTED) as usize);
        content.read_to_end(&mut bytes).map_err(codec::error_of)?;
        Ok(bytes.into())
    }
}

impl Layer {
    /// Shows the visitor every entry, in one pass and little memory, and gives it back once the whole layer has proven
    /// to be what it should: its blob's digest and size and its diff id are right, and there is nothing else in it.
    ///
    /// # Errors
    /// [`Corrupt`](crate::ErrorKind::Corrupt) where it is not, or is no archive that every reader sees alike;
    /// [`Unsupported`](crate::ErrorKind::Unsupported) for a foreign or unknown media type, sparse files, and beyond the
    /// default [`ReadLimits`]; [`Cancel`](crate::ErrorKind::Cancel); those of the blob's source and of the visitor.
    pub async fn visit<V: LayerVisitor>(&self, visitor: V, cx: &Context) -> Result<V> {
        self.visit_within(visitor, &ReadLimits::default(), cx).await
    }

    /// As [`visit`](Self::visit), with other limits.
    ///
    /// # Errors
    /// As [`visit`](Self::visit).
    pub async fn visit_within<V: LayerVisitor>(&self, mut visitor: V, limits: &ReadLimits, cx: &Context) -> Result<V> {
        let reader_limits = limits.clone();
        codec::read_layer_with(self, limits, cx, move |archive| {
            let archive = TarReader::new(archive, reader_limits)
                .visit(|entry, content| visitor.entry(entry, content).map_err(|error: Error| error.on(&entry.path)))?;
            Ok((visitor, archive))
        })
        .await
    }
}

/// Lists the entries of a compressed layer that lies in memory, reading every content: what a fuzz target calls. No
/// digest is checked.
///
/// # Errors
/// As [`Layer::visit`].
pub fn list_layer(media_type: &MediaType, bytes: impl Into<Bytes>, limits: &ReadLimits) -> Result<Vec<Entry>> {
    let archive = codec::open(media_type, bytes.into(), limits)?;
    let mut entries = Vec::new();
    TarReader::new(BufReader::new(archive), limits.clone()).visit(|entry, content| {
        io::copy(content, &mut io::sink()).map_err(codec::error_of)?;
        entries.push(entry.clone());
        Ok::<_, Error>(())
    })?;
    Ok(entries)
}
