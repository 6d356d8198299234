//! What a recipe may ask beyond its family: of LEAR penalties, transforms and inputs, of mixtures of whole days trees.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Family;

/// The text is none of the words that choose something.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no {what}: use one of {}", names.join(", "))]
pub struct UnknownChoice {
    /// What was to be chosen.
    pub what: &'static str,
    /// What was given.
    pub text: String,
    /// What there is.
    pub names: &'static [&'static str],
}

/// An enum of words, its names in the order of its variants.
macro_rules! choice {
    ($(#[$about:meta])* $kind:ident, $what:literal, { $($(#[$one:meta])* $variant:ident = $name:literal,)+ }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum $kind {
            $($(#[$one])* $variant,)+
        }

        impl $kind {
            /// The words, in the order of [`Self::ALL`].
            pub const NAMES: &'static [&'static str] = &[$($name),+];
            /// Every variant.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word that names it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                Self::NAMES[self as usize]
            }
        }

        impl fmt::Display for $kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl FromStr for $kind {
            type Err = UnknownChoice;
            fn from_str(text: &str) -> Result<Self, UnknownChoice> {
                let place = Self::NAMES.iter().position(|name| *name == text);
                let unknown = || UnknownChoice { what: $what, text: text.to_owned(), names: Self::NAMES };
                place.map(|i| Self::ALL[i]).ok_or_else(unknown)
            }
        }
    };
}

choice! {
    /// How the penalty of a LASSO is settled.
    Penalty, "choice of penalties", {
        /// Every penalty is an expert, and the mixture weighs them.
        Mixture = "mixture",
        /// By day and hour the least Akaike criterion.
        Aic = "aic",
        /// By day and hour the least Bayesian criterion.
        Bic = "bic",
        /// By day and hour the least error on the days before, each foretold from the days before it.
        Rolling = "rolling",
        /// By day and hour as in the LEAR ensemble of Lago et al., Applied Energy 293 (2021).
        Published = "published",
    }
}

choice! {
    /// How values are transformed before they are learned: all about the median, in units of the median deviation
    /// (Uniejewski, Weron and Ziel 2018). The order is that of stored models.
    Transform, "transform", {
        /// As they are.
        None = "none",
        /// The inverse hyperbolic sine.
        Asinh = "asinh",
        /// The logarithm of the distance from the median, on either side of it.
        MirrorLog = "mirror-log",
        /// The power that makes them most normal (Box and Cox 1964).
        BoxCox = "box-cox",
        /// The normal quantiles of their ranks.
        Probit = "probit",
    }
}

choice! {
    /// Which inputs a LASSO may choose among. The order is that of stored models.
    Inputs, "set of inputs", {
        /// [`Inputs::Base`], the course of the last day that lived alike, and the season.
        Courses = "courses",
        /// Those, and summaries of the courses.
        Summaries = "summaries",
        /// Those, ramps of the covariates, their changes since yesterday, and splines of temperatures.
        All = "all",
        /// The courses of past days and of covariates, the weekday and holidays.
        Base = "base",
    }
}

choice! {
    /// What the trees in a mixture of whole days do beside the usual.
    TreeExtra, "manner of trees", {
        /// One more forest learns the difference to a linear forecast of days it had not seen.
        Linear = "linear",
        /// Days count less the older they are, half after a year.
        Decay = "decay",
        /// Between two growths, trees for the newest days are added every week.
        Add = "add",
    }
}

/// What a recipe asks of its family; what is left out is as the family does it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// How LEAR's penalty is settled; [`Penalty::Mixture`] when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub penalty: Option<Penalty>,
    /// The transform of LEAR's inputs and outputs; the inverse hyperbolic sine when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transform: Option<Transform>,
    /// What LEAR may read; when absent the summaries for a mixture of penalties and the base for a chosen one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inputs: Option<Inputs>,
    /// What the trees of a mixture do beside the usual.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trees: Vec<TreeExtra>,
}

/// A family was asked for what it does not do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} is for {able}: leave it out for `{family}`, or choose {able}")]
pub struct NotForFamily {
    /// What was asked for.
    pub what: &'static str,
    /// Who does it.
    pub able: &'static str,
    /// Who was asked.
    pub family: Family,
}

impl Choice {
    /// Whether nothing is asked for, so that recipes without a choice keep their text and id.
    #[must_use]
    pub fn is_usual(&self) -> bool {
        *self == Self::default()
    }

    /// Whether the family follows everything asked for.
    ///
    /// # Errors
    /// [`NotForFamily`] saying what it does not follow.
    pub fn check(&self, family: Family) -> Result<(), NotForFamily> {
        let of_lear = Self { trees: Vec::new(), ..self.clone() };
        if !of_lear.is_usual() && family != Family::Lear {
            let (what, able) = ("a choice of penalty, transform or inputs", "`lear`");
            return Err(NotForFamily { what, able, family });
        }
        if !self.trees.is_empty() && !matches!(family, Family::Ensemble | Family::Auto) {
            return Err(NotForFamily { what: "a choice of trees", able: "`ensemble` or `auto`", family });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_variants_agree() {
        fn agree<T>(names: &[&str], all: &[T])
        where
            T: FromStr<Err = UnknownChoice> + fmt::Debug + PartialEq + Copy + Serialize,
        {
            assert_eq!(names.len(), all.len());
            for (name, variant) in names.iter().zip(all) {
                assert_eq!(name.parse::<T>().unwrap(), *variant);
                assert_eq!(serde_json::to_string(variant).unwrap(), format!("\"{name}\""));
            }
        }
        agree(Penalty::NAMES, Penalty::ALL);
        agree(Transform::NAMES, Transform::ALL);
        agree(Inputs::NAMES, Inputs::ALL);
        agree(TreeExtra::NAMES, TreeExtra::ALL);
        let told = "aicc".parse::<Penalty>().unwrap_err().to_string();
        assert_eq!(
            told,
            "`aicc` is no choice of penalties: use one of mixture, aic, bic, rolling, published"
        );
    }

    #[test]
    fn what_is_not_chosen_is_not_written() {
        assert!(Choice::default().is_usual());
        assert_eq!(serde_json::to_string(&Choice::default()).unwrap(), "{}");
        let asked = Choice { penalty: Some(Penalty::Aic), ..Choice::default() };
        assert!(!asked.is_usual());
        let text = serde_json::to_string(&asked).unwrap();
        assert_eq!(text, r#"{"penalty":"aic"}"#);
        assert_eq!(serde_json::from_str::<Choice>(&text).unwrap(), asked);
    }

    #[test]
    fn only_who_can_follow_a_choice_is_given_it() {
        let penalty = Choice { penalty: Some(Penalty::Aic), ..Choice::default() };
        let trees = Choice { trees: vec![TreeExtra::Decay], ..Choice::default() };
        assert!(penalty.check(Family::Lear).is_ok() && trees.check(Family::Auto).is_ok());
        assert!(Family::ALL.iter().all(|family| Choice::default().check(*family).is_ok()));
        let told = penalty.check(Family::Auto).unwrap_err().to_string();
        assert!(told.contains("`auto`") && told.contains("choose `lear`"), "{told}");
        let told = trees.check(Family::Gbdt).unwrap_err().to_string();
        assert!(told.contains("`gbdt`") && told.contains("choose `ensemble` or `auto`"), "{told}");
    }
}
