//! Model-checked scenarios; see `tests`.
