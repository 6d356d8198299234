//! Degree days: how much heating or cooling a temperature asks for.

/// Below this outdoor temperature buildings are heated, in degC.
///
/// 18 degC is the base of heating degree days in ASHRAE Fundamentals, chapter 14 (18.3 degC = 65 F).
const HEATING_BELOW: f32 = 18.0;
/// Above this outdoor temperature buildings are cooled, in degC (Eurostat's cooling threshold is 24, its base 21).
const COOLING_ABOVE: f32 = 21.0;

/// The scale a temperature is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    Celsius,
    Fahrenheit,
    Kelvin,
}

impl Scale {
    /// From a unit as people write it; Celsius when it says nothing else.
    pub(super) fn of(unit: &str) -> Self {
        let word = unit.trim().trim_start_matches(['°', 'º']).to_ascii_lowercase();
        let word = word.trim_start_matches("deg").trim_matches([' ', '_', '.']);
        match word {
            "f" | "fahrenheit" => Self::Fahrenheit,
            "k" | "kelvin" => Self::Kelvin,
            _ => Self::Celsius,
        }
    }

    /// In degC.
    pub(super) fn celsius(self, value: f32) -> f32 {
        match self {
            Self::Celsius => value,
            Self::Fahrenheit => (value - 32.0) / 1.8,
            Self::Kelvin => value - 273.15,
        }
    }
}

/// Degrees below the heating and above the cooling threshold; NaN stays NaN.
pub(super) fn degrees(celsius: f32) -> (f32, f32) {
    if celsius.is_nan() {
        return (f32::NAN, f32::NAN);
    }
    ((HEATING_BELOW - celsius).max(0.0), (celsius - COOLING_ABOVE).max(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_as_people_write_them() {
        for (unit, scale) in [
            ("degC", Scale::Celsius),
            ("", Scale::Celsius),
            ("°F", Scale::Fahrenheit),
            ("deg F", Scale::Fahrenheit),
            ("Fahrenheit", Scale::Fahrenheit),
            ("K", Scale::Kelvin),
            ("kelvin", Scale::Kelvin),
        ] {
            assert_eq!(Scale::of(unit), scale, "{unit}");
        }
        assert!((Scale::Fahrenheit.celsius(50.0) - 10.0).abs() < 1e-5);
        assert!((Scale::Kelvin.celsius(283.15) - 10.0).abs() < 1e-4);
    }

    #[test]
    fn degrees_count_from_their_thresholds() {
        assert_eq!(degrees(10.0), (8.0, 0.0));
        assert_eq!(degrees(20.0), (0.0, 0.0));
        assert_eq!(degrees(25.0), (0.0, 4.0));
        assert!(degrees(f32::NAN).0.is_nan() && degrees(f32::NAN).1.is_nan());
    }
}
