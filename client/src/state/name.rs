//! The names of a repository's files.

use tuf::Gun;

/// The longest part of a name that people can read, in characters.
const READABLE: usize = 80;

/// A name that no other repository or server has, and that is nothing but a name: a part of the repository's that people
/// can read, and a hash of repository and server.
pub(super) fn of(server: &str, gun: &Gun) -> String {
    let readable: String = gun
        .as_str()
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '-' || c == '.' {
                c
            } else {
                '_'
            }
        })
        .take(READABLE)
        .collect();
    // Neither of the two holds a line end.
    let hash = openssl::sha::sha256(format!("{server}\n{gun}").as_bytes());
    let hash = hex::encode(hash);
    // Hidden files are easily forgotten.
    let readable = readable.replacen('.', "_", readable.chars().take_while(|c| *c == '.').count());
    format!("{readable}.{}", &hash[..40])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_in_the_directory_and_differ() {
        let name = |server: &str, gun: &str| of(server, &Gun::parse(gun).unwrap());
        for gun in ["../../etc/passwd", "..", "/", ".hidden", "a b/ü:1"] {
            let name = name("https://s", gun);
            assert!(!name.contains('/') && !name.starts_with('.'), "{name}");
        }
        assert_ne!(name("https://s", "a/b"), name("https://s", "a_b"));
        assert_ne!(name("https://s", "a/b"), name("https://t", "a/b"));
        assert!(name("https://s", &"x".repeat(255)).len() < 200);
    }
}
