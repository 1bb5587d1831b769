//! Networks, and what is known of them: where they are, and whose.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A network: an address, and how many of its leading bits count (RFC 4632 section 3.1, RFC 4291 section 2.3).
///
/// ```
/// use dr_core::estate::Network;
/// let network: Network = "192.0.2.0/24".parse().unwrap();
/// assert!(network.contains("192.0.2.7".parse().unwrap()) && !network.contains("192.0.3.7".parse().unwrap()));
/// assert_eq!("2001:db8:1:2::3".parse::<Network>().unwrap().to_string(), "2001:db8:1:2::3/128");
/// assert!("192.0.2.1/24".parse::<Network>().is_err(), "bits that do not count are set");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// The network of so many bits that this address is in; all of them if there are no more.
    ///
    /// ```
    /// use dr_core::estate::Network;
    /// assert_eq!(Network::around("192.0.2.7".parse().unwrap(), 24).to_string(), "192.0.2.0/24");
    /// ```
    #[must_use]
    pub fn around(address: IpAddr, bits: u8) -> Self {
        let bits = bits.min(width(address));
        Self { address: masked(address, bits), bits }
    }

    /// Whether an address is in it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.address.is_ipv4() == address.is_ipv4() && masked(address, self.bits) == self.address
    }

    /// How many bits count: of two networks with the same address in them, the one with more says more of it.
    #[must_use]
    pub fn bits(&self) -> u8 {
        self.bits
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn masked(address: IpAddr, bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            IpAddr::V4((address.to_bits() & mask).into())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            IpAddr::V6((address.to_bits() & mask).into())
        }
    }
}

impl FromStr for Network {
    type Err = String;
    /// `ADDRESS/BITS`, or an address alone.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("'{}' is no network such as 192.0.2.0/24 or 2001:db8::/32", text.escape_debug());
        let (address, bits) =
            text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let bits = bits.map_or_else(|| Ok(width(address)), str::parse).map_err(|_| wrong())?;
        if bits > width(address) {
            return Err(wrong());
        }
        let network = Self::around(address, bits);
        if network.address != address {
            return Err(format!("'{text}' has bits beyond its {bits}: the network is {network}"));
        }
        Ok(network)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

impl TryFrom<String> for Network {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.to_string()
    }
}

impl JsonSchema for Network {
    fn schema_name() -> Cow<'static, str> {
        "Network".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }
}

/// What is known of a network: nobody is asked, it is as the operator says.
///
/// ```
/// use dr_core::estate::Whereabouts;
/// let there: Whereabouts = serde_json::from_str(r#"{"place": "Roubaix", "asn": 64500}"#).unwrap();
/// assert_eq!(there.asn, Some(64500));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Whereabouts {
    /// Where it is: a data centre, a town, whatever is lost together. The words are those of `failure_domain` of hosts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// The number of the autonomous system that announces it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asn: Option<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_of_every_size() {
        let network = |text: &str| text.parse::<Network>();
        let inside = |text: &str, address: &str| network(text).unwrap().contains(address.parse().unwrap());
        assert!(inside("0.0.0.0/0", "203.0.113.1") && !inside("0.0.0.0/0", "::1"));
        assert!(inside("192.0.2.1", "192.0.2.1") && !inside("192.0.2.1", "192.0.2.2"));
        assert!(inside("::/0", "2001:db8::1") && inside("2001:db8::/47", "2001:db8:1::1"));
        for bad in
            ["", "/", "192.0.2.0/", "192.0.2.0/33", "192.0.2.0/-1", "::/129", "192.0.2.1/31", "host/24"]
        {
            assert!(network(bad).is_err(), "{bad}");
        }
        let text = serde_json::to_string(&network("192.0.2.0/24").unwrap()).unwrap();
        assert_eq!(text, "\"192.0.2.0/24\"");
    }
}
