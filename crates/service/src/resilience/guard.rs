//! Which addresses may be called: none of private networks, unless the configuration allows them (SSRF, OWASP API7:2023).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use hyper::{Method, Uri};

/// Longer URLs are refused.
const URL_MAX_BYTES: usize = 2_000;

/// What it does not let through, in words for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(String);

/// A network such as `10.0.0.0/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    bits: u32,
}

/// The rule for every address that is called.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    allowed: Vec<Network>,
}

impl Guard {
    /// Public addresses, and those of the given networks (`127.0.0.0/8`, `::1`, `10.1.2.3/32`).
    ///
    /// # Errors
    /// A text that names the network that is none.
    pub fn new(allowed: &[String]) -> Result<Self, String> {
        let allowed = allowed.iter().map(|text| Network::parse(text)).collect::<Result<_, _>>()?;
        Ok(Self { allowed })
    }

    /// Reads a URL and refuses what can be refused without asking for its address.
    ///
    /// # Errors
    /// [`Refused`]: no http(s), no host, a password in it, a literal address that is not allowed.
    pub fn check_url(&self, text: &str) -> Result<Uri, Refused> {
        let refuse = |why: &str| Err(Refused(format!("the URL {why}")));
        if text.len() > URL_MAX_BYTES {
            return refuse("is longer than 2000 bytes");
        }
        let Ok(url) = text.parse::<Uri>() else {
            return refuse("cannot be read: write https://HOST/PATH, with %-escapes");
        };
        if !matches!(url.scheme_str(), Some("http" | "https")) {
            return refuse("begins with neither https:// nor http://");
        }
        let Some(authority) = url.authority().filter(|a| !a.host().is_empty()) else {
            return refuse("names no host");
        };
        if authority.as_str().contains('@') {
            return refuse("holds a user name or password: leave it out");
        }
        if let Ok(address) = bare(authority.host()).parse::<IpAddr>() {
            self.check(address)?;
        }
        Ok(url)
    }

    /// The addresses of a URL's host that may be dialled.
    pub(super) async fn resolve(&self, url: &Uri) -> io::Result<Vec<SocketAddr>> {
        let host = bare(url.host().unwrap_or_default());
        let port = url.port_u16().unwrap_or(if url.scheme_str() == Some("https") { 443 } else { 80 });
        let (mut good, mut refused) = (Vec::new(), None);
        for address in tokio::net::lookup_host((host, port)).await? {
            match self.check(address.ip()) {
                Ok(()) => good.push(address),
                Err(error) => refused = Some(error),
            }
        }
        match refused {
            Some(refused) if good.is_empty() => Err(io::Error::new(io::ErrorKind::PermissionDenied, refused)),
            _ => Ok(good),
        }
    }

    fn check(&self, address: IpAddr) -> Result<(), Refused> {
        let address = address.to_canonical(); // ::ffff:127.0.0.1 is 127.0.0.1
        if is_public(address) || self.allowed.iter().any(|network| network.holds(address)) {
            return Ok(());
        }
        Err(Refused(format!(
            "{address} is not a public address: to call it, add its network to outward.allow_networks"
        )))
    }
}

impl Network {
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no network: write 10.0.0.0/8, 127.0.0.1 or fd00::/8");
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse().map_err(|_| wrong())?)),
            None => (text, None),
        };
        let address: IpAddr = address.trim().parse().map_err(|_| wrong())?;
        let all = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(all);
        if bits > all { Err(wrong()) } else { Ok(Self { address, bits }) }
    }

    fn holds(self, other: IpAddr) -> bool {
        match (self.address, other) {
            (IpAddr::V4(a), IpAddr::V4(b)) => {
                let differ = u64::from(a.to_bits() ^ b.to_bits());
                differ >> (32 - self.bits) == 0
            }
            (IpAddr::V6(a), IpAddr::V6(b)) => {
                let differ = a.to_bits() ^ b.to_bits();
                self.bits == 0 || differ >> (128 - self.bits) == 0
            }
            _ => false,
        }
    }
}

/// Refuses what is no method of HTTP.
///
/// # Errors
/// A text with what methods are made of.
pub fn check_method(text: &str) -> Result<(), String> {
    let read = Method::from_bytes(text.as_bytes());
    read.map(drop).map_err(|_| format!("`{text}` is no method: use letters, such as PURGE, BAN or POST"))
}

/// A host without the brackets of an IPv6 literal.
fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host)
}

