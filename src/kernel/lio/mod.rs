//! The LIO target in configfs.
