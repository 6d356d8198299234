//! TLS as clients meet it, on a port of this computer.

use axum::Router;
use axum::routing::get;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use super::*;

type Issuer = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Issuer {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate for `localhost` and its key, in PEM.
fn issued(by: &Issuer) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    (params.signed_by(&key, by).unwrap().pem(), key.serialize_pem())
}

struct House {
    folder: tempfile::TempDir,
    authority: Issuer,
    config: TlsConfig,
}

impl House {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = TlsConfig {
            cert_file: folder.path().join("cert.pem"),
            private_key_file: folder.path().join("key.pem"),
            ..crate::config::tests::defaults().tls
        };
        let house = Self { folder, authority: authority(), config };
        house.put(&issued(&house.authority));
        house
    }

    fn put(&self, (certificate, key): &(String, String)) {
        std::fs::write(&self.config.cert_file, certificate).unwrap();
        std::fs::write(&self.config.private_key_file, key).unwrap();
    }

    async fn serve(&self) -> (Certificates, SocketAddr) {
        let certificates = Certificates::read(&self.config).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let listener = certificates.listen(port).unwrap();
        let address = listener.address;
        let router = Router::new().route("/", get(async || "hello"));
        tokio::spawn(axum::serve(listener, router).into_future());
        (certificates, address)
    }

    /// A client that trusts the house's authority, with a certificate of its own when it has one.
    fn client(&self, own: Option<&(String, String)>) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.der().clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match own {
            Some((certificate, key)) => builder
                .with_client_auth_cert(
                    certificates(certificate.as_bytes()).unwrap(),
                    PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
                )
                .unwrap(),
            None => builder.with_no_client_auth(),
        };
        TlsConnector::from(Arc::new(config))
    }
}

/// What the server answers, and the certificate it showed.
async fn ask(client: &TlsConnector, address: SocketAddr) -> io::Result<(String, Vec<u8>)> {
    let stream = TcpStream::connect(address).await?;
    let mut stream = client.connect(ServerName::try_from("localhost").unwrap(), stream).await?;
    let shown = stream.get_ref().1.peer_certificates().unwrap()[0].to_vec();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await?;
    let mut text = String::new();
    // How a refused client certificate shows in TLS 1.3: only when the client reads.
    stream.read_to_string(&mut text).await?;
    Ok((text, shown))
}

#[tokio::test]
async fn certificates_change_while_the_server_runs() {
    let house = House::new();
    let (certificates, address) = house.serve().await;
    let client = house.client(None);
    let (text, first) = ask(&client, address).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 200") && text.ends_with("hello"), "{text}");
    assert!(!certificates.refresh().unwrap(), "the same files again");
    house.put(&issued(&house.authority));
    assert!(certificates.refresh().unwrap());
    let (_, second) = ask(&client, address).await.unwrap();
    assert_ne!(first, second);
    std::fs::write(&house.config.cert_file, "half a fi").unwrap();
    let error = format!("{:#}", certificates.refresh().unwrap_err());
    assert!(error.contains("tls.cert_file") && error.contains("cert.pem"), "{error}");
    assert_eq!(ask(&client, address).await.unwrap().1, second, "the old ones stay in force");
    let stranger = House::new().client(None);
    assert!(ask(&stranger, address).await.is_err(), "who does not trust the authority does not talk");
}

#[tokio::test]
async fn clients_may_have_to_show_a_certificate() {
    let mut house = House::new();
    let authority = authority();
    house.config.client_ca_file = house.folder.path().join("clients.pem");
    std::fs::write(&house.config.client_ca_file, authority.pem()).unwrap();
    let (_, address) = house.serve().await;
    assert!(ask(&house.client(None), address).await.is_err());
    let foreign = issued(&house.authority);
    assert!(ask(&house.client(Some(&foreign)), address).await.is_err(), "another authority's");
    let own = issued(&authority);
    assert!(ask(&house.client(Some(&own)), address).await.unwrap().0.ends_with("hello"));
}

#[tokio::test]
async fn a_client_that_does_not_agree_holds_up_no_other() {
    let house = House::new();
    let (_, address) = house.serve().await;
    let silent = TcpStream::connect(address).await.unwrap();
    let mut plain = TcpStream::connect(address).await.unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    assert!(ask(&house.client(None), address).await.is_ok());
    drop((silent, plain));
}

#[test]
fn what_cannot_be_read_is_named() {
    let house = House::new();
    let other = issued(&house.authority);
    std::fs::write(&house.config.private_key_file, other.1).unwrap();
    let Err(error) = Certificates::read(&house.config) else { panic!("another's key") };
    assert!(error.to_string().contains("do not belong together"), "{error}");
    let missing = TlsConfig { private_key_file: "no/such.pem".into(), ..house.config };
    let Err(error) = Certificates::read(&missing) else { panic!("no key") };
    assert!(error.to_string().contains("no/such.pem"), "{error}");
}
