//! When something hangs.