/// Whether an address lies on the public internet, by IANA's registries of special-purpose addresses (RFC 6890).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(v4: Ipv4Addr) -> bool {
    let [a, b, c, _] = v4.octets();
    let shared = a == 100 && (64..128).contains(&b); // carriers' NAT, RFC 6598
    let protocols = a == 192 && b == 0 && c == 0;
    let relays = a == 192 && b == 88 && c == 99; // 6to4, RFC 7526
    let benchmarks = a == 198 && (18..20).contains(&b);
    let reserved = a == 0 || a >= 240;
    !(v4.is_private()
        || v4.is_loopback()
        || v4.is_link_local()
        || v4.is_documentation()
        || v4.is_multicast()
        || shared
        || protocols
        || relays
        || benchmarks
        || reserved)
}

/// Global unicast (2000::/3) without the parts that lead elsewhere: tunnels carry an IPv4 address of anybody's choice.
fn is_public_v6(v6: Ipv6Addr) -> bool {
    let [a, b, ..] = v6.segments();
    let tunnels = a == 0x2002 || (a == 0x2001 && b < 0x0200); // 6to4; Teredo and protocol assignments
    let documentation = (a == 0x2001 && b == 0x0db8) || a == 0x3fff;
    (a & 0xe000) == 0x2000 && !tunnels && !documentation
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permits(allowed: &[&str], address: &str) -> bool {
        let allowed: Vec<String> = allowed.iter().map(|text| (*text).to_owned()).collect();
        Guard::new(&allowed).unwrap().check(address.parse().unwrap()).is_ok()
    }

    #[test]
    fn only_public_addresses_pass() {
        for good in ["1.1.1.1", "100.63.0.1", "100.128.0.1", "172.15.0.1", "2606:4700::1111", "198.20.0.1"] {
            assert!(permits(&[], good), "{good}");
        }
        for bad in [
            "127.0.0.1",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "192.0.0.8",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::a00:1",
            "2002:7f00:1::",
            "2001::1",
            "ff02::1",
            "2001:db8::1",
        ] {
            assert!(!permits(&[], bad), "{bad}");
        }
    }

    #[test]
    fn networks_can_be_allowed_and_nothing_beside_them() {
        assert!(permits(&["10.1.0.0/16"], "10.1.255.255") && !permits(&["10.1.0.0/16"], "10.2.0.0"));
        assert!(permits(&["127.0.0.1"], "::ffff:127.0.0.1") && !permits(&["127.0.0.1"], "127.0.0.2"));
        assert!(permits(&["fd00::/8"], "fdff::1") && !permits(&["fd00::/8"], "fe80::1"));
        assert!(permits(&["0.0.0.0/0"], "192.168.0.1") && !permits(&["0.0.0.0/0"], "::1"));
        assert!(permits(&["::/0"], "::1"));
        for wrong in ["10.0.0.0/33", "ten", "10.0.0.0/x", "::/129", ""] {
            assert!(Guard::new(&[wrong.to_owned()]).unwrap_err().contains("is no network"), "{wrong}");
        }
    }

    #[test]
    fn urls_that_cannot_be_meant_are_refused_with_the_reason() {
        let guard = Guard::default();
        for good in ["https://api.open-meteo.com/v1/forecast?latitude=1", "http://1.1.1.1:8080/x"] {
            assert!(guard.check_url(good).is_ok(), "{good}");
        }
        for (bad, why) in [
            ("ftp://host/x", "https://"),
            ("/only/a/path", "https://"),
            ("https://user:pass@host/", "password"),
            ("http://127.0.0.1/", "outward.allow_networks"),
            ("http://[::1]:80/", "outward.allow_networks"),
            ("http://[::ffff:10.0.0.1]/", "outward.allow_networks"),
            ("https://ho st/", "%-escapes"),
        ] {
            let refused = guard.check_url(bad).unwrap_err().to_string();
            assert!(refused.contains(why), "{bad}: {refused}");
        }
    }

    #[tokio::test]
    async fn a_name_of_this_computer_leads_nowhere() {
        let url = "http://localhost:80/".parse().unwrap();
        let error = Guard::default().resolve(&url).await.unwrap_err();
        assert!(error.get_ref().unwrap().is::<Refused>(), "{error}");
        let open = Guard::new(&["127.0.0.0/8".to_owned(), "::1".to_owned()]).unwrap();
        assert!(!open.resolve(&url).await.unwrap().is_empty());
    }
}
