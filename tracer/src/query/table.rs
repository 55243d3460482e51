//! Tables as kubectl prints them: a header, aligned columns, no borders. It must not know what is in them.

/// Between two columns.
const GAP: usize = 3;

/// The header and the rows, each as long as the header. Lines are cut to `width` characters, where there is one.
pub fn table(header: &[&str], rows: &[Vec<String>], width: Option<usize>) -> String {
    let widths: Vec<usize> = (0..header.len())
        .map(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| length(cell));
            cells.chain([length(header[column])]).max().unwrap_or(0)
        })
        .collect();
    let mut out = line(header.iter().copied(), &widths, width);
    for row in rows {
        out.push_str(&line(row.iter().map(String::as_str), &widths, width));
    }
    out
}

fn line<'a>(
    cells: impl Iterator<Item = &'a str>,
    widths: &[usize],
    width: Option<usize>,
) -> String {
    let mut line = String::new();
    for (cell, width) in cells.zip(widths) {
        line.push_str(cell);
        line.extend(std::iter::repeat_n(' ', (width + GAP).saturating_sub(length(cell))));
    }
    cut(line.trim_end(), width) + "\n"
}

fn cut(line: &str, width: Option<usize>) -> String {
    match width {
        Some(width) if length(line) > width => {
            let kept: String = line.chars().take(width.saturating_sub(1)).collect();
            kept.trim_end().to_owned() + "…"
        }
        _ => line.to_owned(),
    }
}

fn length(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Vec<String>> {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        vec![row(["5m", "cart-0", "oom_killed"]), row(["119s", "ü", "a long sentence"])]
    }

    #[test]
    fn columns_are_aligned_and_nothing_ends_in_spaces() {
        insta::assert_snapshot!(table(&["WHEN", "POD", "CAUSE"], &rows(), None), @"
        WHEN   POD      CAUSE
        5m     cart-0   oom_killed
        119s   ü        a long sentence
        ");
    }

    #[test]
    fn lines_are_cut_to_the_terminal() {
        let text = table(&["WHEN", "POD", "CAUSE"], &rows(), Some(20));
        assert!(text.lines().all(|line| length(line) <= 20), "{text}");
        assert_eq!(text.lines().last(), Some("119s   ü        a l…"));
        assert_eq!(table(&["WHEN"], &[], Some(0)), "…\n");
    }
}
