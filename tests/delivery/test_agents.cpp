#include <catch2/catch.hpp>

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <set>

#include <mta/core/file.hpp>
#include <mta/core/text.hpp>
#include <mta/delivery/error_results.hpp>
#include <mta/delivery/local_agent.hpp>
#include <mta/delivery/virtual_agent.hpp>

#include "message_file.hpp"
#include "temporary_directory.hpp"

using namespace mta;
using namespace mta::delivery;
using mta::test::message_file;

namespace {

// Writes nothing: remembers what it was asked, and answers from a table of files.
class fake_port final : public mailbox_port {
public:
    helper_answer perform_as(helper_user who, const helper_request& request, int) override {
        if (request.operation == helper_operation::read) {
            reads.push_back(std::to_string(who.uid) + " " + request.path);
            if (refused.contains(request.path))
                return {bounce("5.2.0", "file " + request.path + " is world writable"), true, {}};
            if (failing.contains(request.path))
                return {defer("4.2.0", "cannot read it now"), true, {}};
            const auto it = files.find(request.path);
            return {sent("read"), it != files.end(), it != files.end() ? it->second : ""};
        }
        if (request.operation == helper_operation::run) {
            const auto& job = request.command;
            runs.push_back(std::to_string(who.uid) + " " + job.line + " in " + job.directory + " with " +
                           join(job.environment, " "));
            headers.push_back(job.message.sender + " " + job.message.original + " " + job.message.delivered_to);
            return {failing.contains(job.line) ? defer("4.3.0", "temporary failure")
                                               : sent("delivered to command: " + job.line), false, {}};
        }
        writes.push_back(std::to_string(who.uid) + " " + request.job.path + " <" + request.job.sender + "> " +
                         request.job.original + " " + request.job.delivered_to);
        if (failing.contains(request.job.path))
            return {defer("4.2.0", "cannot open file: Permission denied"), false, {}};
        return {sent(request.job.style == mailbox_style::mbox ? "delivered to mailbox" : "delivered to maildir"), false,
                {}};
    }
    std::map<std::string, std::string> files;
    std::set<std::string> refused;
    std::set<std::string> failing;
    std::vector<std::string> reads;
    std::vector<std::string> writes;
    std::vector<std::string> runs;
    std::vector<std::string> headers;
};

struct fixture {
    fake_port port;
    std::map<std::string, std::string> aliases;
    std::map<std::string, user> users;
    bool alias_trouble = false;
    bool account_trouble = false;
    std::function<result<std::optional<std::string>>(const std::string&)> mailbox_command;
    bool probe = false;
    std::vector<forward_message> forwarded;
    local_settings settings;
    message_file message{{"Subject: x", "Delivered-To: looping@example.com", "", "Delivered-To: joe@example.com"}};

    fixture() {
        int uid = 1000;
        for (const char* name : {"joe", "jane", "jim", "looping", "a b", "list"}) {
            user one;
            one.name = name;
            one.uid = static_cast<uid_t>(++uid);
            one.gid = 100;
            one.home = std::string("/home/") + name;
            users[name] = one;
        }
        users["root"] = user{"root", 0, 0, "", "/root", "/bin/sh"};
        settings.recipient_delimiter = "+";
        settings.mail_spool_directory = "/nonexistent/mail";
        settings.files_allowed = settings.commands_allowed = {expansion_source::alias, expansion_source::forward};
        settings.forward_path = "$home/.forward${recipient_delimiter}${extension}, $home/.forward";
        settings.default_user = {65534, 65534};
        settings.commands.value_filter = settings.commands.directory_filter =
            "@%-_=+:,./0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
        settings.commands.queue_directory = "/queue";
        settings.commands.environment = {"PATH=/bin"};
        settings.myhostname = "mail.example.com";
    }

