//! tidelog's futures, streams and sinks on real executors (`tests`), a log served over HTTP (`examples/http.rs`), and what
//! tasks cost beside threads (`benches/tasks.rs`). In a package of its own, since what that needs takes long to build.
