//! The gateway: one port before many servers.