    agent_result deliver(const std::string& address, const std::string& original = {}) {
        local_lookups lookups;
        lookups.alias = [this](const std::string& key) -> result<std::optional<std::string>> {
            if (alias_trouble)
                return fail(errc::temporary, "table is down");
            const auto it = aliases.find(key);
            return it == aliases.end() ? std::nullopt : std::optional(it->second);
        };
        lookups.account = [this](const std::string& name) -> result<std::optional<user>> {
            if (account_trouble)
                return fail(errc::temporary, "directory is down");
            const auto it = users.find(name);
            return it == users.end() ? std::nullopt : std::optional(it->second);
        };
        lookups.mailbox_command = mailbox_command;
        lookups.owner = [this](uid_t uid) -> result<std::optional<user>> {
            for (const auto& [name, who] : users)
                if (who.uid == uid)
                    return who;
            return std::optional<user>();
        };
        lookups.resolve = [](const std::string&, const std::string& to) -> result<resolved_address> {
            const std::string full = to.find('@') == std::string::npos ? to + "@example.com" : to;
            return resolved_address{full, lower(full).ends_with("@example.com"), full.find("..") != std::string::npos};
        };
        lookups.qualify = [](const std::string& name) { return name + "@example.com"; };
        lookups.forward = [this](const request&, int, const forward_message& one) -> result<std::string> {
            forwarded.push_back(one);
            return "NEW" + std::to_string(forwarded.size());
        };
        auto agent = make_local_agent(settings, std::move(lookups), port);
        request from;
        from.sender = "sender@example.org";
        from.probe = probe;
        from.client = {{"client_address", "192.0.2.1"}, {"log_client_name", "x"}};
        from.data_offset = message.data_offset;
        recipient_ref to;
        to.address = address;
        to.original = original;
        return agent->deliver(from, to, message.fd.get());
    }
};

std::string summary(const agent_result& result) {
    std::vector<std::string> out;
    for (const auto& one : result.events)
        out.push_back(one.address + " " + one.status.dsn + " " + one.status.reason);
    return join(out, "; ");
}

std::string recipients(const forward_message& message) {
    std::vector<std::string> out;
    for (const auto& one : message.recipients)
        out.push_back(one.address);
    return join(out, " ");
}

} // namespace

TEST_CASE("an account's mail goes to its mailbox", "[delivery][local]") {
    fixture f;
    const auto done = f.deliver("Joe+Ext@example.com", "joe");
    CHECK(summary(done) == "Joe+Ext@example.com 2.0.0 delivered to mailbox");
    CHECK(f.port.writes ==
          std::vector<std::string>{"1001 /nonexistent/mail/joe <sender@example.org> joe Joe+Ext@example.com"});
    CHECK(f.port.reads ==
          std::vector<std::string>{"1001 /home/joe/.forward+ext", "1001 /home/joe/.forward"});
    f.settings.home_mailbox = "Maildir/";
    CHECK(summary(f.deliver("jane@example.com")) == "jane@example.com 2.0.0 delivered to maildir");
    CHECK(f.port.writes.back().starts_with("1002 /home/jane/Maildir/ "));
}

TEST_CASE("who is not known bounces, and who cannot be looked up does not", "[delivery][local][R5]") {
    fixture f;
    CHECK(summary(f.deliver("Nosuch+x@example.com")) == "Nosuch+x@example.com 5.1.1 unknown user: \"nosuch\"");
    CHECK(f.deliver("nosuch@example.com").status.outcome == outcome::bounced);
    CHECK(summary(f.deliver("/etc/passwd@example.com")) ==
          "/etc/passwd@example.com 5.1.1 unknown user: \"/etc/passwd\"");
    CHECK(summary(f.deliver("|cat@example.com")) == "|cat@example.com 5.1.1 unknown user: \"|cat\"");
    SECTION("accounts") {
        f.account_trouble = true;
        CHECK(f.deliver("nosuch@example.com").status.outcome == outcome::deferred);
    }
    SECTION("aliases") {
        f.alias_trouble = true;
        const auto done = f.deliver("joe@example.com");
        CHECK(done.status.outcome == outcome::deferred);
        CHECK(done.status.dsn == "4.3.0");
        CHECK(f.port.writes.empty());
    }
}

