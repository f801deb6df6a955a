//! Text that somebody else chose: names of repositories, tags and roles, subjects of certificates, custom fields. It is
//! hostile: it may hold markup, characters that turn the direction of what follows, and characters that cannot be seen.

use std::fmt::{self, Display, Formatter, Write as _};

use askama::filters::HtmlSafe;

/// A value as text of a page: escaped, isolated from the direction of what surrounds it, with places where a long one
/// may wrap, and with what cannot be seen shown as its number. Not for attributes: those take [`visible`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Text(String);

impl Text {
    /// A value of any origin.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// For attributes such as `title`, which the template escapes.
    pub fn plain(&self) -> String {
        visible(&self.0)
    }
}

impl From<&str> for Text {
    fn from(value: &str) -> Self {
        Self(value.to_owned())
    }
}

impl Display for Text {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("<bdi>")?;
        write_text(f, &self.0)?;
        f.write_str("</bdi>")
    }
}

impl HtmlSafe for Text {}

/// The name of a repository, with host and namespace in grey.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Gun(String);

impl Gun {
    /// The name of a repository.
    pub fn new(gun: impl Into<String>) -> Self {
        Self(gun.into())
    }

    /// The whole name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// For attributes.
    pub fn plain(&self) -> String {
        visible(&self.0)
    }

    /// The last part of the name, as text.
    pub fn last(&self) -> Text {
        Text::new(self.split().1)
    }

    /// Everything before the last part, and the last part.
    fn split(&self) -> (&str, &str) {
        match self.0.rfind('/') {
            Some(slash) if slash + 1 < self.0.len() => self.0.split_at(slash + 1),
            _ => ("", &self.0),
        }
    }
}

impl Display for Gun {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (before, last) = self.split();
        f.write_str("<bdi>")?;
        if !before.is_empty() {
            f.write_str("<span class=\"soft\">")?;
            write_text(f, before)?;
            f.write_str("</span>")?;
        }
        write_text(f, last)?;
        f.write_str("</bdi>")
    }
}

impl HtmlSafe for Gun {}

/// A digest, key ID or fingerprint: its beginning, with the whole of it in `title` and, where wanted, a button that
/// copies it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest {
    whole: String,
    shown: usize,
    title: &'static str,
    copied: bool,
}

/// How much of a digest is shown, in characters.
const SHORT: usize = 12;
/// How much of a key ID is shown.
const SHORT_KEY: usize = 10;

impl Digest {
    /// A digest in hex, with the name of the algorithm before a colon, and a button that copies it.
    pub fn new(digest: impl Into<String>) -> Self {
        Self {
            whole: digest.into(),
            shown: SHORT,
            title: "",
            copied: true,
        }
    }

    /// A key ID.
    pub fn key(id: impl Into<String>) -> Self {
        Self {
            whole: id.into(),
            shown: SHORT_KEY,
            title: "Key ID ",
            copied: false,
        }
    }

    /// The same without the button.
    #[must_use]
    pub fn without_copy(mut self) -> Self {
        self.copied = false;
        self
    }

    /// The beginning that is shown.
    fn short(&self) -> String {
        let hex = self.whole.split_once(':').map_or(&*self.whole, |(_, hex)| hex);
        hex.chars().take(self.shown).collect()
    }
}

impl Display for Digest {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let short = self.short();
        write!(f, "<span class=\"nb\"><code title=\"{}", self.title)?;
        write_attribute(f, &self.whole)?;
        f.write_str("\">")?;
        write_text(f, &short)?;
        f.write_str("</code>")?;
        if self.copied {
            f.write_str(" ")?;
            write_copy(f, &self.whole, &format!("Copy digest {short}"))?;
        }
        f.write_str("</span>")
    }
}

impl HtmlSafe for Digest {}

/// A command that can be run as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command(String);

impl Command {
    /// One or several lines for a shell. Values of others in it have to be quoted with [`quoted`].
    pub fn new(lines: impl Into<String>) -> Self {
        Self(lines.into())
    }
}

impl Display for Command {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("<div class=\"cmd\"><pre><code>")?;
        write_text(f, &self.0)?;
        f.write_str("</code></pre>")?;
        // What cannot be seen is not put into somebody's clipboard either.
        if self.0.lines().all(|line| !line.chars().any(is_unseen)) {
            write_copy(f, &self.0, "Copy command")?;
        }
        f.write_str("</div>")
    }
}

impl HtmlSafe for Command {}

