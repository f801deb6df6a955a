//! The tables in diesel's notation. Names and types are those of the Notary server.

use platform::database::TableUse;

/// The tables to which the server writes. It only adds rows to the changefeed and to the record of changes.
/// Repositories are deleted only on request, so a missing right to delete is not reported as a fault.
pub(super) static WRITTEN: [TableUse; 18] = [
    TableUse {
        table: "tuf_files",
        filled: &[
            "created_at",
            "updated_at",
            "gun",
            "role",
            "version",
            "data",
            "sha256",
        ],
        updates: true,
        deletes: false,
        needs: None,
    },
    TableUse {
        table: "changefeed",
        filled: &["created_at", "gun", "version", "sha256", "category"],
        updates: false,
        deletes: false,
        needs: Some(("change_category", "category", &["update", "deletion"])),
    },
    TableUse {
        table: "change_actors",
        filled: &[
            "change_id",
            "principal",
            "certificate_subject",
            "certificate_issuer",
            "certificate_serial",
            "peer_address",
        ],
        updates: false,
        deletes: false,
        needs: None,
    },
    TableUse {
        table: "refresh_leases",
        filled: &["gun", "holder", "held_until"],
        updates: true,
        deletes: false,
        needs: None,
    },
    TableUse {
        table: "server_keys",
        filled: &["key_id", "gun", "role", "created_at"],
        updates: false,
        deletes: true,
        needs: None,
    },
    TableUse {
        table: "accounts",
        filled: &[
            "name",
            "full_name",
            "is_admin",
            "group_names",
            "created_at",
            "disabled_at",
            "disabled_reason",
        ],
        updates: true,
        deletes: true,
        needs: None,
    },
    TableUse {
        table: "account_keys",
        filled: &[
            "spki_sha256",
            "account",
            "label",
            "public_key",
            "certificate",
            "key_id",
            "certificate_key_id",
            "created_at",
            "note",
        ],
        updates: true,
        deletes: true,
        needs: None,
    },
    TableUse {
        table: "denials",
        filled: &["kind", "subject", "shown", "reason", "created_at"],
        updates: false,
        deletes: true,
        needs: None,
    },
    TableUse {
        table: "security_epoch",
        filled: &[],
        updates: true,
        deletes: false,
        needs: None,
    },
    TableUse {
        table: "pending_keys",
        filled: &["key_id", "gun", "role", "requester", "created_at"],
        updates: true,
        deletes: true,
        needs: None,
    },
    TableUse {
        table: "webhooks",
        filled: &["name", "settled", "updated_at"],
        updates: true,
        deletes: false,
        needs: None,
    },
    TableUse {
        table: "undelivered_events",
        filled: &["webhook", "change_id", "reason", "failed_at"],
        updates: true,
        deletes: true,
        needs: None,
    },
    TableUse {
        table: "pull_counts",
        filled: &["gun", "pulls"],
        updates: true,
        deletes: true,
        needs: None,
    },
    TableUse {
        table: "audit_log",
        filled: &["chain", "sequence", "record", "hash"],
        updates: false,
        deletes: false,
        needs: None,
    },
    TableUse {
        table: "native_repositories",
        filled: &[
            "name",
            "timestamp_version",
            "snapshot_version",
            "expires_at",
            "created_at",
        ],
        updates: true,
        deletes: false,
        needs: None,
    },
    TableUse {
        table: "native_files",
        filled: &["repository", "role", "version", "data", "created_at"],
        updates: false,
        deletes: false,
        needs: None,
    },
    TableUse {
        table: "native_drafts",
        filled: &["repository", "role", "data", "updated_at"],
        updates: true,
        deletes: true,
        needs: None,
    },
    TableUse {
        table: "native_targets",
        filled: &["repository", "sha256", "data", "created_at"],
        updates: false,
        deletes: true,
        needs: None,
    },
];

