//! An address as etcd writes it: `https://10.0.0.1:2379`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

/// Whether a connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// Plain text.
    Http,
    /// TLS.
    Https,
}

/// A URL with nothing but a scheme, a host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) scheme: Scheme,
    /// A DNS name or an IP address; an IPv6 address without its brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// Why a text is no [`Endpoint`], or none to listen on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EndpointError {
    #[error("{0:?} is not a URL of the form https://HOST:PORT")]
    Form(String),
    #[error("{0}: to listen, an IP address of this machine (or localhost) is needed instead of a name")]
    ListenOnName(Endpoint),
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let malformed = || EndpointError::Form(text.to_owned());
        let uri: http::Uri = text.parse().map_err(|_| malformed())?;
        let scheme = match uri.scheme_str() {
            Some("http") => Scheme::Http,
            Some("https") => Scheme::Https,
            Some(_) | None => return Err(malformed()),
        };
        let authority = uri.authority().ok_or_else(malformed)?;
        let port = authority.port_u16().ok_or_else(malformed)?;
        let has_user = authority.as_str().contains('@');
        if has_user || authority.host().is_empty() || uri.query().is_some() || !matches!(uri.path(), "" | "/")
        {
            return Err(malformed());
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self { scheme, host, port })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        if self.host.contains(':') {
            write!(f, "{scheme}://[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{scheme}://{}:{}", self.host, self.port)
        }
    }
}

impl Endpoint {
    /// The socket to bind. A name is refused: what it resolves to may change, and may be elsewhere.
    pub(crate) fn listen_address(&self) -> Result<SocketAddr, EndpointError> {
        let ip = if self.host == "localhost" {
            IpAddr::V4(Ipv4Addr::LOCALHOST)
        } else {
            self.host.parse().map_err(|_| EndpointError::ListenOnName(self.clone()))?
        };
        Ok(SocketAddr::new(ip, self.port))
    }

    /// Whether it stands for every address of this machine, so that nobody else can connect to it as written.
    pub(crate) fn is_wildcard(&self) -> bool {
        self.host.parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_etcds_form_are_read_and_written_back() {
        for text in
            ["https://10.0.0.1:2379", "http://localhost:2379", "https://[::1]:2380", "https://a.example:1"]
        {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), text);
        }
        assert_eq!("https://a:2379/".parse::<Endpoint>().unwrap().to_string(), "https://a:2379");
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "a",
            "a:2379",
            "10.0.0.1:2379",
            "https://a",
            "https://:1",
            "unix://a:1",
            "https://a:99999",
            "https://a:1/path",
            "https://a:1?q",
            "https://u@a:1",
            "https://a:1 ,",
        ] {
            assert_eq!(text.parse::<Endpoint>(), Err(EndpointError::Form(text.to_owned())));
        }
    }

    #[test]
    fn only_addresses_can_be_listened_on() {
        let address = |text: &str| text.parse::<Endpoint>().unwrap().listen_address();
        assert_eq!(address("https://[::1]:2380"), Ok("[::1]:2380".parse().unwrap()));
        assert_eq!(address("http://localhost:2379"), Ok("127.0.0.1:2379".parse().unwrap()));
        assert!(matches!(address("https://a.example:1"), Err(EndpointError::ListenOnName(_))));
    }
}