TEST_CASE("aliases expand, nest and are delivered once an address", "[delivery][local][aliases]") {
    fixture f;
    f.aliases = {{"two", "joe, jane"}, {"chain", "two, JOE, jim"}, {"joe", "joe, far@example.net"}};
    const auto done = f.deliver("Chain+Foo@example.com", "chain");
    CHECK(summary(done) == "joe@example.com 2.0.0 delivered to mailbox; jane@example.com 2.0.0 delivered to mailbox; "
                           "jim@example.com 2.0.0 delivered to mailbox; Chain+Foo@example.com 2.0.0 forwarded as NEW1");
    CHECK(f.port.writes.size() == 3);
    CHECK(f.port.writes[0].ends_with("<sender@example.org> chain Chain+Foo@example.com"));
    REQUIRE(f.forwarded.size() == 1);
    CHECK(recipients(f.forwarded[0]) == "far@example.net");
    CHECK(f.forwarded[0].sender == "sender@example.org");
    CHECK(f.forwarded[0].recipients[0].original == "chain");
    CHECK(done.status.delivered());
    CHECK(done.action == "delivered"); // of the event that stands for all
    CHECK(done.events.back().forwarded);
}

TEST_CASE("what is deferred as a whole is forwarded to nobody yet", "[delivery][local][aliases]") {
    fixture f;
    f.aliases = {{"team", "joe, boss@far.example"}};
    f.port.failing = {"/nonexistent/mail/joe"};
    CHECK(f.deliver("team@example.com").status.outcome == outcome::deferred);
    CHECK(f.forwarded.empty());
    f.port.failing.clear();
    CHECK(f.deliver("team@example.com").status.delivered());
    CHECK(f.forwarded.size() == 1);
}

TEST_CASE("lists within lists end somewhere", "[delivery][local][include]") {
    fixture f;
    for (int i = 0; i < 20000; ++i)
        f.port.files["/home/joe/i" + std::to_string(i)] = ":include:/home/joe/i" + std::to_string(i + 1) + "\n";
    f.port.files["/home/joe/.forward"] = ":include:/home/joe/i0\n";
    const auto done = f.deliver("joe@example.com");
    CHECK(summary(done) == "joe@example.com 5.4.6 alias database loop for joe");
    f.port.files["/home/joe/i50"] = "jane\n";
    CHECK(f.deliver("joe@example.com").status.delivered());
}

TEST_CASE("luser_relay may be an alias, and has one turn", "[delivery][local]") {
    fixture f;
    f.settings.luser_relay = "catch";
    f.aliases = {{"catch", "joe"}};
    CHECK(summary(f.deliver("nosuch@example.com")) == "joe@example.com 2.0.0 delivered to mailbox");
    f.aliases = {{"catch", "nobody1"}};
    CHECK(f.deliver("nosuch@example.com").status.outcome == outcome::bounced);
}

TEST_CASE("a target that is nobody's address bounces here", "[delivery][local][aliases]") {
    fixture f;
    f.aliases = {{"bad", "joe, x@a..b"}};
    CHECK(summary(f.deliver("bad@example.com")) == "joe@example.com 2.0.0 delivered to mailbox; "
                                                   "bad@example.com 5.1.3 bad recipient address syntax: x@a..b");
    CHECK(f.forwarded.empty());
}

TEST_CASE("an alias loop bounces with bounded work", "[delivery][local][C4]") {
    fixture f;
    f.aliases = {{"loop1", "loop2"}, {"loop2", "loop1"}, {"self", "self"}};
    CHECK(summary(f.deliver("loop1@example.com")) == "loop2@example.com 5.4.6 alias database loop for loop2");
    CHECK(summary(f.deliver("self@example.com")) == "self@example.com 5.1.1 unknown user: \"self\"");
    for (int i = 0; i < 10000; ++i)
        f.aliases["deep" + std::to_string(i)] = "deep" + std::to_string(i + 1);
    CHECK(f.deliver("deep0@example.com").status.outcome == outcome::bounced);
}

