//! E-mail by SMTP: with STARTTLS or TLS from the start, in the clear to this machine itself alone.

use std::time::Duration;

use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{Mailbox, header::ContentType},
    transport::smtp::{
        authentication::Credentials,
        client::{Certificate, CertificateStore, Tls, TlsParameters},
        extension::ClientId,
    },
};
use rustls_pki_types::CertificateDer;
use watch::{CarryFuture, Courier, Notice, Untaken};

use crate::{
    config::{Address, RouteConfig},
    server::host_name,
};

const TIMEOUT: Duration = Duration::from_secs(20);

pub(super) struct Smtp {
    route: String,
    from: Mailbox,
    to: Vec<Mailbox>,
    transport: AsyncSmtpTransport<Tokio1Executor>,
}

impl Smtp {
    /// Its file, if the server asks for one, holds the user's name and then the password.
    pub(super) fn new(
        route: &RouteConfig,
        lines: &[String],
        authorities: &[CertificateDer<'static>],
    ) -> Result<Self, String> {
        let server = Address::parse(&route.server).ok_or("`server` is not a host and a port")?;
        let mailbox = |address: &String| {
            let parsed = address.parse::<lettre::Address>();
            parsed.map(|address| Mailbox::new(None, address)).map_err(|error| error.to_string())
        };
        let tls = match route.security.as_str() {
            "none" => Tls::None,
            "tls" => Tls::Wrapper(trusting(&server.host, authorities)?),
            _ => Tls::Required(trusting(&server.host, authorities)?),
        };
        let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&server.host)
            .port(server.port)
            .timeout(Some(TIMEOUT))
            .hello_name(ClientId::Domain(host_name().unwrap_or_else(|| "localhost".to_owned())))
            .tls(tls);
        match lines {
            [] => {}
            [user, password] => {
                transport = transport.credentials(Credentials::new(user.clone(), password.clone()));
            }
            _ => return Err("its file holds a user's name and a password, one a line".to_owned()),
        }
        let to: Result<Vec<Mailbox>, String> = route.to.iter().map(mailbox).collect();
        let (from, to) = (mailbox(&route.from)?, to?);
        Ok(Self { route: route.name.clone(), from, to, transport: transport.build() })
    }

    fn message(&self, notice: &Notice) -> Result<Message, lettre::error::Error> {
        let domain = self.from.email.domain();
        // The same in each attempt; answers and later messages about the alarm are one thread with the first.
        let thread = format!("<{}@{domain}>", notice.alarm);
        let mut message = Message::builder()
            .from(self.from.clone())
            .subject(notice.subject())
            .message_id(Some(format!("<{}@{domain}>", notice.message)))
            .in_reply_to(thread.clone())
            .references(thread)
            .header(ContentType::TEXT_PLAIN);
        for to in &self.to {
            message = message.to(to.clone());
        }
        message.body(notice.text())
    }
}

/// These authorities alone; none: those that the system trusts.
fn trusting(host: &str, authorities: &[CertificateDer<'static>]) -> Result<TlsParameters, String> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut builder = TlsParameters::builder(host.to_owned());
    if !authorities.is_empty() {
        builder = builder.certificate_store(CertificateStore::None);
    }
    for authority in authorities {
        let certificate = Certificate::from_der(authority.to_vec()).map_err(|error| error.to_string())?;
        builder = builder.add_root_certificate(certificate);
    }
    builder.build().map_err(|error| error.to_string())
}

/// What a server means. That a mailbox is full or a server is not well passes; that it does not want this does not.
fn untaken(error: &lettre::transport::smtp::Error) -> Untaken {
    let answer = error.status().map(u16::from);
    let (code, again) = if error.is_permanent() {
        ("refused", false)
    } else if error.is_transient() {
        ("not-now", true)
    } else if error.is_timeout() {
        ("timed-out", true)
    } else if error.is_tls() {
        ("tls-failed", true)
    } else if error.is_client() {
        // It offers no STARTTLS, or no way to sign in that is known.
        ("not-spoken", true)
    } else {
        ("unreachable", true)
    };
    Untaken { code, answer, again }
}

impl Courier for Smtp {
    fn route(&self) -> &str {
        &self.route
    }
    fn carry<'a>(&'a self, notice: &'a Notice) -> CarryFuture<'a> {
        Box::pin(async move {
            let unmade = Untaken { code: "not-sent", answer: None, again: false };
            let message = self.message(notice).map_err(|_| unmade)?;
            self.transport.send(message).await.map(|_| ()).map_err(|error| untaken(&error))
        })
    }
}
