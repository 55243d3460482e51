//! Tables as kubectl prints them: a header, aligned columns, no borders. It must not know what is in them.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// Between two columns.
const GAP: usize = 3;

/// The header and the rows, each as long as the header. Lines are cut to `width` columns of
/// the terminal, where there is one: an ideograph takes two.
pub fn table(header: &[&str], rows: &[Vec<String>], width: Option<usize>) -> String {
    let widths: Vec<usize> = (0..header.len())
        .map(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.width());
            cells.chain([header[column].width()]).max().unwrap_or(0)
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
        line.extend(std::iter::repeat_n(' ', (width + GAP).saturating_sub(cell.width())));
    }
    cut(line.trim_end(), width) + "\n"
}

fn cut(line: &str, width: Option<usize>) -> String {
    let Some(width) = width.filter(|width| line.width() > *width) else { return line.to_owned() };
    let mut taken = 0;
    let fits = |letter: &char| {
        taken += letter.width().unwrap_or_default();
        taken < width
    };
    let kept: String = line.chars().take_while(fits).collect();
    kept.trim_end().to_owned() + "…"
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
        assert!(text.lines().all(|line| line.width() <= 20), "{text}");
        assert_eq!(text.lines().last(), Some("119s   ü        a l…"));
        assert_eq!(table(&["WHEN"], &[], Some(0)), "…\n");
    }

    #[test]
    fn wide_letters_take_two_columns_and_accents_none() {
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        let rows = [row(["名前", "cart"]), row(["e\u{301}", "db"]), row(["name", "x"])];
        let text = table(&["POD", "CAUSE"], &rows, None);
        let before: Vec<usize> = text
            .lines()
            .map(|line| line[..line.rfind("   ").unwrap()].trim_end().width())
            .collect();
        assert_eq!(before, [3, 4, 1, 4]);
        let starts = text.lines().map(|line| line[..line.rfind(' ').unwrap() + 1].width());
        assert!(starts.eq([7; 4]), "{text}");
        assert!(table(&["A"], &[vec!["名前名前".to_owned()]], Some(4)).ends_with("名…\n"));
    }
}