TEST_CASE("an alias bomb is deferred and not half dropped", "[delivery][local][C5]") {
    fixture f;
    std::string many;
    for (int i = 0; i < 1000; ++i)
        many += "b" + std::to_string(i) + ",";
    f.aliases["bomb"] = many;
    for (int i = 0; i < 1000; ++i)
        f.aliases["b" + std::to_string(i)] = many + "joe";
    const auto done = f.deliver("bomb@example.com");
    CHECK(done.status.outcome != outcome::delivered);
}

TEST_CASE("the message's own Delivered-To headers stop loops", "[delivery][local][C4]") {
    fixture f;
    CHECK(summary(f.deliver("Looping@Example.com")) ==
          "Looping@Example.com 5.4.6 mail forwarding loop for Looping@Example.com");
    CHECK(f.deliver("joe@example.com").status.delivered()); // that one stands in the body
    f.aliases["x"] = "looping, joe";
    CHECK(f.deliver("x@example.com").status.outcome == outcome::bounced);
    const auto headers = delivered_to_headers(f.message.fd.get(), f.message.data_offset);
    CHECK(headers.value() == std::vector<std::string>{"looping@example.com"});
}

TEST_CASE("a list with an owner is a new message from the owner", "[delivery][local][aliases]") {
    fixture f;
    f.aliases = {{"list", "joe, jane, far@example.net"}, {"owner-list", "jim"}};
    const auto done = f.deliver("list@example.com", "list");
    CHECK(summary(done) == "list@example.com 2.0.0 forwarded as NEW1");
    REQUIRE(f.forwarded.size() == 1);
    CHECK(f.forwarded[0].sender == "owner-list@example.com");
    CHECK(recipients(f.forwarded[0]) == "joe@example.com jane@example.com far@example.net");
    CHECK(f.forwarded[0].recipients[0].original.empty());
    CHECK(f.forwarded[0].delivered_to == "list@example.com");
    CHECK(f.port.writes.empty());
    f.settings.expand_owner = true;
    f.forwarded.clear();
    (void)f.deliver("list@example.com", "list");
    CHECK(f.forwarded.at(0).sender == "jim@example.com");
}

TEST_CASE("files and commands of aliases", "[delivery][local][da-cmd-limits]") {
    fixture f;
    f.aliases = {{"f", "/var/log/mails"},  {"d", "/var/log/dir/"}, {"n", "/dev/null"},
                 {"c", "\"|/bin/prog\""}, {"mixed", "joe, /dev/null"}};
    CHECK(summary(f.deliver("f@example.com")) == "f@example.com 2.0.0 delivered to file: /var/log/mails");
    CHECK(f.port.writes.back().starts_with("65534 /var/log/mails "));
    CHECK(summary(f.deliver("d@example.com")) == "d@example.com 2.0.0 delivered to maildir");
    CHECK(summary(f.deliver("n@example.com")) == "n@example.com 2.0.0 delivered to file: /dev/null");
    CHECK(f.deliver("mixed@example.com").status.delivered());
    CHECK(summary(f.deliver("c@example.com")) == "c@example.com 2.0.0 delivered to command: /bin/prog");
    f.settings.files_allowed.clear();
    f.settings.commands_allowed.clear();
    CHECK(summary(f.deliver("f@example.com")) == "f@example.com 5.7.1 mail to file is restricted");
    CHECK(summary(f.deliver("c@example.com")) == "c@example.com 5.7.1 mail to command is restricted");
}

