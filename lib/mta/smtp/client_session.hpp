// The SMTP client as a state machine (RFC 5321, 1870, 2920, 3461, 6152): one connection, one or more transactions.
//
// It owns no socket, clock or file. A pump does, in a loop:
//   take_output() → write it;  wants() == content → stream the text through data_encoder, then content_end();
//   wants() == reply → read, on_bytes();  on_lost()/on_timeout() when the connection failed;  wants() == done →
//   look at results, then begin() another transaction, quit(), or close.
// time_stage() tells which smtp_*_timeout applies to the read or write at hand, phase() what log lines say.
//
// Commands are pipelined where the server offers it: MAIL, RCPT and DATA in one output; the end of data takes QUIT
// along when the connection is not to be used again. Output in one go is bounded, so that neither side waits for
// the other. Replies are bounded and opaque; a server out of step (surplus replies, an answer before its question)
// gets no success and no second transaction. Safe on hostile input (fuzz_smtp_client).
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include <mta/smtp/data_encoder.hpp>
#include <mta/smtp/reply.hpp>

namespace mta::smtp {

struct client_options {
    std::string helo_name;
    std::string peer;        // "host[address]", for texts
    int port = 0;            // shown beside peer in warnings when not 0
    std::string my_hostname; // for loop detection; empty: not looked for
    std::string nexthop;     // for the loop text
    bool lmtp = false;
    bool never_ehlo = false;          // smtp_never_send_ehlo
    bool soften_greeting = true;      // smtp_skip_5xx_greeting: a 5xx greeting counts as temporary
    std::vector<std::string> discard; // EHLO keywords to overlook, lower case
};

struct client_recipient {
    std::string address;      // internal form; quoted here
    std::string original;     // for ORCPT when dsn_original is empty
    std::string dsn_original; // "rfc822;user@example.com"
    int notify = 0;           // NOTIFY bits: 1 never, 2 success, 4 failure, 8 delay
};

struct client_transaction {
    std::string sender; // internal form
    std::string encoding; // "7bit", "8bit" or empty
    long long size = 0;   // 0: not told
    std::string envid;
    int ret = 0; // 1 full, 2 headers
    bool last = true; // QUIT goes with the end of data
    bool probe = false; // only asks about the recipients; no message is sent
    std::vector<client_recipient> recipients;
};

enum class client_verdict : std::uint8_t { pending, sent, soft, hard };

struct client_result {
    client_verdict verdict = client_verdict::pending;
    std::string dsn;    // "2.0.0"
    std::string reason; // "250 2.0.0 Ok", "host h[a] said: 550 ... (in reply to RCPT TO command)"
    std::string reply;  // the server's own words, lines joined by blanks; empty when it said none
};

// What failed before any recipient could be tried, or for all of them.
struct client_failure {
    bool failed = false;
    bool hard = false;
    bool site = false; // greeting or handshake: the server as such, not this message
    std::string dsn, reason, reply;
};

enum class client_need : std::uint8_t { reply, content, done, closed };
enum class client_time : std::uint8_t { greeting, helo, mail, rcpt, data_init, data_transfer, data_done, rset, quit };

class client_session {
public:
    explicit client_session(client_options options);

    // The next transaction. Requires wants() == done, or the very start of the connection (before the greeting).
    void begin(client_transaction transaction);

    // Bytes to write now; empty most of the time.
    [[nodiscard]] std::string take_output();
    [[nodiscard]] bool has_output() const noexcept { return !output_.empty(); }

    [[nodiscard]] client_need wants() const noexcept;
    [[nodiscard]] client_time time_stage() const noexcept;

    // Bytes from the server, at any time.
    void on_bytes(std::string_view bytes);
    // The whole text was passed to the encoder: appends the end-of-data mark (and QUIT) to out, which the pump
    // then writes. Requires wants() == content.
    void content_end(std::string& out, data_encoder& encoder);
    // The connection broke, or a time limit passed.
    void on_lost();
    void on_timeout();
    // The text could not be read: nothing more may be sent, or half a message might be taken for a whole one.
    void on_local_error(std::string dsn, std::string reason);

