//! A one-shot client.
