//! Whether a URL that a user gave may be called from here: no address inside, no other scheme (OWASP API7:2023, SSRF).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::error::{Error, Result};

/// The longest URL, in bytes.
const URL_MAX_BYTES: usize = 2_000;

/// A URL that may be called: connect to one of `addresses` and to nothing that is resolved later, for a name may answer
/// differently the next time. A redirect is a new URL: check it too, or follow none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// `https`, or `http` where private addresses are allowed.
    pub scheme: String,
    /// The host as written, for `Host` and the certificate.
    pub host: String,
    /// Where it is now.
    pub addresses: Vec<SocketAddr>,
}

/// Checks a URL and resolves its name. Blocks while the system asks for the name.
///
/// # Errors
/// `InvalidInput` for what is no `https://host[:port]/...` (`http://` too when `allow_private`), for credentials in it,
/// and, unless `allow_private`, for a host any of whose addresses lies in a private, local, shared, documentation,
/// multicast or reserved range (IANA's special-purpose registries, RFC 6890).
pub fn check_url(url: &str, allow_private: bool) -> Result<Checked> {
    let (scheme, host, port) = parts(url, allow_private)?;
    let addresses = resolve(&host, port)?;
    if !allow_private && addresses.iter().any(|address| !is_public(address.ip())) {
        return Err(Error::invalid(
            "the URL leads to an address that is not public: name a server on the open internet, or allow private ones",
        ));
    }
    Ok(Checked { scheme, host, addresses })
}

fn parts(url: &str, allow_private: bool) -> Result<(String, String, u16)> {
    let wrong = |why: &str| Error::invalid(format!("the URL {why}: write https://host/path"));
    let plain = url.len() <= URL_MAX_BYTES && url.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
    if !plain {
        return Err(wrong("is too long or has characters that must be written with %"));
    }
    let (scheme, rest) = url.split_once("://").ok_or_else(|| wrong("has no scheme"))?;
    let standard = match scheme {
        "https" => 443,
        "http" if allow_private => 80,
        _ => return Err(wrong("is not encrypted or of another kind")),
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err(wrong("holds a name or password"));
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or_else(|| wrong("has a bracket too few"))?;
            (host, port.strip_prefix(':'))
        }
        None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
    };
    let port =
        port.map_or(Ok(standard), |port| port.parse().map_err(|_| wrong("has a port that is none")))?;
    if host.is_empty() || port == 0 {
        return Err(wrong("names no host"));
    }
    Ok((scheme.to_owned(), host.to_owned(), port))
}

fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>> {
    use std::net::ToSocketAddrs as _;
    let found = (host, port).to_socket_addrs().map(Iterator::collect::<Vec<_>>).unwrap_or_default();
    if found.is_empty() {
        return Err(Error::invalid("the URL's host is not known: check its spelling"));
    }
    Ok(found)
}

/// Whether an address is one of the open internet.
#[must_use]
pub fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    !(a == 0
        || ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_documentation()
        || (a == 100 && (64..128).contains(&b)) // shared by providers' customers
        || (a == 192 && b == 0 && c == 0) // the protocols' own
        || (a == 192 && b == 88 && c == 99) // relays of 6to4
        || (a == 198 && (18..20).contains(&b)) // measurements
        || a >= 224) // many at once, reserved, all
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    let parts = ip.segments();
    if let Some(inside) = ip.to_ipv4_mapped() {
        return is_public_v4(inside);
    }
    let inside = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match parts {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => inside(high, low), // translated to IPv4
        [0x2002, high, low, ..] => inside(high, low),               // 6to4
        [0x2001, 0xdb8, ..] => false,                               // documentation
        [0x2001, second, ..] if second < 0x200 => false,            // the protocols' own, Teredo
        [0x3fff, second, ..] if second < 0x1000 => false,           // documentation
        [first, ..] => (0x2000..0x4000).contains(&first),           // all that is given out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_inside_are_refused_however_they_are_written() {
        for host in [
            "127.0.0.1",
            "127.1.2.3",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "[::1]",
            "[::]",
            "[fe80::1]",
            "[fd00::1]",
            "[::ffff:10.0.0.1]",
            "[::ffff:7f00:1]",
            "[64:ff9b::a00:1]",
            "[2002:a00:1::1]",
            "[2001:db8::1]",
            "[2001::1]",
            "[ff02::1]",
            "localhost",
        ] {
            let refused = check_url(&format!("https://{host}/hook"), false).unwrap_err().to_string();
            assert!(refused.contains("not public"), "{host}: {refused}");
            assert!(check_url(&format!("http://{host}:8080/hook"), true).is_ok(), "{host}");
        }
    }

    #[test]
    fn addresses_of_the_open_internet_pass_with_their_port() {
        for (url, address) in [
            ("https://93.184.215.14/x?y#z", "93.184.215.14:443"),
            ("https://172.32.0.1:8443", "172.32.0.1:8443"),
            ("https://[2606:4700:4700::1111]:1/", "[2606:4700:4700::1111]:1"),
        ] {
            let checked = check_url(url, false).unwrap();
            assert_eq!(checked.addresses, [address.parse().unwrap()], "{url}");
        }
    }

    #[test]
    fn other_schemes_credentials_and_tricks_are_refused() {
        let long = format!("https://93.184.215.14/{}", "a".repeat(URL_MAX_BYTES));
        for url in [
            "http://93.184.215.14/",
            "file:///etc/passwd",
            "gopher://93.184.215.14/",
            "93.184.215.14",
            "https://",
            "https://:443/",
            "https://user:pass@93.184.215.14/",
            "https://93.184.215.14@10.0.0.1/",
            "https://93.184.215.14:0/",
            "https://93.184.215.14:http/",
            "https://[::1/",
            "https://a b/",
            "https://93.184.215.14\\@10.0.0.1/",
            "https://93.184.215.14\r\nHost: x/",
            &long,
        ] {
            assert!(check_url(url, false).is_err(), "{url}");
        }
    }
}
