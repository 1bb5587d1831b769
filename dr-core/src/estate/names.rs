//! Names that cannot be invalid: parsed once at the edge, trusted from then on.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Why a text is not a name, in words for the operator.
///
/// ```
/// let why = "two words".parse::<dr_core::HostId>().unwrap_err();
/// assert!(why.to_string().contains("letters, digits"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NameError(String);

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $check:path) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                $check(text).map(Self)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string" })
            }
        }
    };
}

name!(
    /// What the operator calls a host: `uk`, `us`, `web-1`.
    ///
    /// ```
    /// assert_eq!("uk".parse::<dr_core::HostId>().unwrap().as_str(), "uk");
    /// ```
    HostId,
    identifier
);
name!(
    /// What the operator calls a site: `shop`, `blog`.
    ///
    /// ```
    /// assert!("shop".parse::<dr_core::SiteId>().is_ok());
    /// assert!("../shop".parse::<dr_core::SiteId>().is_err());
    /// ```
    SiteId,
    identifier
);
name!(
    /// What the operator calls sites that are moved together: `shops`.
    ///
    /// ```
    /// assert!("shops".parse::<dr_core::estate::GroupId>().is_ok());
    /// ```
    GroupId,
    identifier
);
name!(
    /// What the operator calls a name server: `ns1`.
    ///
    /// ```
    /// assert!("ns1".parse::<dr_core::NameServerId>().is_ok());
    /// ```
    NameServerId,
    identifier
);
name!(
    /// What the operator calls a provider of DNS: `cloudflare`, `pdns`.
    ///
    /// ```
    /// assert!("pdns".parse::<dr_core::estate::ProviderId>().is_ok());
    /// ```
    ProviderId,
    identifier
);
name!(
    /// What the operator calls an observer, a place from which sites are looked at: `nl`, `observer-1`.
    ///
    /// ```
    /// assert!("observer-1".parse::<dr_core::estate::ObserverId>().is_ok());
    /// ```
    ObserverId,
    identifier
);
name!(
    /// A user on a Unix host.
    ///
    /// ```
    /// assert!("www-data".parse::<dr_core::Account>().is_ok());
    /// assert!("-oProxyCommand=x".parse::<dr_core::Account>().is_err());
    /// ```
    Account,
    account
);
name!(
    /// A domain name, absolute, in lower case and without the final dot; the root is `.`. RFC 1035 section 2.3.4 limits
    /// hold: labels up to 63 octets, 253 characters in all. An asterisk may be the whole leftmost label (RFC 4592).
    ///
    /// ```
    /// use dr_core::DnsName;
    /// let name: DnsName = "WWW.Example.ORG.".parse().unwrap();
    /// assert_eq!(name.as_str(), "www.example.org");
    /// assert!("exa mple.org".parse::<DnsName>().is_err());
    /// ```
    DnsName,
    domain_name
);
name!(
    /// The apex of a DNS zone; the same rules as for a [`DnsName`], without an asterisk.
    ///
    /// ```
    /// use dr_core::ZoneName;
    /// let zone: ZoneName = "example.org".parse().unwrap();
    /// assert!(zone.contains(&"www.example.org".parse().unwrap()));
    /// assert!(!zone.contains(&"notexample.org".parse().unwrap()));
    /// ```
    ZoneName,
    zone_name
);

impl ZoneName {
    /// Whether `name` is the apex or below it.
    #[must_use]
    pub fn contains(&self, name: &DnsName) -> bool {
        self.0 == "."
            || name.0 == self.0
            || name.0.strip_suffix(self.0.as_str()).is_some_and(|rest| rest.ends_with('.'))
    }

    /// The apex as an owner name.
    #[must_use]
    pub fn apex(&self) -> DnsName {
        DnsName(self.0.clone())
    }
}

