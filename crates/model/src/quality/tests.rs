//! Each fault is planted into a realistic series and found; clean series are left alone.
