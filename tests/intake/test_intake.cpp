#include <catch2/catch.hpp>

#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <mta/core/lock.hpp>
#include <mta/intake/intake.hpp>
#include <mta/queue/queue_file.hpp>
#include <mta/table/patience.hpp>

using namespace mta;
using intake::intake_message;
namespace fs = std::filesystem;

namespace {

class lines_sink final : public log_sink {
public:
    void write(severity level, std::string_view, unsigned long, std::string_view text) override {
        lines.push_back(std::string(severity_prefix(level)) + std::string(text));
    }
    std::vector<std::string> lines;
};

// A spool of its own, and a context on it.
struct place {
    explicit place(const std::string& settings = {}) {
        std::string pattern = (fs::temp_directory_path() / "intakeXXXXXX").string();
        root = ::mkdtemp(pattern.data());
        for (const char* name : {"incoming", "maildrop", "corrupt"})
            fs::create_directory(root / name);
        auto parsed = configuration::parse("/nowhere",
                                           "myhostname = mx.example.test\nmyorigin = example.test\nmydestination = example.test\n"
                                           "inet_interfaces = 127.0.0.1\nvirtual_alias_maps =\nqueue_directory = " +
                                               root.string() + "\n" + settings,
                                           "main.cf");
        REQUIRE(parsed);
        auto opened = queue::spool::open(queue::spool_options_from(*parsed));
        REQUIRE(opened);
        where.emplace(std::move(*opened));
        auto made = intake::intake_context::open(*parsed, *where, logger(sink, "postfix/cleanup"));
        if (!made)
            FAIL(made.error().text());
        context.emplace(std::move(*made));
    }
    ~place() {
        context.reset();
        fs::remove_all(root);
    }
    place(const place&) = delete;
    place& operator=(const place&) = delete;

    [[nodiscard]] std::size_t count(const char* queue) const {
        return static_cast<std::size_t>(std::distance(fs::directory_iterator(root / queue), {}));
    }
    // The text lines of a queued message.
    [[nodiscard]] std::vector<std::string> text(const std::string& id) const {
        auto file = queue::queue_file::open(*where, queue::directory::incoming, id);
        REQUIRE(file);
        std::vector<std::string> out;
        std::string_view line;
        bool unterminated = false;
        while (file->next_line(line, unterminated).value())
            out.emplace_back(line);
        return out;
    }

    fs::path root;
    std::shared_ptr<lines_sink> sink = std::make_shared<lines_sink>();
    std::optional<queue::spool> where;
    std::optional<intake::intake_context> context;
};

intake::intake_request from_network(intake::rewrite_context context = intake::rewrite_context::remote) {
    intake::intake_request request;
    request.context = context;
    request.sender = "sender@far.test";
    request.client.helo = "cl.test";
    request.client.address = "192.0.2.1";
    return request;
}

intake_message begin(place& at, intake::intake_request request, std::vector<std::string> recipients) {
    auto message = intake_message::begin(*at.context, std::move(request));
    REQUIRE(message);
    for (auto& address : recipients)
        REQUIRE(message->recipient({.address = std::move(address), .original = {}, .dsn_original = {}, .notify = 0}));
    return std::move(*message);
}

void feed(intake_message& message, const std::vector<std::string>& lines) {
    for (const auto& line : lines)
        REQUIRE(message.content_line(line));
}

bool has(const std::vector<std::string>& lines, const std::string& line) {
    return std::find(lines.begin(), lines.end(), line) != lines.end();
}

} // namespace

