//! Faults and warnings with their place, and how they are shown: file, line, column, the line itself and carets.
//!
//! What is shown of the map never holds a secret: see [`Source`].

use std::fmt::Write as _;
use std::ops::Range;

use super::secrets;

/// A fault or warning with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Byte range in the map's text.
    pub span: Range<usize>,
    /// What is wrong, in words.
    pub message: String,
    /// What to do, such as the key that was probably meant.
    pub help: Option<String>,
}

/// Faults and warnings as they are found.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) faults: Vec<Diagnostic>,
    pub(super) warnings: Vec<Diagnostic>,
}

impl Findings {
    /// Notes what makes the map unusable.
    pub(super) fn fault(&mut self, span: &Range<usize>, message: impl Into<String>, help: impl Into<String>) {
        self.faults.push(Diagnostic::new(span, message, help));
    }

    /// Notes what may surprise.
    pub(super) fn warning(&mut self, span: &Range<usize>, message: impl Into<String>, help: impl Into<String>) {
        self.warnings.push(Diagnostic::new(span, message, help));
    }
}

impl Diagnostic {
    /// One with this text; an empty `help` is none.
    pub(super) fn new(span: &Range<usize>, message: impl Into<String>, help: impl Into<String>) -> Self {
        let help = help.into();
        Self { span: span.clone(), message: message.into(), help: (!help.is_empty()).then_some(help) }
    }
}

/// The map's text as it may be shown: its name, and its lines with every secret replaced by asterisks.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// The files' names, and where each one's text starts.
    files: Vec<(String, usize)>,
    /// The text with each byte of a secret replaced, so that places stay what they were.
    text: String,
    /// Where each line starts.
    lines: Vec<usize>,
}

/// After so many faults nobody reads on, nor after so many warnings.
const MOST_SHOWN: usize = 100;

/// Longer lines are cut around what is meant.
const WIDEST: usize = 160;

/// What stands for a secret, whatever its length.
const MASK: &str = "********";

/// A byte that marks a masked place inside [`Source::text`]; control bytes of the map itself are never shown as such.
const MASKED: char = '\0';