diesel::table! {
    tuf_files (id) {
        id -> Integer,
        created_at -> Nullable<Timestamp>,
        updated_at -> Nullable<Timestamp>,
        deleted_at -> Nullable<Timestamp>,
        gun -> Text,
        role -> Text,
        version -> Integer,
        data -> Binary,
        sha256 -> Nullable<Text>,
    }
}

diesel::table! {
    changefeed (id) {
        id -> Integer,
        created_at -> Nullable<Timestamp>,
        gun -> Text,
        version -> Integer,
        sha256 -> Nullable<Text>,
        category -> Text,
    }
}

diesel::table! {
    change_actors (change_id) {
        change_id -> Integer,
        principal -> Text,
        certificate_subject -> Nullable<Text>,
        certificate_issuer -> Nullable<Text>,
        certificate_serial -> Nullable<Text>,
        peer_address -> Nullable<Text>,
    }
}

diesel::table! {
    refresh_leases (gun) {
        gun -> Text,
        holder -> Text,
        held_until -> Timestamp,
    }
}

diesel::table! {
    server_keys (key_id) {
        key_id -> Text,
        gun -> Text,
        role -> Text,
        created_at -> Timestamp,
    }
}

diesel::table! {
    accounts (name) {
        name -> Text,
        full_name -> Nullable<Text>,
        is_admin -> Bool,
        group_names -> Text,
        created_at -> Timestamp,
        disabled_at -> Nullable<Timestamp>,
        disabled_reason -> Nullable<Text>,
    }
}

diesel::table! {
    account_keys (spki_sha256) {
        spki_sha256 -> Text,
        account -> Text,
        label -> Nullable<Text>,
        public_key -> Text,
        certificate -> Nullable<Text>,
        key_id -> Text,
        certificate_key_id -> Nullable<Text>,
        created_at -> Timestamp,
        note -> Nullable<Text>,
    }
}

diesel::joinable!(account_keys -> accounts (account));
diesel::allow_tables_to_appear_in_same_query!(accounts, account_keys);
diesel::allow_tables_to_appear_in_same_query!(changefeed, change_actors);

diesel::table! {
    denials (kind, subject) {
        kind -> Text,
        subject -> Text,
        shown -> Text,
        reason -> Nullable<Text>,
        created_at -> Timestamp,
    }
}

diesel::table! {
    security_epoch (id) {
        id -> Integer,
        epoch -> BigInt,
    }
}

diesel::table! {
    pending_keys (key_id) {
        key_id -> Text,
        gun -> Text,
        role -> Text,
        requester -> Text,
        created_at -> Timestamp,
        swept_at -> Nullable<Timestamp>,
    }
}

diesel::table! {
    audit_log (id) {
        id -> Integer,
        chain -> Text,
        sequence -> Integer,
        record -> Text,
        hash -> Text,
    }
}

diesel::table! {
    webhooks (name) {
        name -> Text,
        settled -> Integer,
        updated_at -> Timestamp,
    }
}

diesel::table! {
    undelivered_events (webhook, change_id) {
        webhook -> Text,
        change_id -> Integer,
        reason -> Text,
        failed_at -> Timestamp,
    }
}

diesel::table! {
    pull_counts (gun) {
        gun -> Text,
        pulls -> BigInt,
    }
}

diesel::table! {
    native_repositories (name) {
        name -> Text,
        timestamp_version -> Integer,
        snapshot_version -> Integer,
        expires_at -> Timestamp,
        created_at -> Timestamp,
        deleted_at -> Nullable<Timestamp>,
    }
}

diesel::table! {
    native_files (id) {
        id -> Integer,
        repository -> Text,
        role -> Text,
        version -> Integer,
        data -> Binary,
        created_at -> Timestamp,
    }
}

diesel::table! {
    native_drafts (repository, role) {
        repository -> Text,
        role -> Text,
        data -> Binary,
        updated_at -> Timestamp,
    }
}

diesel::table! {
    native_targets (repository, sha256) {
        repository -> Text,
        sha256 -> Text,
        data -> Binary,
        created_at -> Timestamp,
    }
}
