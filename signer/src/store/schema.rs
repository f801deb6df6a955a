//! The tables, with the column names of the Notary signer's migrations.

use platform::database::TableUse;

/// What the signer writes; deleted keys stay as rows.
pub(super) static WRITTEN: [TableUse; 2] = [
    TableUse {
        table: "private_keys",
        filled: &[
            "created_at",
            "updated_at",
            "key_id",
            "encryption_alg",
            "keywrap_alg",
            "algorithm",
            "passphrase_alias",
            "public",
            "private",
            "gun",
            "role",
        ],
        updates: true,
        deletes: false,
        needs: None,
    },
    TableUse {
        table: "signed_versions",
        filled: &["key_id", "role", "version", "signed_at"],
        updates: true,
        deletes: false,
        needs: None,
    },
];

diesel::table! {
    private_keys (id) {
        id -> Integer,
        created_at -> Nullable<Timestamp>,
        updated_at -> Nullable<Timestamp>,
        deleted_at -> Nullable<Timestamp>,
        key_id -> Text,
        encryption_alg -> Text,
        keywrap_alg -> Text,
        algorithm -> Text,
        passphrase_alias -> Text,
        public -> Binary,
        private -> Binary,
        gun -> Text,
        role -> Text,
        last_used -> Nullable<Timestamp>,
    }
}

diesel::table! {
    /// Ours: the highest version each key has signed.
    signed_versions (key_id, role) {
        key_id -> Text,
        role -> Text,
        version -> BigInt,
        signed_at -> Timestamp,
    }
}

diesel::allow_tables_to_appear_in_same_query!(private_keys, signed_versions);
