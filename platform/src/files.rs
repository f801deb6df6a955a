//! Reading of text files. Windows programs put a byte order mark before the text, which some readers take for a part of
//! it. It is removed here for every file, also before a file is passed on to programs that do not expect it.

use std::{fs, io, path::Path};

use crate::reason;

const UTF8_MARK: &[u8] = b"\xef\xbb\xbf";
const UTF16_MARKS: [&[u8]; 2] = [b"\xff\xfe", b"\xfe\xff"];

/// The content of a file, without a byte order mark. Errors say why in words, without numbers.
///
/// # Errors
/// When it cannot be read, or is UTF-16.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let content = fs::read(path).map_err(reason::in_words)?;
    without_mark(content)
}

/// The text of a file, without a byte order mark.
///
/// # Errors
/// When it cannot be read, or is not UTF-8.
pub fn read_to_string(path: &Path) -> io::Result<String> {
    String::from_utf8(read(path)?)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not text in UTF-8"))
}

/// Removes a byte order mark from content that was already read.
///
/// # Errors
/// When it is UTF-16.
pub fn without_mark(mut content: Vec<u8>) -> io::Result<Vec<u8>> {
    if UTF16_MARKS.iter().any(|mark| content.starts_with(mark)) {
        let reason = "it is text in UTF-16; save it as UTF-8";
        return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
    }
    if content.starts_with(UTF8_MARK) {
        content.drain(..UTF8_MARK.len());
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_order_mark_is_removed_and_utf16_is_refused() {
        assert_eq!(without_mark(b"\xef\xbb\xbftext".to_vec()).unwrap(), b"text");
        assert_eq!(
            without_mark(b"text\xef\xbb\xbf".to_vec()).unwrap(),
            b"text\xef\xbb\xbf"
        );
        assert_eq!(without_mark(Vec::new()).unwrap(), b"");
        let refused = without_mark(b"\xff\xfet\0".to_vec()).unwrap_err();
        assert!(refused.to_string().contains("save it as UTF-8"));
    }
}
