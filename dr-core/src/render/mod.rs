//! Reports, plans and events for people.
