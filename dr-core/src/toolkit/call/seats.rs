//! What is said to the agent of this host, by name.

use std::collections::BTreeSet;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{asker, understood, written};
use crate::error::{Error, ErrorKind, Result};
use crate::estate::{Epoch, SiteId};
use crate::failover::{GuardName, Order};
use crate::time::Period;
use crate::toolkit::agent::{AgentAsk, AgentSaid, SeatStatus, Told, ask_agent};

/// The request of `list_seats`.
///
/// ```
/// let request: dr_core::toolkit::ListSeats = serde_json::from_str(r#"{"directory": "/var/lib/dr/agent"}"#).unwrap();
/// assert!(request.sites.is_empty(), "all that are kept there");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListSeats {
    /// The directory of the agent.
    pub directory: PathBuf,
    /// Which sites; all that it keeps seats of if none is named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sites: Vec<SiteId>,
}

/// The answer of `list_seats`.
///
/// ```
/// assert!(dr_core::toolkit::Seats::default().seats.is_empty());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Seats {
    /// How each of them is.
    pub seats: Vec<SeatStatus>,
}

/// The request of `order_seat`.
///
/// ```
/// use dr_core::toolkit::{OrderSeat, SeatOrder};
/// let request: OrderSeat =
///     serde_json::from_str(r#"{"directory": "/var/lib/dr/agent", "site": "shop", "order": "hold", "span": "2h"}"#).unwrap();
/// assert_eq!(request.order, SeatOrder::Hold);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OrderSeat {
    /// The directory of the agent.
    pub directory: PathBuf,
    /// The site.
    pub site: SiteId,
    /// What is to be done.
    pub order: SeatOrder,
    /// With `hold`, for how long; until it is released if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span: Option<Period>,
    /// With `approve`, the epoch that was shown: the word counts for that situation only. The one of now if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Epoch>,
    /// With `approve`, guards that are overridden, by name.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub despite: BTreeSet<GuardName>,
    /// With `approve`: a person has made sure that the old home has stopped.
    #[serde(default)]
    pub stopped: bool,
    /// Who says so, and why: for the history.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// What a person says to a seat.
///
/// ```
/// use dr_core::toolkit::SeatOrder;
/// assert_eq!(serde_json::to_string(&SeatOrder::HandOver).unwrap(), r#""hand_over""#);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SeatOrder {
    /// Move nothing without a person from now on (on the standby).
    Hold,
    /// That is over.
    Release,
    /// The last move without a person was looked at: the next one may be made (on the home).
    Acknowledge,
    /// Move the site here, as the agent proposes it (on the standby).
    Approve,
    /// Hand the site to the other host, with a last mirror and nothing lost (on the home).
    HandOver,
    /// Give up what is being prepared, while it can be given up.
    GiveUp,
    /// Do nothing at all from now on.
    Freeze,
    /// That is over.
    Thaw,
    /// Look at everything and rehearse the plan; nothing is moved (on the standby).
    Drill,
}

/// The answer of `order_seat`.
///
/// ```
/// let said: dr_core::toolkit::SeatOrdered = serde_json::from_str(r#"{"said": "held"}"#).unwrap();
/// assert_eq!(said.said, "held");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SeatOrdered {
    /// Where the seat stands now.
    pub said: String,
}

/// The request of `seat_history`.
///
/// ```
/// let request: dr_core::toolkit::SeatHistory = serde_json::from_str(r#"{"directory": "/var/lib/dr/agent"}"#).unwrap();
/// assert_eq!(request.last, 50);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SeatHistory {
    /// The directory of the agent.
    pub directory: PathBuf,
    /// So many lines at most.
    #[serde(default = "fifty")]
    pub last: usize,
}

/// The answer of `seat_history`.
///
/// ```
/// assert!(dr_core::toolkit::SeatsTold::default().told.is_empty());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SeatsTold {
    /// What the agent told lately, oldest first.
    pub told: Vec<Told>,
}

fn fifty() -> usize {
    50
}

/// How the seats are that the agent of this host keeps.
///
/// Errors: `NotFound` if no agent runs in that directory.
pub async fn list_seats(request: &ListSeats) -> Result<Seats> {
    match ask_agent(&request.directory, &AgentAsk::Status { sites: request.sites.clone() }).await? {
        AgentSaid::Status(seats) => Ok(Seats { seats }),
        other => Err(odd("list seats", &other)),
    }
}

/// Says something to a seat of the agent of this host.
///
/// Errors: `NotFound` if no agent runs in that directory; `Refused` with the seat's reason; `Usage` for words that the order does not take.
pub async fn order_seat(request: &OrderSeat) -> Result<SeatOrdered> {
    let order = request.order().await?;
    match ask_agent(&request.directory, &AgentAsk::Order { site: request.site.clone(), order }).await? {
        AgentSaid::Done { said } => Ok(SeatOrdered { said }),
        other => Err(odd("give the seat an order", &other)),
    }
}

