#include <catch2/catch.hpp>

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <thread>

#include <mta/core/file.hpp>
#include <mta/core/lock.hpp>
#include <mta/delivery/mailbox.hpp>

#include "message_file.hpp"
#include "temporary_directory.hpp"

using namespace mta;
using namespace mta::delivery;
using mta::test::message_file;
using mta::test::temporary_directory;

namespace {

const message_file& hello() {
    static const message_file message({"Subject: hi", "", "From me", ">From you", ".", "end"});
    return message;
}

mailbox_job job_for(const std::string& path, mailbox_style style) {
    mailbox_job job;
    job.style = style;
    job.path = path;
    job.hostname = "host.test";
    job.sender = "sender@example.com";
    job.original = "alias@example.com";
    job.delivered_to = "rcpt@example.com";
    job.data_offset = hello().data_offset;
    job.lock_attempts = 2;
    job.lock_delay = 0;
    return job;
}

std::vector<std::string> names_in(const std::string& path) {
    std::vector<std::string> out;
    DIR* dir = ::opendir(path.c_str());
    while (const dirent* entry = dir != nullptr ? ::readdir(dir) : nullptr)
        if (entry->d_name[0] != '.')
            out.emplace_back(entry->d_name);
    if (dir != nullptr)
        ::closedir(dir);
    return out;
}

bool exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

const std::string headers = "Return-Path: <sender@example.com>\nX-Original-To: alias@example.com\n"
                            "Delivered-To: rcpt@example.com\n";

} // namespace

TEST_CASE("a maildir is made with its parents and holds the message as it came", "[delivery][maildir]") {
    const temporary_directory where;
    const auto path = where.path() + "/a/b/box/";
    const auto done = deliver_to_mailbox(job_for(path, mailbox_style::maildir), hello().fd.get());
    CAPTURE(done.reason);
    REQUIRE(done.delivered());
    CHECK(done.dsn == "2.0.0");
    CHECK(done.reason == "delivered to maildir");
    CHECK(names_in(path + "tmp").empty());
    CHECK(names_in(path + "cur").empty());
    const auto names = names_in(path + "new");
    REQUIRE(names.size() == 1);
    CHECK(read_file(path + "new/" + names[0]).value() ==
          headers + "Subject: hi\n\nFrom me\n>From you\n.\nend\n");
    struct stat found {};
    REQUIRE(::stat((path + "new/" + names[0]).c_str(), &found) == 0);
    CHECK((found.st_mode & 07777U) == 0600);
    // SECONDS.VdevIinodeMmicros.HOST
    char wanted[64];
    std::snprintf(wanted, sizeof wanted, ".V%lxI%lxM", static_cast<unsigned long>(found.st_dev),
                  static_cast<unsigned long>(found.st_ino));
    CHECK(names[0].find(wanted) == names[0].find('.'));
    CHECK(names[0].ends_with(".host.test"));
    REQUIRE(::stat((where.path() + "/a").c_str(), &found) == 0);
    CHECK((found.st_mode & 07777U) == 0700);
}

TEST_CASE("a thousand messages in one second have a thousand names", "[delivery][maildir]") {
    const temporary_directory where;
    const auto job = job_for(where.path() + "/box/", mailbox_style::maildir);
    constexpr int each = 50;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&] {
            for (int i = 0; i < each; ++i)
                (void)deliver_to_mailbox(job, hello().fd.get());
        });
    for (auto& thread : threads)
        thread.join();
    CHECK(names_in(where.path() + "/box/new").size() == 4 * each);
    CHECK(names_in(where.path() + "/box/tmp").empty());
}

TEST_CASE("a maildir part that is a link is refused", "[delivery][maildir][C6]") {
    const temporary_directory where;
    const auto part = GENERATE(values<std::string>({"tmp", "new", "cur"}));
    CAPTURE(part);
    const auto box = where.path() + "/" + part + "box/";
    REQUIRE(::mkdir(box.c_str(), 0700) == 0);
    REQUIRE(::mkdir((where.path() + "/elsewhere").c_str(), 0700) == 0);
    REQUIRE(::symlink((where.path() + "/elsewhere").c_str(), (box + part).c_str()) == 0);
    const auto done = deliver_to_mailbox(job_for(box, mailbox_style::maildir), hello().fd.get());
    CHECK(done.outcome == outcome::deferred);
    CHECK(done.dsn == "4.2.0");
    CHECK(done.reason.starts_with("maildir delivery failed: create maildir file "));
    CHECK(names_in(where.path() + "/elsewhere").empty());
}

