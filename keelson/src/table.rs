//! How reports are printed: columns for people, or JSON.
//!
//! In: rows of cells. Out: text in which each column is as wide as its widest cell, two spaces between them.

use clap::ValueEnum;

/// How a report is printed.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Output {
    /// Columns, for people.
    Table,
    /// One JSON object, for programs.
    Json,
}

/// The rows as aligned lines.
pub(crate) fn align<const N: usize>(rows: &[[String; N]]) -> String {
    let mut text = String::new();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    for row in rows {
        let line: Vec<String> =
            row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        text += line.join("  ").trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_nothing_trails() {
        let rows = [["NAME", "ROLE"], ["a", "leader"], ["höher", ""]].map(|row| row.map(str::to_owned));
        assert_eq!(align(&rows), "NAME   ROLE\na      leader\nhöher\n");
    }
}
