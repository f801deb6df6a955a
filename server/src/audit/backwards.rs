//! Reads the file of a sink from its end: the newest records are asked for, and such a file may be large.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
};

/// How much is read at a time, in bytes.
const PIECE: u64 = 1024 * 1024;
/// The longest line that is read, in bytes. No record is as long.
const LINE_LIMIT: usize = 4 * 1024 * 1024;

/// Passes the lines of a file to `take`, the last one first, until that returns false or `limit` bytes were read. With
/// `before`, only lines that end before that place in the file. Returns the place before which the rest is; `None` at the
/// beginning of the file.
///
/// # Errors
/// When the file cannot be read.
pub fn lines_backwards(
    path: &Path,
    before: Option<u64>,
    limit: u64,
    mut take: impl FnMut(&[u8]) -> bool,
) -> io::Result<Option<u64>> {
    let mut file = File::open(path)?;
    let end = file.metadata()?.len();
    let mut begin = before.map_or(end, |before| before.min(end));
    let stop = begin.saturating_sub(limit);
    // What was read and is not passed on yet: from `begin` on, up to the end of a line.
    let mut kept = Vec::new();
    loop {
        if let Some(newline) = memchr::memrchr(
            b'\n',
            kept.get(..kept.len().saturating_sub(1)).unwrap_or_default(),
        ) {
            let line = kept.split_off(newline + 1);
            if !take(trimmed(&line)) {
                return Ok(Some(begin + place(newline + 1)));
            }
            continue;
        }
        if begin == 0 {
            if !kept.is_empty() {
                take(trimmed(&kept));
            }
            return Ok(None);
        }
        if kept.len() > LINE_LIMIT {
            return Err(io::Error::other("a line is too long for a record"));
        }
        if begin <= stop {
            return Ok(Some(begin + place(kept.len())));
        }
        let from = begin.saturating_sub(PIECE);
        let mut piece = Vec::new();
        file.seek(SeekFrom::Start(from))?;
        file.by_ref().take(begin - from).read_to_end(&mut piece)?;
        piece.append(&mut kept);
        (kept, begin) = (piece, from);
    }
}

fn trimmed(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\n").unwrap_or(line)
}

fn place(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    /// The lines from `before` on backwards, at most `count`, and where the rest is.
    fn read(file: &tempfile::NamedTempFile, before: Option<u64>, count: usize) -> (Vec<String>, Option<u64>) {
        let mut lines = Vec::new();
        let rest = lines_backwards(file.path(), before, u64::MAX, |line| {
            lines.push(String::from_utf8(line.to_vec()).unwrap());
            lines.len() < count
        });
        (lines, rest.unwrap())
    }

    #[test]
    fn lines_come_the_last_one_first_and_reading_goes_on_where_it_stopped() {
        let file = file("one\ntwo\n\nfour\n");
        assert_eq!(
            read(&file, None, 9),
            (
                vec!["four".into(), String::new(), "two".into(), "one".into()],
                None
            )
        );
        let (lines, rest) = read(&file, None, 2);
        assert_eq!(lines, ["four", ""]);
        assert_eq!(read(&file, rest, 1).0, ["two"]);
        let (_, rest) = read(&file, rest, 1);
        assert_eq!(read(&file, rest, 9), (vec!["one".into()], None));
    }

    #[test]
    fn a_line_that_is_being_written_is_read_as_far_as_it_is_there() {
        assert_eq!(read(&file("one\ntw"), None, 9).0, ["tw", "one"]);
        assert_eq!(read(&file(""), None, 9), (Vec::new(), None));
        assert_eq!(read(&file("one\n"), Some(1 << 40), 9).0, ["one"]);
    }

    #[test]
    fn lines_across_the_pieces_that_are_read_are_whole() {
        let long = |letter: &str| letter.repeat(700_000);
        let file = file(&format!("{}\n{}\n{}\n", long("a"), long("b"), long("c")));
        assert_eq!(read(&file, None, 9).0, [long("c"), long("b"), long("a")]);
    }

    #[test]
    fn no_more_is_read_than_allowed_and_no_line_is_lost() {
        let line = "x".repeat(99_999);
        let file = file(&format!("{line}\n").repeat(50));
        let (mut count, mut before) = (0, None);
        for _ in 0..50 {
            before = lines_backwards(file.path(), before, 1_500_000, |found| {
                assert_eq!(found.len(), line.len());
                count += 1;
                true
            })
            .unwrap();
            if before.is_none() {
                break;
            }
        }
        assert_eq!((count, before), (50, None));
    }

    #[test]
    fn a_line_without_end_is_an_error() {
        assert!(lines_backwards(file(&"x".repeat(6_000_000)).path(), None, u64::MAX, |_| true).is_err());
    }
}