impl Source {
    /// The texts of the map's files, with their names, one behind the other.
    pub(super) fn new<'t>(texts: impl IntoIterator<Item = (String, &'t str)>) -> Self {
        let (mut files, mut text) = (Vec::new(), String::new());
        for (name, part) in texts {
            if !files.is_empty() {
                text.push('\n');
            }
            files.push((name, text.len()));
            text.push_str(part);
        }
        let mut bytes = text.as_bytes().to_vec();
        for byte in &mut bytes {
            if *byte == 0 {
                *byte = b'?';
            }
        }
        for range in secrets::ranges(&text) {
            bytes[range].fill(0);
        }
        let text = String::from_utf8(bytes).expect("whole characters were replaced by ASCII");
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { files, text, lines }
    }

    /// The file's name and the start of its text, for the file that holds a place.
    fn file(&self, offset: usize) -> (&str, usize) {
        let at = self.files.partition_point(|(_, start)| *start <= offset);
        self.files.get(at.saturating_sub(1)).map_or(("", 0), |(name, start)| (name, *start))
    }

    /// The files' names, the map's own first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|(name, _)| name.as_str())
    }

    /// `line 3`, and the file where there are several.
    pub(super) fn place(&self, offset: usize) -> String {
        let (number, (name, _)) = (self.line_number(offset), self.file(offset));
        if self.files.len() > 1 { format!("line {number} of {name}") } else { format!("line {number}") }
    }

    /// The line in its file and column of a place, both from 1; the column counts characters.
    pub fn position(&self, offset: usize) -> (usize, usize) {
        let (start, number) = self.line_start(offset);
        (number, self.text[start..self.floor(offset)].chars().count() + 1)
    }

    /// One fault or warning: its place and words, the line with carets, and what to do.
    pub fn render(&self, severity: &str, diagnostic: &Diagnostic) -> String {
        let offset = self.floor(diagnostic.span.start);
        let end = self.floor(diagnostic.span.end).max(offset);
        let (start, number) = self.line_start(offset);
        let (_, column) = self.position(offset);
        let line = self.text[start..].split('\n').next().unwrap_or_default().trim_end_matches('\r');
        let within = |at: usize| (at - start).min(line.len());
        let parts = shown_parts(&line[..within(offset)], &line[within(offset)..within(end)], &line[within(end)..]);
        let [before, marked, after] = cut(parts);

        // A tab is repeated as a tab, so that the carets stand right whatever its width.
        let indent: String = before
            .chars()
            .flat_map(|letter| std::iter::repeat_n(if letter == '\t' { '\t' } else { ' ' }, width(letter)))
            .collect();
        let carets = "^".repeat(marked.chars().map(width).sum::<usize>().max(1));
        let gutter = " ".repeat(number.to_string().len());
        let (message, line) = (printable(&diagnostic.message), format!("{before}{marked}{after}"));
        let mut out = format!(
            "{}:{number}:{column}: {severity}: {message}\n  {number} | {}\n  {gutter} | {indent}{carets}\n",
            self.file(offset).0,
            line.trim_end()
        );
        if let Some(help) = &diagnostic.help {
            let _ = writeln!(out, "  help: {}", printable(help));
        }
        out
    }

    /// Everything that was found, in the order of the text: faults, warnings, and a line that counts them.
    pub(super) fn report(&self, faults: &[Diagnostic], warnings: &[Diagnostic]) -> String {
        let mut out = String::new();
        for (severity, found) in [("fault", faults), ("warning", warnings)] {
            for diagnostic in found.iter().take(MOST_SHOWN) {
                out.push_str(&self.render(severity, diagnostic));
                out.push('\n');
            }
            if let Some(more) = found.len().checked_sub(MOST_SHOWN).filter(|more| *more > 0) {
                let _ = writeln!(out, "and {more} more\n");
            }
        }
        let count = |number: usize, word: &str| format!("{number} {word}{}", if number == 1 { "" } else { "s" });
        let counted: Vec<String> = [(faults.len(), "fault"), (warnings.len(), "warning")]
            .into_iter()
            .filter(|(number, _)| *number > 0)
            .map(|(number, word)| count(number, word))
            .collect();
        let _ = write!(out, "{}", counted.join(", "));
        out
    }

    /// The number of the line that holds `offset`, from 1 in its file.
    fn line_number(&self, offset: usize) -> usize {
        let before = self.lines.partition_point(|start| *start < self.file(offset).1);
        self.line(offset) - before
    }

    /// The number of the line that holds `offset`, from 1 in the whole text.
    fn line(&self, offset: usize) -> usize {
        self.lines.partition_point(|start| *start <= offset.min(self.text.len()))
    }

    /// The start of the line that holds `offset`, and its number in its file.
    fn line_start(&self, offset: usize) -> (usize, usize) {
        let line = self.line(offset).saturating_sub(1);
        (self.lines.get(line).copied().unwrap_or_default(), self.line_number(offset))
    }

    /// The nearest start of a character at or before `offset`.
    fn floor(&self, offset: usize) -> usize {
        let mut at = offset.min(self.text.len());
        while !self.text.is_char_boundary(at) {
            at -= 1;
        }
        at
    }
}

/// The three parts of a line as they are shown; a secret that spans them is masked once.
fn shown_parts(before: &str, marked: &str, after: &str) -> [String; 3] {
    let mut last = None;
    [before, marked, after].map(|part| {
        let is_continued = last == Some(MASKED) && part.starts_with(MASKED);
        last = part.chars().last().or(last);
        shown(if is_continued { part.trim_start_matches(MASKED) } else { part })
    })
}

/// The parts of a line, a long one cut around the marked part.
fn cut(parts: [String; 3]) -> [String; 3] {
    const CUT: char = '…';
    let length = |part: &str| part.chars().count();
    if parts.iter().map(|part| length(part)).sum::<usize>() <= WIDEST {
        return parts;
    }
    let [before, marked, after] = parts;
    let head = |part: String, most: usize| match part.char_indices().nth(most) {
        Some((at, _)) => format!("{}{CUT}", &part[..at]),
        None => part,
    };
    let marked = head(marked, WIDEST / 2);
    // What stands before gets what room there is if little stands behind.
    let room = WIDEST.saturating_sub(length(&marked));
    let most_before = (room / 2).max(room.saturating_sub(length(&after)));
    let surplus = length(&before).saturating_sub(most_before);
    let before = match before.char_indices().nth(surplus) {
        Some((at, _)) if surplus > 0 => format!("{CUT}{}", &before[at..]),
        _ => before,
    };
    let after = head(after, room.saturating_sub(length(&before)));
    [before, marked, after]
}

/// A part of a line as it is shown: secrets masked, control characters made visible, tabs kept.
fn shown(part: &str) -> String {
    let mut out = String::new();
    let mut masked = false;
    for letter in part.chars() {
        if letter == MASKED {
            if !masked {
                out.push_str(MASK);
            }
        } else if letter.is_control() && letter != '\t' {
            out.push('\u{fffd}');
        } else {
            out.push(letter);
        }
        masked = letter == MASKED;
    }
    out
}

