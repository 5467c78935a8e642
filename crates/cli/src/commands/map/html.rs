//! The map as a page: the picture, and its figures as tables.

use super::survey::Survey;
use crate::picture::page;
use crate::units::{bytes, time};

/// A table of thousands of segments helps nobody.
const SEGMENTS_TOLD: usize = 256;

pub(super) fn page(survey: &Survey, picture: &str) -> String {
    let mut rest = problems(survey);
    rest += &page::table(
        "What the log is made of",
        &["kind", ">bytes", "share"],
        &survey
            .figures()
            .into_iter()
            .map(|(kind, much, of)| vec![kind.to_owned(), much, of])
            .collect::<Vec<_>>(),
    );
    rest += &marks(survey);
    rest += &segments(survey);
    page::page(&format!("tidelog map: {}", survey.directory), picture, &rest)
}

fn problems(survey: &Survey) -> String {
    let (told, more) = survey.told();
    let or_dash = |lsn: Option<u64>| lsn.map_or_else(|| "-".to_owned(), |lsn| lsn.to_string());
    let rows = told.iter().map(|problem| {
        let kind = problem.outcome.word().to_owned();
        vec![kind, or_dash(problem.lsn), or_dash(problem.lost_to), problem.message.clone()]
    });
    let mut text =
        page::table("What is wrong", &["kind", ">lost from LSN", ">to", "what"], &rows.collect::<Vec<_>>());
    if more > 0 {
        text += &format!("<p>And {more} more places; verify lists them all.</p>\n");
    }
    text
}

fn marks(survey: &Survey) -> String {
    let mut rows: Vec<Vec<String>> = Vec::new();
    for mark in &survey.marks {
        let (name, lag, gate) = match mark.lag {
            Some((lag, gate)) => {
                (format!("cursor {}", mark.name), bytes(lag), if gate { "yes" } else { "no" })
            }
            None => (mark.name.clone(), String::new(), ""),
        };
        rows.push(vec![name, mark.lsn.to_string(), lag, gate.to_owned()]);
    }
    for (name, error) in &survey.broken_cursors {
        rows.push(vec![format!("cursor {name}"), error.clone(), String::new(), String::new()]);
    }
    page::table("Marks", &["name", ">LSN", ">behind the end", "gates retirement"], &rows)
}

fn segments(survey: &Survey) -> String {
    let rows = survey.slots.iter().take(SEGMENTS_TOLD).map(|slot| {
        let header = slot.segment.as_ref().and_then(|segment| segment.header.as_ref().ok());
        let share = slot.share();
        vec![
            slot.number.to_string(),
            slot.base.to_string(),
            slot.end.to_string(),
            slot.state().to_owned(),
            format!("{:.1}%", share.filled() as f64 * 100.0 / share.total().max(1) as f64),
            header.and_then(|header| header.created).map(time).unwrap_or_default(),
            header.and_then(|header| header.tail_mark?.sealed).map(time).unwrap_or_default(),
        ]
    });
    let columns = [">segment", ">base", ">end", "state", ">fill", "made", "sealed"];
    let mut text = page::table("Segments", &columns, &rows.collect::<Vec<_>>());
    if survey.slots.len() > SEGMENTS_TOLD {
        let more = survey.slots.len() - SEGMENTS_TOLD;
        text += &format!("<p>And {more} more; map --json tells them all.</p>\n");
    }
    text
}
