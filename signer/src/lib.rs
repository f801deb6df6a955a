//! The signing service: holds snapshot and timestamp keys and signs with them.
