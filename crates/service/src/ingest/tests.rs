//! Tests of the parser through its public face.
