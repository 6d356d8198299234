//! The flags that ask more of a family than its name says, shared by the commands that learn.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use forewatt_domain::{Choice, Inputs, Penalty, Transform, TreeExtra};

/// What only some families follow; the help of each command shows it under a heading of its own.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "With --model lear or auto")]
pub struct ChoiceArgs {
    /// lear: how penalties are chosen, all weighed or one by day and hour; published is the LEAR ensemble of Lago et al.
    /// 2021 [default: mixture]
    #[arg(long, value_name = "HOW", value_parser = penalty())]
    penalty: Option<Penalty>,
    /// lear: the transform of inputs and outputs about their median [default: asinh, and box-cox beside it in a mixture]
    #[arg(long, value_name = "NAME", value_parser = transform())]
    transform: Option<Transform>,
    /// lear: what it may choose among [default: summaries for a mixture of penalties, else base]
    #[arg(long, value_name = "SET", value_parser = inputs())]
    inputs: Option<Inputs>,
    /// auto, and ensemble over whole days: what trees do beside the usual
    #[arg(long, value_name = "MANNER,...", value_delimiter = ',', value_parser = trees())]
    trees: Vec<TreeExtra>,
}

impl From<ChoiceArgs> for Choice {
    fn from(args: ChoiceArgs) -> Self {
        Self { penalty: args.penalty, transform: args.transform, inputs: args.inputs, trees: args.trees }
    }
}

fn penalty() -> impl TypedValueParser<Value = Penalty> {
    PossibleValuesParser::new(Penalty::NAMES).try_map(|name| name.parse::<Penalty>())
}

fn transform() -> impl TypedValueParser<Value = Transform> {
    PossibleValuesParser::new(Transform::NAMES).try_map(|name| name.parse::<Transform>())
}

fn inputs() -> impl TypedValueParser<Value = Inputs> {
    PossibleValuesParser::new(Inputs::NAMES).try_map(|name| name.parse::<Inputs>())
}

fn trees() -> impl TypedValueParser<Value = TreeExtra> {
    PossibleValuesParser::new(TreeExtra::NAMES).try_map(|name| name.parse::<TreeExtra>())
}
