//! The use cases, without HTTP or gRPC.
