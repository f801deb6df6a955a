//! What both daemons need: configuration, TLS, databases, logging and signals.
