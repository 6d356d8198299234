//! `forewatt models optimize`: a smaller, faster version of a model.

use clap::Args;
use forewatt_domain::VersionId;
use forewatt_service::Service;
use forewatt_service::optimize::{Cost, OptimizeReport, OptimizeRequest};

use super::models::version_id;
use super::output::Output;
use super::train;
use crate::table::{Table, number};

/// How to make it smaller.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The version's id
    #[arg(value_parser = version_id)]
    id: VersionId,
    /// Keep leaves of trees in 8 bits and coefficients in bf16; both when neither this nor --prune is named
    #[arg(long)]
    quantize: bool,
    /// Drop trees and leaves as far as the loss allows
    #[arg(long)]
    prune: bool,
    /// The greatest rise of the pinball loss; nothing is registered that loses more
    #[arg(long, value_name = "SHARE", default_value = "0.5%", value_parser = share)]
    max_loss: f64,
    /// Days at the end of the data to judge by
    #[arg(long, value_name = "DAYS", default_value_t = OptimizeRequest::default().days)]
    days: u32,
}

/// A share as `0.5%` or `0.005`.
fn share(text: &str) -> Result<f64, String> {
    let (digits, unit) = text.strip_suffix('%').map_or((text, 1.0), |digits| (digits, 100.0));
    let share = digits.trim().parse::<f64>().ok().map(|number| number / unit);
    share
        .filter(|share| (0.0..=1.0).contains(share))
        .ok_or_else(|| "write a share as 0.5% or 0.005; it is 0 to 100 %".to_owned())
}

/// Makes it, and tells what it costs beside its parent.
pub async fn run(service: &Service, out: Output, arguments: &Arguments) -> anyhow::Result<()> {
    let Arguments { id, quantize, prune, max_loss, days } = arguments;
    let request = OptimizeRequest { quantize: *quantize, prune: *prune, max_loss: *max_loss, days: *days };
    let bar = out.work_bar();
    let report = service.optimize(id, request, train::follow(&bar)).await;
    bar.finish_and_clear();
    let report = report?;
    if out.json {
        return out.document(&report);
    }
    Ok(out.text(&describe(&report))?)
}

fn describe(report: &OptimizeReport) -> String {
    let mut table = Table::new(&["", ">bytes", ">trees", ">rows per second", ">pinball"]);
    let parent = report.version.parent.as_ref().map_or("parent", VersionId::as_str);
    for (name, cost) in [(parent, &report.before), (report.version.id.as_str(), &report.after)] {
        let Cost { bytes, rows_per_second, pinball, trees } = *cost;
        table.row([
            name.to_owned(),
            bytes.to_string(),
            trees.to_string(),
            format!("{rows_per_second:.0}"),
            number(pinball),
        ]);
    }
    format!(
        "{}{:+.2} % pinball loss on the forecasts from {} to {}\n\
         `forewatt models promote {} --force --reason TEXT` makes it champion",
        table.render(),
        100.0 * report.loss,
        report.judged.0,
        report.judged.1,
        report.version.id
    )
}

#[cfg(test)]
mod tests {
    use super::share;

    #[test]
    fn shares_come_as_percents_or_numbers() {
        assert_eq!(
            (share("0.5%"), share("0.005"), share("0"), share(" 100 %")),
            (Ok(0.005), Ok(0.005), Ok(0.0), Ok(1.0))
        );
        for wrong in ["", "%", "101%", "-1%", "half", "NaN"] {
            assert!(share(wrong).is_err(), "{wrong}");
        }
    }
}
