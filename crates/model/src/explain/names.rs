//! Words for people: which features belong together, and what each of them is called.

use std::collections::BTreeMap;

/// Features that tell of one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// For machines: `own_past`, `level`, `calendar`, `holidays`, `season`, `sun`, `wind`, `covariate:NAME`, `other`.
    pub id: String,
    /// For people.
    pub label: String,
}

/// What every column of a matrix belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grouping {
    /// The groups that have a column, and always the calendar, in a fixed order.
    pub groups: Vec<Group>,
    /// The group of each column.
    pub of_column: Vec<usize>,
    /// Position of the calendar: what a row is about (kind of day, lead time) counts there.
    pub calendar: usize,
}

/// What the columns of a covariate end on, and how that reads.
const COVARIATE_SUFFIXES: [(&str, &str); 13] = [
    (":before", "one step earlier"),
    (":after", "one step later"),
    (":day_mean", "mean of the day"),
    (":day_before", "a day earlier"),
    (":day_change", "change since the day before"),
    (":week_before", "a week earlier"),
    (":heating", "heating degrees"),
    (":cooling", "cooling degrees"),
    (":mean_24h", "mean over 24 hours"),
    (":lag_day_1", "same time, newest day"),
    (":lag_week_1", "same time, newest week"),
    (":last", "newest value"),
    ("", ""),
];

const WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// Groups that every model may have, in the order they are told.
const FIXED: [(&str, &str); 8] = [
    ("own_past", "same time on earlier days and weeks"),
    ("level", "recent values and level"),
    ("calendar", "time of day, day of the week, lead time"),
    ("holidays", "holidays and bridge days"),
    ("season", "season and trend"),
    ("sun", "the sun over the place"),
    ("wind", "speed, power and direction of the wind"),
    ("other", "other features"),
];

impl Grouping {
    /// Sorts columns into groups by their names.
    #[must_use]
    pub fn new(names: &[String]) -> Self {
        let ids: Vec<String> = names.iter().map(|name| group_id(name)).collect();
        let mut groups: Vec<Group> = FIXED
            .iter()
            .filter(|(id, _)| *id == "calendar" || ids.iter().any(|known| known == id))
            .map(|(id, label)| Group { id: (*id).to_owned(), label: (*label).to_owned() })
            .collect();
        for id in &ids {
            if let Some(series) = id.strip_prefix("covariate:")
                && groups.iter().all(|group| group.id != *id)
            {
                groups.push(Group { id: id.clone(), label: series.to_owned() });
            }
        }
        let place: BTreeMap<&str, usize> =
            groups.iter().enumerate().map(|(i, group)| (group.id.as_str(), i)).collect();
        let of_column = ids.iter().map(|id| place[id.as_str()]).collect();
        let calendar = place["calendar"];
        Self { of_column, calendar, groups }
    }

    /// The column whose value says most about a group at a glance; `None` where no single one does.
    #[must_use]
    pub fn telling_column(&self, names: &[String], group: usize) -> Option<usize> {
        let find = |name: &str| names.iter().position(|known| known == name);
        let id = self.groups[group].id.as_str();
        match id {
            "own_past" => find("same_time_mean_7d").or_else(|| find("lag_week_1")),
            "level" => find("mean_24h").or_else(|| find("last_1")),
            "sun" => find("clear_sky_ghi"),
            _ => {
                let series = id.strip_prefix("covariate:")?;
                find(&format!("cov:{series}")).or_else(|| find(&format!("cov:{series}:last")))
            }
        }
    }
}

