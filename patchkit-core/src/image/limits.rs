/// How much of a layer is read before it is taken for an attack. What goes beyond is
/// [`Unsupported`](crate::ErrorKind::Unsupported).
///
/// The defaults are far above every honest image and far below what would hurt.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadLimits {
    /// The most bytes of a layer, uncompressed. 64 GiB.
    pub layer_bytes: u64,
    /// How many times its compressed size a layer may be, once it is larger than [`free_bytes`](Self::free_bytes).
    /// 1100: deflate cannot do more than 1032, so that no gzip layer is ever refused for it. zstd can do ten thousands,
    /// but only for content that is nearly all zeros.
    pub ratio: u64,
    /// Up to which size, uncompressed, a layer's ratio is not looked at. 1 GiB.
    pub free_bytes: u64,
    /// The most entries of a layer. 2 million.
    pub entries: usize,
    /// The most bytes of names, link targets and extended attributes of a layer, and of the merged view. 512 MiB.
    pub metadata_bytes: u64,
    /// The most bytes of file content that are kept in memory. 1 GiB.
    pub kept_bytes: u64,
}

impl Default for ReadLimits {
    fn default() -> Self {
        Self {
            layer_bytes: 64 << 30,
            ratio: 1100,
            free_bytes: 1 << 30,
            entries: 2_000_000,
            metadata_bytes: 512 << 20,
            kept_bytes: 1 << 30,
        }
    }
}
