//! Handcar: a hand-written single-threaded async runtime.
