//! The reader and the writer through their public interface.

mod bad_input;
mod bad_objects;
mod chains;
mod support;
