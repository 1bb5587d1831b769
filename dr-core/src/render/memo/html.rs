//! The memo as a page for a browser and a printer: one file that needs no other.

use std::fmt::Write as _;

use super::page::{Block, Page};

const HEAD: &str = "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
<title>Recovery memo</title>\n\
<style>\nbody{font:15px/1.45 sans-serif;margin:2em auto;max-width:62em;padding:0 1em;color:#111;background:#fff}\n\
h1{margin:0 0 .3em}h2{border-bottom:2px solid #111;margin-top:2em}h3{margin-top:1.6em}\n\
.front{border:3px solid #a00;padding:0 1.2em 1em}\n\
table{border-collapse:collapse;width:100%;margin:.6em 0 1.2em}td,th{text-align:left;vertical-align:top;padding:.25em .5em;border:1px solid #999}\n\
code{font-family:monospace;font-size:95%;overflow-wrap:anywhere}pre{background:#f2f2f2;border:1px solid #999;padding:.5em;white-space:pre-wrap;overflow-wrap:anywhere}\n\
.step{margin:1.1em 0}.step p{margin:.3em 0}.step ul{margin:.3em 0}nav li{list-style:none}nav .h3{margin-left:1.5em}\n\
@page{margin:16mm 14mm;@bottom-right{content:counter(page)}}\n\
@media print{body{font-size:11px;margin:0;max-width:none}.front{break-after:page}h2,h3{break-after:avoid}.step,tr,pre{break-inside:avoid}nav{display:none}}\n\
</style>\n</head>\n<body>\n";

pub(super) fn to_html(page: &Page) -> String {
    let mut out = String::from(HEAD);
    out.push_str("<div class=\"front\">\n");
    let (mut number, mut is_front) = (0, true);
    for block in &page.blocks {
        match block {
            Block::Heading { level, text } => {
                // The page for the emergency is everything above the first section with a number.
                if is_front && text.starts_with(|c: char| c.is_ascii_digit()) {
                    out.push_str("</div>\n");
                    contents(&mut out, page);
                    is_front = false;
                }
                let _ = writeln!(out, "<h{level} id=\"s{number}\">{}</h{level}>", inline(text));
                number += 1;
            }
            Block::Paragraph(text) => {
                let _ = writeln!(out, "<p>{}</p>", inline(text));
            }
            Block::Items(items) => list(&mut out, items.iter().map(|item| inline(item))),
            Block::Table { head, rows } => table(&mut out, head, rows),
            Block::Typed(lines) => typed(&mut out, lines),
            Block::Step { title, typed: lines, says } => {
                let _ = writeln!(out, "<div class=\"step\">\n<p>☐ {}</p>", inline(title));
                typed(&mut out, lines);
                list(&mut out, says.iter().map(|(what, text)| format!("<b>{what}:</b> {}", inline(text))));
                out.push_str("</div>\n");
            }
        }
    }
    if is_front {
        out.push_str("</div>\n");
    }
    out.push_str("</body>\n</html>\n");
    out
}

fn contents(out: &mut String, page: &Page) {
    out.push_str("<nav>\n<ul>\n");
    let headings = page.blocks.iter().filter_map(|block| match block {
        Block::Heading { level, text } => Some((level, text)),
        _ => None,
    });
    for (number, (level, text)) in headings.enumerate() {
        if text.starts_with(|c: char| c.is_ascii_digit()) {
            let _ = writeln!(out, "<li class=\"h{level}\"><a href=\"#s{number}\">{}</a></li>", inline(text));
        }
    }
    out.push_str("</ul>\n</nav>\n");
}

fn list(out: &mut String, items: impl Iterator<Item = String>) {
    out.push_str("<ul>\n");
    for item in items {
        let _ = writeln!(out, "<li>{item}</li>");
    }
    out.push_str("</ul>\n");
}

fn table(out: &mut String, head: &[String], rows: &[Vec<String>]) {
    let cells = |row: &[String], tag: &str| -> String {
        row.iter().map(|text| format!("<{tag}>{}</{tag}>", inline(text))).collect()
    };
    let _ = writeln!(out, "<table>\n<thead><tr>{}</tr></thead>\n<tbody>", cells(head, "th"));
    for row in rows {
        let _ = writeln!(out, "<tr>{}</tr>", cells(row, "td"));
    }
    out.push_str("</tbody>\n</table>\n");
}

fn typed(out: &mut String, lines: &[String]) {
    if !lines.is_empty() {
        let lines: Vec<String> = lines.iter().map(|line| escaped(line)).collect();
        let _ = writeln!(out, "<pre><code>{}</code></pre>", lines.join("\n"));
    }
}

/// The three signs of a memo's texts as tags, everything else as it stands.
fn inline(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let (mut rest, mut strong) = (text, false);
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        if let Some(after) = rest.strip_prefix("**") {
            out.push_str(if strong { "</b>" } else { "<b>" });
            (rest, strong) = (after, !strong);
        } else if let ('`', Some((code, after))) = (c, after.split_once('`')) {
            let _ = write!(out, "<code>{}</code>", escaped(code));
            rest = after;
        } else if let ('\\', Some(meant)) = (c, after.chars().next()) {
            out.push_str(&escaped(&meant.to_string()));
            rest = &after[meant.len_utf8()..];
        } else {
            out.push_str(&escaped(&c.to_string()));
            rest = after;
        }
    }
    if strong {
        out.push_str("</b>");
    }
    out
}

fn escaped(raw: &str) -> String {
    let mut safe = String::with_capacity(raw.len());
    for c in raw.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            c if c.is_control() => safe.extend(c.escape_default()),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::super::page::cell;
    use super::*;

    #[test]
    fn three_signs_are_tags_and_everything_else_is_text() {
        let cases = [
            ("**now** type `dr log`", "<b>now</b> type <code>dr log</code>"),
            ("a < b & \"c\"", "a &lt; b &amp; &quot;c&quot;"),
            (r"it\_is \*\* and \`", "it_is ** and `"),
            ("one ` alone, `<b>`", "one <code> alone, </code>&lt;b&gt;`"),
            ("**open", "<b>open</b>"),
        ];
        for (text, expected) in cases {
            assert_eq!(inline(text), expected);
        }
        for hostile in ["<script>alert(1)</script>", "`<b>`", r"\<b>", "**<i>", "a\u{1b}[2J\n"] {
            let html = inline(&cell(hostile));
            assert!(!html.contains(['<', '\u{1b}', '\n']), "{html}");
        }
    }
}