TEST_CASE("a message is complete after finish, and stays only when it was synced", "[intake]") {
    place at;
    std::string id;
    {
        auto message = begin(at, from_network(), {"bob", "ann@far.test"});
        id = message.queue_id();
        feed(message, {"Subject: x", "", "hello"});
        auto verdict = message.finish();
        REQUIRE(verdict);
        CHECK(verdict->accepted());
        CHECK(at.count("incoming") == 1);
        REQUIRE(message.sync());
    }
    auto file = queue::queue_file::open(*at.where, queue::directory::incoming, id);
    REQUIRE(file);
    CHECK(queue::is_complete(file->status().st_mode));
    const auto envelope = file->read_envelope();
    REQUIRE(envelope);
    CHECK(envelope->sender == "sender@far.test");
    REQUIRE(envelope->recipients.size() == 2);
    CHECK(envelope->recipients[0].address == "bob@example.test");
    CHECK(envelope->recipients[0].original == "bob");
    CHECK(envelope->recipients[0].dsn_original == "rfc822;bob");
    CHECK(envelope->attribute("client_address") == "192.0.2.1");
    {
        auto forgotten = begin(at, from_network(), {"bob"});
        feed(forgotten, {"Subject: x", "", "hello"});
        REQUIRE(forgotten.finish());
    }
    CHECK(at.count("incoming") == 1);
}

TEST_CASE("headers of strangers are left alone, those of locals are completed", "[intake]") {
    place at;
    for (const bool local : {false, true}) {
        auto message = begin(at, from_network(local ? intake::rewrite_context::local : intake::rewrite_context::remote), {"bob"});
        feed(message, {"To: bob, Carl <carl@far.test>", "Bcc: hidden", "Return-Path: <x>", "", "To: body"});
        REQUIRE(message.finish()->accepted());
        const auto text = at.text(message.queue_id());
        CAPTURE(local);
        CHECK(has(text, local ? "To: bob@example.test, Carl <carl@far.test>" : "To: bob, Carl <carl@far.test>"));
        CHECK(has(text, "From: sender@far.test") == local);
        CHECK_FALSE(has(text, "Bcc: hidden"));
        CHECK_FALSE(has(text, "Return-Path: <x>"));
        CHECK(text.back() == "To: body");
        CHECK(text[0] == "Received: from cl.test (unknown [192.0.2.1])");
    }
}

TEST_CASE("a full name goes as it is, or as encoded words where the administrator says its character set", "[intake]") {
    struct row {
        const char* settings;
        const char* from;
    };
    const auto [settings, from] = GENERATE(
        row{"", "From: J\xC3\xB6rg <a@example.test>"},
        row{"full_name_encoding_charset = utf-8\n", "From: =?utf-8?B?SsO2cmc=?= <a@example.test>"},
        row{"full_name_encoding_charset = utf-8\nheader_from_format = obsolete\n",
            "From: a@example.test (=?utf-8?B?SsO2cmc=?=)"});
    place here(settings);
    intake::intake_request request;
    request.origin = intake::origin::local;
    request.context = intake::rewrite_context::local;
    request.sender = "a";
    request.full_name = "J\xC3\xB6rg";
    auto message = intake_message::begin(*here.context, std::move(request));
    REQUIRE(message);
    REQUIRE(message->recipient({.address = "b", .original = {}, .dsn_original = {}}));
    REQUIRE(message->content_line(""));
    REQUIRE(message->finish()->accepted());
    const auto lines = here.text(message->queue_id());
    CAPTURE(lines);
    CHECK(std::count(lines.begin(), lines.end(), from) == 1);
}

TEST_CASE("the hop limit rejects at the limit and not below", "[intake]") {
    place at("hopcount_limit = 5\n");
    for (const int hops : {3, 4, 100}) { // and our own
        auto message = begin(at, from_network(), {"bob"});
        for (int i = 0; i < hops; ++i)
            REQUIRE(message.content_line("Received: x"));
        auto verdict = message.finish();
        REQUIRE(verdict);
        CAPTURE(hops);
        CHECK(verdict->accepted() == (hops < 4));
        if (!verdict->accepted()) {
            CHECK(verdict->smtp_code == 554);
            CHECK(verdict->dsn == "5.4.0");
            CHECK(verdict->text == "Error: too many hops");
        }
    }
    CHECK(at.count("incoming") == 0);
}

TEST_CASE("text beyond the size limit is taken and dropped", "[intake]") {
    place at("message_size_limit = 1000\n");
    auto message = begin(at, from_network(), {"bob"});
    const std::string line(100, 'x');
    for (int i = 0; i < 100; ++i)
        REQUIRE(message.content_line(line));
    CHECK(message.doomed());
    auto verdict = message.finish();
    REQUIRE(verdict);
    CHECK(verdict->smtp_code == 552);
    CHECK(at.count("incoming") == 0);
}

