//! Decides whether an image is signed as a policy demands. Pure: no I/O, no clock.

#![forbid(unsafe_code)]
