//! The wire types of the signing service and the client that speaks them.
