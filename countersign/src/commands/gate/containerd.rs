//! `countersign gate containerd`: containerd's image verifier (plugin `io.containerd.image-verifier.v1.bindir`).
//!
//! containerd runs every program of a directory as `PROGRAM -name REFERENCE -digest DIGEST -stdin-media-type TYPE`, with a
//! descriptor on standard input. Status 0 lets the image in; what is printed is the reason.

use std::{ffi::OsString, time::Duration};

use chrono::TimeDelta;
use clap::Args;
use verifier::ImageReference;

use super::super::{
    Failure, Outcome, block_on,
    trust::{PolicyOptions, TrustOptions},
};
use crate::{decider::Asked, line};

/// containerd waits for 10 s by default.
const DEADLINE: Duration = Duration::from_secs(8);

/// The policy, and what containerd says.
#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    policy: PolicyOptions,
    #[command(flatten)]
    trust: TrustOptions,
    /// After --, what containerd gives: -name REFERENCE -digest DIGEST -stdin-media-type TYPE.
    #[arg(last = true, value_name = "CONTAINERD'S ARGUMENTS")]
    given: Vec<OsString>,
}

/// Judges the image, and prints the reason.
///
/// # Errors
/// When the policy cannot be used, or the arguments are not containerd's.
pub fn run(options: &Options) -> Result<Outcome, Failure> {
    let asked_for = Asked::by("containerd");
    let image = image(&options.given).map_err(Failure)?;
    let decider = options.policy.decider(&options.trust, TimeDelta::zero())?;
    let verdicts = block_on(decider.decide_all(&[&image], &asked_for, DEADLINE))?;
    let permitted = !verdicts.is_empty() && verdicts.iter().all(verifier::Verdict::permits);
    for verdict in &verdicts {
        platform::say!("{}", line::of(verdict));
    }
    Ok(if permitted { Outcome::Done } else { Outcome::Denied })
}

/// The reference with the digest that the registry gave for it, which is what containerd is about to run.
fn image(given: &[OsString]) -> Result<String, String> {
    let (mut name, mut digest) = (None, None);
    let mut rest = given
        .iter()
        .map(|argument| argument.to_str().ok_or("an argument is not UTF-8"));
    while let Some(option) = rest.next().transpose()? {
        let option = option.trim_start_matches('-');
        let (option, value) = match option.split_once('=') {
            Some((option, value)) => (option, value),
            None => match rest.next().transpose()? {
                Some(value) => (option, value),
                None => return Err(format!("the option -{option} has no value")),
            },
        };
        let slot = match option {
            "name" => &mut name,
            "digest" => &mut digest,
            "stdin-media-type" => continue,
            other => return Err(format!("containerd gives no option -{other}")),
        };
        if slot.replace(value.to_owned()).is_some() {
            return Err(format!("the option -{option} is there twice"));
        }
    }
    let (Some(name), Some(digest)) = (name, digest) else {
        return Err(
            "-name REFERENCE and -digest DIGEST are needed, after --, as containerd gives them".to_owned(),
        );
    };
    let reference = ImageReference::parse(&name).map_err(|reason| reason.to_string())?;
    match name.split_once('@') {
        // The name's own digest has to be the one that containerd found.
        Some((_, own)) if own != digest => Err(format!("{name} names another digest than {digest}")),
        Some(_) => Ok(name),
        None => {
            // A name without tag means `latest` only where there is no digest.
            let tag = if reference.tag().is_none() { ":latest" } else { "" };
            Ok(format!("{name}{tag}@{digest}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &[&str]) -> Result<String, String> {
        let given: Vec<OsString> = arguments.iter().map(OsString::from).collect();
        image(&given)
    }

    #[test]
    fn the_digest_that_containerd_found_is_judged_together_with_the_name() {
        let digest = format!("sha256:{}", "ab".repeat(32));
        let other = format!("sha256:{}", "cd".repeat(32));
        let media = ["-stdin-media-type", "application/vnd.oci.descriptor.v1+json"];
        let call = |name: &str, digest: &str| read(&["-name", name, "-digest", digest, media[0], media[1]]);
        assert_eq!(
            call("reg.example/a:1", &digest),
            Ok(format!("reg.example/a:1@{digest}"))
        );
        assert_eq!(
            call("reg.example/a", &digest),
            Ok(format!("reg.example/a:latest@{digest}"))
        );
        let named = format!("reg.example/a:1@{digest}");
        assert_eq!(call(&named, &digest), Ok(named.clone()));
        assert!(call(&named, &other).is_err());
    }

    #[test]
    fn other_arguments_are_refused() {
        for arguments in [
            &["-name", "a"][..],
            &["-name"],
            &["-nam", "a"],
            &["-name", "a", "-name", "b", "-digest", "c"],
        ] {
            assert!(read(arguments).is_err(), "{arguments:?}");
        }
    }
}