/// Which generation of ownership of a site this is; it grows with every failover and never goes back.
///
/// ```
/// use dr_core::Epoch;
/// assert!(Epoch(1).next() > Epoch(1));
/// ```
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The epoch after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn identifier(text: &str) -> Result<String, NameError> {
    let starts_well = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    let rest_is_fine = text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    if starts_well && rest_is_fine && text.len() <= 63 {
        return Ok(text.to_owned());
    }
    Err(NameError(format!(
        "'{}' is no identifier: up to 63 letters, digits, '-', '_' and '.', beginning with a letter or a digit",
        shown(text)
    )))
}

fn account(text: &str) -> Result<String, NameError> {
    // useradd(8) and adduser(8) between them allow this; what could be read as an option or a path is refused.
    let starts_well = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    let rest_is_fine =
        text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '$' | '+'));
    if starts_well && rest_is_fine && text.len() <= 32 {
        return Ok(text.to_owned());
    }
    Err(NameError(format!("'{}' is no user name: up to 32 letters, digits, '-', '_' and '.'", shown(text))))
}

fn domain_name(text: &str) -> Result<String, NameError> {
    if text == "." {
        return Ok(text.to_owned());
    }
    let bad = |why: &str| NameError(format!("'{}' is no domain name: {why}", shown(text)));
    if !text.is_ascii() {
        return Err(bad("write international names in their ASCII form (xn--…)"));
    }
    let lower = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    if lower.len() > 253 {
        return Err(bad("it is longer than 253 characters"));
    }
    for (position, label) in lower.split('.').enumerate() {
        if label.is_empty() {
            return Err(bad("a label between the dots is empty"));
        }
        if label.len() > 63 {
            return Err(bad("a label is longer than 63 characters"));
        }
        let wildcard = position == 0 && label == "*";
        let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '/');
        if !wildcard && !label.chars().all(fine) {
            return Err(bad("a label has a character other than letters, digits, '-' and '_'"));
        }
    }
    Ok(lower)
}

fn zone_name(text: &str) -> Result<String, NameError> {
    let name = domain_name(text)?;
    if name.starts_with("*.") {
        return Err(NameError(format!("'{}' is no zone: a zone cannot be a wildcard", shown(text))));
    }
    Ok(name)
}

/// A text of unknown origin, made fit for a message: escaped and cut.
fn shown(text: &str) -> String {
    let cut: String = text.chars().take(80).collect();
    let more = if text.chars().count() > 80 { "…" } else { "" };
    format!("{}{more}", cut.escape_debug())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check<T: FromStr>(fine: &[&str], wrong: &[&str]) {
        for text in fine {
            assert!(text.parse::<T>().is_ok(), "{text:?} should be fine");
        }
        for text in wrong {
            assert!(text.parse::<T>().is_err(), "{text:?} should be refused");
        }
    }

    #[test]
    fn names_are_refused_or_fine() {
        check::<HostId>(&["uk", "web-1", "a.b", "7"], &["", "-x", ".x", "a/b", "a b", "ü", "a\nb", "a\0"]);
        check::<Account>(&["root", "www-data", "_apt", "srv$"], &["", "-l", "a b", "a;b", "a@b", "../x"]);
        let (long, longer) = ("a".repeat(63), "a".repeat(64));
        check::<DnsName>(
            &[".", "org", "example.org.", "*.example.org", "_dmarc.x", "0/25.2.0.192.in-addr.arpa", &long],
            &["", "..", "a..b", ".a", "a.*.b", "a b", "ex\u{e4}mple.org", &longer, &"a.".repeat(130)],
        );
        check::<ZoneName>(&[".", "example.org"], &["*.example.org", ""]);
    }

    proptest! {
        #[test]
        fn no_text_panics_and_what_is_accepted_is_stable(text in ".{0,300}") {
            let _ = text.parse::<HostId>();
            let _ = text.parse::<Account>();
            if let Ok(name) = text.parse::<DnsName>() {
                prop_assert_eq!(name.as_str().parse::<DnsName>().unwrap(), name);
            }
        }
    }
}