TEST_CASE("a message without recipients is refused", "[intake]") {
    place at;
    auto message = begin(at, from_network(), {});
    feed(message, {"", "x"});
    auto verdict = message.finish();
    REQUIRE(verdict);
    CHECK(verdict->status == intake::status_no_recipients);
}

TEST_CASE("a message with as many attributes as may be is taken, one with more is not", "[intake]") {
    place at("queue_file_attribute_count_limit = 3\n");
    for (const std::size_t count : {3U, 4U}) {
        auto request = from_network();
        for (std::size_t i = 0; i < count; ++i)
            request.attributes.emplace_back("name" + std::to_string(i), "x");
        auto message = begin(at, std::move(request), {"bob"});
        feed(message, {"Subject: x", "", "body"});
        CHECK(message.finish()->accepted() == (count == 3));
    }
    CHECK(std::any_of(at.sink->lines.begin(), at.sink->lines.end(), [](const std::string& line) {
        return line.ends_with("message rejected: attribute count exceeds limit 3");
    }));
}

TEST_CASE("equal recipients are written once, up to the filter's limit", "[intake]") {
    place at;
    auto message = begin(at, from_network(), {"a@b", "A@B", "a@b", "c@d"});
    feed(message, {"", "x"});
    REQUIRE(message.finish()->accepted());
    auto file = queue::queue_file::open(*at.where, queue::directory::incoming, message.queue_id());
    CHECK(file->read_envelope()->recipients.size() == 2);
}

TEST_CASE("every message logs its message ID, and a hostile one stays one line", "[intake]") {
    place at;
    auto message = begin(at, from_network(), {"a@b"});
    feed(message, {"Message-ID: <a\x1b[31m", " b>", "", "x"});
    REQUIRE(message.finish()->accepted());
    CHECK(has(at.sink->lines, message.queue_id() + ": message-id=<a?[31m? b>"));
}

namespace {

std::string record(char type, const std::string& data) {
    std::string out;
    queue::append_record(out, static_cast<queue::record_type>(type), data);
    return out;
}

void drop(const place& at, const char* name, const std::string& bytes, unsigned mode = 0744) {
    const auto path = at.root / "maildrop" / name;
    std::ofstream(path, std::ios::binary) << bytes;
    ::chmod(path.c_str(), mode);
}

} // namespace

TEST_CASE("D1: a maildrop file is taken, kept or refused by what is in it", "[intake][maildrop]") {
    const std::string head = record('T', "1795239461 5") + record('A', "rewrite_context=local") + record('F', "Joe") + record('S', "joe");
    const std::string tail = record('M', "") + record('N', "Subject: x") + record('N', "") + record('L', "no end") + record('X', "") + record('E', "");
    struct row {
        const char* what;
        std::string bytes;
        unsigned mode;
        intake::pickup_result result;
    };
    using enum intake::pickup_result;
    const auto r = GENERATE_COPY(
        row{"good", head + record('R', "bob") + tail, 0744, queued}, row{"unfinished", head, 0644, not_ready},
        row{"no end record", head + record('R', "bob"), 0744, refused}, row{"no recipient", head + tail, 0744, refused},
        row{"empty", "", 0744, refused}, row{"no sender", record('R', "bob") + tail, 0744, refused},
        row{"two senders", head + record('S', "x") + record('R', "bob") + tail, 0744, refused},
        row{"line end in an address", head + record('R', "bob\nSubject: y") + tail, 0744, refused},
        row{"NUL in an address", head + record('R', std::string("b\0b", 3)) + tail, 0744, refused},
        row{"type 0", head + record('\0', "x") + tail, 0744, refused}, row{"bad time", record('T', "-1 x") + head + tail, 0744, refused},
        row{"absurd length", head + "R\xff\xff\xff\xff\x7f" + tail, 0744, refused},
        row{"text in the envelope", head + record('N', "x") + tail, 0744, refused},
        row{"garbage", std::string(1000, '\xff'), 0744, refused});
    CAPTURE(r.what);
    place at;
    drop(at, "ABC", r.bytes, r.mode);
    auto taken = intake::take_maildrop_file(*at.context, logger(at.sink, "postfix/pickup"), *at.where, "ABC");
    REQUIRE(taken);
    CHECK(taken->result == r.result);
    CHECK(at.count("incoming") == (r.result == queued ? 1U : 0U));
    CHECK(at.count("maildrop") == (r.result == not_ready ? 1U : 0U));
    CHECK(at.count("corrupt") == (r.result == refused ? 1U : 0U));
}