TEST_CASE("a command is told whom the mail is for", "[delivery][local]") {
    fixture f;
    f.aliases = {{"c", "\"|/bin/prog\""}, {"d", "c"}, {"owned", "\"|/bin/prog\""}, {"owner-owned", "jim"}};
    const auto environment = [&](const std::string& to) {
        CHECK(f.deliver(to).status.delivered());
        return f.port.runs.back();
    };
    CHECK(environment("c+a`b@example.com") ==
          "65534 /bin/prog in /queue with PATH=/bin USER=c LOGNAME=c LOCAL=c+a_b EXTENSION=a_b DOMAIN=example.com "
          "RECIPIENT=c+a_b@example.com ORIGINAL_RECIPIENT=c+a_b@example.com SENDER=sender@example.org CLIENT_ADDRESS=192.0.2.1");
    CHECK(f.port.headers.back() == "sender@example.org c+a`b@example.com c+a`b@example.com");
    CHECK(environment("d@example.com").find("RECIPIENT=c@example.com ORIGINAL_RECIPIENT=d@example.com") != std::string::npos);
    CHECK(environment("owned@example.com").find("ORIGINAL_RECIPIENT") == std::string::npos);
    CHECK(f.port.headers.back() == "owner-owned@example.com  owned@example.com");
    f.port.files["/home/joe/.forward"] = "\"|prog x\"";
    f.settings.commands.directory = "$home";
    f.settings.delivered_in_commands = false;
    CHECK(environment("joe@example.com").starts_with("1001 prog x in /home/joe with PATH=/bin HOME=/home/joe USER=joe "));
    CHECK(f.port.headers.back() == "sender@example.org joe@example.com ");
}

TEST_CASE("each command of a list runs once, and the others are served whatever it does", "[delivery][local][da-cmd-limits]") {
    fixture f;
    f.aliases = {{"two", "\"|one\", \"|one\", \"|ONE\", joe, nosuch"}};
    f.port.failing.insert("one");
    const auto done = f.deliver("two@example.com");
    CHECK(done.status.outcome == outcome::deferred);
    CHECK(f.port.runs.size() == 2);
    CHECK(f.port.writes.size() == 1);
    CHECK(done.events.size() == 4);
    f.probe = true;
    CHECK(summary(f.deliver("two@example.com")).starts_with("two@example.com 2.0.0 delivers to command: one; "));
    CHECK(f.port.runs.size() == 2);
}

TEST_CASE("mailbox_command takes the place of the mailbox", "[delivery][local]") {
    fixture f;
    f.settings.mailbox_command = "deliver $x";
    f.aliases = {{"list", "joe"}};
    CHECK(summary(f.deliver("list@example.com")) == "joe@example.com 2.0.0 delivered to command: deliver $x");
    CHECK(f.port.runs.back().starts_with("1001 deliver $x in /queue with PATH=/bin HOME=/home/joe USER=joe "));
    CHECK(f.deliver("root@example.com").status.delivered());
    CHECK(f.port.runs.back().starts_with("65534 deliver $x in /queue with PATH=/bin HOME=/root SHELL=/bin/sh USER=root "));
    f.mailbox_command = [](const std::string& name) -> result<std::optional<std::string>> {
        if (name == "jim")
            return fail(errc::temporary, "table is down");
        return name == "jane" ? std::optional<std::string>("hers") : std::nullopt;
    };
    CHECK(f.deliver("joe@example.com").status.reason == "delivered to command: deliver $x");
    CHECK(f.deliver("jane+x@example.com").status.reason == "delivered to command: hers");
    CHECK(f.deliver("jim@example.com").status.outcome == outcome::deferred);
    CHECK(f.port.writes.empty());
}

