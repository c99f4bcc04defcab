//! Alpine and its kin (Wolfi, Chainguard, postmarketOS): the package database of apk.

pub(crate) mod catalog;
pub(crate) mod installed;
