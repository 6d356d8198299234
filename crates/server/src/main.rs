//! The Forewatt executable: configuration, command line and transports.

fn main() {}