TEST_CASE("a maildir over its limit bounces and leaves nothing", "[delivery][maildir]") {
    const temporary_directory where;
    auto job = job_for(where.path() + "/box/", mailbox_style::maildir);
    job.limit = 50;
    const auto done = deliver_to_mailbox(job, hello().fd.get());
    CHECK(done.outcome == outcome::bounced);
    CHECK(done.dsn == "5.2.2");
    CHECK(done.reason == "maildir delivery failed: error writing message: File too large");
    CHECK(names_in(where.path() + "/box/new").empty());
    CHECK(names_in(where.path() + "/box/tmp").empty());
}

TEST_CASE("an mbox gets From_, headers, quoted lines and an empty line", "[delivery][mbox]") {
    const temporary_directory where;
    const auto path = where.path() + "/box";
    for (int i = 0; i < 2; ++i) {
        const auto done = deliver_to_mailbox(job_for(path, mailbox_style::mbox), hello().fd.get());
        CAPTURE(done.reason);
        REQUIRE(done.delivered());
        CHECK(done.reason == "delivered to mailbox");
    }
    const auto text = read_file(path).value();
    const auto body = headers + "Subject: hi\n\n>From me\n>From you\n.\nend\n\n";
    const auto second = text.find("\nFrom sender@example.com  ", 10) + 1;
    REQUIRE(text.starts_with("From sender@example.com  "));
    CHECK(text.substr(text.find('\n') + 1, body.size()) == body);
    CHECK(text.substr(text.find('\n', second) + 1) == body);
    struct stat found {};
    REQUIRE(::stat(path.c_str(), &found) == 0);
    CHECK((found.st_mode & 07777U) == 0600);
    CHECK_FALSE(exists(path + ".lock"));
}

TEST_CASE("From_ has the ctime form and a name for the null sender", "[delivery][mbox]") {
    ::setenv("TZ", "UTC", 1);
    ::tzset();
    CHECK(from_line("a@b", 0) == "From a@b  Thu Jan  1 00:00:00 1970\n");
    CHECK(from_line("", 0).starts_with("From MAILER-DAEMON  "));
    CHECK(from_line("a b@c", 0).starts_with("From \"a b\"@c  "));
    CHECK(from_line("a\nb@c", 0).find('\n') == from_line("a\nb@c", 0).size() - 1);
}

TEST_CASE("headers are those that the job names, on one line each", "[delivery][mailbox]") {
    mailbox_job job;
    CHECK(mailbox_headers(job) == "Return-Path: <>\n");
    job.delivered_to = "a b@c";
    CHECK(mailbox_headers(job) == "Return-Path: <>\nDelivered-To: \"a b\"@c\n");
    job.delivered_to = "a\r\nEvil: x@c";
    const auto text = mailbox_headers(job);
    CHECK(std::count(text.begin(), text.end(), '\n') == 2);
}

TEST_CASE("pieces of a long line are joined, and only line starts are quoted", "[delivery][mbox]") {
    const temporary_directory where;
    const message_file message({"Subject: x", "", "abc\\", "From def\\", " ghi", "From \\", "x", "open\\"});
    auto job = job_for(where.path() + "/box", mailbox_style::mbox);
    job.data_offset = message.data_offset;
    REQUIRE(deliver_to_mailbox(job, message.fd.get()).delivered());
    CHECK(read_file(job.path).value().ends_with("\n\nabcFrom def ghi\n>From x\nopen\n\n"));
}

