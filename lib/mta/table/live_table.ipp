#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <vector>

#include <mta/table/environment.hpp>
#include <mta/table/live_table.hpp>
#include <mta/table/patience.hpp>

namespace mta::table {
namespace {

constexpr std::chrono::seconds check_interval{1};
// When all handles are in use and none came back for so long, their server hangs: nobody queues up behind them.
constexpr std::chrono::seconds stalled_after{1};

bool lacks_rights(const mta::error& why) {
    return why.code == std::errc::permission_denied || why.code == std::errc::operation_not_permitted;
}

class live_table final : public lookup_table {
public:
    live_table(std::string spec, table::traits traits, const open_options& options, std::vector<table_ptr> handles,
               std::optional<mta::error> trouble)
        : lookup_table(spec, traits), spec_(std::move(spec)), options_(options),
          now_(traits), most_(traits.may_block ? live_table_handles : 1), idle_(std::move(handles)), opened_(idle_.size()),
          trouble_(std::move(trouble)), reported_(trouble_ && lacks_rights(*trouble_)) {}

    result<std::optional<std::string>> lookup(std::string_view key) override {
        const auto one = take();
        if (!one)
            return tl::make_unexpected(one.error());
        return (*one)->lookup(key);
    }
    result<void> walk(const std::function<bool(std::string_view, std::string_view)>& visit) override {
        const auto one = take();
        if (!one)
            return tl::make_unexpected(one.error());
        return (*one)->walk(visit);
    }

    // Of a table that could not be opened at first they are known later.
    [[nodiscard]] table::traits traits() const noexcept override { return now_; }

private:
    using clock = std::chrono::steady_clock;

    // A handle on loan; it goes back when the lookup is done, unless a newer one took its place meanwhile.
    struct give_back {
        live_table* home = nullptr;
        unsigned generation = 0;
        void operator()(lookup_table* handle) const { home->put(table_ptr(handle), generation); }
    };
    using lease = std::unique_ptr<lookup_table, give_back>;

    failure would_wait() const { return fail(errc::temporary, "table " + spec_ + " is busy"); }

    result<lease> take() {
        std::unique_lock guard(mutex_);
        for (;;) {
            if (is_due()) {
                if (!may_wait())
                    return would_wait();
                reopen(guard);
            }
            if (trouble_)
                return tl::make_unexpected(*trouble_);
            if (idle_.empty() && opened_ < most_ && may_wait())
                add_handle(guard);
            if (!idle_.empty()) {
                if (idle_.back()->traits().may_block && !may_wait())
                    return would_wait();
                lease out(idle_.back().release(), {this, generation_});
                idle_.pop_back();
                moved_ = clock::now();
                return out;
            }
            if (!may_wait())
                return would_wait();
            const auto end = std::min(waiting_ends(), moved_ + stalled_after);
            if (freed_.wait_until(guard, end) == std::cv_status::timeout && idle_.empty() && clock::now() >= end)
                return fail(errc::temporary, "too many lookups wait for table " + spec_);
        }
    }

    void put(table_ptr handle, unsigned generation) {
        const std::lock_guard guard(mutex_);
        if (generation != generation_)
            return;
        idle_.push_back(std::move(handle));
        moved_ = clock::now();
        freed_.notify_one();
    }

    // Whether the table must be opened anew. Looks at the file once a second, with the rights of any idle handle.
    bool is_due() {
        const auto now = clock::now();
        if (opening_ || now - checked_ < check_interval || (!trouble_ && idle_.empty()))
            return false;
        if (trouble_ || idle_.back()->changed())
            return true;
        checked_ = now;
        return false;
    }

    // Others go on with what there is.
    void reopen(std::unique_lock<std::mutex>& guard) {
        opening_ = true;
        guard.unlock();
        auto again = open_table(spec_, options_);
        guard.lock();
        opening_ = false;
        checked_ = clock::now();
        if (again) {
            ++generation_;
            idle_.clear();
            idle_.push_back(std::move(*again));
            opened_ = 1;
            now_ = idle_.back()->traits();
            most_ = idle_.back()->traits().may_block ? live_table_handles : 1;
            trouble_.reset();
            reported_ = false;
            freed_.notify_all();
            return;
        }
        const bool report = lacks_rights(again.error()) && !std::exchange(reported_, true);
        const auto why = again.error().text();
        if (trouble_)
            trouble_ = again.error();
        if (report)
            report_unreadable_table(spec_ + ": " + why);
    }

    void add_handle(std::unique_lock<std::mutex>& guard) {
        ++opened_;
        const auto generation = generation_;
        guard.unlock();
        auto more = open_table(spec_, options_);
        guard.lock();
        if (generation != generation_)
            return;
        if (more)
            idle_.push_back(std::move(*more));
        else
            most_ = --opened_; // those that there are must do
    }

    const std::string spec_;
    const open_options options_;
    std::atomic<table::traits> now_;
    std::mutex mutex_;
    std::condition_variable freed_;
    std::size_t most_;
    std::vector<table_ptr> idle_; // the one used last is taken first: few servers see many connections
    std::size_t opened_;          // idle or on loan
    std::optional<mta::error> trouble_;
    bool reported_;
    bool opening_ = false;
    unsigned generation_ = 0;
    clock::time_point checked_ = clock::now();
    clock::time_point moved_ = clock::now(); // a handle was taken or came back
};

} // namespace

result<table_ptr> open_live_table(std::string_view spec, const open_options& options) {
    std::vector<table_ptr> handles;
    std::optional<mta::error> trouble;
    table::traits traits;
    auto first = open_table(spec, options);
    if (first) {
        traits = (*first)->traits();
        handles.push_back(std::move(*first));
    } else if (is_temporary(first.error().code)) {
        trouble = first.error();
    } else {
        return first; // nothing that time mends
    }
    // A proxy: table needs no rights of this process, so that it can wait until another handle is needed.
    while (traits.may_block && handles.size() < live_table_handles && !spec.starts_with("proxy:")) {
        auto more = open_table(spec, options);
        if (!more)
            break;
        handles.push_back(std::move(*more));
    }
    return std::make_unique<live_table>(std::string(spec), traits, options, std::move(handles), std::move(trouble));
}

} // namespace mta::table
