//! Rows that fill a database, written straight into its tables.

use tests::Whose;

use crate::{
    fault::{Fault, Result},
    subject::Subject,
};

/// Fills the signer's PostgreSQL database up to so many keys, all of them in use, as they are where a registry has been
/// signing for years.
///
/// # Errors
/// When there is no such database.
pub fn keys(subject: &Subject, count: usize) -> Result<()> {
    let databases = subject
        .stored()
        .ok_or_else(|| Fault::new("a database server has to hold the keys"))?;
    // Of the lengths of real ones; nobody opens them.
    let sql = format!(
        "INSERT INTO private_keys (created_at, updated_at, key_id, encryption_alg, keywrap_alg, algorithm, \
         passphrase_alias, public, private, gun, role, last_used) \
         SELECT now(), now(), md5(n::text) || md5('key ' || n), 'A256GCM', 'PBES2-HS256+A128KW', 'ecdsa', \
         'timestamp_1', decode(repeat('30', 91), 'hex'), decode(repeat('41', 460), 'hex'), \
         'bench.test/filled/' || n / 2, CASE n % 2 WHEN 0 THEN 'snapshot' ELSE 'timestamp' END, now() \
         FROM generate_series((SELECT count(*) FROM private_keys), {count}) AS n; ANALYZE private_keys;"
    );
    if count > 0 {
        databases.run(Whose::Signer, &sql);
    }
    Ok(())
}
