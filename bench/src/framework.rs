//! The second floor: what an answer costs with the HTTP framework that the server is built with, over the same TLS, when
//! nothing is decided, looked up or logged.

use std::net::{Ipv4Addr, TcpListener};

use actix_http::HttpService;
use actix_server::Server;
use actix_service::{IntoServiceFactory, ServiceFactoryExt, map_config};
use actix_tls::accept::openssl::{Acceptor, TlsStream};
use actix_web::{App, HttpResponse, dev::AppConfig, rt::System, rt::net::TcpStream, web};

use crate::{
    acceptor::{self, BODY, Options},
    fault::Result,
};

/// Runs until it is killed.
///
/// # Errors
/// When it cannot start.
pub fn run(options: &Options) -> Result<()> {
    let tls = acceptor::settings(options)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port))?;
    System::new().block_on(async {
        let server = Server::build()
            .workers(std::thread::available_parallelism().map_or(2, usize::from))
            .listen("http", listener, move || {
                let app = App::new().default_service(web::to(greet));
                let http = HttpService::build()
                    .h1(map_config(app.into_factory(), |_| AppConfig::default()))
                    .map_err(drop);
                Acceptor::new(tls.clone())
                    .map_err(drop)
                    .map(|stream: TlsStream<TcpStream>| (stream, None))
                    .and_then(http)
            })?;
        server.run().await
    })?;
    Ok(())
}

async fn greet() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(BODY)
}
