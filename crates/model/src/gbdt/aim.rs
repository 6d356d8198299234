//! What trees are grown for: quantile levels, or one number under a loss.

use super::levels::pinball;

/// The loss whose minimum one number per row is to be.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Loss {
    /// Squared errors: the mean.
    Squared,
    /// Absolute errors: the median.
    Absolute,
    /// Squared errors up to `delta`, in the target's unit, and absolute ones beyond (Huber 1964): a mean that
    /// outliers move little.
    Huber {
        /// Where the loss becomes linear, above 0.
        delta: f64,
    },
    /// The deviance of Tweedie's distributions (Jorgensen 1987) with a logarithmic link: a mean above 0 of targets
    /// that are zero or above, often exactly zero.
    Tweedie {
        /// The variance grows with this power of the mean: above 1 (counts) and below 2 (gamma).
        power: f64,
    },
}

/// What trees are grown for, in standardised units.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Aim {
    /// These levels, rising.
    Quantiles(Vec<f64>),
    /// One number.
    Point(Loss),
}

impl Aim {
    /// Values per row.
    pub fn outputs(&self) -> usize {
        match self {
            Self::Quantiles(levels) => levels.len(),
            Self::Point(_) => 1,
        }
    }

    /// Whether a tree needs only the signs of the gradients.
    pub fn votes(&self) -> bool {
        matches!(self, Self::Quantiles(_) | Self::Point(Loss::Absolute))
    }

    /// Whether second derivatives differ between rows of one weight.
    pub fn curves(&self) -> bool {
        matches!(self, Self::Point(Loss::Tweedie { .. }))
    }

    /// The first and second derivative of a row's loss at a prediction, as far as a tree needs them: where only signs
    /// count the first is 1 or 0 and the second 1.
    pub fn slope(&self, target: f32, predicted: f32) -> (f32, f32) {
        match *self {
            Self::Quantiles(_) | Self::Point(Loss::Absolute) => {
                (f32::from(u8::from(predicted > target)), 1.0)
            }
            Self::Point(Loss::Squared) => (predicted - target, 1.0),
            Self::Point(Loss::Huber { delta }) => {
                let delta = delta as f32;
                ((predicted - target).clamp(-delta, delta), 1.0)
            }
            Self::Point(Loss::Tweedie { power }) => {
                let power = power as f32;
                let had = ((2.0 - power) * predicted).exp();
                let wanted = target * ((1.0 - power) * predicted).exp();
                (had - wanted, (2.0 - power) * had + (power - 1.0) * wanted)
            }
        }
    }

    /// The loss of one output of a row.
    pub fn loss(&self, output: usize, target: f32, predicted: f32) -> f64 {
        let error = f64::from(target) - f64::from(predicted);
        match *self {
            Self::Quantiles(ref levels) => pinball(levels[output], target, predicted),
            Self::Point(Loss::Squared) => error * error,
            Self::Point(Loss::Absolute) => error.abs(),
            Self::Point(Loss::Huber { delta }) => {
                let size = error.abs();
                if size <= delta { 0.5 * size * size } else { delta * (size - 0.5 * delta) }
            }
            Self::Point(Loss::Tweedie { power }) => {
                let f = f64::from(predicted);
                ((2.0 - power) * f).exp() / (2.0 - power)
                    - f64::from(target) * ((1.0 - power) * f).exp() / (1.0 - power)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slopes_are_those_of_the_losses() {
        let (target, step) = (1.3_f32, 1e-2_f32);
        for loss in [Loss::Squared, Loss::Huber { delta: 0.5 }, Loss::Tweedie { power: 1.4 }, Loss::Absolute]
        {
            let aim = Aim::Point(loss);
            for predicted in [-0.7_f32, 0.2, 1.2, 3.0] {
                let rise = (aim.loss(0, target, predicted + step) - aim.loss(0, target, predicted - step))
                    / (2.0 * f64::from(step));
                let (mut slope, _) = aim.slope(target, predicted);
                match loss {
                    Loss::Squared => slope *= 2.0,
                    Loss::Absolute => slope = 2.0 * slope - 1.0,
                    Loss::Huber { .. } | Loss::Tweedie { .. } => {}
                }
                assert!((f64::from(slope) - rise).abs() < 2e-3, "{loss:?} at {predicted}: {slope} {rise}");
            }
        }
    }
}