/// A value as one word of a POSIX shell.
pub fn quoted(value: &str) -> String {
    let harmless = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+=,".contains(c);
    if !value.is_empty() && value.chars().all(harmless) && !value.starts_with(['-', '=']) {
        value.to_owned()
    } else {
        format!("'{}'", value.replace('\'', "'\\''"))
    }
}

/// A value for an attribute or a title: what cannot be seen is shown as its number. The template escapes it.
pub fn visible(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for character in value.chars() {
        if is_unseen(character) {
            // Writing to a string does not fail.
            let _ = write!(text, "⟨U+{:04X}⟩", u32::from(character));
        } else {
            text.push(character);
        }
    }
    text
}

/// Control characters, characters without width, and those that change the direction of writing.
fn is_unseen(character: char) -> bool {
    character.is_control() && character != '\n'
        || matches!(
            character,
            '\u{ad}'
                | '\u{61c}'
                | '\u{115f}'
                | '\u{1160}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{3164}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

/// Writes text with everything escaped. Long values may wrap after slashes and colons.
pub(super) fn write_text(f: &mut Formatter<'_>, value: &str) -> fmt::Result {
    for character in value.chars() {
        if is_unseen(character) {
            let code = u32::from(character);
            write!(f, "<span class=\"unseen\">⟨U+{code:04X}⟩</span>")?;
            continue;
        }
        write_escaped(f, character)?;
        if matches!(character, '/' | ':') {
            f.write_str("<wbr>")?;
        }
    }
    Ok(())
}

/// Writes the value of an attribute, between double quotes.
pub(super) fn write_attribute(f: &mut Formatter<'_>, value: &str) -> fmt::Result {
    visible(value)
        .chars()
        .try_for_each(|character| write_escaped(f, character))
}

fn write_escaped(f: &mut Formatter<'_>, character: char) -> fmt::Result {
    match character {
        '&' => f.write_str("&amp;"),
        '<' => f.write_str("&lt;"),
        '>' => f.write_str("&gt;"),
        '"' => f.write_str("&#34;"),
        '\'' => f.write_str("&#39;"),
        other => f.write_char(other),
    }
}

fn write_copy(f: &mut Formatter<'_>, value: &str, label: &str) -> fmt::Result {
    f.write_str("<button class=\"copy\" type=\"button\" data-copy=\"")?;
    write_attribute(f, value)?;
    f.write_str("\" aria-label=\"")?;
    write_attribute(f, label)?;
    f.write_str("\">copy</button>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_quotes_and_turned_text_come_out_escaped() {
        let hostile = "reg/<img src=x onerror=\"a('1')\">&amp;/\u{202e}gpj\u{0}";
        let expected = "reg/<wbr>&lt;img src=x onerror=&#34;a(&#39;1&#39;)&#34;&gt;&amp;amp;/<wbr>\
                        <span class=\"unseen\">⟨U+202E⟩</span>gpj<span class=\"unseen\">⟨U+0000⟩</span>";
        assert_eq!(Text::new(hostile).to_string(), format!("<bdi>{expected}</bdi>"));
        for shown in [
            Text::new(hostile).to_string(),
            Gun::new(hostile).to_string(),
            Digest::new(hostile).to_string(),
            Digest::key(hostile).to_string(),
            Command::new(hostile).to_string(),
        ] {
            assert!(
                !shown.contains("<img") && !shown.contains("onerror=\"") && !shown.contains('\u{202e}'),
                "{shown}"
            );
            assert!(!shown.contains('\u{0}'), "{shown}");
        }
    }

    #[test]
    fn attributes_show_what_cannot_be_seen() {
        assert_eq!(visible("a\u{202e}b\u{200b}c\nd"), "a⟨U+202E⟩b⟨U+200B⟩c\nd");
    }

    #[test]
    fn a_command_quotes_what_a_shell_would_read_otherwise() {
        for (value, word) in [
            ("reg:5000/a/b", "reg:5000/a/b"),
            ("a b", "'a b'"),
            ("$(id)", "'$(id)'"),
            ("it's", "'it'\\''s'"),
            ("--help", "'--help'"),
            ("", "''"),
        ] {
            assert_eq!(quoted(value), word);
        }
        assert!(!Command::new("echo \u{202e}").to_string().contains("data-copy"));
    }

    #[test]
    fn a_digest_is_short_and_whole_on_demand() {
        let digest = format!("sha256:{}", "7dcbcb06fbf5".repeat(5));
        let shown = Digest::new(&*digest).to_string();
        assert!(
            shown.contains(&format!("title=\"{digest}\">7dcbcb06fbf5</code>")),
            "{shown}"
        );
        assert!(shown.contains(&format!("data-copy=\"{digest}\"")), "{shown}");
    }
}
