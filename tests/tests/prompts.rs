//! What a person at a terminal is asked, and what is done with the answers.

use std::{fs, path::PathBuf};

use tests::{
    Notary, TestServer,
    countersign::Countersign,
    process::built_programs,
    terminal::{CTRL_C, Terminal},
};

const GUN: &str = "reg.example/team/app";
const SECRET: &str = "correct horse";

/// A person with a certificate and no passphrase in the environment.
struct Person {
    server: TestServer,
    client: Countersign,
    notary: Notary,
}

impl Person {
    fn start() -> Self {
        let server = TestServer::start();
        let (client, notary) = (Countersign::of(&server, "alice"), server.notary("alice"));
        Self {
            server,
            client,
            notary,
        }
    }

    fn line(&self, arguments: &str) -> String {
        format!(
            "{} {arguments} --trust-dir {}",
            built_programs().join("countersign").display(),
            self.notary.trust().display()
        )
    }

    fn types(&self, arguments: &str) -> Terminal {
        Terminal::run(self.client.directory(), &self.line(arguments))
    }

    fn at_server(&self, arguments: &str) -> Terminal {
        let files = self.server.pki().user("alice");
        self.types(&format!(
            "{arguments} --server {} --ca {} --cert {} --key {}",
            self.server.url(),
            files.ca.display(),
            files.certificate.display(),
            files.key.display()
        ))
    }

    /// The files with private keys.
    fn keys(&self) -> Vec<PathBuf> {
        let files = fs::read_dir(self.notary.trust().join("private"));
        let files = files.into_iter().flatten();
        files.map(|file| file.unwrap().path()).collect()
    }
}

#[test]
fn a_new_passphrase_is_asked_for_twice_and_shown_never() {
    let person = Person::start();
    let mut terminal = person.types("key generate alice");
    terminal.shows("New passphrase for the alice key ");
    terminal.types("short\n");
    terminal.shows("at least 8 characters");
    terminal.shows("New passphrase");
    terminal.types(&format!("{SECRET}\n"));
    terminal.shows("The same again: ");
    terminal.types("another horse\n");
    terminal.shows("The two differ");
    assert!(person.keys().is_empty());
    terminal.shows("New passphrase");
    terminal.types(&format!("{SECRET}\n"));
    terminal.shows("The same again: ");
    terminal.types(&format!("{SECRET}\n"));
    let (status, screen) = terminal.ends();
    assert_eq!(status, 0, "{screen}");
    for typed in ["short", "horse", SECRET] {
        assert!(!screen.contains(typed), "{screen}");
    }
    let [key] = person.keys().try_into().unwrap();
    let text = fs::read_to_string(&key).unwrap();
    assert!(
        text.contains("ENCRYPTED") && text.contains("role: alice"),
        "{text}"
    );
    // Who is wrong too often gets no key.
    let mut terminal = person.types("key generate bob");
    for _ in 0..3 {
        terminal.shows("New passphrase");
        terminal.types("short\n");
    }
    let (status, screen) = terminal.ends();
    assert_eq!(status, 2, "{screen}");
    assert!(screen.contains("no passphrase was given"), "{screen}");
    assert_eq!(person.keys(), [key]);
}

#[test]
fn the_passphrase_that_was_chosen_opens_the_key_and_another_does_not() {
    let person = Person::start();
    let mut terminal = person.at_server(&format!("init {GUN}"));
    for _ in 0..2 {
        terminal.shows("New passphrase");
        terminal.types(&format!("{SECRET}\n"));
        terminal.shows("The same again: ");
        terminal.types(&format!("{SECRET}\n"));
    }
    let sign = format!("sign {GUN}:1.0 --size 1 --digest sha256:{}", "ab".repeat(32));
    // Init may have to open the root key again.
    let (status, screen) = terminal.ends();
    assert_eq!(status, 0, "{screen}");
    let mut terminal = person.at_server(&sign);
    terminal.shows("Passphrase of the targets key ");
    terminal.types("wrong\n");
    terminal.shows("Passphrase of the targets key ");
    terminal.types(&format!("{SECRET}\n"));
    let (status, screen) = terminal.ends();
    assert_eq!(status, 0, "{screen}");
    assert!(!screen.contains("horse") && !screen.contains("wrong"), "{screen}");
    assert_eq!(person.notary.targets(GUN), ["1.0"]);
    // Notary opens the same key with the same passphrase.
    let mut add = person.notary.command(["remove", GUN, "1.0", "-p"]);
    add.env("NOTARY_TARGETS_PASSPHRASE", SECRET);
    tests::Finished::run(&mut add, "").ok();
    let mut terminal = person.at_server(&sign);
    for _ in 0..3 {
        terminal.shows("Passphrase of the targets key ");
        terminal.types("wrong\n");
    }
    let (status, screen) = terminal.ends();
    assert_eq!(status, 2, "{screen}");
    assert!(screen.contains("it is not opened by what was typed"), "{screen}");
    assert_eq!(person.notary.targets(GUN), Vec::<String>::new());
}

#[test]
fn ctrl_c_at_a_prompt_changes_nothing_and_gives_the_terminal_back() {
    let person = Person::start();
    let line = person.line("key generate alice");
    let script = format!("trap : INT; {line}; echo status $?; stty -a");
    let mut terminal = Terminal::run(person.client.directory(), &script);
    terminal.shows("New passphrase");
    terminal.types(&format!("{SECRET}\n"));
    terminal.shows("The same again: ");
    terminal.types(CTRL_C);
    // 128 and the number of SIGINT.
    terminal.shows("status 130");
    let (_, screen) = terminal.ends();
    for setting in [" echo ", " icanon ", "isig "] {
        assert!(screen.contains(setting), "no {setting:?}: {screen}");
    }
    assert!(person.keys().is_empty(), "{screen}");
    assert!(!person.client.directory().join("alice.pub").exists(), "{screen}");
}

#[test]
fn what_cannot_be_taken_back_is_done_only_for_a_yes() {
    let person = Person::start();
    person.notary.run(["init", GUN, "-p"]).ok();
    person.notary.add_and_publish(GUN, "1.0", "first");
    person.notary.add_and_publish(GUN, "2.0", "second");
    let revoke = |answer: &str| {
        let mut terminal = person.at_server(&format!("revoke --all {GUN}"));
        terminal.shows("This revokes every tag of reg.example/team/app: 1.0, 2.0 of targets");
        terminal.types(answer);
        terminal
    };
    for answer in ["y\n", "\n", "no\n", "\u{4}"] {
        let (status, screen) = revoke(answer).ends();
        assert_eq!(status, 1, "{screen}");
        assert!(screen.contains("nothing was changed"), "{screen}");
    }
    assert_eq!(person.notary.targets(GUN), ["1.0", "2.0"]);
    let mut terminal = revoke("yes\n");
    terminal.shows("Passphrase of the targets key ");
    terminal.types("passphrase\n");
    terminal.shows("Passphrase of the snapshot key ");
    terminal.types("passphrase\n");
    let (status, screen) = terminal.ends();
    assert_eq!(status, 0, "{screen}");
    assert_eq!(person.notary.targets(GUN), Vec::<String>::new());
}