TEST_CASE("a requeued message waits for the end of its delivery, and goes when all have had it", "[intake][maildrop]") {
    const std::string head = record('T', "1795239461 5") + record('S', "joe");
    const std::string tail = record('M', "") + record('N', "Subject: x") + record('X', "") + record('E', "");
    place at;
    const auto take = [&] { return intake::take_maildrop_file(*at.context, logger(at.sink, "t"), *at.where, "ABC")->result; };
    drop(at, "ABC", head + record('D', "bob") + record('R', "carl") + tail, 0700);
    {
        const unique_fd delivering(::open((at.root / "maildrop/ABC").c_str(), O_RDWR | O_CLOEXEC));
        REQUIRE(*try_lock(delivering.get(), lock_mode::shared));
        CHECK(take() == intake::pickup_result::not_ready);
        CHECK(at.count("maildrop") == 1);
    }
    CHECK(take() == intake::pickup_result::queued);
    drop(at, "ABC", head + record('D', "bob") + record('D', "carl") + tail, 0700);
    CHECK(take() == intake::pickup_result::finished);
    CHECK(at.count("maildrop") == 0);
    CHECK(at.count("incoming") == 1);
    CHECK(at.count("corrupt") == 0);
}

TEST_CASE("D3: links, pipes and odd names in maildrop are harmless", "[intake][maildrop]") {
    place at;
    const auto path = at.root / "maildrop";
    fs::create_symlink("/etc/passwd", path / "LINK");
    ::mkfifo((path / "PIPE").c_str(), 0744);
    drop(at, "TWO", "x");
    fs::create_hard_link(path / "TWO", path / "OTHER");
    const logger log(at.sink, "postfix/pickup");
    for (const char* name : {"LINK", "PIPE", "TWO"})
        CHECK(intake::take_maildrop_file(*at.context, log, *at.where, name)->result == intake::pickup_result::refused);
    for (const char* name : {"../x", "no.such", "", "GONE"})
        CHECK(intake::take_maildrop_file(*at.context, log, *at.where, name)->result == intake::pickup_result::not_ready);
    CHECK(at.count("incoming") == 0);
}

TEST_CASE("a maildrop file cut at any byte is refused and leaves nothing", "[intake][maildrop]") {
    const std::string whole = record('T', "1795239461 5") + record('S', "joe") + record('R', "bob") + record('M', "") +
                              record('N', "x: y") + record('X', "") + record('E', "");
    place at;
    for (std::size_t size = 0; size < whole.size(); ++size) {
        drop(at, "ABC", whole.substr(0, size));
        auto taken = intake::take_maildrop_file(*at.context, logger(at.sink, "postfix/pickup"), *at.where, "ABC");
        REQUIRE(taken);
        CAPTURE(size);
        CHECK(taken->result == intake::pickup_result::refused);
        CHECK(at.count("incoming") == 0);
    }
}

