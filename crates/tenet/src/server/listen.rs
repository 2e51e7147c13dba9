//! Where the server listens, and the names under which it is reached.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs};

use crate::{
    config::{self, Address, ServerConfig},
    failure::{Exit, Failure},
};

/// The port of an `https` address that names none (RFC 9110 4.2.2).
const HTTPS_PORT: u16 = 443;

/// Opens the listeners: for `localhost` on both loopback addresses, so that whichever a client tries
/// first answers.
pub(crate) fn listeners(address: &Address) -> Result<Vec<TcpListener>, Failure> {
    let failed = |why: &std::io::Error| {
        let failure = Failure::new(Exit::Unavailable, "listen", format!("can't listen on `{address}`"));
        failure
            .why(why.to_string())
            .remedy("stop what uses the port, or choose another address with `--listen ADDR`")
    };
    let candidates: Vec<SocketAddr> = if address.host == "localhost" {
        [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)]
            .map(|ip| SocketAddr::new(ip, address.port))
            .to_vec()
    } else {
        let resolved =
            (address.host.as_str(), address.port).to_socket_addrs().map_err(|error| failed(&error))?;
        resolved.take(1).collect()
    };
    let mut opened: Vec<TcpListener> = Vec::new();
    let mut port = address.port;
    let mut first_error = None;
    for candidate in candidates {
        match TcpListener::bind(SocketAddr::new(candidate.ip(), port)) {
            Ok(listener) => {
                port = listener.local_addr().map_err(|error| failed(&error))?.port();
                listener.set_nonblocking(true).map_err(|error| failed(&error))?;
                opened.push(listener);
            }
            // A machine without IPv6 serves IPv4 alone; a port that is taken is an error on either.
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => return Err(failed(&error)),
            Err(error) => first_error = first_error.or(Some(error)),
        }
    }
    match first_error {
        Some(error) if opened.is_empty() => Err(failed(&error)),
        _ => Ok(opened),
    }
}

/// The address under which clients reach the server, without a slash at its end.
pub(crate) fn public_url(server: &ServerConfig, port: u16) -> Result<String, Failure> {
    if server.public_url.is_empty() {
        let host = match server.listen.host.as_str() {
            "0.0.0.0" | "::" => "localhost",
            host => host,
        };
        return Ok(format!("https://{}", Address { host: host.to_owned(), port }));
    }
    // The configuration's reader has refused anything else.
    config::public_url(&server.public_url).map(str::to_owned).ok_or_else(|| {
        let what = format!("server.public_url: `{}` can't be used", server.public_url);
        Failure::new(Exit::Usage, "config", what)
    })
}

/// Every address at which clients may reach the server: the public one, and each name of the certificate
/// at the port that is listened on. What a client signs for one of them is for this server.
pub(crate) fn reached_at(config: &ServerConfig, public_url: &str, port: u16) -> Vec<String> {
    let names = certificate_names(config, public_url).into_iter();
    let at_port = names.flat_map(|host| {
        let plain = match host.contains(':') {
            true => format!("https://[{host}]"),
            false => format!("https://{host}"),
        };
        let implied = (port == HTTPS_PORT).then(|| plain.clone());
        [Some(format!("{plain}:{port}")), implied].into_iter().flatten()
    });
    let mut addresses = vec![public_url.to_owned()];
    addresses.extend(at_port);
    let mut seen = std::collections::BTreeSet::new();
    addresses.retain(|address| seen.insert(address.clone()));
    addresses
}

/// Where the first listener is reached from this machine.
pub(crate) fn reached_here(listeners: &[TcpListener]) -> Result<SocketAddr, Failure> {
    let bound = listeners.first().and_then(|one| one.local_addr().ok());
    let mut bound = bound.ok_or_else(|| Failure::new(Exit::Failure, "listen", "nothing is listened on"))?;
    if bound.ip().is_unspecified() {
        let ip =
            if bound.is_ipv4() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { IpAddr::V6(Ipv6Addr::LOCALHOST) };
        bound.set_ip(ip);
    }
    Ok(bound)
}

/// Every name and address for the certificate.
pub(crate) fn certificate_names(config: &ServerConfig, public_url: &str) -> Vec<String> {
    let mut names: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
    names.extend(host_name());
    let host = public_url.trim_start_matches("https://");
    let host = host
        .rsplit_once(':')
        .filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()))
        .map_or(host, |(h, _)| h);
    names.push(host.trim_matches(['[', ']']).to_owned());
    if !matches!(config.listen.host.as_str(), "0.0.0.0" | "::") {
        names.push(config.listen.host.clone());
    }
    names.extend(config.names.iter().cloned());
    let mut seen = std::collections::BTreeSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names
}

/// The machine's name, if it can stand in a certificate.
pub(crate) fn host_name() -> Option<String> {
    let read = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .or_else(|_| std::fs::read_to_string("/etc/hostname"));
    let name = read.ok()?.trim().to_ascii_lowercase();
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    ((1..=253).contains(&name.len()) && name.bytes().all(fine)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn localhost_is_both_loopback_addresses_on_one_port() {
        let opened = listeners(&Address { host: "localhost".to_owned(), port: 0 }).unwrap();
        let ports: Vec<u16> = opened.iter().map(|one| one.local_addr().unwrap().port()).collect();
        assert!(ports.iter().all(|port| *port == ports[0] && *port != 0));
        let error = listeners(&Address { host: "127.0.0.1".to_owned(), port: ports[0] }).unwrap_err();
        assert!(error.what.starts_with("can't listen on `127.0.0.1:"), "{error:?}");
    }

    #[test]
    fn the_public_address_follows_the_listener_unless_it_is_set() {
        let mut config = Config::default().server;
        assert_eq!(public_url(&config, 8440).unwrap(), "https://localhost:8440");
        config.listen.host = "::".to_owned();
        assert_eq!(public_url(&config, 1).unwrap(), "https://localhost:1");
        config.listen.host = "::1".to_owned();
        assert_eq!(public_url(&config, 1).unwrap(), "https://[::1]:1");
        config.public_url = "https://t.example/".to_owned();
        assert_eq!(public_url(&config, 1).unwrap(), "https://t.example");
        for wrong in ["http://t.example", "https://", "https://t/x", "t.example"] {
            config.public_url = wrong.to_owned();
            assert!(public_url(&config, 1).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_server_knows_each_address_that_leads_to_it() {
        let mut config = Config::default().server;
        config.names = vec!["b.example".to_owned()];
        let found = reached_at(&config, "https://t.example", 8440);
        for address in [
            "https://t.example",
            "https://localhost:8440",
            "https://127.0.0.1:8440",
            "https://[::1]:8440",
            "https://b.example:8440",
        ] {
            assert_eq!(found.iter().filter(|other| *other == address).count(), 1, "{address} {found:?}");
        }
        assert!(!found.contains(&"https://b.example".to_owned()), "another port is another service");
        assert!(reached_at(&config, "https://t.example", 443).contains(&"https://b.example".to_owned()));
    }

    #[test]
    fn the_certificate_has_every_name_once() {
        let mut config = Config::default().server;
        config.names = vec!["10.0.0.7".to_owned(), "localhost".to_owned()];
        let names = certificate_names(&config, "https://[2001:db8::1]:8440");
        for name in ["localhost", "127.0.0.1", "::1", "2001:db8::1", "10.0.0.7"] {
            assert_eq!(names.iter().filter(|other| *other == name).count(), 1, "{name} {names:?}");
        }
        assert!(certificate_names(&config, "https://t.example").contains(&"t.example".to_owned()));
    }
}
