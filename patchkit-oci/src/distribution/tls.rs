//! The one TLS implementation of the process.

/// Makes aws-lc-rs the process's TLS provider, unless it has one already. Every client does this by itself; a program
/// that uses other libraries over rustls may want to before.
pub fn install_tls_provider() {
    // An error means that there is one, which is as good.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

/// Whether a failed connection failed because the other side's certificate is not trusted.
pub(super) fn is_untrusted(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        // An I/O error shows the source of what it wraps, not what it wraps.
        let wrapped = error.downcast_ref::<std::io::Error>().and_then(|error| error.get_ref());
        let of_rustls = error.downcast_ref().or_else(|| wrapped.and_then(|error| error.downcast_ref()));
        if matches!(of_rustls, Some(rustls::Error::InvalidCertificate(_))) {
            return true;
        }
        next = error.source();
    }
    false
}