TEST_CASE("a message that would go over the limit leaves the mbox as it was", "[delivery][mbox]") {
    const temporary_directory where;
    auto job = job_for(where.path() + "/box", mailbox_style::mbox);
    REQUIRE(deliver_to_mailbox(job, hello().fd.get()).delivered());
    const auto before = read_file(job.path).value();
    const auto one = static_cast<long long>(before.size());
    struct row {
        long long limit;
        bool fits;
    };
    const auto r = GENERATE_COPY(values<row>({{one, false}, {2 * one - 1, false}, {1, false}, {2 * one, true}}));
    job.limit = r.limit;
    const auto done = deliver_to_mailbox(job, hello().fd.get());
    CHECK(done.delivered() == r.fits);
    if (!r.fits) {
        CHECK(done.outcome == outcome::bounced);
        CHECK(done.dsn == "5.2.2");
        CHECK(done.reason == "error writing message: File too large");
        CHECK(read_file(job.path).value() == before);
    }
}

TEST_CASE("a write that fails half way is cut back", "[delivery][mbox][C9]") {
    const temporary_directory where;
    auto job = job_for(where.path() + "/box", mailbox_style::mbox);
    REQUIRE(deliver_to_mailbox(job, hello().fd.get()).delivered());
    const auto before = read_file(job.path).value();
    // The kernel's own limit makes a write stop after some bytes.
    const message_file big(std::vector<std::string>(5000, std::string(100, 'x')));
    job.data_offset = big.data_offset;
    std::signal(SIGXFSZ, SIG_IGN);
    struct rlimit old {};
    ::getrlimit(RLIMIT_FSIZE, &old);
    const struct rlimit low {200000, old.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &low);
    const auto done = deliver_to_mailbox(job, big.fd.get());
    ::setrlimit(RLIMIT_FSIZE, &old);
    CHECK(done.outcome == outcome::bounced);
    CHECK(done.dsn == "5.2.2");
    CHECK(read_file(job.path).value() == before);
}

TEST_CASE("what is no private file of the recipient is not written", "[delivery][mbox][C6]") {
    const temporary_directory where;
    REQUIRE(::chmod(where.path().c_str(), 0777) == 0); // anybody could have made the link
    const auto target = where.path() + "/target";
    REQUIRE(replace_file(target, "keep\n", 0600));
    const auto path = where.path() + "/box";
    struct row {
        const char* kind;
        std::string text;
    };
    const auto r = GENERATE(values<row>({
        {"symlink", "file is a symbolic link"},
        {"dangling", "cannot open file: No such file or directory"},
        {"hardlink", "file has 2 hard links"},
        {"directory", "cannot open file: Is a directory"},
        {"fifo", "cannot open file: No such device or address"},
    }));
    const std::string kind = r.kind;
    CAPTURE(kind);
    if (kind == "symlink")
        REQUIRE(::symlink(target.c_str(), path.c_str()) == 0);
    else if (kind == "dangling")
        REQUIRE(::symlink((where.path() + "/nowhere").c_str(), path.c_str()) == 0);
    else if (kind == "hardlink")
        REQUIRE(::link(target.c_str(), path.c_str()) == 0);
    else if (kind == "directory")
        REQUIRE(::mkdir(path.c_str(), 0700) == 0);
    else
        REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
    auto job = job_for(path, mailbox_style::mbox);
    auto done = deliver_to_mailbox(job, hello().fd.get());
    CHECK(done.outcome == outcome::deferred);
    CHECK(done.dsn == "4.2.0");
    CHECK(done.reason == r.text);
    job.refusals_bounce = true;
    done = deliver_to_mailbox(job, hello().fd.get());
    CHECK(done.outcome == outcome::bounced);
    CHECK(done.dsn == "5.2.0");
    CHECK(done.reason == r.text);
    CHECK(read_file(target).value() == "keep\n");
    CHECK_FALSE(exists(where.path() + "/nowhere"));
    CHECK_FALSE(exists(path + ".lock"));
}

TEST_CASE("root's link in a directory of root alone is followed", "[delivery][mbox][C6]") {
    const temporary_directory where;
    const auto target = where.path() + "/target";
    REQUIRE(replace_file(target, "", 0600));
    REQUIRE(::chmod(where.path().c_str(), 0755) == 0);
    REQUIRE(::symlink(target.c_str(), (where.path() + "/box").c_str()) == 0);
    const auto done = deliver_to_mailbox(job_for(where.path() + "/box", mailbox_style::mbox), hello().fd.get());
    // Whoever runs this test made the link: only root's is good.
    CHECK(done.delivered() == (::geteuid() == 0));
    CHECK(read_file(target).value().empty() == (::geteuid() != 0));
}

