//! The docker programs alternate between our server and Notary's, and cannot tell which one they talk to.

use tests::{
    Engine, TestServer,
    flows::docker::{World, clis, load_a_key, push_and_pull, sign_inspect_revoke},
};

fn by_turns(engine: Engine) {
    let mut world = World::start(TestServer::builder().database(engine).by_turns_with_notarys());
    let clis = clis();
    sign_inspect_revoke(&mut world, &clis);
    load_a_key(&world, &clis);
    push_and_pull(&mut world, &clis);
    let served = world.server().served();
    assert!(served.iter().all(|count| *count > 50), "{served:?}");
}

#[test]
fn docker_clients_alternate_between_both_servers_on_postgresql() {
    by_turns(Engine::Postgres);
}

#[test]
fn docker_clients_alternate_between_both_servers_on_mariadb() {
    by_turns(Engine::Mysql);
}
