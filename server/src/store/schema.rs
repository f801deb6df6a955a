//! The tables, as diesel sees them. Names and types are those of the Notary server.

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
