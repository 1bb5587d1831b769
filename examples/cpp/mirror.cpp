// A mirror with a progress line, from C++: handles that give themselves back, errors as exceptions.
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>

#include <dr.h>

namespace {

template <auto give_back> struct GiveBack {
    template <typename T> void operator()(T *handle) const { give_back(handle); }
};
using Toolkit = std::unique_ptr<dr_toolkit, GiveBack<dr_toolkit_free>>;
using Request = std::unique_ptr<dr_request, GiveBack<dr_request_free>>;
using Answer = std::unique_ptr<dr_answer, GiveBack<dr_answer_free>>;

struct Failure : std::runtime_error {
    Failure(dr_status how, dr_error *error)
        : std::runtime_error(error ? dr_error_message(error) : "it failed"), status(how) {
        dr_error_free(error);
    }
    dr_status status;
};

// What every call is asked through: its error, if there is one, becomes an exception.
template <typename Function, typename... Arguments> void ask(Function function, Arguments... arguments) {
    dr_error *error = nullptr;
    const dr_status status = function(arguments..., &error);
    if (status != DR_OK) throw Failure(status, error);
}

Answer call(const Toolkit &toolkit, const Request &request) {
    dr_answer *answer = nullptr;
    ask(dr_call, toolkit.get(), request.get(), &answer);
    return Answer(answer);
}

int show(const char *event, void *) noexcept {
    std::fprintf(stderr, "%.100s\n", event);
    return 0;
}

} // namespace

int main(int count, char **arguments) try {
    if (count != 4) {
        std::fprintf(stderr, "usage: %s SOURCE TARGET JOURNAL\n", arguments[0]);
        return DR_USAGE;
    }
    const Toolkit toolkit(dr_toolkit_new());
    ask(dr_toolkit_set_text, toolkit.get(), "journal", arguments[3]);
    dr_toolkit_set_progress(toolkit.get(), show, nullptr);

    const Request request(dr_request_new("mirror"));
    ask(dr_request_set_text, request.get(), "source", arguments[1]);
    ask(dr_request_set_text, request.get(), "target", arguments[2]);
    ask(dr_request_add_text, request.get(), "exclude", "*.tmp");
    const Answer answer = call(toolkit, request);
    std::printf("%lld new, %lld gone\n", static_cast<long long>(dr_answer_number(answer.get(), "/summary/created", 0)),
                static_cast<long long>(dr_answer_number(answer.get(), "/summary/deleted", 0)));
    return 0;
} catch (const Failure &failure) {
    std::fprintf(stderr, "%s\n", failure.what());
    return failure.status;
}
