//! The style sheet and the scripts, part of the program. Their names hold a hash of their content, so that browsers may
//! keep them for good.

use std::sync::LazyLock;

use openssl::sha::sha256;

/// How much of the hash stands in the name, in bytes.
const HASH: usize = 8;
/// The directory of their addresses.
const DIRECTORY: &str = "/assets/";

/// A file that pages refer to.
#[derive(Debug)]
pub struct Asset {
    /// Its content.
    pub content: &'static str,
    /// Its media type.
    pub media_type: &'static str,
    /// The address with the hash of the content in it.
    pub address: String,
    stem: &'static str,
    extension: &'static str,
    hash: String,
}

impl Asset {
    fn new(
        stem: &'static str,
        extension: &'static str,
        media_type: &'static str,
        content: &'static str,
    ) -> Self {
        let hash: String = sha256(content.as_bytes())
            .iter()
            .take(HASH)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Self {
            content,
            media_type,
            address: format!("{DIRECTORY}{stem}-{hash}.{extension}"),
            stem,
            extension,
            hash,
        }
    }

    /// What changes with the content.
    pub fn hash(&self) -> &str {
        &self.hash
    }
}

static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new(
        "style",
        "css",
        "text/css; charset=utf-8",
        include_str!("assets/style.css"),
    )
});
static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new(
        "copy",
        "js",
        "text/javascript; charset=utf-8",
        include_str!("assets/copy.js"),
    )
});

static CERTIFICATE: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new(
        "certificate",
        "js",
        "text/javascript; charset=utf-8",
        include_str!("assets/certificate.js"),
    )
});

/// The style sheet.
pub fn style() -> &'static Asset {
    &STYLE
}

/// The script of every page, which only adds copy buttons.
pub fn script() -> &'static Asset {
    &SCRIPT
}

/// The script of the page that makes a key and has a certificate issued for it.
pub fn certificate_script() -> &'static Asset {
    &CERTIFICATE
}

/// The file of a name below the directory, and whether the hash in it is that of the present content. While servers of
/// two versions run side by side, a page of the one may ask the other.
pub fn find(name: &str) -> Option<(&'static Asset, bool)> {
    [style(), script(), certificate_script()]
        .into_iter()
        .find_map(|asset| {
            let hash = name
                .strip_prefix(asset.stem)?
                .strip_prefix('-')?
                .strip_suffix(asset.extension)?
                .strip_suffix('.')?;
            let is_hash = hash.len() == 2 * HASH && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
            is_hash.then_some((asset, hash == asset.hash))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_leads_to_its_file_and_an_old_one_to_the_present_file() {
        let name = style().address.strip_prefix(DIRECTORY).unwrap();
        assert!(find(name).is_some_and(|(asset, present)| present && asset.extension == "css"));
        assert!(
            find("copy-0123456789abcdef.js").is_some_and(|(asset, present)| !present && asset.stem == "copy")
        );
        for name in [
            "",
            "style.css",
            "style-.css",
            "style-..%2f.css",
            "copy-0123456789abcdef.css",
        ] {
            assert!(find(name).is_none(), "{name}");
        }
    }

    #[test]
    fn the_scripts_are_small_and_the_style_sheet_loads_nothing() {
        assert!(script().content.lines().count() + certificate_script().content.lines().count() < 300);
        for word in ["url(", "@import", "expression("] {
            assert!(!style().content.contains(word), "{word}");
        }
    }
}
