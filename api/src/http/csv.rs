//! CSV (RFC 4180) that a spreadsheet takes for text and a line-wise reader for one line a row.

/// Appends a row.
pub(super) fn row<'a>(cells: impl IntoIterator<Item = &'a str>, out: &mut String) {
    for (index, cell) in cells.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        quote(cell, out);
    }
    out.push_str("\r\n");
}

/// A cell: quoted; quotes doubled; line ends as `\r` and `\n`; and an apostrophe before whatever a spreadsheet would take
/// for a formula, but for telephone numbers and numbers.
fn quote(cell: &str, out: &mut String) {
    out.push('"');
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) && !is_number(cell) {
        out.push('\'');
    }
    for c in cell.chars() {
        match c {
            '"' => out.push_str("\"\""),
            '\r' => out.push_str("\\r"),
            '\n' => out.push_str("\\n"),
            '\0' => out.push_str("\\0"),
            c => out.push(c),
        }
    }
    out.push('"');
}

fn is_number(cell: &str) -> bool {
    let digits = cell.strip_prefix(['+', '-']).unwrap_or(cell);
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_never_a_formula_and_a_row_is_always_one_line() {
        let mut out = String::new();
        row(
            ["=cmd|' /C calc'!A0", "+18325550100", "a\"b,c", "x\r\nSet-Cookie: y", "@SUM(1)", "-1.5", "-1+1", "\t=1"],
            &mut out,
        );
        assert_eq!(
            out,
            "\"'=cmd|' /C calc'!A0\",\"+18325550100\",\"a\"\"b,c\",\"x\\r\\nSet-Cookie: y\",\"'@SUM(1)\",\"-1.5\",\"'-1+1\",\"'\t=1\"\r\n"
        );
        assert_eq!(out.lines().count(), 1);
    }
}
