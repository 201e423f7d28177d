//! The folder that a running sandbox leaves for its clients: certificate, credentials, addresses.
