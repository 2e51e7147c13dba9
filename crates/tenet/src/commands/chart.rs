//! A report as a picture: horizontal bars in SVG, for slides and tickets. No script, no fonts of its own, and readable by
//! machines that read aloud.

use std::fmt::Write as _;

use policy::escaped;
use serde_json::Value;

/// Most bars; what would be one more is summed up in the last.
const MAX_BARS: usize = 40;
const ROW: usize = 26;
const TOP: usize = 56;
const LABEL: usize = 430;
const BAR: u64 = 420;
/// Most characters of a label.
const MAX_LABEL: usize = 56;

/// The picture of rows that hold `who`, `what`, `on`, `why` and `count`, the largest first.
pub(super) fn svg(title: &str, rows: &[Value]) -> String {
    let mut bars: Vec<(String, u64)> = rows.iter().map(|row| (label(row), count(row))).collect();
    if bars.len() > MAX_BARS {
        let rest = bars.split_off(MAX_BARS - 1);
        let sum = rest.iter().map(|(_, count)| count).sum();
        bars.push((format!("{} more", rest.len()), sum));
    }
    let most = bars.iter().map(|(_, count)| *count).max().unwrap_or(1).max(1);
    let (width, height) = (LABEL + BAR as usize + 100, TOP + bars.len().max(1) * ROW + 20);
    let mut out = String::new();
    // Writing to a `String` never fails.
    let _ = write!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         role=\"img\" aria-label=\"{title}\" font-family=\"system-ui, sans-serif\" font-size=\"13\">\n\
         <title>{title}</title>\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <text x=\"16\" y=\"32\" font-size=\"17\" font-weight=\"600\" fill=\"#1b2733\">{title}</text>\n",
        title = escaped(title),
    );
    if bars.is_empty() {
        let _ = writeln!(out, "<text x=\"16\" y=\"{}\" fill=\"#51606e\">nothing</text>", TOP + 16);
    }
    for (at, (label, count)) in bars.iter().enumerate() {
        let y = TOP + at * ROW;
        let long = (count * BAR).div_ceil(most).max(1);
        let _ = writeln!(
            out,
            "<g><title>{label}: {count}</title><text x=\"{}\" y=\"{}\" text-anchor=\"end\" fill=\"#33414e\">{short}</text>\
             <rect x=\"{LABEL}\" y=\"{y}\" width=\"{long}\" height=\"18\" rx=\"2\" fill=\"#2f6f8f\"/>\
             <text x=\"{}\" y=\"{}\" fill=\"#1b2733\">{count}</text></g>",
            LABEL - 10,
            y + 14,
            LABEL as u64 + long + 8,
            y + 14,
            label = escaped(label),
            short = escaped(&shortened(label)),
        );
    }
    out.push_str("</svg>\n");
    out
}

fn count(row: &Value) -> u64 {
    row.get("count").and_then(Value::as_u64).unwrap_or(0)
}

fn label(row: &Value) -> String {
    let parts =
        ["what", "why", "who", "on"].map(|name| row.get(name).and_then(Value::as_str).unwrap_or_default());
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" · ")
}

/// For the eye; the whole is in the title of the bar. Of an id the end is shown, which tells it from others.
fn shortened(text: &str) -> String {
    let text: Vec<String> = text.split(' ').map(short_id).collect();
    let text = text.join(" ");
    match text.char_indices().nth(MAX_LABEL - 1) {
        Some((end, _)) if text.chars().count() > MAX_LABEL => {
            format!("{}…", text.get(..end).unwrap_or_default())
        }
        _ => text,
    }
}

fn short_id(word: &str) -> String {
    match (word.get(..4), word.get(24..30), word.get(30..)) {
        (Some(prefix), Some(end), Some(rest)) if prefix.ends_with('_') => format!("{prefix}…{end}{rest}"),
        _ => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn bars_are_in_proportion_and_text_can_t_break_out() {
        let rows = [
            json!({"who": "<script>", "what": "a", "on": "", "why": "", "count": 10}),
            json!({"who": "b\u{0}\"", "what": "b", "on": "", "why": "", "count": 5}),
        ];
        let picture = svg("what & why", &rows);
        assert!(
            picture.contains("width=\"420\" height=\"18\"")
                && picture.contains("width=\"210\" height=\"18\"")
        );
        assert!(picture.contains("a · &lt;script&gt;") && !picture.contains("<script"));
        assert!(picture.contains("what &amp; why") && !picture.contains('\u{0}'));
        assert!(svg("none", &[]).contains("nothing"));
        let id = "opr_01m8d2n02rf22akn2b492k54h8";
        assert_eq!(short_id(id), "opr_…2k54h8");
        let picture = svg("ids", &[json!({"what": "a", "who": id, "count": 1})]);
        assert!(
            picture.contains(&format!("<title>a · {id}: 1</title>")) && picture.contains(">a · opr_…2k54h8<")
        );
    }

    #[test]
    fn what_does_not_fit_is_summed_up() {
        let rows: Vec<_> = (0..100).map(|n| json!({"what": format!("w{n}"), "count": 1})).collect();
        let picture = svg("many", &rows);
        assert_eq!(picture.matches("<rect x=").count(), MAX_BARS);
        assert!(picture.contains("61 more: 61"));
    }
}