TEST_CASE("an :include: file is read as its owner and its addresses forwarded", "[delivery][local][C6]") {
    fixture f;
    const mta::test::temporary_directory where;
    const auto path = where / "list";
    REQUIRE(replace_file(path, "", 0644));
    f.aliases = {{"inc", ":include:" + path}, {"gone", ":include:/nonexistent/list"}, {"rel", ":include:list"}};
    f.port.files[path] = "# people\njoe, far@example.net\n/etc/passwd\n\"|/bin/sh\"\n";
    const auto done = f.deliver("inc@example.com");
    CHECK(summary(done) == "inc@example.com 5.7.1 mail to file is restricted; inc@example.com 5.7.1 mail to command is "
                           "restricted; inc@example.com 2.0.0 forwarded as NEW1");
    CHECK(recipients(f.forwarded.at(0)) == "joe@example.com far@example.net");
    const uid_t reader = ::geteuid() == 0 ? 65534 : ::geteuid();
    CHECK(f.port.reads.back() == std::to_string(reader) + " " + path);
    CHECK(summary(f.deliver("gone@example.com")) == "gone@example.com 5.3.5 mail system configuration error");
    CHECK(summary(f.deliver("rel@example.com")) == "rel@example.com 5.3.5 mail system configuration error");
    f.port.files[path] = ":include:" + path + "\n";
    CHECK(f.deliver("inc@example.com").status.reason == "delivered to nobody: no destination is left");
    f.port.files[path] = ":include:" + path + "2, jane\n";
    REQUIRE(replace_file(path + "2", "", 0644));
    f.port.files[path + "2"] = "jim\n";
    CHECK(f.deliver("inc@example.com").status.delivered());
    CHECK(recipients(f.forwarded.back()) == "jim@example.com jane@example.com");
    f.port.failing.insert(path);
    CHECK(f.deliver("inc@example.com").status.outcome == outcome::deferred);
    f.port.refused.insert(path);
    CHECK(summary(f.deliver("inc@example.com")) == "inc@example.com 5.3.5 mail system configuration error");
}

TEST_CASE(".forward files are followed when nobody else can have written them", "[delivery][local][forward]") {
    fixture f;
    const std::string path = "/home/joe/.forward";
    SECTION("elsewhere") {
        f.port.files[path] = "far@example.net\njane\n";
        CHECK(summary(f.deliver("joe@example.com")) == "joe@example.com 2.0.0 forwarded as NEW1");
        CHECK(recipients(f.forwarded.at(0)) == "far@example.net jane@example.com");
        CHECK(f.forwarded.at(0).delivered_to == "joe@example.com");
    }
    SECTION("with a copy") {
        f.port.files[path] = "\\joe, far@example.net";
        CHECK(summary(f.deliver("joe@example.com")) ==
              "joe@example.com 2.0.0 delivered to mailbox; joe@example.com 2.0.0 forwarded as NEW1");
    }
    SECTION("empty") {
        f.port.files[path] = "\n";
        CHECK(summary(f.deliver("joe@example.com")) == "joe@example.com 2.0.0 delivered to mailbox");
    }
    SECTION("a command") {
        f.port.files[path] = "\"|/usr/bin/vacation joe\", \\joe";
        const auto done = f.deliver("joe@example.com");
        CHECK(done.status.delivered());
        CHECK(f.port.runs.size() == 1);
        CHECK(f.port.writes.size() == 1);
    }
    SECTION("a file") {
        f.port.files[path] = "/home/joe/all";
        CHECK(summary(f.deliver("joe@example.com")) == "joe@example.com 2.0.0 delivered to file: /home/joe/all");
        CHECK(f.port.writes.at(0).starts_with(std::to_string(f.users["joe"].uid) + " /home/joe/all "));
    }
    SECTION("in everybody's hands") {
        f.port.refused.insert(path);
        const auto done = f.deliver("joe@example.com");
        CHECK(summary(done) == "joe@example.com 2.0.0 delivered to mailbox");
        CHECK(done.warnings == std::vector<std::string>{"file " + path + " is world writable"});
    }
    SECTION("that cannot be read now") {
        f.port.failing.insert(path);
        CHECK(f.deliver("joe@example.com").status.outcome == outcome::deferred);
        CHECK(f.port.writes.empty());
    }
    SECTION("by way of an alias") {
        f.aliases = {{"list", "joe"}};
        f.port.files[path] = "far@example.net";
        CHECK(summary(f.deliver("list@example.com")) == "list@example.com 2.0.0 forwarded as NEW1");
        CHECK(f.forwarded.at(0).delivered_to == "list@example.com");
    }
    SECTION("of the extension") {
        f.port.files[path + "+x"] = "jim";
        CHECK(f.deliver("joe+x@example.com").status.reason == "forwarded as NEW1");
        CHECK(f.deliver("joe+y@example.com").status.reason == "delivered to mailbox");
    }
}

