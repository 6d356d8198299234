//! Public holidays and bridge days by region.
