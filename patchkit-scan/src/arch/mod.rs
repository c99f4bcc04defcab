//! Arch Linux and its kin: the package database of pacman.

pub(crate) mod catalog;
pub(crate) mod local;
