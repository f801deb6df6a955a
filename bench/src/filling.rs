//! Rows that fill a database, written straight into its tables.

use std::{fmt::Write as _, sync::Arc};

use openssl::sha::sha256;
use serde_json::{Value, json};
use tests::{
    Databases, Whose,
    publisher::{Key, Publisher, SnapshotKey, hashes, in_days, sign},
};

use crate::{
    fault::{Fault, Result},
    repository::path_of,
    subject::Subject,
};

/// Repositories written at a time.
const BATCH: usize = 1000;

fn databases(subject: &Subject) -> Result<&Databases> {
    let databases = subject.stored();
    databases.ok_or_else(|| Fault::new("only a database on a server can be filled here"))
}

/// Fills the signer's PostgreSQL database up to so many keys, all of them in use, as they are where a registry has been
/// signing for years.
///
/// # Errors
/// When there is no such database.
pub fn keys(subject: &Subject, count: usize) -> Result<()> {
    // As long as real ones; they are never decrypted.
    let sql = format!(
        "INSERT INTO private_keys (created_at, updated_at, key_id, encryption_alg, keywrap_alg, algorithm, \
         passphrase_alias, public, private, gun, role, last_used) \
         SELECT now(), now(), md5(n::text) || md5('key ' || n), 'A256GCM', 'PBES2-HS256+A128KW', 'ecdsa', \
         'timestamp_1', decode(repeat('30', 91), 'hex'), decode(repeat('41', 460), 'hex'), \
         'bench.test/filled/' || n / 2, CASE n % 2 WHEN 0 THEN 'snapshot' ELSE 'timestamp' END, now() \
         FROM generate_series((SELECT count(*) FROM private_keys), {count}) AS n; ANALYZE private_keys;"
    );
    if count > 0 {
        databases(subject)?.run(Whose::Signer, &sql);
    }
    Ok(())
}

/// Fills the deny list of a PostgreSQL database up to so many entries, in equal parts principals, keys and certificates.
///
/// # Errors
/// When there is no such database.
pub fn denials(subject: &Subject, count: usize) -> Result<()> {
    let sql = format!(
        "INSERT INTO denials (kind, subject, shown, reason, created_at) \
         SELECT (ARRAY['principal', 'key', 'certificate'])[n % 3 + 1], \
         CASE n % 3 WHEN 0 THEN 'denied-' || n ELSE md5(n::text) || md5('denied ' || n) END, \
         'denied ' || n, 'to see what it costs', now() \
         FROM generate_series((SELECT count(*) FROM denials) + 1, {count}) AS n; ANALYZE denials;"
    );
    if count > 0 {
        databases(subject)?.run(Whose::Server, &sql);
    }
    Ok(())
}

/// A document of a filled repository: its path, and the SHA-256 of what is there.
pub type Expected = (String, [u8; 32]);

/// Repositories that were written straight into a PostgreSQL database: a root that they share, and targets, a snapshot
/// and a timestamp of their own, all signed.
pub struct Filled {
    tags: usize,
    keys: Option<Keys>,
    guns: Vec<String>,
    expected: Vec<Expected>,
}

struct Keys {
    publisher: Publisher,
    snapshot: Key,
    timestamp: Key,
    root: Vec<u8>,
}

impl Keys {
    fn new() -> Self {
        let (snapshot, timestamp) = (Key::generate(), Key::generate());
        let publisher = Publisher {
            root: Key::with_certificate("bench.test/filled/*", 3650),
            targets: Key::generate(),
            snapshot: SnapshotKey::Servers(snapshot.public.clone()),
            timestamp: timestamp.public.clone(),
        };
        let root = publisher.root_file(1);
        Self {
            publisher,
            snapshot,
            timestamp,
            root,
        }
    }

    fn documents(&self, number: usize, count: usize) -> [(&'static str, Vec<u8>); 4] {
        let mut targets = Publisher::targets(1);
        targets["targets"] = tags(number, count);
        let targets = sign(&targets, &[&self.publisher.targets]);
        let snapshot = Publisher::snapshot(1, &[("root", &self.root), ("targets", &targets)]);
        let snapshot = sign(&snapshot, &[&self.snapshot]);
        // It does not expire while it is measured.
        let timestamp = json!({
            "_type": "Timestamp", "expires": in_days(3650), "meta": {"snapshot": hashes(&snapshot)}, "version": 1,
        });
        let timestamp = sign(&timestamp, &[&self.timestamp]);
        [
            ("root", self.root.clone()),
            ("targets", targets),
            ("snapshot", snapshot),
            ("timestamp", timestamp),
        ]
    }
}

/// So many tags, no two repositories with the same.
fn tags(number: usize, count: usize) -> Value {
    let tag = |tag: usize| {
        let content = format!("tag {tag} of {number}");
        (format!("v{tag}"), hashes(content.as_bytes()))
    };
    Value::Object((0..count).map(tag).collect())
}

impl Default for Filled {
    fn default() -> Self {
        Self::with_tags(5)
    }
}

impl Filled {
    /// Nothing yet; each repository gets so many tags.
    pub fn with_tags(tags: usize) -> Self {
        Self {
            tags,
            keys: None,
            guns: Vec::new(),
            expected: Vec::new(),
        }
    }

    /// Writes repositories until there are so many.
    ///
    /// # Errors
    /// When there is no such database.
    pub fn fill(&mut self, subject: &Subject, count: usize) -> Result<()> {
        let databases = databases(subject)?;
        let keys = self.keys.get_or_insert_with(Keys::new);
        while self.guns.len() < count {
            let mut files = String::from(
                "COPY tuf_files (created_at, updated_at, gun, role, version, data, sha256) FROM STDIN;\n",
            );
            let mut changes =
                String::from("COPY changefeed (created_at, gun, version, sha256, category) FROM STDIN;\n");
            for number in self.guns.len()..count.min(self.guns.len() + BATCH) {
                let gun = format!("bench.test/filled/{number:06}");
                for (role, bytes) in keys.documents(number, self.tags) {
                    let checksum = sha256(&bytes);
                    let (data, shown) = (hex::encode(&bytes), hex::encode(checksum));
                    writeln!(files, "now\tnow\t{gun}\t{role}\t1\t\\\\x{data}\t{shown}")?;
                    if role == "timestamp" {
                        writeln!(changes, "now\t{gun}\t1\t{shown}\tupdate")?;
                    }
                    if role == "timestamp" || role == "targets" {
                        let path = path_of(&gun, &format!("{role}.json"));
                        self.expected.push((path, checksum));
                    }
                }
                self.guns.push(gun);
            }
            databases.run(Whose::Server, &format!("{files}\\.\n{changes}\\.\n"));
        }
        databases.run(Whose::Server, "ANALYZE tuf_files; ANALYZE changefeed;");
        Ok(())
    }

    /// The first of the last so many of them, in the order of their names.
    pub fn last_but(&self, count: usize) -> Option<&str> {
        self.guns
            .get(self.guns.len().saturating_sub(count))
            .map(String::as_str)
    }

    /// What readers must find.
    pub fn expected(&self) -> Arc<[Expected]> {
        self.expected.clone().into()
    }
}
