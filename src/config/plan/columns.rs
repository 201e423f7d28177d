//! Rows of text in aligned columns.

/// A table that is being filled.
pub(super) struct Columns<const N: usize> {
    titles: Option<[String; N]>,
    rows: Vec<[String; N]>,
}

/// Blanks between two columns.
const GAP: &str = "  ";

impl<const N: usize> Columns<N> {
    /// One with a line of titles.
    pub(super) fn new(titles: [&str; N]) -> Self {
        Self { titles: Some(titles.map(str::to_owned)), rows: Vec::new() }
    }

    /// One without.
    pub(super) fn plain() -> Self {
        Self { titles: None, rows: Vec::new() }
    }

    /// Adds a row.
    pub(super) fn row(&mut self, row: [String; N]) {
        self.rows.push(row);
    }

    /// The table's lines; none without rows. A column in which every row is empty is left out.
    pub(super) fn finish(self) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let filled: Vec<usize> = (0..N).filter(|column| self.rows.iter().any(|row| !row[*column].is_empty())).collect();
        let lines: Vec<&[String; N]> = self.titles.iter().chain(&self.rows).collect();
        let width = |column: &usize| lines.iter().map(|row| row[*column].chars().count()).max().unwrap_or_default();
        let widths: Vec<usize> = filled.iter().map(width).collect();
        let mut text = String::new();
        for line in &lines {
            let cells = filled.iter().zip(&widths).map(|(column, width)| format!("{:<width$}", line[*column]));
            text.push_str(cells.collect::<Vec<_>>().join(GAP).trim_end());
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Columns::new(["a", "unit", "empty"]);
        table.row(["longer", "°C", ""].map(str::to_owned));
        table.row(["x", "%", ""].map(str::to_owned));
        assert_eq!(table.finish(), "a       unit\nlonger  °C\nx       %\n");
    }

    #[test]
    fn a_table_without_rows_is_nothing() {
        assert_eq!(Columns::new(["a"]).finish(), "");
    }
}