namespace {

// A socketmap server for one table: old@example.test is new@example.test, and nothing else is known.
class one_alias_server {
public:
    explicit one_alias_server(const std::string& path) : listener_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path.copy(address.sun_path, sizeof address.sun_path - 1);
        REQUIRE(::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
        REQUIRE(::listen(listener_.get(), 8) == 0);
        thread_ = std::thread([this] {
            for (;;) {
                unique_fd client(::accept(listener_.get(), nullptr, nullptr));
                if (!client)
                    return;
                clients_.emplace_back([fd = std::move(client)] { serve(fd.get()); });
            }
        });
    }
    // After everybody who asks has closed its connections.
    ~one_alias_server() {
        ::shutdown(listener_.get(), SHUT_RDWR);
        thread_.join();
        for (auto& one : clients_)
            one.join();
    }
    one_alias_server(const one_alias_server&) = delete;
    one_alias_server& operator=(const one_alias_server&) = delete;

private:
    static void serve(int fd) {
        char bytes[500];
        for (ssize_t got = 0; (got = ::read(fd, bytes, sizeof bytes)) > 0;) {
            const std::string_view question(bytes, static_cast<std::size_t>(got));
            const std::string_view answer = question.ends_with("x old@example.test,") ? "19:OK new@example.test," : "9:NOTFOUND ,";
            if (::write(fd, answer.data(), answer.size()) < 0)
                return;
        }
    }
    unique_fd listener_;
    std::thread thread_;
    std::vector<std::thread> clients_;
};

struct queued {
    std::vector<std::string> recipients, text;
};

// One message; each call is made where nothing may wait first, if said so, and again where something may.
queued run_through(place& at, bool loop_first, int& refused) {
    const auto call = [&](auto operation) {
        if (loop_first) {
            const table::no_waiting on_the_loop;
            auto outcome = operation();
            if (!table::no_waiting::refused())
                return outcome;
            ++refused;
            CHECK_FALSE(outcome);
        }
        return operation();
    };
    auto fresh = queue::queue_file_writer::create(*at.where, queue::directory::incoming);
    REQUIRE(fresh);
    auto message = intake_message::begin_in(*at.context, std::move(*fresh));
    auto request = from_network(intake::rewrite_context::local);
    request.sender = "old@example.test";
    REQUIRE(call([&] { return message.describe(request); }));
    for (const char* address : {"old@example.test", "bob@example.test"})
        REQUIRE(call([&] { return message.recipient({.address = address, .original = {}, .dsn_original = {}, .notify = 0}); }));
    struct line {
        std::string_view text;
        bool unterminated;
    };
    for (const auto one : {line{"From: old@example.test", false}, {"To: bob@example.test,", false}, {"\told@exam", true},
                           {"ple.test", false}, {"Received: from x", false}, {"Message-Id: <1@x>", false},
                           {"Cc: old@example.test", false}, {"", false}, {"From: old@example.test", false}})
        REQUIRE(call([&] { return message.content_line(one.text, one.unterminated); }));
    auto verdict = call([&] { return message.finish(); });
    REQUIRE(verdict);
    CHECK(verdict->accepted());
    REQUIRE(message.keep());
    queued out{{}, at.text(message.queue_id())};
    auto file = queue::queue_file::open(*at.where, queue::directory::incoming, message.queue_id());
    auto envelope = file->read_envelope();
    REQUIRE(envelope);
    out.recipients.push_back(envelope->sender);
    for (const auto& to : envelope->recipients)
        out.recipients.push_back(to.address + " for " + to.original);
    // The first header has queue ID and time in it.
    std::erase_if(out.text, [](const std::string& text) { return text.starts_with('\t') && text.find("by mx") != std::string::npos; });
    std::erase_if(out.text, [](const std::string& text) { return text.starts_with("\tfor ") || text.starts_with("Date:"); });
    return out;
}

} // namespace

TEST_CASE("a call that a table would have held up has done nothing, and is made again", "[intake]") {
    std::string pattern = (fs::temp_directory_path() / "intakeXXXXXX").string();
    const fs::path directory = ::mkdtemp(pattern.data());
    const auto path = (directory / "s").string();
    {
        const one_alias_server server(path);
        const std::string tables = "socketmap:unix:" + path + ":x\n";
        place at("canonical_maps = " + tables + "virtual_alias_maps = " + tables + "always_bcc = old@example.test\n");
        int refused = 0;
        const auto plain = run_through(at, false, refused);
        CHECK(refused == 0);
        const auto twice = run_through(at, true, refused);
        CHECK(refused >= 6); // describe, two recipients, From, To, Cc, finish
        CHECK(plain.recipients == twice.recipients);
        CHECK(plain.text == twice.text);
        CHECK(plain.recipients.size() == 4); // sender, both, and the copy
        CHECK(plain.recipients.at(0) == "new@example.test");
        CHECK(has(plain.text, "From: new@example.test"));
    }
    fs::remove_all(directory);
}
