//! The file of an export: JSON Lines, described in `docs/moving-repositories.md`.

use std::io::{self, BufRead, Read, Write};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tuf::{Checksum, Document, Gun, RoleName, Version};

use crate::store::Stored;

/// The name of the format, in the first line.
const FORMAT: &str = "countersign-repositories";
/// The version of the format that is written, and the only one that is accepted.
const VERSION: u32 = 1;
/// The longest line, in bytes: a document of 100 MiB in base64, with its names.
const LINE_LIMIT: u64 = 140 << 20;

/// One line of an export.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Line {
    Header { format: String, version: u32 },
    Repository { repository: String, documents: u64 },
    Document(DocumentLine),
    End { repositories: u64 },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DocumentLine {
    role: String,
    version: i32,
    stored_at: Option<DateTime<Utc>>,
    sha256: String,
    data: String,
}

/// Writes an export.
pub(super) struct Writer<W: Write> {
    out: W,
    repositories: u64,
}

impl<W: Write> Writer<W> {
    pub(super) fn begin(out: W) -> io::Result<Self> {
        let mut writer = Self { out, repositories: 0 };
        writer.line(&Line::Header {
            format: FORMAT.to_owned(),
            version: VERSION,
        })?;
        Ok(writer)
    }

    /// Announces a repository and the number of its documents, which must follow.
    pub(super) fn repository(&mut self, gun: &Gun, documents: u64) -> io::Result<()> {
        self.repositories += 1;
        self.line(&Line::Repository {
            repository: gun.to_string(),
            documents,
        })
    }

    pub(super) fn document(&mut self, stored: &Stored) -> io::Result<()> {
        let document = &stored.document;
        self.line(&Line::Document(DocumentLine {
            role: document.role.to_string(),
            version: document.version.get(),
            stored_at: stored.stored_at,
            sha256: document.sha256.as_hex(),
            data: BASE64.encode(&document.bytes),
        }))
    }

    pub(super) fn end(mut self) -> io::Result<W> {
        self.line(&Line::End {
            repositories: self.repositories,
        })?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn line(&mut self, line: &Line) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, line)?;
        self.out.write_all(b"\n")
    }
}

/// Reads an export. Every error names its line.
pub(super) struct Reader<R: BufRead> {
    input: R,
    number: u64,
    /// How many documents of the current repository have not been read yet.
    left: u64,
    repositories: u64,
}

impl<R: BufRead> Reader<R> {
    pub(super) fn begin(input: R) -> Result<Self, String> {
        let mut reader = Self {
            input,
            number: 0,
            left: 0,
            repositories: 0,
        };
        reader.skip_mark()?;
        match reader.line()? {
            Line::Header {
                format,
                version: VERSION,
            } if format == FORMAT => Ok(reader),
            Line::Header { format, version } if format == FORMAT => Err(format!(
                "it has version {version} of the format, this program reads version {VERSION}"
            )),
            _ => Err("line 1: this is not an export".to_owned()),
        }
    }

    /// Skips a byte order mark, which an editor may have added.
    fn skip_mark(&mut self) -> Result<(), String> {
        const MARK: &[u8] = "\u{feff}".as_bytes();
        let begin = self.input.fill_buf().map_err(|cause| cause.to_string())?;
        if begin.starts_with(MARK) {
            self.input.consume(MARK.len());
        }
        Ok(())
    }

    /// The next repository, skipping what is left of the previous one; `None` at the end.
    pub(super) fn repository(&mut self) -> Result<Option<Gun>, String> {
        while self.left > 0 {
            self.left -= 1;
            self.line()?;
        }
        match self.line()? {
            Line::Repository {
                repository,
                documents,
            } => {
                let gun = Gun::parse(&repository).map_err(|cause| self.wrong(cause))?;
                self.left = documents;
                self.repositories += 1;
                Ok(Some(gun))
            }
            Line::End { repositories } if repositories == self.repositories => Ok(None),
            Line::End { repositories } => Err(self.wrong(format_args!(
                "the file ends after {} of its {repositories} repositories",
                self.repositories
            ))),
            _ => Err(self.wrong("a repository, or the end of the file, is expected here")),
        }
    }

    /// The next document of this repository; `None` after the last.
    pub(super) fn document(&mut self) -> Option<Result<Stored, String>> {
        self.left = self.left.checked_sub(1)?;
        Some(self.line().and_then(|line| match line {
            Line::Document(line) => read(line).map_err(|reason| self.wrong(reason)),
            _ => Err(self.wrong("a document is expected here")),
        }))
    }