TEST_CASE("a failing mailbox defers the whole recipient", "[delivery][local]") {
    fixture f;
    f.aliases["two"] = "joe, jane";
    f.port.failing.insert("/nonexistent/mail/joe");
    const auto done = f.deliver("two@example.com");
    CHECK(done.status.outcome == outcome::deferred);
    CHECK(summary(done) == "joe@example.com 4.2.0 cannot update mailbox /nonexistent/mail/joe for user joe. cannot open "
                           "file: Permission denied; jane@example.com 2.0.0 delivered to mailbox");
}

TEST_CASE("nothing is delivered as root", "[delivery][local][C6]") {
    fixture f;
    CHECK(f.deliver("root@example.com").status.outcome == outcome::deferred);
    CHECK(f.port.writes.empty());
    CHECK(f.port.reads.empty());
    f.aliases["root"] = "joe";
    CHECK(f.deliver("root@example.com").status.delivered());
}

TEST_CASE("what is configured and not done yet defers", "[delivery][local]") {
    fixture f;
    f.settings.not_supported = "mailbox_transport";
    CHECK(summary(f.deliver("joe@example.com")) ==
          "joe@example.com 4.3.5 mailbox_transport is not supported by this version");
    CHECK(f.deliver("nosuch@example.com").status.outcome == outcome::bounced);
    f.settings.unknown_user_transport = "fallback_transport";
    CHECK(f.deliver("nosuch@example.com").status.outcome == outcome::deferred);
}

TEST_CASE("luser_relay takes unknown users", "[delivery][local]") {
    fixture f;
    f.settings.luser_relay = "jim+${user}@example.com";
    CHECK(summary(f.deliver("nosuch@example.com")) == "jim+nosuch@example.com 2.0.0 delivered to mailbox");
    f.settings.luser_relay = "$user@example.net";
    CHECK(summary(f.deliver("nosuch@example.com")) == "nosuch@example.com 2.0.0 forwarded as NEW1");
    f.settings.luser_relay = "gone+$user@example.com";
    CHECK(f.deliver("nosuch@example.com").status.outcome == outcome::bounced);
}

namespace {

struct virtual_fixture {
    fake_port port;
    std::map<std::string, std::string> boxes{{"joe@virt.test", "joe"}, {"md@virt.test", "md/"}, {"empty@virt.test", ""}};
    std::optional<std::string> uid = "500";
    std::optional<std::string> gid = "600";
    bool trouble = false;
    virtual_settings settings;

    agent_result deliver(const std::string& address) {
        virtual_lookups lookups;
        lookups.mailbox = [this](const std::string& key) -> result<std::optional<std::string>> {
            if (trouble)
                return fail(errc::temporary, "table is down");
            const auto it = boxes.find(key);
            return it == boxes.end() ? std::nullopt : std::optional(it->second);
        };
        lookups.uid = [this](const std::string&) -> result<std::optional<std::string>> { return uid; };
        lookups.gid = [this](const std::string&) -> result<std::optional<std::string>> { return gid; };
        settings.mailbox_base = "/vmail";
        const auto agent = make_virtual_agent(settings, std::move(lookups), port);
        request from;
        from.sender = "s@example.org";
        recipient_ref to;
        to.address = address;
        return agent->deliver(from, to, -1);
    }
};

} // namespace

TEST_CASE("a virtual mailbox is written as its owner", "[delivery][virtual]") {
    virtual_fixture f;
    CHECK(summary(f.deliver("Joe@Virt.test")) == "Joe@Virt.test 2.0.0 delivered to mailbox");
    CHECK(f.port.writes.back() == "500 /vmail/joe <s@example.org> Joe@Virt.test Joe@Virt.test");
    CHECK(summary(f.deliver("md@virt.test")) == "md@virt.test 2.0.0 delivered to maildir");
    CHECK(f.port.writes.back().starts_with("500 /vmail/md/ "));
}

