//! Black-box tests with real clients, and the support library that starts real servers for them.
