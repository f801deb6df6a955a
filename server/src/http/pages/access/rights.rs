//! Answers what somebody may do, and why.

use tuf::Gun as Name;

use super::split;
use crate::{
    access::{
        Right,
        policy::{Action, Asking},
    },
    config::PolicyMode,
    http::{error::ApiError, exchange::Exchange},
    identity::{Method, Principal},
    pages::{Answer, Question, RuleSays, Text},
};

/// Answers a question as `policy test` does. Readers who are no administrators may ask about themselves, and learn the name
/// of the rule that decides.
pub(super) async fn answer(
    exchange: &Exchange<'_>,
    reader: &Principal,
    question: &Question,
) -> Result<Answer, ApiError> {
    let plain = |sentence: String| Answer {
        allowed: false,
        sentence: Text::new(sentence),
        remark: None,
        rules: Vec::new(),
    };
    let action = match Action::parse(&question.action) {
        Ok(action) => action,
        Err(allowed) => {
            return Ok(plain(format!(
                "There is no action {:?}; {allowed}",
                question.action
            )));
        }
    };
    let gun = match question.gun.as_str() {
        "" => None,
        name => match Name::parse(name) {
            Ok(gun) => Some(gun),
            Err(cause) => return Ok(plain(format!("No repository is called {name:?}: {cause}"))),
        },
    };
    let access = &exchange.generation.access;
    let about_other = question.of_others && !question.name.is_empty() && question.name != reader.name();
    let Some(policy) = access
        .policy()
        .filter(|_| about_other || reader.method() != Method::Token)
    else {
        let right = Right::To(action);
        let allowed = access.check(reader, &right, gun.as_ref());
        return Ok(Answer {
            allowed: allowed.is_ok(),
            sentence: Text::new(match allowed {
                Ok(_) => format!("{} may {right}", reader.name()),
                Err(denied) => denied.to_string(),
            }),
            remark: access.policy().is_none().then(|| {
                Text::from("There is no policy: who is let in may do everything, but change who has access.")
            }),
            rules: Vec::new(),
        });
    };
    let anonymous = reader.method() == Method::Anonymous;
    let (name, groups) = if about_other {
        (Some(question.name.clone()), groups_of(exchange, question).await?)
    } else {
        (
            (!anonymous).then(|| reader.name().to_owned()),
            reader.groups().to_vec(),
        )
    };
    let asking = Asking {
        principal: name.as_deref(),
        groups: &groups,
        action: &action,
        gun: gun.as_ref().map(Name::as_str),
        image: None,
    };
    let verdict = policy.decide(&asking);
    let remark = if !verdict.allowed && !verdict.enforced {
        Some(
            "This is recorded only, and the request is carried out: the rule or the policy is on trial."
                .to_owned(),
        )
    } else if let Some(rule) = &verdict.would_deny {
        Some(format!("The rule {rule}, which is on trial, would deny it."))
    } else {
        let by = verdict.rule.as_ref().filter(|_| verdict.allowed);
        by.map(|rule| format!("The rule {rule} allows it."))
    };
    let rules = if question.of_others {
        policy.explain(&asking)
    } else {
        Vec::new()
    };
    Ok(Answer {
        allowed: verdict.permits(),
        sentence: Text::new(verdict.sentence(&asking)),
        remark: remark.map(Text::new),
        rules: rules
            .into_iter()
            .map(|trace| RuleSays {
                decides: verdict.rule.as_ref() == Some(&trace.rule),
                effect: match (trace.allows, trace.mode) {
                    (true, _) => "allow",
                    (false, PolicyMode::Enforce) => "deny",
                    (false, PolicyMode::Audit) => "deny, on trial",
                },
                says: Text::new(
                    trace
                        .why_not
                        .map_or_else(|| "applies".to_owned(), |why| format!("does not apply: {why}")),
                ),
                rule: Text::new(trace.rule),
            })
            .collect(),
    })
}

/// The groups that were typed, or those of the account of the name.
async fn groups_of(exchange: &Exchange<'_>, question: &Question) -> Result<Vec<String>, ApiError> {
    if !question.groups.is_empty() {
        return Ok(split(&question.groups));
    }
    let name = question.name.clone();
    let account = exchange
        .state
        .with_store(move |store| store.account(&name))
        .await?;
    Ok(account.map(|account| account.all_groups()).unwrap_or_default())
}