    // Asks the server to end a session with wants() == done. Its answer need not be waited for.
    void quit();

    // One per recipient of the transaction.
    [[nodiscard]] const std::vector<client_result>& results() const noexcept { return results_; }
    // Set when the connection as a whole failed during the transaction.
    [[nodiscard]] const client_failure& failure() const noexcept { return failure_; }
    // Whether begin() may be called again: the session is whole, in step and idle.
    [[nodiscard]] bool reusable() const noexcept;
    // How many whole replies were read: while it stays the same, one reply is being waited for.
    [[nodiscard]] std::size_t replies() const noexcept { return replies_; }
    // After the handshake: it worked.
    [[nodiscard]] bool established() const noexcept { return established_; }
    [[nodiscard]] int transactions() const noexcept { return transactions_; }
    // Lines for the log as warnings (protocol oddities); emptied by the call.
    [[nodiscard]] std::vector<std::string> take_warnings();

    struct features {
        bool esmtp = false, pipelining = false, eight_bit = false, size = false, dsn = false;
        bool enhanced = false, smtputf8 = false, starttls = false;
        long long size_limit = 0;
    };
    [[nodiscard]] const features& offered() const noexcept { return features_; }

private:
    enum class state : std::uint8_t {
        greeting,
        hello,
        idle,
        sending, // MAIL, RCPT, DATA
        content,
        final_reply,
        reset,
        closed,
    };
    enum class step : std::uint8_t { greeting, ehlo, helo, mail, rcpt, data, final, rset };
    struct expected {
        step what;
        std::size_t recipient = 0;
    };
    // As texts name the command that a reply answers.
    static constexpr std::string_view end_of_data = "end of DATA command";

    void on_reply(const reply& answer);
    void on_greeting(const reply& answer);
    void on_hello(const reply& answer, step what);
    void on_final(const reply& answer);
    void read_features(const reply& answer);
    void start_hello(step what);
    void start_transaction();
    void send_more();
    void send_mail();
    void send_rcpt(std::size_t index);
    void command(step what, std::string text, std::size_t recipient = 0);
    void envelope_done();
    void abort_transaction();
    void finish_transaction();
    void close();
    void fail_connection(std::string_view text_before, std::string_view text_after);
    void fail_site(const reply& answer, bool soften);
    void settle(std::size_t index, const reply& answer, std::string_view command_name);
    void settle_pending(const reply& answer, std::string_view command_name, bool only_accepted);
    void protocol_trouble(std::string_view line);
    void warn_when_cut(const reply& answer);
    [[nodiscard]] std::string peer_and_port() const;
    [[nodiscard]] client_result judge(const reply& answer, std::string_view command_name) const;
    [[nodiscard]] step current_step() const noexcept;
    [[nodiscard]] std::string_view phase() const noexcept;
    [[nodiscard]] bool discards(std::string_view keyword) const;

    client_options options_;
    client_transaction transaction_;
    std::vector<client_result> results_;
    std::vector<bool> accepted_;
    client_failure failure_;
    features features_;
    reply_reader reader_;
    std::deque<expected> awaited_;
    std::string output_;
    std::vector<std::string> warnings_;
    state state_ = state::greeting;
    std::size_t next_ = 0; // 0 MAIL, 1..n RCPT, n+1 DATA, n+2 nothing more
    std::size_t accepted_count_ = 0;
    int transactions_ = 0;
    bool have_transaction_ = false;
    bool established_ = false;
    bool mail_failed_ = false;
    bool data_go_ = false;
    bool in_step_ = true;
    bool early_ = false; // the reply at hand began before its command was sent
    std::size_t replies_ = 0;
    bool quitting_ = false;
};

// One reply as the reference shows it: each line with its code, joined by blanks.
[[nodiscard]] std::string reply_words(const reply& answer, char between = ' ');

// xtext (RFC 3461 4): bytes outside '!'..'~', '+' and '=' as +XX.
[[nodiscard]] std::string xtext(std::string_view text);

} // namespace mta::smtp
