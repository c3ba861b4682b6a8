#include <mta/rewrite/domains.hpp>
#include <mta/rewrite/flush_sites.hpp>

namespace mta::rewrite {

result<flush_sites> flush_sites::open(const config::configuration& cfg) {
    auto list = table::match_list::open("fast_flush_domains", cfg[config::param::fast_flush_domains],
                                        parent_style_of(cfg, "fast_flush_domains"));
    if (!list)
        return tl::make_unexpected(list.error());
    return flush_sites(std::move(*list));
}

result<bool> flush_sites::has(std::string_view site) {
    if (site.empty() || site.front() == '[')
        return false;
    return sites_.matches_name(site);
}

} // namespace mta::rewrite
