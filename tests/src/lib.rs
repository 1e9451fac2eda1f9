//! The house tests live in `house/`; this library is empty.