TEST_CASE("virtual failures say what is wrong", "[delivery][virtual]") {
    virtual_fixture f;
    CHECK(summary(f.deliver("Nobody@virt.test")) == "Nobody@virt.test 5.1.1 unknown user: \"nobody@virt.test\"");
    CHECK(summary(f.deliver("empty@virt.test")) == "empty@virt.test 5.1.1 unknown user: \"empty@virt.test\"");
    struct row {
        const char* why;
        std::optional<std::string> uid;
        std::optional<std::string> gid;
        std::string warning;
    };
    const auto r = GENERATE(values<row>({
        {"no uid", std::nullopt, "5", "recipient joe@virt.test: not found in virtual_uid_maps"},
        {"low uid", "50", "5", "recipient joe@virt.test: bad uid 50 in virtual_uid_maps"},
        {"root", "0", "5", "recipient joe@virt.test: bad uid 0 in virtual_uid_maps"},
        {"no number", "abc", "5", "recipient joe@virt.test: bad uid abc in virtual_uid_maps"},
        {"nobody at all", "4294967295", "5", "recipient joe@virt.test: bad uid 4294967295 in virtual_uid_maps"},
        {"no gid", "500", std::nullopt, "recipient joe@virt.test: not found in virtual_gid_maps"},
        {"root's group", "500", "0", "recipient joe@virt.test: bad gid 0 in virtual_gid_maps"},
    }));
    CAPTURE(r.why);
    f.uid = r.uid;
    f.gid = r.gid;
    const auto done = f.deliver("joe@virt.test");
    CHECK(summary(done) == "joe@virt.test 4.3.5 mail system configuration error");
    CHECK(done.warnings == std::vector<std::string>{r.warning});
    CHECK(f.port.writes.empty());
    f.trouble = true;
    CHECK(f.deliver("gone@virt.test").status.outcome == outcome::deferred);
}

TEST_CASE("a virtual mailbox that cannot be written defers with its path", "[delivery][virtual]") {
    virtual_fixture f;
    f.port.failing.insert("/vmail/joe");
    CHECK(summary(f.deliver("joe@virt.test")) ==
          "joe@virt.test 4.2.0 delivery failed to mailbox /vmail/joe: cannot open file: Permission denied");
}

TEST_CASE("error, retry and discard answer from the nexthop", "[delivery][error]") {
    struct row {
        const char* program;
        const char* transport;
        const char* nexthop;
        outcome how;
        const char* dsn;
        const char* reason;
    };
    const auto r = GENERATE(values<row>({
        {"error", "error", "5.1.3 bad one", outcome::bounced, "5.1.3", "bad one"},
        {"error", "error", "plain text", outcome::bounced, "5.0.0", "plain text"},
        {"error", "error", "4.7.1 later", outcome::bounced, "5.0.0", "later"},
        {"error", "error", "", outcome::bounced, "5.0.0", "Address is undeliverable"},
        {"error", "retry", "4.1.1 xx", outcome::deferred, "4.1.1", "xx"},
        {"error", "retry", "plain", outcome::deferred, "4.0.0", "plain"},
        {"error", "retry", "5.1.1 foo", outcome::deferred, "4.0.0", "foo"},
        {"discard", "discard", "silently", outcome::delivered, "2.0.0", "silently"},
    }));
    request from;
    from.serial = 9;
    from.transport = r.transport;
    from.nexthop = r.nexthop;
    from.recipients = {{100, "a@b", "", "", 0}, {200, "c@d", "", "", 0}};
    const auto out = error_results(r.program, from);
    CHECK(out.serial == 9);
    REQUIRE(out.recipients.size() == 2);
    CHECK(out.recipients[1].offset == 200);
    CHECK(out.recipients[1].outcome == r.how);
    CHECK(out.recipients[1].dsn == r.dsn);
    CHECK(out.recipients[1].reason == r.reason);
}