    fn line(&mut self) -> Result<Line, String> {
        self.number += 1;
        let mut line = Vec::new();
        let mut limited = self.input.by_ref().take(LINE_LIMIT);
        let length = limited.read_until(b'\n', &mut line);
        length.map_err(|cause| self.wrong(cause))?;
        if line.last() != Some(&b'\n') {
            return Err(self.wrong("the file ends here, before it is complete"));
        }
        serde_json::from_slice(&line).map_err(|_| self.wrong("this is not a line of an export"))
    }

    fn wrong(&self, reason: impl std::fmt::Display) -> String {
        format!("line {}: {reason}", self.number)
    }
}

fn read(line: DocumentLine) -> Result<Stored, String> {
    let role = RoleName::parse(&line.role).map_err(|cause| cause.to_string())?;
    let version = Version::new(i64::from(line.version)).map_err(|cause| cause.to_string())?;
    let bytes = BASE64
        .decode(&line.data)
        .map_err(|cause| format!("data: {cause}"))?;
    let document = Document::new(role, version, bytes);
    if Checksum::parse(&line.sha256) != Ok(document.sha256) {
        return Err("the SHA-256 does not match the data".to_owned());
    }
    Ok(Stored {
        document,
        stored_at: line.stored_at,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(version: i64, bytes: &[u8]) -> Stored {
        let time = "2026-11-22T12:00:00.123456Z".parse().unwrap();
        Stored {
            document: Document::new(RoleName::Root, Version::new(version).unwrap(), bytes.to_vec()),
            stored_at: (version > 1).then_some(time),
        }
    }

    fn export() -> String {
        let mut writer = Writer::begin(Vec::new()).unwrap();
        for name in ["a/b", "c"] {
            writer.repository(&Gun::parse(name).unwrap(), 2).unwrap();
            writer.document(&stored(1, b"\xff\n")).unwrap();
            writer.document(&stored(2, b"")).unwrap();
        }
        String::from_utf8(writer.end().unwrap()).unwrap()
    }

    fn read_all(text: &str) -> Result<Vec<(String, Vec<Stored>)>, String> {
        let mut reader = Reader::begin(text.as_bytes())?;
        let mut all = Vec::new();
        while let Some(gun) = reader.repository()? {
            let documents = std::iter::from_fn(|| reader.document());
            all.push((gun.to_string(), documents.collect::<Result<_, _>>()?));
        }
        Ok(all)
    }

    #[test]
    fn what_is_written_is_read_again_to_the_byte() {
        let all = read_all(&export()).unwrap();
        let names: Vec<&str> = all.iter().map(|(gun, _)| gun.as_str()).collect();
        assert_eq!(names, ["a/b", "c"]);
        for (_, documents) in &all {
            for (read, written) in documents.iter().zip([stored(1, b"\xff\n"), stored(2, b"")]) {
                assert_eq!(
                    (&read.document, read.stored_at),
                    (&written.document, written.stored_at)
                );
            }
        }
    }

    #[test]
    fn documents_that_nobody_reads_are_passed_over() {
        let text = export();
        let mut reader = Reader::begin(text.as_bytes()).unwrap();
        assert_eq!(reader.repository().unwrap().unwrap().as_str(), "a/b");
        reader.document().unwrap().unwrap();
        assert_eq!(reader.repository().unwrap().unwrap().as_str(), "c");
        assert!(reader.repository().unwrap().is_none());
    }

    #[test]
    fn a_file_cut_off_anywhere_is_noticed() {
        let text = export();
        for end in 0..text.len() - 1 {
            assert!(read_all(&text[..end]).is_err(), "cut off after {end} bytes");
        }
    }

    #[test]
    fn other_files_and_versions_are_refused_with_the_line() {
        let refused = |from: &str, to: &str| read_all(&export().replacen(from, to, 1)).unwrap_err();
        assert!(refused("countersign-repositories", "other").contains("line 1"));
        assert!(refused("\"version\":1", "\"version\":2").contains("version 2 of the format"));
        assert!(refused("\"data\":\"/wo=\"", "\"data\":\"/w==\"").contains("line 3: the SHA-256"));
        assert!(refused("\"root\"", "\"Root\"").contains("line 3: \"Root\" is not a role name"));
        assert!(
            refused("\"documents\":2", "\"documents\":3").contains("line 5: a document is expected here")
        );
        assert!(refused("\"repositories\":2", "\"repositories\":3").contains("after 2 of its 3"));
    }
}
