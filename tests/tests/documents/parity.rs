//! What every language offers: one table, and one number space.

use std::fmt::Write as _;

use dr_core::ErrorKind;
use dr_core::toolkit::{OPERATIONS, Operation};

use super::{check, repository};

fn read(file: &str) -> String {
    std::fs::read_to_string(repository().join(file)).unwrap()
}

/// The names that `import dr` gives.
fn python() -> Vec<String> {
    let text = read("dr-python/python/dr/__init__.py");
    let (_, list) = text.split_once("__all__ = [").unwrap();
    let (list, _) = list.split_once(']').unwrap();
    list.split(',').map(|name| name.trim().trim_matches('"').to_owned()).collect()
}

#[test]
fn every_operation_is_offered_everywhere() {
    let (python, header, uniffi) =
        (python(), read("dr-ffi/include/dr.h"), read("dr-ffi/src/uni/operations.rs"));
    let mut page = String::from(
        "# Parity\n\n\
         Every operation, by its name in all languages. Requests and answers have the same JSON everywhere: `docs/schema`.\n\
         Each has a coroutine in Python beside its function (`dr.mirror_async`). In C any of them is called by `dr_call` or `dr_call_json`, and\n\
         those that are named here have functions of their own beside that. By uniffi (uniffi.md) each is a coroutine of `Toolkit`, in the style of the language. This page is made from the table in `dr-core/src/toolkit/call/table.rs` and compared with all surfaces.\n\n\
         | operation | request | answer | `dr` | Python | C | uniffi | what it does |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    for operation in OPERATIONS {
        let name = operation.name;
        for function in [name.to_owned(), format!("{name}_async")] {
            assert!(
                python.contains(&function),
                "{name}: Python has no {function}; write the function in dr-python/python/dr, then let \
                 DR_BLESS=1 python3 tests/python/twins.py write the coroutine and __init__.py"
            );
        }
        for command in commands(operation) {
            assert!(
                command.is_empty() || dr_cli::knows(&command),
                "{name}: there is no 'dr {command}'; the table in dr-core/src/toolkit/call/table.rs says so",
            );
        }
        assert!(
            uniffi.contains(&format!("pub async fn {name}(")),
            "{name}: uniffi has no method; DR_BLESS=1 cargo test -p dr-ffi --test uniffi writes it"
        );
        let command = match operation.command {
            "" => "".to_owned(),
            command => format!("`dr {command}`"),
        };
        let own = header.contains(&format!("dr_{name}("));
        let shape = |name: String| format!("[{name}](schema/{name}.json)");
        writeln!(
            page,
            "| `{name}` | {} | {} | {command} | `dr.{name}` | {} | `Toolkit.{name}` | {} |",
            shape(operation.request.name()),
            shape(operation.answer.name()),
            if own { format!("`dr_{name}`") } else { "JSON".to_owned() },
            operation.summary,
        )
        .unwrap();
    }
    page.push_str(
        "\n## Commands that are no operation\n\n\
         They are for a person at a terminal, or stand for several operations at once. What is neither belongs into the table.\n\n",
    );
    let named = |command: &String| {
        let mut all = OPERATIONS.iter().flat_map(commands);
        all.any(|one| one.split(" --").next() == Some(command.as_str()))
    };
    for command in dr_cli::commands().iter().filter(|command| !named(command)) {
        writeln!(page, "- `dr {command}`").unwrap();
    }
    numbers(&mut page, &header);
    check("docs/PARITY.md", &page);
}

/// The commands of an operation: `failover hold/release` is two.
fn commands(operation: &Operation) -> Vec<String> {
    let (before, last) = operation.command.rsplit_once(' ').unwrap_or(("", operation.command));
    last.split('/').map(|word| format!("{before} {word}").trim().to_owned()).collect()
}

/// One number space: exit code, C status, Python's `.code`, `code` in JSON.
fn numbers(page: &mut String, header: &str) {
    page.push_str(
        "\n## Numbers\n\n\
         What the command exits with is what C returns, Python's `.code` and `code` in JSON. Besides, `dr` exits with 0 when all is\n\
         well and with 1 when it was done or checked and there are findings at or over `--fail-on`.\n\n\
         | number | in JSON | C | Python | trying again can help |\n\
         |---|---|---|---|---|\n",
    );
    let classes = read("dr-python/python/dr/errors.py");
    for kind in ErrorKind::all() {
        let (code, name) = (kind.code(), kind.name());
        let c = format!("DR_{}", name.to_uppercase());
        assert!(header.contains(&format!("{c} = {code},")), "dr.h has no {c} = {code}");
        let (before, _) = classes
            .split_once(&format!("kind = \"{name}\"\n\n\nclass"))
            .or_else(|| classes.split_once(&format!("kind = \"{name}\"\n\n\nCLASSES")))
            .unwrap_or_else(|| panic!("errors.py has no class of the kind {name}"));
        let (_, class) = before.rsplit_once("\nclass ").unwrap();
        let class = class.split('(').next().unwrap();
        let again = if kind.retry() == dr_core::Retry::Later { "yes" } else { "" };
        writeln!(page, "| {code} | `{name}` | `{c}` | `{class}` | {again} |").unwrap();
    }
}
