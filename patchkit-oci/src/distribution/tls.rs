//! The one TLS implementation of the process.

/// Makes aws-lc-rs the process's TLS provider, unless it has one already. Every client does this by itself; a program
/// that uses other libraries over rustls may want to before.
pub fn install_tls_provider() {
    // An error means that there is one, which is as good.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

/// Whether a failed connection failed because the other side's certificate is not trusted.
pub(super) fn is_untrusted(error: &(dyn std::error::Error + 'static)) -> bool {
    causes(error).any(|error| matches!(error.downcast_ref(), Some(rustls::Error::InvalidCertificate(_))))
}

/// An error and what caused it. An I/O error shows the source of what it wraps; here what it wraps comes too.
pub(super) fn causes<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| {
        let wrapped = error.downcast_ref::<std::io::Error>().and_then(|error| error.get_ref());
        wrapped.map(|wrapped| wrapped as _).or_else(|| error.source())
    })
}