TEST_CASE("a lock that others hold defers", "[delivery][mbox][C9]") {
    const temporary_directory where;
    auto job = job_for(where.path() + "/box", mailbox_style::mbox);
    REQUIRE(replace_file(job.path, "", 0600));
    SECTION("dotlock") {
        REQUIRE(replace_file(job.path + ".lock", "", 0600));
        const auto done = deliver_to_mailbox(job, hello().fd.get());
        CHECK(done.outcome == outcome::deferred);
        CHECK(done.reason == "unable to create lock file " + job.path + ".lock: File exists");
        CHECK(exists(job.path + ".lock"));
    }
    SECTION("dotlock that is stale") {
        REQUIRE(replace_file(job.path + ".lock", "", 0600));
        job.stale_lock_time = -1;
        CHECK(deliver_to_mailbox(job, hello().fd.get()).delivered());
        CHECK_FALSE(exists(job.path + ".lock"));
    }
    SECTION("flock") {
        job.locks = {file_lock::flock};
        const auto held = open_file(job.path, O_RDWR);
        REQUIRE(try_lock(held->get(), lock_mode::exclusive).value());
        CHECK(deliver_to_mailbox(job, hello().fd.get()).outcome == outcome::deferred);
        unlock(held->get());
        CHECK(deliver_to_mailbox(job, hello().fd.get()).delivered());
    }
    SECTION("fcntl, of another open file") {
        job.locks = {file_lock::fcntl};
        const auto held = open_file(job.path, O_RDWR);
        struct flock request {};
        request.l_type = F_WRLCK;
        REQUIRE(::fcntl(held->get(), F_OFD_SETLK, &request) == 0);
        const auto done = deliver_to_mailbox(job, hello().fd.get());
        CHECK(done.outcome == outcome::deferred);
        CHECK(done.reason.find("unable to lock") == 0);
        CHECK(read_file(job.path).value().empty());
    }
}

TEST_CASE("deliveries at the same time do not mix", "[delivery][mbox][C9]") {
    const temporary_directory where;
    auto job = job_for(where.path() + "/box", mailbox_style::mbox);
    job.locks = {file_lock::fcntl};
    job.lock_attempts = 1000000;
    const message_file big(std::vector<std::string>(3000, std::string(70, 'x')));
    job.data_offset = big.data_offset;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&] {
            for (int i = 0; i < 5; ++i)
                (void)deliver_to_mailbox(job, big.fd.get());
        });
    for (auto& thread : threads)
        thread.join();
    const auto text = read_file(job.path).value();
    REQUIRE(text.size() % 20 == 0);
    const auto one = text.size() / 20;
    for (std::size_t i = 0; i < 20; ++i)
        CHECK(text.compare(i * one, 5, "From ") == 0);
}

TEST_CASE("a queue file that cannot be read defers and writes nothing", "[delivery][mailbox]") {
    const temporary_directory where;
    auto job = job_for(where.path() + "/box", GENERATE(mailbox_style::mbox, mailbox_style::maildir));
    SECTION("no such place") { job.data_offset = 1 << 20; }
    SECTION("no record there") { job.data_offset = hello().data_offset + 1; }
    const auto done = deliver_to_mailbox(job, hello().fd.get());
    CHECK(done.outcome == outcome::deferred);
    if (job.style == mailbox_style::mbox)
        CHECK(read_file(job.path).value().empty());
    else
        CHECK(names_in(job.path + "/new").empty());
}

TEST_CASE("lock lists are read in order and unknown words refused", "[delivery][mbox]") {
    CHECK(parse_locks("flock, dotlock fcntl").value() ==
          std::vector<file_lock>{file_lock::flock, file_lock::dotlock, file_lock::fcntl});
    CHECK(parse_locks("").value().empty());
    CHECK_FALSE(parse_locks("fcntl, lockf"));
}
