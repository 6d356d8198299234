//! Aligned tables for the terminal.

/// On which side of its column a cell's text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// A table under construction: a heading and rows of equal length.
#[derive(Debug, Clone)]
pub struct Table {
    aligns: Vec<Align>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns; a name that starts with `>` stands on the right, with its values.
    #[must_use]
    pub fn new(columns: &[&str]) -> Self {
        let align = |name: &&str| if name.starts_with('>') { Align::Right } else { Align::Left };
        Self {
            aligns: columns.iter().map(align).collect(),
            rows: vec![columns.iter().map(|name| name.trim_start_matches('>').to_owned()).collect()],
        }
    }

    /// Adds a row; missing cells stay empty, surplus ones are dropped.
    pub fn row<I: IntoIterator<Item = String>>(&mut self, cells: I) {
        let mut row: Vec<String> = cells.into_iter().take(self.aligns.len()).collect();
        row.resize(self.aligns.len(), String::new());
        self.rows.push(row);
    }

    /// The table as text, a line break after every row.
    #[must_use]
    pub fn render(&self) -> String {
        let count = |text: &String| text.chars().count();
        let width = |column: usize| self.rows.iter().map(|row| count(&row[column])).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.aligns.len()).map(width).collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for ((cell, align), &width) in row.iter().zip(&self.aligns).zip(&widths) {
                match align {
                    Align::Left => line.push_str(&format!("{cell:<width$}  ")),
                    Align::Right => line.push_str(&format!("{cell:>width$}  ")),
                }
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// A number with as many digits as a reader needs: four significant ones, no more than six decimals.
#[must_use]
pub fn number(value: f64) -> String {
    if !value.is_finite() {
        return "-".to_owned();
    }
    let magnitude = value.abs();
    let decimals = match magnitude {
        m if m >= 1000.0 => 0,
        m if m >= 100.0 => 1,
        m if m >= 10.0 => 2,
        m if m >= 1.0 || m == 0.0 => 3,
        _ => 4,
    };
    format!("{value:.decimals$}")
}

/// A count with a space between thousands.
#[must_use]
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(&["model", ">MAE"]);
        table.row(["gbdt".to_owned(), "4.1".to_owned()]);
        table.row(["seasonal-naive".to_owned()]);
        table.row(["é".to_owned(), "123.4".to_owned(), "surplus".to_owned()]);
        assert_eq!(
            table.render(),
            "model             MAE\ngbdt              4.1\nseasonal-naive\né               123.4\n"
        );
    }

    #[test]
    fn numbers_as_people_read_them() {
        assert_eq!(number(12345.678), "12346");
        assert_eq!(number(4.1254), "4.125");
        assert_eq!(number(0.0), "0.000");
        assert_eq!(number(f64::NAN), "-");
        assert_eq!(count(1_234_567), "1 234 567");
        assert_eq!(count(12), "12");
    }
}
