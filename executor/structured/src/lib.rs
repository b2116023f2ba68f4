//! Structured concurrency for Handcar: the place for cancel scopes, cleanups, task groups and borrowing scopes, which stand
//! on the kernel's delegates, timers and join handles.
