//! Whether each server answers at all, over both transports, and with messages that are answers.

use crate::dns::facts::{Answer, Transport};
use crate::dns::judge::Thresholds;
use crate::dns::probe::{Probe, Reply};
use crate::dns::seen::Seen;
use crate::dns::spec::Server;
use crate::report::{Finding, code};

/// A server that says nothing: to the first question, or, answering that one, to some other.
pub(super) fn silent(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    seen.spec.servers.iter().filter_map(|server| silent_server(seen, server)).collect()
}

fn silent_server(seen: &Seen<'_>, server: &Server) -> Option<Finding> {
    if matches!(seen.reply(server, Probe::Apex), Some(Reply::Elsewhere { .. })) {
        return None;
    }
    let finding = |message: String| seen.of_server(server, code::DNS_SERVER_SILENT, message);
    if let Some(answer) = seen.soa(server, Transport::Udp).filter(|answer| is_silence(answer)) {
        let tcp = seen.soa(server, Transport::Tcp);
        let over_tcp = match tcp {
            Some(answer) if is_silence(answer) => "nor over TCP",
            Some(_) => "but it does over TCP",
            None => "and was not asked over TCP",
        };
        let message = format!("{server} does not answer over UDP ({}), {over_tcp}", answer.in_words());
        let finding = finding(message).with("over_udp", answer.in_words());
        return Some(match tcp {
            Some(answer) => finding.with("over_tcp", answer.in_words()),
            None => finding,
        });
    }
    let unanswered: Vec<String> = seen
        .all_of(server)
        .filter(|(question, answer)| question.transport == Transport::Udp && is_silence(answer))
        .map(|(question, _)| question.key.to_string())
        .collect();
    let questions = unanswered.join(", ");
    (!unanswered.is_empty()).then(|| {
        finding(format!("{server} answers other questions, but not {questions}")).with("questions", questions)
    })
}

/// It answers, but from an address that was not asked: every resolver throws that away.
pub(super) fn elsewhere(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    let finding = |server: &Server| match seen.reply(server, Probe::Apex)? {
        Reply::Elsewhere { from } => {
            let message = format!("{server} answers from {from}, so resolvers take it for silent");
            Some(seen.of_server(server, code::DNS_ANSWER_FROM_ELSEWHERE, message).with("from", from))
        }
        _ => None,
    };
    seen.spec.servers.iter().filter_map(finding).collect()
}

/// Something other than an answer came.
pub(super) fn malformed(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    let finding = |server: &Server| {
        let (question, why) = seen.all_of(server).find_map(|(question, answer)| match answer {
            Answer::Malformed { why } => Some((question, why)),
            _ => None,
        })?;
        let message = format!("{server} sends no valid answer to {}: {why}", question.key);
        let finding =
            seen.about(server, |about| Finding::new(code::DNS_SERVER_ANSWER_MALFORMED, about, message));
        Some(finding.with("question", &question.key).with("why", why))
    };
    seen.spec.servers.iter().filter_map(finding).collect()
}

/// Answers over UDP, but not over TCP.
pub(super) fn tcp_unavailable(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    let finding = |server: &Server| {
        let answers_udp = !is_silence(seen.soa(server, Transport::Udp)?);
        let over_tcp = seen.soa(server, Transport::Tcp).filter(|answer| is_silence(answer))?;
        let message = format!("{server} answers over UDP, but not over TCP: {}", over_tcp.in_words());
        let finding = seen.about(server, |about| Finding::new(code::DNS_TCP_UNAVAILABLE, about, message));
        answers_udp.then(|| finding.with("over_tcp", over_tcp.in_words()))
    };
    seen.spec.servers.iter().filter_map(finding).collect()
}

fn is_silence(answer: &Answer) -> bool {
    matches!(answer, Answer::Silent | Answer::Unreachable { .. })
}
