//! Which revocation lists may replace others, and which contain entries that the server cannot apply.

use std::fs;

use serde_json::json;
use tests::{
    Stop, TestServer,
    authority::INTERMEDIATE,
    craft::list_with_entry,
    process::wait_until,
    revocation::{authority, reason, with_list},
};

#[test]
fn a_list_with_entries_beyond_serial_numbers_is_refused() {
    let prepared = with_list().prepare();
    let authority = prepared.pki().authority();
    let path = prepared.path().join("list.pem");
    const ISSUER: &[u8] = b"\x06\x03\x55\x1d\x1d";
    const REASON: &[u8] = b"\x06\x03\x55\x1d\x15";
    const UNKNOWN: &[u8] = b"\x06\x03\x2a\x03\x04";
    let other = b"\x30\x11\xa4\x0f\x30\x0d\x31\x0b\x30\x09\x06\x03\x55\x04\x03\x0c\x02CB";
    let superseded = b"\x0a\x01\x04";
    for (entry, refused) in [
        (
            (ISSUER, true, &other[..]),
            Some("names another certificate issuer"),
        ),
        ((ISSUER, false, other), Some("names another certificate issuer")),
        (
            (UNKNOWN, true, b"\x05\x00"),
            Some("has the critical extension 1.2.3.4"),
        ),
        ((UNKNOWN, false, b"\x05\x00"), None),
        ((REASON, false, superseded), None),
        ((REASON, true, superseded), None),
    ] {
        let list = list_with_entry(&authority.certificate, &authority.key, entry);
        fs::write(&path, &list).unwrap();
        let checked = prepared.check_config();
        match refused {
            Some(why) => drop(checked.fails().says("list.pem").says("its entry for").says(why)),
            None => drop(checked.ok()),
        }
    }
    let good = list_with_entry(
        &authority.certificate,
        &authority.key,
        (REASON, false, superseded),
    );
    fs::write(&path, [&good[..], &good].concat()).unwrap();
    prepared
        .check_config()
        .fails()
        .says("there is data after its end");
}

/// An older list in place of the one in use does not let revoked clients in again.
#[test]
fn a_file_does_not_go_back_to_an_older_list_while_the_server_runs() {
    for place in ["file", "directory"] {
        let builder = TestServer::builder()
            .requests_certificates()
            .set("reload.watch", json!(false));
        let prepared = match place {
            "file" => builder.set("revocation.crl.files", json!(["lists/a.pem"])),
            _ => builder.set("revocation.crl.directories", json!(["lists"])),
        };
        let prepared = prepared.prepare();
        let authority = authority(&prepared);
        let alice = prepared.pki().user("alice");
        let bob = prepared.pki().user("bob");
        let lists = prepared.path().join("lists");
        fs::create_dir(&lists).unwrap();
        let older = authority.list();
        authority.revoke(&alice);
        let newer = authority.list();
        authority.revoke(&bob);
        let newest = authority.list();
        let path = lists.join("a.pem");
        fs::write(&path, &newer).unwrap();
        let mut server = prepared.start();
        let nobody = server.client_without_certificate();
        assert_eq!(reason(&server, &alice), "certificate_revoked");
        let refused = |server: &TestServer| server.reloads(&nobody).1;
        let other_ca = authority.below("Other", INTERMEDIATE).list();
        let others_sort = authority.list_with(
            &["-crldays", "1"],
            "issuingDistributionPoint=critical,@point\n[point]\nonlyCA=TRUE",
        );
        for (what, list) in [
            ("older", older.clone()),
            ("of another CA", other_ca),
            ("of another scope", others_sort),
        ] {
            let before = refused(&server);
            fs::write(&path, &list).unwrap();
            server.hang_up();
            wait_until(what, || refused(&server) > before);
            assert_eq!(reason(&server, &alice), "certificate_revoked", "{what}");
        }
        assert!(
            server.log().contains("and the one in use is of"),
            "{}",
            server.log()
        );
        if place == "directory" {
            let before = refused(&server);
            fs::remove_file(&path).unwrap();
            server.hang_up();
            wait_until("it is gone", || refused(&server) > before);
            assert_eq!(reason(&server, &alice), "certificate_revoked");
        }
        // An older one beside it does no harm, and a newer one is loaded.
        fs::write(&path, [newest.as_slice(), &older].concat()).unwrap();
        server.hang_up();
        wait_until("the newest is reloaded", || {
            server.client_with(&bob).get("/v2/").status == 401
        });
        assert_eq!(reason(&server, &alice), "certificate_revoked");
        // Nothing is remembered over a restart: what stands in the file then counts.
        fs::write(&path, &older).unwrap();
        server.restart_server(Stop::Politely);
        server.client_with(&alice).get("/v2/").ok();
    }
}
