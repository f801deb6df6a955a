//! `policy test`: an operator asks what a policy would decide.

use std::{fs, path::PathBuf, process::Command};

use serde_json::{Value, json};
use tempfile::TempDir;
use tests::{
    operator::documented_toml,
    process::{Finished, built_programs},
};

/// A configuration file with a policy.
struct Configured {
    _directory: TempDir,
    file: PathBuf,
}

impl Configured {
    fn new(tree: &Value) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("server.json");
        fs::write(&file, tree.to_string()).unwrap();
        Self {
            _directory: directory,
            file,
        }
    }

    fn toml(text: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("server.toml");
        fs::write(&file, text).unwrap();
        Self {
            _directory: directory,
            file,
        }
    }

    fn ask(&self, question: &str) -> Finished {
        let mut run = Command::new(built_programs().join("countersign-server"));
        run.args(["policy", "test", "--config"])
            .arg(&self.file)
            .args(question.split_whitespace());
        Finished::run(&mut run, "")
    }
}

fn example() -> Value {
    json!({"policy": [
        {"name": "releases", "effect": "allow", "principals": ["group:ci"],
         "actions": ["pull", "push:targets/releases"], "guns": ["reg/prod/**"]},
        {"name": "keep", "effect": "deny", "principals": ["*"], "actions": ["delete"], "guns": ["reg/prod/**"],
         "unless": ["group:admins"]},
        {"effect": "allow", "principals": ["group:admins", "alice"], "actions": ["*"]},
        {"name": "public", "effect": "allow", "principals": ["anonymous"], "actions": ["pull"], "guns": ["reg/public/*"]},
        {"name": "own", "effect": "allow", "principals": ["*"], "actions": ["push"], "guns": ["u/${principal}/*"],
         "require_own_key": true}
    ]})
}

#[test]
fn the_verdict_names_the_rule_and_why_the_others_do_not_apply() {
    let configured = Configured::new(&example());
    configured
        .ask("--as bob --groups ci,ops --action push:targets/releases --gun reg/prod/app")
        .ok()
        .says("allowed: bob may push:targets/releases reg/prod/app")
        .says("decided by: releases")
        .says("rule releases (allow): applies")
        .says("rule keep (deny): does not apply: it does not cover push:targets/releases")
        .says("rule policy[2] (allow): does not apply: it does not cover bob");
    configured
        .ask("--as alice --action delete --gun reg/prod/app")
        .fails()
        .says("denied: alice may not delete reg/prod/app: the policy's rule keep denies it")
        .says("rule policy[2] (allow): applies");
    configured
        .ask("--as alice --groups admins --action delete --gun reg/prod/app")
        .ok()
        .says("rule keep (deny): does not apply: it excepts alice");
    configured
        .ask("--as bob --action pull --gun reg/prod/app")
        .fails()
        .says("no rule of the policy allows it");
}

#[test]
fn anonymous_clients_and_own_repositories_can_be_tested() {
    let configured = Configured::new(&example());
    configured
        .ask("--anonymous --action pull --gun reg/public/a")
        .ok();
    configured
        .ask("--anonymous --action pull --gun reg/public/a/b")
        .fails();
    configured
        .ask("--as bob --action push --gun u/bob/x")
        .ok()
        .says("signed with a key of their own");
    configured.ask("--as bob --action push --gun u/eve/x").fails();
}

#[test]
fn a_policy_in_audit_mode_says_what_it_would_do() {
    let mut tree = example();
    tree["access"] = json!({"mode": "audit"});
    Configured::new(&tree)
        .ask("--as bob --action delete --gun reg/prod/app")
        .fails()
        .says("access.mode is audit");
}

#[test]
fn without_a_policy_everything_is_allowed_and_wrong_ones_are_refused() {
    Configured::new(&json!({}))
        .ask("--as bob --action push --gun a")
        .ok()
        .says("there is no policy");
    Configured::new(&json!({"policy": [{"effect": "allow", "principals": ["*"], "action": ["pull"]}]}))
        .ask("--as bob --action push --gun a")
        .fails()
        .says("policy[0].action: [\"pull\"] (unknown; did you mean actions?)");
    let configured = Configured::new(&example());
    configured
        .ask("--as bob --action write --gun a")
        .fails()
        .says("allowed: pull, push");
    configured
        .ask("--as bob --action push --gun a*")
        .fails()
        .says("--gun \"a*\"");
    configured.ask("--action push --gun a").fails().says("--as");
}

#[test]
fn the_documented_policy_does_what_the_page_says() {
    let examples = documented_toml("identity-and-access.md");
    let example = examples
        .iter()
        .find(|example| example.contains("[[policy]]"))
        .unwrap();
    let configured = Configured::toml(example);
    let gun = "reg.example.com/prod/app";
    configured
        .ask(&format!(
            "--as alice --groups ci,ops --action push:targets --gun {gun}"
        ))
        .fails()
        .says(&format!(
            "denied: alice may not push:targets {gun}: no rule of the policy allows it"
        ))
        .says("rule releases (allow): does not apply: it does not cover push:targets");
    configured
        .ask(&format!(
            "--as alice --groups ci --action push:targets/releases --gun {gun}"
        ))
        .ok();
    configured
        .ask("--as alice --action init --gun reg.example.com/users/alice/app")
        .ok()
        .says("decided by: own");
    configured
        .ask("--anonymous --action pull --gun reg.example.com/public/a/b")
        .ok();
    configured
        .ask(&format!("--anonymous --action pull --gun {gun}"))
        .fails();
}