/// The series and the ending of a covariate's column.
fn covariate(name: &str) -> Option<(&str, &'static str)> {
    let rest = name.strip_prefix("cov:")?;
    // The names of series have no colon, so the first ending that fits is the right one.
    let ends = |(suffix, words): &(&str, &'static str)| Some((rest.strip_suffix(suffix)?, *words));
    COVARIATE_SUFFIXES.iter().find_map(ends)
}

fn group_id(name: &str) -> String {
    if let Some((series, _)) = covariate(name) {
        return format!("covariate:{series}");
    }
    let starts = |words: &[&str]| words.iter().any(|word| name.starts_with(word));
    let id = if starts(&["lag_", "same_time_"]) {
        "own_past"
    } else if starts(&["last_", "mean_", "std_", "min_", "max_", "day_vs_week"]) {
        "level"
    } else if matches!(name, "holiday" | "bridge" | "before_holiday" | "after_holiday") {
        "holidays"
    } else if starts(&["day_of_year_", "trend_years"]) {
        "season"
    } else if starts(&["hour_", "weekday_", "weekend", "lead_hours", "slot_of_day"]) {
        "calendar"
    } else if starts(&["solar_", "clear_sky_"]) {
        "sun"
    } else if starts(&["wind:"]) {
        "wind"
    } else {
        "other"
    };
    id.to_owned()
}

/// What a feature is called.
#[must_use]
pub fn label(name: &str) -> String {
    if let Some((series, words)) = covariate(name) {
        return if words.is_empty() { series.to_owned() } else { format!("{series}, {words}") };
    }
    if let Some(wind) = name.strip_prefix("wind:") {
        return format!("wind, {}", wind.replace([':', '_'], " "));
    }
    let number = |prefix: &str| name.strip_prefix(prefix).and_then(|rest| rest.parse::<u32>().ok());
    if let Some(weeks) = number("lag_week_") {
        return if weeks == 1 {
            "same time last week".into()
        } else {
            format!("same time {weeks} weeks ago")
        };
    }
    if let Some(days) = number("lag_day_") {
        let before = format!("same time {days} days before the start");
        return if days == 1 { "same time on the day before the start".into() } else { before };
    }
    if let Some(day) = number("weekday_") {
        return WEEKDAYS
            .get(day as usize)
            .map_or_else(|| name.replace('_', " "), |&day| format!("{day} or not"));
    }
    if let Some(steps) = number("last_") {
        return format!("value {steps} step{} before the start", if steps == 1 { "" } else { "s" });
    }
    let known = match name {
        "lag_day_1_before" => "the day before the start, one step earlier",
        "lag_day_1_after" => "the day before the start, one step later",
        "same_time_mean_7d" => "same time, mean of seven days",
        "same_time_mean_4w" => "same time, mean of the weeks",
        "last_known" => "last known value",
        "last_known_age_hours" => "age of the last known value, hours",
        "mean_24h" => "mean of the last day",
        "mean_168h" => "mean of the last week",
        "day_vs_week" => "last day against last week",
        "lead_hours" => "hours ahead",
        "trend_years" => "years of trend",
        "clear_sky_ghi" => "clear-sky irradiance",
        "solar_elevation_sin" => "height of the sun",
        other => return other.replace('_', " "),
    };
    known.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_of_the_builder_has_a_group_and_a_word() {
        let names: Vec<String> = [
            "lag_week_1",
            "same_time_mean_7d",
            "last_2",
            "std_168h",
            "hour_sin_2",
            "weekday_0",
            "lead_hours",
            "holiday",
            "trend_years",
            "cov:t.2m",
            "cov:t.2m:day_mean",
            "cov:wind:last",
            "clear_sky_ghi",
            "wind:100:power_9",
        ]
        .map(str::to_owned)
        .to_vec();
        let grouping = Grouping::new(&names);
        let ids: Vec<&str> = grouping.of_column.iter().map(|&g| grouping.groups[g].id.as_str()).collect();
        let expected = [
            "own_past",
            "own_past",
            "level",
            "level",
            "calendar",
            "calendar",
            "calendar",
            "holidays",
            "season",
            "covariate:t.2m",
            "covariate:t.2m",
            "covariate:wind",
            "sun",
            "wind",
        ];
        assert_eq!(label("wind:100:power_9"), "wind, 100 power 9");
        assert_eq!(ids, expected);
        assert_eq!(label("cov:t.2m"), "t.2m");
        assert_eq!(label("cov:t.2m:day_mean"), "t.2m, mean of the day");
        assert_eq!(label("lag_week_1"), "same time last week");
        assert_eq!(label("std_168h"), "std 168h");
        assert_eq!(
            (label("weekday_6"), label("weekday_9")),
            ("Sunday or not".to_owned(), "weekday 9".to_owned())
        );
        let wind = grouping.groups.iter().position(|g| g.label == "wind").unwrap();
        assert_eq!(grouping.telling_column(&names, wind), Some(11));
    }

    #[test]
    fn there_is_always_a_calendar() {
        let grouping = Grouping::new(&["useless".to_owned()]);
        assert_eq!(grouping.groups[grouping.calendar].id, "calendar");
        assert_eq!(grouping.groups[grouping.of_column[0]].id, "other");
    }
}
