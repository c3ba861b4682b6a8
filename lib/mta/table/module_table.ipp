#include <dirent.h>
#include <dlfcn.h>
#include <link.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <optional>

#include <mta/core/text.hpp>
#include <mta/table/environment.hpp>
#include <mta/table/host_settings.hpp>
#include <mta/table/key_filter.hpp>
#include <mta/table/module.h>
#include <mta/table/module_table.hpp>

namespace mta::table {
namespace {

constexpr std::string_view installed_directory = MTA_MODULE_DIRECTORY;
constexpr std::string_view build_directory = MTA_BUILD_MODULE_DIRECTORY;
constexpr std::string_view file_prefix = "table_";
constexpr std::string_view file_suffix = ".so";
constexpr std::size_t largest_answer = 16U << 20U;

// Whether the linker wrote build_directory into the search path of this very program, as it does until installation.
int search_path_has_build_directory(dl_phdr_info* info, std::size_t, void* found) {
    for (int i = 0; i < info->dlpi_phnum; ++i) {
        if (info->dlpi_phdr[i].p_type != PT_DYNAMIC)
            continue;
        const auto* entry = reinterpret_cast<const ElfW(Dyn)*>(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
        ElfW(Addr) strings = 0;
        ElfW(Xword) path = 0;
        for (; entry->d_tag != DT_NULL; ++entry) {
            if (entry->d_tag == DT_STRTAB)
                strings = entry->d_un.d_ptr;
            else if (entry->d_tag == DT_RUNPATH || entry->d_tag == DT_RPATH)
                path = entry->d_un.d_val;
        }
        if (strings == 0 || path == 0)
            continue;
        if (strings < info->dlpi_addr) // some machines leave it relative
            strings += info->dlpi_addr;
        const std::string_view words(reinterpret_cast<const char*>(strings + path));
        for (const auto word : split(words, ":"))
            *static_cast<bool*>(found) |= word == build_directory;
    }
    return 1; // the first object is the program itself
}

bool is_type_name(std::string_view type) {
    constexpr std::string_view good = "abcdefghijklmnopqrstuvwxyz0123456789-";
    return !type.empty() && type.size() < 64 && type.find_first_not_of(good) == std::string_view::npos;
}

std::string module_path(std::string_view type) {
    return module_directory() + "/" + std::string(file_prefix) + std::string(type) + std::string(file_suffix);
}

// Collects what a module puts; no exception leaves it, since its caller is a module.
struct collector {
    std::string bytes;
    bool overflow = false;

    static void put(void* context, const char* bytes, std::size_t size) {
        auto& self = *static_cast<collector*>(context);
        try {
            if (self.bytes.size() + size > largest_answer)
                self.overflow = true;
            else
                self.bytes.append(bytes, size);
        } catch (const std::bad_alloc&) {
            self.overflow = true;
        }
    }
    mtad_table_sink sink() { return {this, put}; }
};

mta::error error_of(int outcome, const collector& reason, const std::string& otherwise) {
    const bool permanent = outcome == MTAD_TABLE_PERMANENT;
    return {make_error_code(permanent ? errc::malformed : errc::temporary),
            printable(reason.bytes.empty() ? otherwise : reason.bytes)};
}

// Client libraries write to sockets that their servers closed: that must not end the program. Only this thread's signal
// is held back, and only one that came in between is taken away.
class broken_pipes_ignored {
public:
    broken_pipes_ignored() {
        sigset_t pending;
        sigemptyset(&pipe_);
        sigaddset(&pipe_, SIGPIPE);
        ::sigpending(&pending);
        was_pending_ = sigismember(&pending, SIGPIPE) == 1;
        ::pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
    }
    ~broken_pipes_ignored() {
        const timespec now{0, 0};
        while (!was_pending_ && ::sigtimedwait(&pipe_, nullptr, &now) < 0 && errno == EINTR)
            continue;
        ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    }
    broken_pipes_ignored(const broken_pipes_ignored&) = delete;
    broken_pipes_ignored& operator=(const broken_pipes_ignored&) = delete;

private:
    sigset_t pipe_{};
    sigset_t before_{};
    bool was_pending_ = false;
};

// What one table of a module asks of us.
struct table_host {
    std::string label;
    client_settings settings;
    mtad_table_host functions{};

    table_host(std::string name, client_settings parameters) : label(std::move(name)), settings(std::move(parameters)) {
        functions = {MTAD_TABLE_VERSION, sizeof functions, this, parameter, log};
    }
    static int parameter(void* context, const char* name, const mtad_table_sink* value) {
        try {
            const auto found = static_cast<table_host*>(context)->settings.find(name);
            if (!found)
                return MTAD_TABLE_ABSENT;
            value->put(value->context, found->data(), found->size());
            return MTAD_TABLE_FOUND;
        } catch (const std::exception&) {
            return MTAD_TABLE_TEMPORARY;
        }
    }
    static void log(void* context, int level, const char* text, std::size_t size) {
        try {
            const auto line = static_cast<table_host*>(context)->label + ": " + printable({text, size});
            current_log().log(level == MTAD_TABLE_INFO      ? severity::info
                              : level == MTAD_TABLE_WARNING ? severity::warning
                                                            : severity::error, line);
        } catch (const std::exception&) {
            return; // a line that cannot be written is no reason to stop
        }
    }
};

class module_table final : public lookup_table {
public:
    module_table(std::string name, table::traits traits, const mtad_table_module* module,
                 std::unique_ptr<table_host> host, key_filter filter)
        : lookup_table(std::move(name), traits), module_(module), host_(std::move(host)), filter_(std::move(filter)) {}
    module_table(const module_table&) = delete;
    module_table& operator=(const module_table&) = delete;
    ~module_table() override {
        const broken_pipes_ignored held;
        if (handle_ != nullptr)
            module_->close(handle_);
    }

    result<void> open(const std::string& own_name) {
        const broken_pipes_ignored held;
        collector reason;
        const auto sink = reason.sink();
        const int outcome = module_->open(&host_->functions, own_name.c_str(), &handle_, &sink);
        if (outcome == MTAD_TABLE_FOUND && handle_ != nullptr)
            return {};
        handle_ = nullptr;
        return tl::make_unexpected(error_of(outcome, reason, name() + ": cannot be opened"));
    }

    result<std::optional<std::string>> lookup(std::string_view key) override {
        const auto accepted = filter_.accepts(key, name());
        if (!accepted)
            return tl::make_unexpected(accepted.error());
        if (!*accepted)
            return std::nullopt;
        collector answer;
        const auto sink = answer.sink();
        std::optional<broken_pipes_ignored> held;
        if (traits().may_block)
            held.emplace();
        const int outcome = module_->lookup(handle_, key.data(), key.size(), &sink);
        if (outcome == MTAD_TABLE_ABSENT)
            return std::nullopt;
        if (outcome != MTAD_TABLE_FOUND)
            return tl::make_unexpected(error_of(outcome, answer, "lookup failed"));
        if (answer.overflow)
            return fail(errc::temporary, "the answer is too large");
        if (!is_utf8(answer.bytes) && utf8_wanted())
            return fail(errc::temporary, "key \"" + printable(key.substr(0, 100)) + "\": non-UTF-8 value \"" +
                                             printable(answer.bytes.substr(0, 100)) + "\"");
        return std::move(answer.bytes);
    }

    result<void> walk(const std::function<bool(std::string_view, std::string_view)>& visit) override {
        if (module_->walk == nullptr)
            return lookup_table::walk(visit);
        struct visitor {
            const std::function<bool(std::string_view, std::string_view)>* visit;
            bool threw = false;
            static int call(void* context, const char* key, std::size_t key_size, const char* value,
                            std::size_t value_size) {
                auto& self = *static_cast<visitor*>(context);
                try {
                    return (*self.visit)({key, key_size}, {value, value_size}) ? 1 : 0;
                } catch (const std::exception&) {
                    self.threw = true;
                    return 0;
                }
            }
        } to{&visit};
        collector reason;
        const auto sink = reason.sink();
        const int outcome = module_->walk(handle_, visitor::call, &to, &sink);
        if (outcome != MTAD_TABLE_FOUND || to.threw)
            return tl::make_unexpected(error_of(outcome, reason, name() + ": cannot be listed"));
        return {};
    }

private:
    static bool utf8_wanted() {
        const auto* cfg = current_configuration();
        return cfg == nullptr || (*cfg)[param::smtputf8_enable];
    }

    const mtad_table_module* module_;
    std::unique_ptr<table_host> host_;
    key_filter filter_;
    void* handle_ = nullptr;
};

result<const mtad_table_module*> load_module(std::string_view type) {
    const auto path = module_path(type);
    void* library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) {
        const char* why = ::dlerror();
        return fail(errc::unsupported, "unsupported dictionary type: " + std::string(type) + ": " +
                                           (why == nullptr ? "cannot be loaded" : why));
    }
    using entry = const mtad_table_module* (*)();
    const auto get = reinterpret_cast<entry>(::dlsym(library, "mtad_table_entry"));
    const auto* module = get == nullptr ? nullptr : get();
    if (module == nullptr || module->version != MTAD_TABLE_VERSION || module->size < sizeof(mtad_table_module) ||
        module->type != type || module->open == nullptr || module->lookup == nullptr || module->close == nullptr)
        return fail(errc::unsupported, "unsupported dictionary type: " + std::string(type) + ": " + path +
                                           " is no module for this version (" + std::to_string(MTAD_TABLE_VERSION) +
                                           ") of the table interface");
    return module;
}

} // namespace

const std::string& module_directory() {
    static const std::string directory = [] {
        bool in_build_tree = false;
        ::dl_iterate_phdr(search_path_has_build_directory, &in_build_tree);
        return std::string(in_build_tree ? build_directory : installed_directory);
    }();
    return directory;
}

bool has_module(std::string_view type) {
    return is_type_name(type) && ::access(module_path(type).c_str(), R_OK) == 0;
}

std::vector<std::string> module_types() {
    std::vector<std::string> out;
    struct closer {
        void operator()(DIR* directory) const noexcept { ::closedir(directory); }
    };
    const std::unique_ptr<DIR, closer> directory(::opendir(module_directory().c_str()));
    while (directory) {
        const auto* entry = ::readdir(directory.get());
        if (entry == nullptr)
            break;
        std::string_view file(entry->d_name);
        if (!file.starts_with(file_prefix) || !file.ends_with(file_suffix))
            continue;
        file.remove_prefix(file_prefix.size());
        file.remove_suffix(file_suffix.size());
        if (has_module(file))
            out.emplace_back(file);
    }
    return out;
}

result<table_ptr> open_module_table(std::string_view type, const std::string& name) {
    if (!has_module(type))
        return fail(errc::unsupported, "unsupported dictionary type: " + std::string(type));
    const auto module = load_module(type);
    if (!module)
        return tl::make_unexpected(module.error());
    auto settings = read_settings(name);
    if (!settings)
        return tl::make_unexpected(settings.error());
    auto filter = key_filter::open(*settings);
    if (!filter)
        return tl::make_unexpected(filter.error());
    table::traits traits;
    traits.patterns = ((*module)->traits & MTAD_TABLE_PATTERNS) != 0;
    traits.may_block = ((*module)->traits & MTAD_TABLE_MAY_BLOCK) != 0;
    const auto label = std::string(type) + ":" + name;
    auto table = std::make_unique<module_table>(label, traits, *module,
                                                std::make_unique<table_host>(label, std::move(*settings)),
                                                std::move(*filter));
    if (auto opened = table->open(name); !opened)
        return tl::make_unexpected(opened.error());
    return table_ptr(std::move(table));
}

} // namespace mta::table
