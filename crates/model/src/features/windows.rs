//! The course before each forecast start, whole, for models that read windows.

use std::sync::Arc;

use forewatt_domain::Time;

use super::Context;
use crate::matrix::Windows;

/// The window of every origin as known at it; `None` where the specification asks for none.
pub(super) fn build(context: &Context<'_>, origins: &[Time]) -> Option<Arc<Windows>> {
    let length = usize::from(context.spec.window_days) * usize::try_from(context.per_day).unwrap_or(0);
    if length == 0 {
        return None;
    }
    let mut origins = origins.to_vec();
    origins.dedup();
    let mut values = Vec::with_capacity(origins.len() * length);
    for &time in &origins {
        let end = context.first_from(time);
        values.extend((end - length as i64..end).map(|index| context.target.get(index, time)));
    }
    Some(Arc::new(Windows { length, origins, values }))
}