/// What the agent of this host told lately.
///
/// Errors: `NotFound` if no agent runs in that directory.
pub async fn seat_history(request: &SeatHistory) -> Result<SeatsTold> {
    match ask_agent(&request.directory, &AgentAsk::History { last: request.last }).await? {
        AgentSaid::History(told) => Ok(SeatsTold { told }),
        other => Err(odd("read the history", &other)),
    }
}

impl OrderSeat {
    async fn order(&self) -> Result<Order> {
        let by = asker(self.by.clone());
        let approves = self.epoch.is_some() || !self.despite.is_empty() || self.stopped;
        if approves && self.order != SeatOrder::Approve
            || self.span.is_some() && self.order != SeatOrder::Hold
        {
            let why = "`span` goes with `hold`, and `epoch`, `despite` and `stopped` with `approve`";
            return Err(Error::new(ErrorKind::Usage, "give the seat an order", why));
        }
        Ok(match self.order {
            SeatOrder::Hold => Order::Hold { by, span: self.span },
            SeatOrder::Release => Order::Release { by },
            SeatOrder::Acknowledge => Order::Acknowledge { by },
            SeatOrder::Approve => {
                let epoch = match self.epoch {
                    Some(epoch) => epoch,
                    None => self.epoch_now().await?,
                };
                Order::Take { by, epoch, despite: self.despite.clone(), stopped: self.stopped }
            }
            SeatOrder::HandOver => Order::HandOver { by },
            SeatOrder::GiveUp => Order::GiveUp { by },
            SeatOrder::Freeze => Order::Freeze { by },
            SeatOrder::Thaw => Order::Thaw { by },
            SeatOrder::Drill => Order::Drill { by },
        })
    }

    /// The epoch that the seat knows of: what a person sees now.
    async fn epoch_now(&self) -> Result<Epoch> {
        let request = ListSeats { directory: self.directory.clone(), sites: vec![self.site.clone()] };
        let lease = list_seats(&request).await?.seats.into_iter().next().and_then(|seat| seat.lease);
        lease.map(|lease| lease.epoch).ok_or_else(|| {
            let why = "who holds it is not known here";
            Error::new(ErrorKind::NotFound, format!("approve {}", self.site), why)
                .hint("dr failover seats shows what the agent knows")
        })
    }
}

/// An agent that does not do it, or of another version.
fn odd(operation: &str, said: &AgentSaid) -> Error {
    match said {
        AgentSaid::Refused { why } => Error::new(ErrorKind::Refused, operation, why.as_str()),
        _ => Error::new(ErrorKind::Protocol, operation, "the agent answers something else"),
    }
}

/// Calls what is said to an agent; none if it is nothing of the kind.
pub(super) async fn call_seats(operation: &str, request: &str) -> Option<Result<String>> {
    called(operation, request).await.transpose()
}

async fn called(operation: &str, request: &str) -> Result<Option<String>> {
    let what = format!("the request of {operation}");
    Ok(Some(match operation {
        "list_seats" => written(&list_seats(&understood(&what, request)?).await?)?,
        "order_seat" => written(&order_seat(&understood(&what, request)?).await?)?,
        "seat_history" => written(&seat_history(&understood(&what, request)?).await?)?,
        _ => return Ok(None),
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    async fn called(operation: &str, request: Value) -> Result<Value> {
        let answer = call_seats(operation, &request.to_string()).await.unwrap()?;
        Ok(serde_json::from_str(&answer).unwrap())
    }

    #[tokio::test]
    async fn words_that_an_order_does_not_take_are_told_before_anybody_is_asked() {
        let directory = tempfile::tempdir().unwrap();
        for words in [
            json!({ "order": "release", "span": "2h" }),
            json!({ "order": "hold", "stopped": true }),
            json!({ "order": "drill", "epoch": 7 }),
            json!({ "order": "hand_over", "despite": ["stability"] }),
            json!({ "order": "explode" }),
        ] {
            let mut request = json!({ "directory": directory.path(), "site": "shop" });
            request.as_object_mut().unwrap().extend(words.as_object().unwrap().clone());
            let error = called("order_seat", request).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage, "{words}: {error}");
        }
        for (operation, request) in [
            ("list_seats", json!({ "directory": directory.path() })),
            ("seat_history", json!({ "directory": directory.path(), "last": 3 })),
            ("order_seat", json!({ "directory": directory.path(), "site": "shop", "order": "approve" })),
        ] {
            assert_eq!(
                called(operation, request).await.unwrap_err().kind(),
                ErrorKind::NotFound,
                "{operation}"
            );
        }
    }
}
