//! Markdown tables.

use std::fmt;

/// A table. The first row has the names of the columns.
pub struct Table(Vec<Vec<String>>);

impl Table {
    pub fn new(columns: &[&str]) -> Self {
        Self(vec![columns.iter().map(|column| (*column).to_owned()).collect()])
    }

    pub fn row(&mut self, name: &str, figures: impl IntoIterator<Item = String>) {
        self.0.push(std::iter::once(name.to_owned()).chain(figures).collect());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |column: usize| self.0.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
        let widths: Vec<_> = (0..self.0[0].len()).map(width).collect();
        for (number, row) in self.0.iter().enumerate() {
            for (cell, width) in row.iter().zip(&widths) {
                write!(f, "| {cell:<width$} ")?;
            }
            writeln!(f, "|")?;
            if number == 0 {
                writeln!(f, "{}|", "|---".repeat(row.len()))?;
            }
        }
        Ok(())
    }
}