/// Words without control characters, whatever the map's names held.
fn printable(words: &str) -> String {
    words.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

/// Columns a character takes on a terminal (Unicode Standard Annex 11, in broad strokes). A tab counts as one: it is
/// repeated as a tab under the line.
fn width(letter: char) -> usize {
    match u32::from(letter) {
        0x300..=0x36f | 0x200b..=0x200f | 0xfe00..=0xfe0f => 0,
        0x1100..=0x115f
        | 0x2e80..=0xa4cf
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff00..=0xff60
        | 0xffe0..=0xffe6
        | 0x1_f300..=0x1_faff
        | 0x2_0000..=0x3_fffd => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Source {
        Source::new([("map.toml".to_owned(), text)])
    }

    fn render(text: &str, part: &str) -> String {
        let at = text.find(part).expect("the part is in the text");
        one(text).render("fault", &Diagnostic::new(&(at..at + part.len()), "odd", "mend it"))
    }

    #[test]
    fn carets_stand_under_what_is_meant() {
        assert_eq!(
            render("version = 1\nevry = \"20s\"\n", "evry"),
            "map.toml:2:1: fault: odd\n  2 | evry = \"20s\"\n    | ^^^^\n  help: mend it\n"
        );
    }

    #[test]
    fn tabs_and_wide_characters_keep_carets_in_place() {
        assert_eq!(
            render("\tname = \"温室\", x = 1", "x"),
            "map.toml:1:15: fault: odd\n  1 | \tname = \"温室\", x = 1\n    | \t               ^\n  help: mend it\n"
        );
    }

    #[test]
    fn a_long_line_is_cut_around_what_is_meant() {
        let filler = "a".repeat(500);
        let shown = render(&format!("x = [{filler}, odd, {filler}]"), "odd");
        let lines: Vec<_> = shown.lines().collect();
        assert!(lines[0].starts_with("map.toml:1:508: "), "{shown}");
        assert!(lines[1].chars().count() < 175 && lines[1].contains("a, odd, a"), "{shown}");
        assert!(lines[1].starts_with("  1 | …a") && lines[1].ends_with("a…"), "{shown}");
        let place = |line: &str, mark: &str| line.split(mark).next().map(|before| before.chars().count());
        assert_eq!(place(lines[1], "odd"), place(lines[2], "^^^"));
        let shown = render(&filler, &filler);
        assert!(shown.lines().all(|line| line.chars().count() < 175), "{shown}");
    }

    #[test]
    fn after_a_hundred_faults_the_others_are_counted() {
        let source = one(&"x\n".repeat(150));
        let faults: Vec<_> = (0..150).map(|line| Diagnostic::new(&(line * 2..line * 2 + 1), "odd", "")).collect();
        let shown = source.report(&faults, &[]);
        assert_eq!(shown.matches(": fault: ").count(), 100);
        assert!(shown.ends_with("and 50 more\n\n150 faults"), "{shown}");
    }

    #[test]
    fn windows_line_ends_are_not_shown() {
        assert_eq!(
            render("a = 1\r\nb = 2\r\n", "2"),
            "map.toml:2:5: fault: odd\n  2 | b = 2\n    |     ^\n  help: mend it\n"
        );
    }

    #[test]
    fn a_password_is_never_shown() {
        for (text, part) in [
            ("password = \"sesame\" # x", "\"sesame\""),
            ("password = \"sesame\"", "password"),
            ("d = { password = 'sesame', b = 1 }", "b ="),
            ("password = \"\"\"\nsesame\n\"\"\"", "sesame"),
            ("pasword = sesame", "sesame"),
            ("password: \"sesame\"", "password"),
            ("password \"sesame\"", "password"),
            ("password =\n\"sesame\"", "sesame"),
            ("psswd = \"sesame\"", "psswd"),
            ("SECRET_MQTT_PASSWORD = \"sesame\"", "\"sesame"),
        ] {
            let text = render(text, part);
            assert!(!text.contains("sesame"), "{text}");
        }
    }

    #[test]
    fn escape_sequences_of_a_map_do_not_reach_the_terminal() {
        assert!(!render("name = \"\u{1b}[31m\"", "name").contains('\u{1b}'));
    }

    #[test]
    fn a_place_beyond_the_text_is_its_end() {
        let source = one("ä = 1");
        assert_eq!(source.position(99), (1, 6));
        assert!(source.render("fault", &Diagnostic::new(&(1..99), "odd", "")).contains("1:1"));
    }
}
