use super::*;

#[test]
fn only_who_showed_a_certificate_or_password_attests() {
    let openness = Openness {
        identity_asked_for: false,
        anonymous_heard: true,
    };
    let open = Access::new(None, openness);
    let gun = Gun::parse("reg/app").unwrap();
    let nobody = Principal::anonymous(None, None);
    // Who may do everything else, as where nobody is asked who it is.
    assert!(open.authorize::<PushImage>(nobody.clone(), gun.clone()).is_ok());
    assert!(open.authorize_attest(nobody, gun.clone()).is_err());
    let by_token = Principal::from_token("alice", None);
    assert!(open.authorize::<PushImage>(by_token.clone(), gun.clone()).is_ok());
    assert!(open.authorize_attest(by_token, gun).is_err());
}
