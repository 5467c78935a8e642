//! A page that needs nothing but itself: no script, no other file.

use std::fmt::Write;

use super::svg::escape;

const STYLE: &str = "\
:root { color-scheme: light dark; --ground: #ffffff; --text: #24292f; --faint: #57606a; --rule: #d0d7de; }
@media (prefers-color-scheme: dark) { :root { --ground: #15191e; --text: #dfe4e8; --faint: #9aa4ae; --rule: #363d45; } }
body { background: var(--ground); color: var(--text); font: 14px/1.45 system-ui, sans-serif; margin: 24px auto; max-width: 900px; padding: 0 16px; }
figure { margin: 0 0 24px; overflow-x: auto; }
svg { display: block; max-width: 100%; height: auto; min-width: 640px; }
svg [class]:has(> title):hover { filter: brightness(1.2); }
h2 { font-size: 15px; margin: 28px 0 8px; }
div.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 13px; }
th { color: var(--faint); font-weight: 500; text-align: left; }
th, td { padding: 3px 14px 3px 0; border-bottom: 1px solid var(--rule); vertical-align: top; }
td.n, th.n { text-align: right; }
td { overflow-wrap: break-word; }
th { white-space: nowrap; }
p { color: var(--faint); }
";

/// The page with a picture, and what follows it.
pub(crate) fn page(title: &str, picture: &str, rest: &str) -> String {
    let title = escape(title);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n<title>{title}</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<figure>\n{picture}</figure>\n{rest}</body>\n</html>\n"
    )
}

/// A table under a heading; nothing where there are no rows. Numbers stand at the right in the columns that are named by a
/// `>` before their heading.
pub(crate) fn table(heading: &str, columns: &[&str], rows: &[Vec<String>]) -> String {
    let mut text = String::new();
    if rows.is_empty() {
        return text;
    }
    let class = |column: usize| {
        let number = columns.get(column).is_some_and(|name| name.starts_with('>'));
        if number { " class=\"n\"" } else { "" }
    };
    let _ = writeln!(text, "<h2>{}</h2>\n<div class=\"wide\"><table>", escape(heading));
    text.push_str("<tr>");
    for (index, column) in columns.iter().enumerate() {
        let _ = write!(text, "<th{}>{}</th>", class(index), escape(column.trim_start_matches('>')));
    }
    text.push_str("</tr>\n");
    for row in rows {
        text.push_str("<tr>");
        for (index, cell) in row.iter().enumerate() {
            let _ = write!(text, "<td{}>{}</td>", class(index), escape(cell));
        }
        text.push_str("</tr>\n");
    }
    text.push_str("</table></div>\n");
    text
}
