//! `cosign-reader IMAGE PUBLIC_KEY`: verifies as `cosign verify --key` does, with the crate `sigstore`, over plain HTTP. Prints how
//! many signatures are good; the status is 1 if none is.

use std::{env, error::Error, fs, process::ExitCode};

use sigstore::{
    cosign::{
        ClientBuilder, CosignCapabilities, verification_constraint::PublicKeyVerifier,
        verification_constraint::VerificationConstraint,
    },
    registry::{Auth, ClientConfig, ClientProtocol, OciReference},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match good_signatures().await {
        Ok(0) => {
            eprintln!("no signature of the key is good");
            ExitCode::from(1)
        }
        Ok(count) => {
            println!("{count}");
            ExitCode::SUCCESS
        }
        Err(cause) => {
            eprintln!("{cause}");
            ExitCode::from(1)
        }
    }
}

async fn good_signatures() -> Result<usize, Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [image, key] = arguments.as_slice() else {
        return Err("usage: cosign-reader IMAGE PUBLIC_KEY".into());
    };
    let image: OciReference = image.parse()?;
    let verifier = PublicKeyVerifier::try_from(&fs::read(key)?)?;
    let config = ClientConfig {
        protocol: ClientProtocol::Http,
        ..ClientConfig::default()
    };
    let mut client = ClientBuilder::default().with_oci_client_config(config).build()?;
    // Only those whose payload names the digest of the image come back.
    let layers = client.trusted_signature_layers(&Auth::Anonymous, &image).await?;
    let mut good = 0;
    for layer in &layers {
        if verifier.verify(layer)? {
            good += 1;
        }
    }
    Ok(good)
}
