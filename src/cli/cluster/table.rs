//! Columns for people: as wide as their widest cell, two spaces apart.

/// Rows under headings.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table of these columns.
    pub(crate) fn new(headings: &[&str]) -> Self {
        Self { rows: vec![headings.iter().map(|heading| (*heading).to_owned()).collect()] }
    }

    /// One more row.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The lines, each after `indent`. A cell is one line whatever is in it.
    pub(crate) fn lines(&self, indent: &str) -> String {
        let clean: Vec<Vec<String>> = self
            .rows
            .iter()
            .map(|row| row.iter().map(|cell| if cell.is_empty() { "-".to_owned() } else { one_line(cell) }).collect())
            .collect();
        let columns = clean.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| clean.iter().filter_map(|row| Some(row.get(column)?.chars().count())).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut lines = String::new();
        for row in &clean {
            let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
            lines.push_str(indent);
            lines.push_str(cells.join("  ").trim_end());
            lines.push('\n');
        }
        lines
    }
}

/// What a cluster says goes to a terminal: no line breaks, and nothing that moves the cursor.
fn one_line(text: &str) -> String {
    text.chars().map(|one| if one.is_control() { ' ' } else { one }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(&["NAME", "READY"]);
        table.row(["mnist".to_owned(), "True".to_owned()]);
        table.row(["é\x1b[2J".to_owned(), String::new()]);
        assert_eq!(table.lines("  "), "  NAME   READY\n  mnist  True\n  é [2J  -\n");
    }
}
